/**
 * A device's side: the requests with which the host reads and writes its account.
 *
 * What is written is in the store before the answer goes out, and the SDK sends nothing before it
 * has stored it. Stream entries carry the hour, rounded up, since an entry that looks older than
 * its group is ignored by everyone without a word; maps carry the exact time, for last-writer-wins.
 */

import { LocalNode, type AgentSecret, type CoValueCore, type JsonValue, type RawAccountID, type RawCoID, type RawCoMap, type RawCoStream, type SessionID } from "cojson";
import { accountId, coarse, createAccount, groupOf, loadedMap, profileId, registriesOf, rootId, rootText } from "./account";
import { CaroCrypto } from "./crypto";
import { awaitDependencies } from "./dependencies";
import { RelayLink } from "./link";
import { emit, Failure, type Handlers, type Item, type Outcome, type Positions, type Requests, type Written } from "./protocol";
import { covers, type Sessions } from "./sessions";
import { forgetSession, heldIds, openStorage, storageRefusal } from "./storage";

const HOUR_MS = 3_600_000;

/** A store that hands out nothing more of what it holds is given up after so long, milliseconds. */
const PIECE_MS = 30_000;

/** Outcomes after which the content can be read. */
const READABLE: ReadonlySet<Outcome> = new Set(["current", "local"]);

export class Client {
  private readonly watched = new Map<string, () => void>();
  /** What others had written when the host last read it. */
  private readonly read = new Map<string, string>();

  private constructor(
    private readonly node: LocalNode,
    private readonly link: RelayLink | undefined,
  ) {}

  static async open(params: Requests["open"]["params"]): Promise<Client> {
    const crypto = new CaroCrypto();
    const storage = openStorage();
    const secret = params.agentSecret as AgentSecret;
    const id = accountId(secret, crypto);

    const node = params.create
      ? await createAccount(secret, crypto, storage, params.month)
      : new LocalNode(secret, (params.session as SessionID | null) ?? crypto.newRandomSessionID(id), crypto);
    if (!params.create) node.setStorage(storage);
    awaitDependencies(node);

    const client = new Client(node, params.peer === null ? undefined : new RelayLink(node, params.peer));
    client.link?.connect();
    if (!params.create) {
      client.askAhead(params.ahead, params.timeoutMs).catch((error) => console.debug("the store does not have it all", error));
      await client.need(id, params.timeoutMs);
    }
    return client;
  }

  readonly handlers: Handlers = {
    registries: async ({ timeoutMs }) => {
      await this.need(this.account, timeoutMs);
      await this.need(rootId(this.node), timeoutMs);
      const registries = registriesOf(this.node);
      const ids = [...Object.values(registries), groupOf(this.node).id];
      let worst: Outcome = this.link ? "current" : "local";
      for (const outcome of Object.values(await this.exchange(ids, timeoutMs))) {
        if (!READABLE.has(outcome)) worst = outcome;
      }
      const root = rootId(this.node);
      const [closed, schema] = [rootText(this.node, "closed"), rootText(this.node, "schema")];
      const relayWasBehind = [this.account, registries.index].some((id) => this.link?.wasBehind(id) ?? false);
      return { registries, root, closed, schema, outcome: worst, relayWasBehind };
    },
    exchange: async ({ ids, timeoutMs }) => ({
      outcomes: await this.exchange(ids, timeoutMs),
    }),
    exchangeUnread: ({ read, timeoutMs }) => this.exchangeUnread(read, timeoutMs),
    entries: async ({ id }) => {
      const map = loadedMap(this.node, id);
      const transactions = Object.values(map.core.knownState().sessions).reduce((sum, count) => sum + count, 0);
      return { entries: this.entries(map), transactions };
    },
    changedEntries: async ({ id, known }) => {
      const map = loadedMap(this.node, id);
      const state = JSON.stringify(map.core.knownState().sessions);
      return { state, entries: state === known ? null : this.entries(map) };
    },
    set: async ({ id, entries }) => {
      const map = loadedMap(this.node, id);
      await this.whole(map.core);
      const changes = Object.entries(entries).map(([key, value]) => ({ op: "set", key, value }));
      await this.commit(id, () => map.core.makeTransaction(changes, "private", undefined, this.stamp(map.core.latestTxMadeAt)));
      map.processNewTransactions();
      return {};
    },
    createMap: async ({ month }) => {
      const map = groupOf(this.node).createMap(undefined, null, "private", coarse(this.node.crypto, month));
      return { id: map.id };
    },
    createSegment: async ({ month }) => {
      const stream = groupOf(this.node).createStream(undefined, "private", null, coarse(this.node.crypto, month));
      return { id: stream.id };
    },
    append: async ({ id, values }) => this.write(await this.segment(id), values),
    items: async ({ id, after }) => {
      const segment = await this.segment(id);
      this.read.set(id, this.byOthers(segment.core));
      return { items: itemsAfter(segment, after) };
    },
    erase: async ({ ids }) => {
      const absent: string[] = [];
      for (const id of ids) if (!(await this.erase(id as RawCoID))) absent.push(id);
      await this.node.storage?.eraseAllDeletedCoValues();
      return { absent };
    },
    held: async () => {
      const kept = new Set([this.account, groupOf(this.node).id, rootId(this.node), profileId(this.node)]);
      return { ids: heldIds().filter((id) => !kept.has(id)) };
    },
    watch: async ({ ids }) => {
      this.watchOnly(new Set(ids));
      return {};
    },
    release: async ({ ids }) => {
      for (const id of ids) this.node.internalUnmountCoValue(id as RawCoID);
      return {};
    },
    close: async () => {
      this.link?.disconnect();
      await this.node.storage?.eraseAllDeletedCoValues();
      await this.node.gracefulShutdown();
      return {};
    },
  };

  get account(): RawAccountID {
    return accountId(this.node.agentSecret, this.node.crypto);
  }

  get session(): SessionID {
    return this.node.currentSessionID;
  }

  /**
   * Asks the relay in one go about all that the store knows to hang from the account, and about these segments: step
   * by step each would cost a way to the relay and back. Whoever needs one of them finds the answer there, or waits for it.
   */
  private async askAhead(segments: Positions, patienceMs: number): Promise<void> {
    if (!this.link) return;
    const { relay } = this.link;
    // What comes from the store is asked about as it comes.
    const stored = (id: string) => this.node.loadCoValueCore(id as RawCoID, relay, true);
    await stored(this.account);
    await stored(rootId(this.node));
    await Promise.all(Object.values(registriesOf(this.node)).map(stored));
    await this.exchangeUnread(segments, patienceMs);
  }

  private entries(map: RawCoMap): Record<string, string> {
    this.read.set(map.id, this.byOthers(map.core));
    const entries: Record<string, string> = {};
    for (const key of map.keys()) {
      const value = map.get(key);
      if (typeof value === "string") entries[key] = value;
    }
    return entries;
  }

  private async exchangeUnread(read: Positions, patienceMs: number): Promise<Requests["exchangeUnread"]["result"]> {
    const { link } = this;
    const ids = Object.keys(read);
    if (!link) return { outcomes: await this.exchange(ids, patienceMs), unchanged: [] };
    const outcomes: Record<string, Outcome> = {};
    const unchanged: string[] = [];
    const look = async (id: string) => {
      const outcome = await link.exchange(id, patienceMs, read[id]);
      if (outcome !== "unchanged") {
        outcomes[id] = this.legible(id, outcome);
        return;
      }
      unchanged.push(id);
      // Not what is held by now: between the look and this line more may have come, which must be told.
      this.read.set(id, this.othersIn(read[id] ?? {}, false));
    };
    await Promise.all(ids.map(look));
    return { outcomes, unchanged };
  }

  private async exchange(ids: string[], patienceMs: number): Promise<Record<string, Outcome>> {
    const outcome = async (id: string): Promise<[string, Outcome]> => {
      if (this.link) return [id, this.legible(id, await this.link.exchange(id, patienceMs))];
      const core = await this.fromStore(id);
      if (!core.isAvailable()) return [id, "absent"];
      await this.whole(core);
      return [id, this.legible(id, core.isDeleted ? "deleted" : "local")];
    };
    return Object.fromEntries(await Promise.all(ids.map(outcome)));
  }

  /**
   * A signature covers a session's transactions but not the CoValue they belong to, so a relay can
   * hand out one's content as another's. It does not decrypt there: that is damage, and what lies in
   * the store is dropped, so that the true content can come in its place.
   */
  private legible(id: string, outcome: Outcome): Outcome {
    if (!READABLE.has(outcome)) return outcome;
    const core = this.node.getCoValue(id as RawCoID);
    if (!core.isAvailable()) return outcome;
    try {
      core.getCurrentContent();
    } catch (error) {
      console.error("content is not what it is taken for", error);
      return "damaged";
    }
    const illegible = core.verifiedTransactions.filter((tx) => tx.isValid && tx.changes === undefined);
    if (illegible.length === 0) return outcome;
    const misplaced = illegible.filter(({ tx }) => tx.privacy === "private" && core.getReadKey(tx.keyUsed));
    this.forget(core, new Set(misplaced.map((tx) => tx.currentTxID.sessionID)));
    return "damaged";
  }

  /** Drops sessions of a CoValue from store and memory; never the one that this device writes in. */
  private forget(core: CoValueCore, sessions: ReadonlySet<SessionID>): void {
    for (const session of sessions) {
      if (session !== this.session) forgetSession(core.id, session);
    }
    this.node.internalUnmountCoValue(core.id);
  }

  /** Watches these and no others, and drops every segment that is not among them from memory. */
  private watchOnly(ids: ReadonlySet<string>): void {
    for (const [id, stop] of this.watched) {
      if (ids.has(id)) continue;
      stop();
      this.watched.delete(id);
    }
    for (const id of ids) {
      if (!this.watched.has(id)) this.watched.set(id, this.watchOne(id as RawCoID));
    }
    for (const id of this.read.keys()) {
      if (!ids.has(id)) this.read.delete(id);
    }
    for (const core of [...this.node.allCoValues()]) {
      if (core.verified?.header.type === "costream" && !ids.has(core.id)) this.node.internalUnmountCoValue(core.id);
    }
  }

  /**
   * Tells of every change that another session made and the host has not read; of its own it knows. What came
   * after the host had read and before this is told at once.
   */
  private watchOne(id: RawCoID): () => void {
    const core = this.node.getCoValue(id);
    let told = this.read.get(id);
    const look = () => {
      if (!core.isAvailable()) return;
      const now = this.byOthers(core);
      if (now === told || now === this.read.get(id)) return;
      told = now;
      emit({ type: "changed", id });
    };
    const stop = core.subscribe(look, false);
    look();
    return stop;
  }

  /** Stands for all that other sessions have written to a CoValue. */
  private byOthers(core: CoValueCore): string {
    return this.othersIn(core.knownState().sessions, core.isDeleted);
  }

  private othersIn(sessions: Record<string, number>, isDeleted: boolean): string {
    const others = Object.entries(sessions).filter(([session]) => session !== this.session);
    return `${isDeleted} ${others.reduce((sum, [, count]) => sum + count, 0)}`;
  }

  /** Deletes a CoValue for good, with the hour as its time like all that is not last-writer-wins. */
  private async erase(id: RawCoID): Promise<boolean> {
    const core = await this.node.loadCoValueCore(id, undefined, true);
    if (!core.isAvailable()) return false;
    if (core.isDeleted) return true;
    const allowed = core.validateDeletePermissions();
    if (!allowed.ok) throw new Failure("misuse", "this account does not own it");
    // The check may have taken in another device's deletion, which had waited for what it looks at.
    const erased = () => core.isDeleted || core.makeTransaction([], "trusting", { deleted: id }, this.hour());
    await this.commit(id, erased);
    return true;
  }

  /** Loads what nothing works without. A relay to which it did not come whole has no account yet. */
  private async need(id: string, patienceMs: number): Promise<void> {
    const outcome = (await this.exchange([id], patienceMs))[id] ?? "late";
    if (READABLE.has(outcome)) return;
    if (outcome === "absent") throw new Failure("account_unknown", "the relay does not hold it");
    if (outcome === "offline" || outcome === "late") throw new Failure(outcome, "the relay did not answer in time");
    throw new Failure("damaged", "the account did not pass verification");
  }

  private async segment(id: string): Promise<RawCoStream> {
    const core = await this.fromStore(id);
    if (!core.isAvailable()) throw new Failure("misuse", "that segment is not loaded");
    await this.whole(core);
    const content = core.getCurrentContent();
    if (content.type !== "costream") throw new Failure("damaged", "the relay holds something else in place of a segment");
    return content as RawCoStream;
  }

  private async write(stream: RawCoStream, values: string[]): Promise<Written> {
    const before = stream.totalValidTransactions;
    const madeAt = this.hour();
    await this.commit(stream.id, () => stream.core.makeTransaction(values as JsonValue[], "private", undefined, madeAt));
    stream.processNewTransactions();
    if (stream.totalValidTransactions === before) {
      throw new Failure("failed", "the new entries are not valid under the account's own rules");
    }
    const all = itemsAfter(stream, {});
    const transaction = (stream.core.knownState().sessions[this.session] ?? 1) - 1;
    return { transaction, entries: all.length, bytes: all.reduce((sum, [, , value]) => sum + value.length, 0) };
  }

  /**
   * Now, but never before the group existed, nor before what is to be overwritten: a clock that lags must
   * make entries neither invalid nor lose to those that they replace.
   */
  private stamp(after = 0): number {
    return Math.max(Date.now(), groupOf(this.node).core.latestTxMadeAt + 1, after + 1);
  }

  private hour(): number {
    return Math.ceil(this.stamp() / HOUR_MS) * HOUR_MS;
  }

  /** Loads what the store has of a CoValue. Where that is broken, the SDK may wait for it for ever. */
  private async fromStore(id: string): Promise<CoValueCore> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Failure("storage", "the store does not hand out what it holds")), PIECE_MS);
    });
    try {
      return await Promise.race([this.node.loadCoValueCore(id as RawCoID, this.link?.relay, true), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Waits until all that the store holds of a CoValue is in memory. It comes in pieces, with turns for others in between,
   * and the SDK takes the first for the whole: what was written then would be another transaction than the one that the
   * store, and the relay, have in its place.
   */
  private async whole(core: CoValueCore): Promise<void> {
    const lacks = () => !core.isDeleted && !covers(core.knownState().sessions, this.stored(core.id));
    while (lacks()) {
      const came = await new Promise<boolean>((resolve) => {
        const done = (came: boolean) => {
          clearTimeout(timer);
          unsubscribe();
          resolve(came);
        };
        const timer = setTimeout(() => done(false), PIECE_MS);
        const unsubscribe = core.subscribe(() => done(true), false);
      });
      if (!came && lacks()) throw new Failure("storage", "the store does not hand out all that it holds");
    }
  }

  /** How much the store has of a CoValue. */
  private stored(id: string): Sessions {
    return this.node.storage?.getKnownState(id).sessions ?? {};
  }

  /** Makes a transaction and waits until the store holds it. */
  private async commit(id: string, make: () => boolean): Promise<void> {
    if (!make()) throw new Failure("misuse", "it has been deleted");
    // The SDK stores local transactions in a microtask of its own.
    await new Promise((resolve) => setImmediate(resolve));
    // The SDK takes for stored what a full disk took back in the end of the transaction.
    const refusal = storageRefusal();
    if (refusal !== undefined) throw new Failure("storage", refusal);
    const held = this.node.getCoValue(id as RawCoID).knownState().sessions;
    if (!covers(this.stored(id), held)) throw new Failure("storage", "the store did not take the change");
  }
}

function itemsAfter(stream: RawCoStream, after: Record<string, number>): Item[] {
  const items: Item[] = [];
  for (const [session, entries] of Object.entries(stream.items)) {
    const seen = after[session] ?? 0;
    for (const { tx, value } of entries) {
      if (tx.txIndex >= seen && typeof value === "string") items.push([session, tx.txIndex, value]);
    }
  }
  return items.sort((a, b) => (a[0] === b[0] ? a[1] - b[1] : a[0] < b[0] ? -1 : 1));
}
