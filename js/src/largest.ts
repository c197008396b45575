/**
 * How large one CoValue may become on a relay. Whoever asks for one has the engine hold all of it, so that one which does not
 * fit there would end the relay each time. What would make one larger is not taken, whoever brings it, and neither are more
 * sessions than a message can name: each message about a CoValue names all of them. What the store has is read, however
 * large; deleting makes room, and is possible all the same.
 *
 * Devices of ours never get there: a segment of a history has 112 KiB and one transaction more (`src/sync/segment.rs`), and of
 * the registries the fastest is that of deletions, with 32 bytes for each of many and 700 for one alone.
 */

import type { LocalNode, RawCoID } from "cojson";
import { type Content, isWellFormed, sizeOf, tidy, type Transactions } from "./content";
import { storedOf } from "./holdings";

type Handle = LocalNode["syncManager"]["handleNewContent"];
type Core = ReturnType<LocalNode["getCoValue"]>;

/** Bytes of the names of a CoValue's sessions: those of some 15,000. No message is longer than 4 MiB. */
const LONGEST_NAMES = 1 << 20;
/** Bytes that a transaction, and a session, take up besides what they say, as `session_map/extent.rs` counts them. */
const OF_TRANSACTION = 200;
const OF_SESSION = 1_000;
/** No transaction that deletes is longer, in characters. */
const LONGEST_DELETION = 4 << 10;
/** What is remembered of CoValues that are too large at the relay above. */
const REMEMBERED = 10_000;

/** How much a CoValue takes up. */
export interface Extent {
  /** Bytes of its transactions, with some for each of them and for each session. */
  bytes: number;
  /** Bytes of the names of its sessions. */
  names: number;
}

export class Largest {
  /** What the store had of CoValues when they began to be read from there, and what came since. */
  private readonly beingRead = new WeakMap<Core, Extent>();
  /** CoValues of which the relay above has more than is taken. */
  private readonly above = new Set<string>();

  /** Bounds what a node takes from others in the role of a server; of its clients it is asked. */
  constructor(
    private readonly node: LocalNode,
    private readonly most: number,
  ) {
    const sync = node.syncManager;
    const handle: Handle = sync.handleNewContent.bind(sync);
    sync.handleNewContent = (message, from) => {
      const isFromAbove = from !== "storage" && from !== "import" && from.role === "server";
      if (!isFromAbove || !this.leavesOut(message)) handle(message, from);
    };
  }

  /** Whether a message would make its CoValue larger than one may be; what is not is counted in. */
  isExceededBy(message: Content): boolean {
    const core = this.core(message.id);
    const isHere = core?.hasVerifiedContent() === true;
    // What lies in the store only comes once more when it is in memory.
    if (!isHere && !message.header) return false;
    const growth = this.growth(message, core);
    if (!isHere) growth.bytes += JSON.stringify(message.header).length;
    if (growth.bytes === 0) return false;
    const held = this.extent(core);
    const isTooLarge = held.bytes + growth.bytes > this.most || held.names + growth.names > LONGEST_NAMES;
    const read = core && this.beingRead.get(core);
    if (read && !isTooLarge) {
      read.bytes += growth.bytes;
      read.names += growth.names;
    }
    return isTooLarge;
  }

  /** Whether a session of a message deletes its CoValue, which makes room. One that is deleted already has none to make. */
  deletes(message: Content, session: string, transactions: Transactions): boolean {
    const [only, ...more] = transactions;
    if (!session.endsWith("$") || more.length > 0 || only?.privacy !== "trusting" || this.core(message.id)?.isDeleted) return false;
    const said = only.meta ?? "";
    return sizeOf(only) <= LONGEST_DELETION && isMarkOf(said, message.id);
  }

  /** Of what is too large at the relay above no more comes, and what is here is not waited for any longer. */
  private leavesOut(message: Content): boolean {
    if (!isWellFormed(message)) return true;
    tidy(message);
    if (this.above.has(message.id) && this.growth(message, this.core(message.id)).bytes > 0) return true;
    if (!this.isExceededBy(message)) return false;
    if (this.above.size >= REMEMBERED) this.above.clear();
    this.above.add(message.id);
    console.warn("the relay above has a CoValue that is larger than this one takes (max_value_mib)");
    // As it is in memory the rest of it would be waited for.
    this.node.internalDeleteCoValue(message.id);
    return true;
  }

  private growth(message: Content, core: Core | undefined): Extent {
    const known: Record<string, number> = core?.hasVerifiedContent() ? core.knownState().sessions : {};
    const growth = { bytes: 0, names: 0 };
    for (const [session, { after, newTransactions }] of Object.entries(message.new)) {
      // Nothing else is taken for one that is deleted.
      if (core?.isDeleted && !session.endsWith("$")) continue;
      if (newTransactions.length === 0 || this.deletes(message, session, newTransactions)) continue;
      const held = known[session];
      if (held === undefined) {
        growth.bytes += OF_SESSION;
        growth.names += session.length;
      }
      const isHeld = Number.isInteger(after) ? (held ?? 0) - after : 0;
      for (const transaction of newTransactions.slice(Math.max(0, isHeld))) growth.bytes += sizeOf(transaction) + OF_TRANSACTION;
    }
    return growth;
  }

  /** How much a CoValue takes up; of one that is still being read, as far as the store has it. */
  private extent(core: Core | undefined): Extent {
    const map = (core?.verified as unknown as { impl: { size(): number; names(): number } } | null)?.impl;
    if (!core || !map) return { bytes: 0, names: 0 };
    if (!core.isStreaming() || core.isDeleted) {
      this.beingRead.delete(core);
      return { bytes: map.size(), names: map.names() };
    }
    let read = this.beingRead.get(core);
    if (!read) {
      const { bytes, transactions, sessions, names } = storedOf(core.id);
      read = { bytes: bytes + transactions * OF_TRANSACTION + sessions * OF_SESSION, names };
      this.beingRead.set(core, read);
    }
    return read;
  }

  private core(id: RawCoID): Core | undefined {
    return this.node.hasCoValue(id) ? this.node.getCoValue(id) : undefined;
  }
}

/** Whether the meta of a transaction says that this CoValue is deleted, as the SDK has it. */
function isMarkOf(meta: string, id: string): boolean {
  try {
    return (JSON.parse(meta) as { deleted?: unknown } | null)?.deleted === id;
  } catch {
    return false;
  }
}
