/**
 * Names in memory. The SDK keeps an entry for every CoValue that was ever asked for, though nobody has it, and a shell of each
 * that it has unloaded; and for every connection what its client has said of each. A relay answers the same without them, so
 * those that no client is subscribed to are forgotten; and how many names that nobody has a client may ask for is limited,
 * as is what all of them say of such names together. The same for names in content, which is not taken before what they
 * stand for has come.
 */

import type { LocalNode, RawCoID } from "cojson";
import type { Count } from "./dependencies";
import type { Guest } from "./guest";

/** The codes of `src/runtime/ending.rs` that are decided on here. */
const MALFORMED = 4400;
const TOO_MANY_NAMES = 4429;

/** No id is longer, in characters. */
const LONGEST_ID = 100;
/** Bytes of the heap that what one client says of names that nobody has may take up, and what all of them say. */
const MOST_OF_ONE = 60_000_000;
const MOST_OF_ALL = 300_000_000;
/** About as much does a name take up, and a session that is said of one, besides its own name. */
const OF_NAME = 3_000;
const OF_SESSION = 150;
/** And a name in a list of all that a client has, which is noted until the client has brought it. */
const OF_PENDING = 600;
/** How often names are forgotten, milliseconds; and after how many new ones in any case. */
const FORGET_EVERY_MS = 60_000;
const FORGET_AFTER = 5_000;
/** A name that is looked for takes up more: the question, and those who wait for its answer. */
const OF_AUTHOR = 12_000;
/** No message of a client names more authors that are not here: the SDK cuts what it sends after 100 KiB. */
const MOST_AUTHORS = 1_000;
/** For so long the SDK goes on looking for one that has not come, milliseconds: its timeout in `main.ts`. */
const LOOKS_FOR_MS = 60_000;
/** So few are not worth looking for. */
const FEW = 1_000;

type Handle = LocalNode["syncManager"]["handleSyncMessage"];
type Message = Parameters<Handle>[0];
type Peer = Parameters<Handle>[1];
type Core = ReturnType<LocalNode["getCoValue"]>;
type Lists = {
  ongoingStorageReconciliationTracker: { reconcileBatchesByCoValue: ReadonlyMap<string, ReadonlyMap<RawCoID, unknown>> };
};
type Said = ReadonlyMap<RawCoID, { value(): { sessions: Record<string, number> } }>;

/** What a client has said of names that nobody has. */
interface Talk {
  guest: Guest;
  peer: Peer;
  /** Bytes that it takes up, as far as was counted. */
  bytes: number;
}

export class Names implements Count {
  /** Of those clients that have asked for such names, by the SDK's name of the connection. */
  private readonly talks = new Map<string, Talk>();
  private bytesOfAll = 0;
  /** Bytes that content takes up which waits for names, and those names: of all, and of each client. */
  private waitingOfAll = 0;
  private readonly waiting = new Map<Guest, number>();
  private forgetAt = FORGET_AFTER;
  private readonly timer: ReturnType<typeof setInterval>;

  /** Takes part in what a node does with messages; `guests` are by the names that the SDK has for them. */
  constructor(
    private readonly node: LocalNode,
    private readonly guests: ReadonlyMap<string, Guest>,
  ) {
    this.timer = setInterval(() => this.forget(), FORGET_EVERY_MS);
    const sync = node.syncManager;
    const handle: Handle = sync.handleSyncMessage.bind(sync);
    sync.handleSyncMessage = (message, peer) => {
      const guest = this.guests.get(peer.id);
      if (!guest) return handle(message, peer);
      if (message.id?.length > LONGEST_ID) return guest.refuse(MALFORMED);
      handle(message, peer);
      const bytes = this.bytesOf(message);
      if (bytes > 0) this.add(guest, peer, bytes);
      if (this.inMemory().size >= this.forgetAt) this.forget();
    };
  }

  /** Content of a client begins to wait for names that are not here. */
  begins(from: Peer, names: RawCoID[]): ((came: boolean) => void) | undefined {
    const guest = this.guests.get(from.id);
    if (!guest) return () => {};
    if (names.some((name) => name.length > LONGEST_ID)) {
      guest.refuse(MALFORMED);
      return undefined;
    }
    const [ofNames, ofContent] = [names.length * OF_AUTHOR, Math.ceil(guest.share)];
    const bytes = ofNames + ofContent;
    const isTooMuch = (this.waiting.get(guest) ?? 0) + bytes > MOST_OF_ONE || this.waitingOfAll + bytes > MOST_OF_ALL;
    if (names.length > MOST_AUTHORS || isTooMuch) {
      guest.refuse(TOO_MANY_NAMES);
      return undefined;
    }
    this.waits(guest, bytes);
    return (came) => {
      this.waits(guest, -ofContent);
      if (came) this.waits(guest, -ofNames);
      else setTimeout(() => this.waits(guest, -ofNames), LOOKS_FOR_MS);
    };
  }

  /** So many bytes more wait, or less; also of a client that has gone. */
  private waits(guest: Guest, bytes: number): void {
    this.waitingOfAll += bytes;
    const ofOne = (this.waiting.get(guest) ?? 0) + bytes;
    if (ofOne > 0) this.waiting.set(guest, ofOne);
    else this.waiting.delete(guest);
  }

  /** A client has gone. */
  left(guest: Guest): void {
    const talk = this.talks.get(guest.id);
    if (talk) this.note(talk, 0);
    this.talks.delete(guest.id);
  }

  /** The node is not used any more. */
  stop(): void {
    clearInterval(this.timer);
  }

  /** What a message has added that nobody has, in bytes. */
  private bytesOf(message: Message): number {
    if (message.action === "reconcile") return message.values.length * OF_PENDING;
    if (message.action !== "load" && message.action !== "known") return 0;
    const core = this.inMemory().get(message.id);
    return core && isNobodys(core) ? sizeOf(message.sessions) : 0;
  }

  private add(guest: Guest, peer: Peer, bytes: number): void {
    let talk = this.talks.get(guest.id);
    if (!talk) this.talks.set(guest.id, (talk = { guest, peer, bytes: 0 }));
    this.note(talk, talk.bytes + bytes);
    if (talk.bytes > MOST_OF_ONE) {
      // It may have brought most of them meanwhile.
      this.note(talk, this.measured(peer));
      if (talk.bytes > MOST_OF_ONE / 2) this.refuse(talk);
    } else if (this.bytesOfAll > MOST_OF_ALL) {
      this.refuse([...this.talks.values()].reduce((most, other) => (other.bytes > most.bytes ? other : most)));
    }
  }

  private note(talk: Talk, bytes: number): void {
    this.bytesOfAll += bytes - talk.bytes;
    talk.bytes = bytes;
  }

  private refuse(talk: Talk): void {
    this.note(talk, 0);
    talk.guest.refuse(TOO_MANY_NAMES);
  }

  /** What a client has said of names that nobody has now, in bytes. */
  private measured(peer: Peer): number {
    const sync = this.node.syncManager as unknown as Lists;
    const pending = sync.ongoingStorageReconciliationTracker.reconcileBatchesByCoValue.get(peer.id);
    let bytes = (pending?.size ?? 0) * OF_PENDING;
    for (const [id, known] of saidBy(peer)) {
      const core = this.inMemory().get(id);
      if (core && isNobodys(core)) bytes += sizeOf(known.value().sessions);
    }
    return bytes;
  }

  /** Forgets what has no content, and what no client and nothing else waits for. */
  private forget(): void {
    const idle: RawCoID[] = [];
    for (const core of this.node.allCoValues()) {
      if (!core.verified && core.listeners.size === 0 && core.loadingState !== "loading") idle.push(core.id);
    }
    if (idle.length >= FEW) {
      const wanted = new Set<RawCoID>();
      for (const peer of this.node.syncManager.getClientPeers()) {
        for (const id of saidBy(peer).keys()) wanted.add(id);
      }
      for (const id of idle) {
        if (wanted.has(id)) continue;
        this.inMemory().get(id)?.decrementLoadingStateCounter();
        this.node.internalDeleteCoValue(id);
      }
    }
    this.forgetAt = this.inMemory().size + FORGET_AFTER;
  }

  private inMemory(): ReadonlyMap<RawCoID, Core> {
    return (this.node as unknown as { coValues: Map<RawCoID, Core> }).coValues;
  }
}

/** Whether it was looked for in vain; what was unloaded is in the store. */
function isNobodys(core: Core): boolean {
  return !core.isKnownStateAvailable();
}

function sizeOf(sessions: Record<string, number> | undefined): number {
  let bytes = OF_NAME;
  for (const session in sessions) bytes += OF_SESSION + session.length;
  return bytes;
}

/** What a client has said of CoValues: it is subscribed to these. */
function saidBy(peer: Peer): Said {
  return (peer as unknown as { _knownStates: Said })._knownStates;
}
