/**
 * What the host may ask of the isolate, what it answers, and what it tells unasked. The Rust side
 * has the same types in `src/runtime/protocol.rs`; a test there sends every one of them.
 *
 * Values are opaque here: the host sealed them, and alone can open them.
 */

/** What became of one CoValue that was asked for. */
export type Outcome =
  /** Held here, and equal to what the relay holds. */
  | "current"
  /** Held here; no relay is configured. */
  | "local"
  /** Deleted for good; only the mark is left. */
  | "deleted"
  /** The relay does not have it, and neither have we. */
  | "absent"
  /** The relay sent something that does not carry the right signatures or does not hash to its id. */
  | "damaged"
  /** There was no connection when the time ran out. */
  | "offline"
  /** Connected, but the answer did not come in time. */
  | "late";

export type Registries = Record<RegistryName, string>;
export type RegistryName = "index" | "preferences" | "devices" | "usage" | "deletions" | "keyring";

/** How many transactions of each session the host has read, by CoValue. */
export type Positions = Record<string, Record<string, number>>;

/** One item of a segment: the session that wrote it, the transaction's number there, the value. */
export type Item = [session: string, transaction: number, value: string];

/** Where values were written, and what the segment holds with them. */
export interface Written {
  /** Number of the transaction in this device's session. */
  transaction: number;
  entries: number;
  bytes: number;
}

/** How much one account may store on a relay; null: as much as it likes. */
export interface Limits {
  bytesPerAccount: number | null;
  valuesPerAccount: number | null;
}

/** What a relay is told at its start. */
export interface Serving extends Limits {
  /** With a `stored` event what it has stored, since other engines use the same store. */
  tells: boolean;
  /** Whether the store is a database that other relays use too: it keeps by itself what each account holds. */
  isShared: boolean;
  /** Bytes of transactions that may be in memory; null: as many as come. */
  contentInMemory: number | null;
  /** Bytes that one CoValue may take up, with all that is in it; null: as many as come. */
  largestValue: number | null;
  /** Whether there is a relay above this one, which the host can dial. */
  hasUpstream: boolean;
  /** Whether it is noted which day each account was last used. */
  notesUse: boolean;
}

/** How far a relay and the one above it have come. */
export interface Agreement {
  /** Whether everything in the store was compared on this connection. */
  isCompared: boolean;
  /** CoValues of which it has not confirmed everything, as far as they were compared. */
  unconfirmed: number;
}

/** Who may write through a relay's connection: everybody, or one account; null: the first that does. */
export type MayWrite = "anyone" | { account: string | null };

export interface Requests {
  /** Opens the account, or makes it where `create` is set. Must be the first request of a client. */
  open: {
    params: {
      agentSecret: string;
      session: string | null;
      create: boolean;
      /** Names the relay in the SDK's records; null: none is configured. */
      peer: string | null;
      month: string;
      /** Segments that will be asked for, with what was read of them: the relay is asked about all at once. */
      ahead: Positions;
      timeoutMs: number;
    };
    result: { account: string; session: string };
  };
  /** Loads the account's registries and brings them up to date with the relay. */
  registries: { params: { timeoutMs: number }; result: {
      registries: Registries;
      /** The map that names the registries. */
      root: string;
      /** The mark of a closed account, sealed; null while it is open. */
      closed: string | null;
      /** Version of the data, as the newest device wrote it; null in accounts older than this key. */
      schema: string | null;
      outcome: Outcome;
      /** The relay held less of the account than we do when we came: it lost something, or is another one. */
      relayWasBehind: boolean;
    };
  };
  /** Brings CoValues up to date with the relay, in both directions. */
  exchange: { params: { ids: string[]; timeoutMs: number }; result: { outcomes: Record<string, Outcome> } };
  /**
   * The same for segments of which the host has read something, as `read` says. Where that is all that the store and the
   * relay have, the segment is `unchanged`, and stays in the store.
   */
  exchangeUnread: {
    params: { read: Positions; timeoutMs: number };
    result: { outcomes: Record<string, Outcome>; unchanged: string[] };
  };
  /** The current value of every key of a map. */
  entries: { params: { id: string }; result: { entries: Record<string, string>; transactions: number } };
  /** The same with a name for the map's state; no values where that is `known`. */
  changedEntries: {
    params: { id: string; known: string | null };
    result: { state: string; entries: Record<string, string> | null };
  };
  /** Sets keys of a map in one transaction; in the store when it answers. */
  set: { params: { id: string; entries: Record<string, string> }; result: Record<string, never> };
  /** Makes a new, empty map. */
  createMap: { params: { month: string }; result: { id: string } };
  /** Makes a new, empty segment. */
  createSegment: { params: { month: string }; result: { id: string } };
  /** Appends values to a segment in one transaction; in the store when it answers. */
  append: { params: { id: string; values: string[] }; result: Written };
  /** The items of a segment from a position (transactions already seen, by session) on. */
  items: { params: { id: string; after: Record<string, number> }; result: { items: Item[] } };
  /**
   * Deletes CoValues for good, those that are held here: their content leaves this store at once, and the relay and
   * every other device when the deletion gets there. In the store when it answers. Says which are not held.
   */
  erase: { params: { ids: string[] }; result: { absent: string[] } };
  /** Ids of everything in this store that can be deleted: all but the account, its group, root and profile. */
  held: { params: Record<string, never>; result: { ids: string[] } };
  /**
   * Tells with a `changed` event whenever another session changes one of these, in place of those named before;
   * segments that are not among them leave memory.
   */
  watch: { params: { ids: string[] }; result: Record<string, never> };
  /** Drops CoValues from memory; what the store has of them stays there. */
  release: { params: { ids: string[] }; result: Record<string, never> };
  /** Becomes a relay. Must be the first request of a relay's isolate. */
  serve: { params: Serving; result: Record<string, never> };
  /** Relay: looks whether the store holds more of these than it knows, or of all that it has in memory. */
  refresh: { params: { ids: string[] | null }; result: Record<string, never> };
  /** Relay: a connection was accepted. */
  accept: { params: { socket: number; mayWrite: MayWrite; isRelay: boolean }; result: Record<string, never> };
  /** Relay: erases everything that belongs to an account, and begins anew with what is left: every connection ends. */
  forget: { params: { account: string }; result: { values: number } };
  /** Relay: notes what was used since it was last told, on this day: one of a number of days that goes up. */
  noteUse: { params: { day: number }; result: Record<string, never> };
  /** Relay: the accounts that were last used before a day, without those that somebody else's CoValues need. */
  unused: { params: { before: number }; result: { accounts: string[] } };
  /**
   * Relay: erases some of what an account owns, unless it was used since `before`, where that is said; which CoValues, and
   * whether there are more. Other engines are to `release` them.
   */
  eraseSome: { params: { account: string; before: number | null }; result: { ids: string[]; more: boolean } };
  /** Relay: answers when its turn has come; says how much content is in memory, and how large the heap is where that is asked, for which all of it is walked. */
  measure: { params: { memory: boolean }; result: { heapBytes: number | null; contentBytes: number; upstream: Agreement | null } };
  /** Writes what is outstanding and closes every connection. */
  close: { params: Record<string, never>; result: Record<string, never> };
}

export type Method = keyof Requests;
export type Handler<M extends Method> = (params: Requests[M]["params"]) => Promise<Requests[M]["result"]>;
export type Handlers = { [M in Method]?: Handler<M> };

export type Event =
  | { type: "changed"; id: string }
  | { type: "stored"; id: string }
  | { type: "connected" }
  | { type: "disconnected" };

export type FailureCode =
  /** The relay does not know this account. */
  | "account_unknown"
  /** There is no connection to the relay. */
  | "offline"
  /** The relay does not answer. */
  | "late"
  /** The relay has sent this device away with a reason, which the host knows. */
  | "refused"
  /** What the relay or the store holds was damaged or forged. */
  | "damaged"
  /** What the relay holds of this device's own session does not continue what is held of it here. */
  | "forked"
  /** The store could not be written. */
  | "storage"
  /** The request does not make sense now. */
  | "misuse"
  /** Anything else that went wrong in the script. */
  | "failed";

/** An error that the host is to tell from others by its code. */
export class Failure extends Error {
  constructor(
    readonly code: FailureCode,
    message: string,
  ) {
    super(message);
  }
}

export function emit(event: Event): void {
  Deno.core.ops.op_host_event(JSON.stringify(event));
}
