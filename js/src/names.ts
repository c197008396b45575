/**
 * Names in memory: all that connections have a relay remember, until they end. The SDK keeps an entry for every CoValue that was
 * ever asked for, though nobody has it, and a shell of each that it has unloaded; and for every connection what its client has
 * said of each. A relay answers the same without them, so those that no client is subscribed to are forgotten. The rest is
 * bounded, and whoever goes beyond is sent away:
 *
 * - what a client says of no use to anybody, by itself and with that of all others: names that nobody has, sessions that are
 *   not here, and lists of what it has, until it has brought that. The same for names in content, which is not taken before
 *   what they stand for has come;
 * - and all of it together, the names of what is here too. Then that client goes for whom the most is kept.
 */

import type { LocalNode, RawCoID } from "cojson";
import type { Audience } from "./audience";
import type { Count } from "./dependencies";
import type { Guest } from "./guest";

/** The codes of `src/runtime/ending.rs` that are decided on here. */
const MALFORMED = 4400;
const TOO_MANY_NAMES = 4429;

/** No id is longer, in characters. */
const LONGEST_ID = 100;
/** Bytes of the heap that what one client says of no use may take up, and what all of them say. */
const MOST_OF_ONE = 60_000_000;
const MOST_OF_ALL = 300_000_000;
/** And everything that is kept for all of them: three quarters of what an engine may have. */
const MOST_KEPT = 1_500_000_000;
/** About as much does a name take up, and a session that is said of one, besides its own name. */
const OF_NAME = 3_000;
const OF_SESSION = 150;
/** What is here takes up more, once for all (measured with 30,000: 6.3 KB), and so much for each client that has spoken of it. */
const OF_CORE = 5_000;
const OF_TOPIC = 1_000;
/** A session that a client was sent, whose name is here. */
const OF_SENT = 50;
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

const NOTHING: Readonly<Record<string, number>> = {};

type Handle = LocalNode["syncManager"]["handleSyncMessage"];
type Message = Parameters<Handle>[0];
type Content = Extract<Message, { action: "content" }>;
type Peer = Parameters<Handle>[1];
type Core = ReturnType<LocalNode["getCoValue"]>;
type Lists = {
  ongoingStorageReconciliationTracker: { reconcileBatches: ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<RawCoID>>> };
};

/** What is kept for a client. */
interface Talk {
  guest: Guest;
  /** Bytes of it that are of no use, as far as was counted. */
  bytes: number;
  /** Bytes of all of it, without what others have spoken of as well. */
  kept: number;
}

export class Names implements Count {
  /** Of those clients that have said something, by the SDK's name of the connection. */
  private readonly talks = new Map<string, Talk>();
  private bytesOfAll = 0;
  private keptOfAll = 0;
  /** Bytes that content takes up which waits for names, and those names: of all, and of each client. */
  private waitingOfAll = 0;
  private readonly waiting = new Map<Guest, number>();
  private forgetAt = FORGET_AFTER;
  private readonly timer: ReturnType<typeof setInterval>;

  /** Takes part in what a node does with messages; `guests` are by the names that the SDK has for them. */
  constructor(
    private readonly node: LocalNode,
    private readonly guests: ReadonlyMap<string, Guest>,
    private readonly audience: Audience,
  ) {
    this.timer = setInterval(() => this.forget(), FORGET_EVERY_MS);
    const sync = node.syncManager;
    const handle: Handle = sync.handleSyncMessage.bind(sync);
    sync.handleSyncMessage = (message, peer) => {
      const guest = this.guests.get(peer.id);
      // What is left of a connection that has ended, or was ended, is not dealt with any more.
      if (peer.closed || guest?.isOpen === false) return;
      if (!guest) return handle(message, peer);
      const handled = this.counting(message, guest, peer);
      try {
        handle(message, peer);
      } finally {
        handled();
      }
      if (this.inMemory().size >= this.forgetAt) this.forget();
    };
    const send = sync.trySendToPeer.bind(sync);
    sync.trySendToPeer = (peer, message) => {
      if (message.action === "content" && peer.role === "client") this.sends(message, peer);
      return send(peer, message);
    };
  }

  /** A client and the relay have begun to speak of one more CoValue. */
  speaks(guest: Guest): void {
    this.keep(guest, OF_TOPIC);
  }

  /** A message of a client is about to be dealt with; what hears that it was. */
  private counting(message: Message, guest: Guest, peer: Peer): () => void {
    if (message.action === "reconcile") return () => this.add(guest, peer, message.values.length * (OF_TOPIC + OF_PENDING));
    if (message.action === "reconcile-ack") return () => {};
    const { id } = message;
    const names = sessionsIn(message);
    const said = () => peer.getKnownState(id)?.sessions ?? NOTHING;
    const before = said();
    const added = names.filter((name) => !Object.hasOwn(before, name));
    return () => {
      const after = said();
      // What it says anew may take the place of what it has said.
      const isMore = after === before;
      const bytes = isMore ? sizeOf(added.filter((name) => Object.hasOwn(after, name))) : sizeOf(Object.keys(after)) - sizeOf(Object.keys(before));
      this.keep(guest, bytes);
      this.add(guest, peer, this.useless(id, names));
    };
  }

  /** Content goes to a client: it is remembered that it was sent that. */
  private sends(message: Content, peer: Peer): void {
    const guest = this.guests.get(peer.id);
    const sent = peer.getOptimisticKnownState(message.id)?.sessions ?? NOTHING;
    if (guest) this.keep(guest, sessionsIn(message).filter((name) => !Object.hasOwn(sent, name)).length * OF_SENT);
  }

  /** Content of a client begins to wait for names that are not here. */
  begins(from: Peer, message: Message, names: RawCoID[]): ((came: boolean) => void) | undefined {
    const guest = this.guests.get(from.id);
    if (!guest) return () => {};
    if (names.some((name) => name.length > LONGEST_ID)) {
      guest.refuse(MALFORMED);
      return undefined;
    }
    const [ofNames, ofContent] = [names.length * OF_AUTHOR, JSON.stringify(message).length];
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
    if (talk) this.drop(talk);
    // The SDK notes of each CoValue in memory how every client fared that has said something of it, and looks at all of them.
    for (const id of guest.topics as Set<RawCoID>) {
      const core = this.inMemory().get(id);
      if (core && (core.verified || core.listeners.size === 0)) fared(core).delete(guest.id);
    }
  }

  /** The node is not used any more. */
  stop(): void {
    clearInterval(this.timer);
  }

  /** Bytes that names of sessions of a CoValue take up, and its own, of which nothing is here. */
  private useless(id: RawCoID, sessions: string[]): number {
    const core = this.inMemory().get(id);
    if (!core || isNobodys(core)) return OF_NAME + sizeOf(sessions);
    const here = core.knownState().sessions;
    return sizeOf(sessions.filter((session) => !Object.hasOwn(here, session)));
  }

  private talkOf(guest: Guest): Talk {
    let talk = this.talks.get(guest.id);
    if (!talk) this.talks.set(guest.id, (talk = { guest, bytes: 0, kept: 0 }));
    return talk;
  }

  /** So many bytes more are kept for a client, or less. */
  private keep(guest: Guest, bytes: number): void {
    if (bytes === 0 || !guest.isOpen) return;
    this.talkOf(guest).kept += bytes;
    this.keptOfAll += bytes;
    while (this.talks.size > 0 && this.keptOfAll + this.audience.topics * OF_CORE > MOST_KEPT) {
      this.refuse([...this.talks.values()].reduce((most, other) => (other.kept > most.kept ? other : most)));
    }
  }

  private add(guest: Guest, peer: Peer, bytes: number): void {
    if (bytes === 0 || !guest.isOpen) return;
    const talk = this.talkOf(guest);
    this.note(talk, talk.bytes + bytes);
    if (talk.bytes > MOST_OF_ONE) {
      // It may have brought most of them meanwhile.
      this.note(talk, this.measured(guest, peer));
      if (talk.bytes > MOST_OF_ONE / 2) this.refuse(talk);
    } else if (this.bytesOfAll > MOST_OF_ALL) {
      this.refuse([...this.talks.values()].reduce((most, other) => (other.bytes > most.bytes ? other : most)));
    }
  }

  private note(talk: Talk, bytes: number): void {
    this.bytesOfAll += bytes - talk.bytes;
    talk.bytes = bytes;
  }

  private drop(talk: Talk): void {
    this.note(talk, 0);
    this.keptOfAll -= talk.kept;
    this.talks.delete(talk.guest.id);
  }

  private refuse(talk: Talk): void {
    this.drop(talk);
    talk.guest.refuse(TOO_MANY_NAMES);
    // Nobody else is to go for what is not kept any more.
    this.audience.left(talk.guest);
  }

  /** What is kept for a client that is of no use now, in bytes. */
  private measured(guest: Guest, peer: Peer): number {
    const sync = this.node.syncManager as unknown as Lists;
    let bytes = 0;
    for (const batch of sync.ongoingStorageReconciliationTracker.reconcileBatches.get(peer.id)?.values() ?? []) bytes += (batch.size + 1) * OF_PENDING;
    for (const id of guest.topics as Set<RawCoID>) bytes += this.useless(id, Object.keys(peer.getKnownState(id)?.sessions ?? {}));
    return bytes;
  }

  /** Forgets what has no content, and what no client and nothing else waits for. */
  private forget(): void {
    const idle: RawCoID[] = [];
    for (const core of this.node.allCoValues()) {
      if (!core.verified && core.listeners.size === 0 && core.loadingState !== "loading") idle.push(core.id);
    }
    if (idle.length >= FEW) {
      for (const id of idle) {
        if (this.audience.isSubscribed(id)) continue;
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

function fared(core: Core): Map<string, unknown> {
  return (core as unknown as { loadingStatuses: Map<string, unknown> }).loadingStatuses;
}

/** The sessions that a message names. */
function sessionsIn(message: Message): string[] {
  switch (message.action) {
    case "load":
    case "known":
      return Object.keys(message.sessions);
    case "content":
      // Whoever makes up a message may leave them out.
      return Object.keys(message.new ?? {});
    default:
      return [];
  }
}

function sizeOf(sessions: string[]): number {
  return sessions.reduce((bytes, session) => bytes + OF_SESSION + session.length, 0);
}
