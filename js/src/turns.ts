/**
 * Whose messages are dealt with next: accounts take turns, by the time that their messages take.
 *
 * The SDK's queue takes one message of each connection in turn: who has fifty connections has fifty turns, and who asks for
 * what is costly has most of the time. This one, in its place, goes round the accounts for which something waits (deficit
 * round robin). Each may use a quantum of time in a round; what its messages have taken is known only afterwards, so one that
 * has used more sits out rounds. Within an account connections have one message each in turn. A message costs the same
 * however many accounts there are: for each time that one of them is passed over it has used a quantum before.
 *
 * A connection is read on only when what it brought has been dealt with and its client has taken most of the answers. So
 * no more waits than one piece of a frame (`src/relay/inlet.rs`) of each connection. How many of these an address and an
 * invited account may have is limited; another bound for all of an account's would only have its devices wait for each other.
 */

import type { LocalNode } from "cojson";
import type { Guest } from "./guest";

/** How much of the engine's time an account may use before others have their turn, milliseconds. */
const QUANTUM_MS = 1;
/** More than this nobody has to make up for: one costly message, or a slow moment of the disk, is soon forgiven. */
const MOST_OWED_MS = 100;

type Queue = LocalNode["syncManager"]["messagesQueue"];
type Entry = NonNullable<ReturnType<Queue["pull"]>>;
type PeerState = Entry["peer"];

export class Turns implements Pick<Queue, "push" | "pull" | "recordProcessingTime"> {
  /** Those for whom something waits, or who have used more than their share; the first one's turn it is. */
  private round = new Line<Account>();
  private readonly accounts = new Map<unknown, Account>();
  /** What waits, by where it came from. */
  private readonly connections = new Map<PeerState, Connection>();
  /** Whose message is being dealt with. */
  private served: Account | undefined;
  private readonly begin: () => void;

  /** Takes the place of a node's own queue; `guests` are by the names that the SDK has for them. */
  constructor(
    private readonly node: LocalNode,
    private readonly guests: ReadonlyMap<string, Guest>,
  ) {
    const sync = node.syncManager;
    const { processQueues } = sync as unknown as { processQueues(): Promise<void> };
    this.begin = () => void processQueues.call(sync);
    sync.messagesQueue = this as unknown as Queue;
    this.chargeForPieces();
  }

  /** Resolves when a client may be read on; undefined where that is now. */
  of(guest: Guest): Promise<void> | undefined {
    const connection = this.connectionOf(guest);
    return connection || guest.isFull ? this.wait(guest, connection) : undefined;
  }

  /** The node is not used any more: what waits is dropped. */
  stop(): void {
    for (const { isOver } of this.connections.values()) isOver?.();
    this.connections.clear();
    this.makeEven();
  }

  // --- what the SDK does with it ----------------------------------------------------------------

  push(msg: Entry["msg"], peer: PeerState): void {
    let connection = this.connections.get(peer);
    if (!connection) {
      connection = new Connection(peer);
      this.connections.set(peer, connection);
      this.account(this.shareOf(peer)).waiting.push(connection);
    }
    connection.messages.push(msg);
    this.begin();
  }

  pull(): Entry | undefined {
    const account = this.next();
    const connection = account?.waiting.shift();
    const msg = connection?.messages.shift();
    if (!account || !connection || !msg) return undefined;
    if (connection.messages.first) {
      account.waiting.push(connection);
    } else {
      this.connections.delete(connection.peer);
      connection.isOver?.();
    }
    this.served = account;
    return { msg, peer: connection.peer };
  }

  /** The message that was pulled last has been dealt with. */
  recordProcessingTime(_action: unknown, ms: number): void {
    if (this.served) this.charge(this.served.name, ms);
    this.served = undefined;
  }

  // ----------------------------------------------------------------------------------------------

  /** The account whose turn it is; undefined where nothing waits. */
  private next(): Account | undefined {
    // Who has used more has not done so at anybody's cost.
    if (this.connections.size === 0) this.makeEven();
    for (let account = this.round.first; account; account = this.round.first) {
      if (account.left > 0 && account.waiting.first) return account;
      this.round.shift();
      account.left = Math.min(account.left, 0) + QUANTUM_MS;
      if (account.left > 0 && !account.waiting.first) this.accounts.delete(account.name);
      else this.round.push(account);
    }
    return undefined;
  }

  private makeEven(): void {
    this.round = new Line();
    this.accounts.clear();
  }

  private charge(name: unknown, ms: number): void {
    const account = this.account(name);
    account.left = Math.max(account.left - ms, -MOST_OWED_MS);
  }

  /** What the store holds of a large CoValue comes in pieces, one after each message: the account that asked pays for them. */
  private chargeForPieces(): void {
    const pieces = this.node.storage?.streamingQueue;
    if (!pieces) return;
    const push = pieces.push.bind(pieces);
    pieces.push = (piece, priority) => {
      const name = this.served?.name;
      if (name === undefined) return push(piece, priority);
      push(() => {
        const begun = performance.now();
        piece();
        this.charge(name, performance.now() - begun);
      }, priority);
    };
  }

  private account(name: unknown): Account {
    let account = this.accounts.get(name);
    if (!account) {
      account = new Account(name);
      this.accounts.set(name, account);
      this.round.push(account);
    }
    return account;
  }

  /**
   * In whose share a connection is: that of its account, where one was proved, or else of the account that it has named. Those
   * are two, so that nobody who has an invitation is slowed down by others who name him.
   *
   * The relay above has a share of its own. So has a relay below, and it is one, whoever is behind it: what it brings has to
   * stay in order, so it cannot wait with those who wrote it; and as many shares as it says to have accounts would be
   * anybody's who says so.
   */
  private shareOf(peer: PeerState): unknown {
    const guest = this.guests.get(peer.id);
    if (guest?.account) return guest.account;
    return guest?.first && !guest.isForMany ? `named ${guest.first}` : peer;
  }

  private connectionOf(guest: Guest): Connection | undefined {
    const peer = this.node.syncManager.peers[guest.id];
    return peer && this.connections.get(peer);
  }

  private async wait(guest: Guest, connection: Connection | undefined): Promise<void> {
    if (connection) await new Promise<void>((resolve) => (connection.isOver = resolve));
    await guest.room();
  }
}

/** Those that share one part of the time. */
class Account {
  /** Milliseconds that it may still use in this round; below zero what it has used too much. */
  left = QUANTUM_MS;
  /** Its connections of which something waits. */
  readonly waiting = new Line<Connection>();

  constructor(readonly name: unknown) {}
}

/** What one connection has brought, until all of it has been dealt with. */
class Connection {
  readonly messages = new Line<Entry["msg"]>();
  /** Goes on with whoever waits for that. */
  isOver: (() => void) | undefined;

  constructor(readonly peer: PeerState) {}
}

interface Link<T> {
  value: T;
  next: Link<T> | undefined;
}

/** First in, first out, in constant time. */
class Line<T> {
  private head: Link<T> | undefined;
  private tail: Link<T> | undefined;

  get first(): T | undefined {
    return this.head?.value;
  }

  push(value: T): void {
    const link = { value, next: undefined };
    if (this.tail) this.tail.next = link;
    else this.head = link;
    this.tail = link;
  }

  shift(): T | undefined {
    const link = this.head;
    this.head = link?.next;
    if (!this.head) this.tail = undefined;
    return link?.value;
  }
}
