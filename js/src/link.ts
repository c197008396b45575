/**
 * The connection to the relay, and the knowledge of what the relay holds.
 *
 * The SDK's load promises resolve on local content, so they do not say whether a download is
 * current. This file waits for the relay's own word instead: a CoValue is `current` when the state
 * that the relay announced equals the state held here, session by session.
 */

import { cojsonInternals, type CoValueCore, type LocalNode, type Peer, type RawCoID, type SyncMessage } from "cojson";
import { Connection } from "./connection";
import { isDiscontinued } from "./crypto";
import { emit, Failure, type Outcome } from "./protocol";
import { covers, isDeletion, sameSessions, type Sessions } from "./sessions";
import { onStorageRefusal, storageRefusal } from "./storage";

/** However much it says, a relay that does not come to an end is given up after so long, milliseconds. */
const LONGEST_MS = 3_600_000;

/** Without a connection a relay is given up after so long, milliseconds: dialling it again has failed a few times by then. */
const LOST_MS = 15_000;

/** A relay that has answered what this session wrote, and has not taken it, is given up after so long, milliseconds. */
const REFUSED_MS = 5_000;

function forked(): Failure {
  return new Failure("forked", "the relay holds something else of this session");
}

export class RelayLink {
  private readonly connection: Connection;
  private readonly damaged = new Set<string>();
  private readonly waiting = new Map<string, Set<() => void>>();
  private readonly heard = new Set<string>();
  private readonly behind = new Set<string>();
  /** The most transactions that the relay ever claimed to have, by CoValue. */
  private readonly told = new Map<string, number>();
  /** What the relay said last that it has of this session, on this connection, and when it said so once more. */
  private readonly own = new Map<string, { count: number; repeatedAt: number | undefined }>();
  private heardAt = 0;
  private lostAt = performance.now();
  private open = false;
  /** Whether the relay has sent this device away, and would do so again. */
  private isRefused = false;

  constructor(
    private readonly node: LocalNode,
    private readonly peerId: string,
  ) {
    const link = this;
    onStorageRefusal(() => {
      for (const id of link.waiting.keys()) link.wake(id);
    });
    this.connection = new Connection(peerId, {
      joined: (peer) => link.joined(peer),
      opened: () => link.setOpen(true),
      left: (peer) => {
        link.setOpen(false);
        node.syncManager.removePeer(peer.id);
      },
      refused: () => {
        link.isRefused = true;
        for (const id of link.waiting.keys()) link.wake(id);
      },
    });
  }

  /** What the relay is called in the SDK's records. */
  get relay(): string {
    return this.peerId;
  }

  connect(): void {
    this.connection.enable();
  }

  disconnect(): void {
    this.connection.disable();
    this.setOpen(false);
  }

  /** Whether the relay's first word on a CoValue was that it holds less of it than we do. */
  wasBehind(id: string): boolean {
    return this.behind.has(id);
  }

  /**
   * Brings one CoValue up to date in both directions, or says why that cannot be. The relay may stay
   * silent for so long; as long as something moves there is no hurry. What the host has read, if it says so, need
   * not come into memory.
   */
  async exchange(id: string, patienceMs: number): Promise<Outcome>;
  async exchange(id: string, patienceMs: number, read: Sessions | undefined): Promise<Outcome | "unchanged">;
  async exchange(id: string, patienceMs: number, read?: Sessions): Promise<Outcome | "unchanged"> {
    const begun = performance.now();
    const core = this.node.getCoValue(id as RawCoID);
    if (!core.isAvailable()) this.begin(core, read);
    for (;;) {
      // What cannot be stored is never held, however long one waits.
      const refusal = storageRefusal();
      if (refusal !== undefined) throw new Failure("storage", refusal);
      const outcome = this.outcome(core, read);
      if (outcome) return outcome;
      if (this.isRefused) throw new Failure("refused", "the relay has sent this device away");
      const refusedAt = this.refusedAt(core);
      const until = this.givesUpAt(begun, patienceMs);
      const quiet = Math.max(begun, this.heardAt, refusedAt ?? 0) + REFUSED_MS;
      const left = Math.min(until, refusedAt === undefined ? until : quiet) - performance.now();
      if (left <= 0 && refusedAt !== undefined) throw forked();
      if (left <= 0) return this.open ? "late" : "offline";
      await this.news(core, left);
    }
  }

  /**
   * Since when the relay answers that it has less of this session than was written here, and no more than before: what it
   * has is not what is held here. None while it takes it, or says nothing.
   */
  private refusedAt(core: CoValueCore): number | undefined {
    const said = this.own.get(core.id);
    const written = core.isAvailable() ? (core.knownState().sessions[this.node.currentSessionID] ?? 0) : 0;
    return this.open && said && said.count < written && !core.isDeleted ? said.repeatedAt : undefined;
  }

  /**
   * Asks the relay about a CoValue that is not in memory; from the store comes only what the host has not read. Of one
   * without any transactions a relay that has none gets nothing unless it is in memory.
   */
  private begin(core: CoValueCore, read: Sessions | undefined): void {
    const load = () => void this.node.loadCoValueCore(core.id, undefined, true);
    if (!read || Object.keys(read).length === 0) return load();
    core.getKnownStateFromStorage((stored) => {
      if (!stored || !sameSessions(stored.sessions, read)) return load();
      const peer = this.node.syncManager.peers[this.peerId];
      if (peer && !peer.loadRequestSent.has(core.id)) peer.sendLoadRequest(core, "high-priority");
    });
  }

  private givesUpAt(begun: number, patienceMs: number): number {
    const silent = Math.min(Math.max(begun, this.heardAt) + patienceMs, begun + LONGEST_MS);
    return this.open ? silent : Math.min(silent, Math.max(begun, this.lostAt) + LOST_MS);
  }

  private outcome(core: CoValueCore, read: Sessions | undefined): Outcome | "unchanged" | undefined {
    if (core.isErroredInPeer(this.peerId)) {
      if (isDiscontinued(core.id, this.node.currentSessionID)) throw forked();
      // Also when it is asked for again: the relay takes it for delivered.
      this.damaged.add(core.id);
    }
    if (this.damaged.has(core.id)) return "damaged";
    const told = this.node.syncManager.peers[this.peerId]?.getKnownState(core.id);
    const held = core.knownState();
    if (read && told?.header && held.header && sameSessions(held.sessions, read) && sameSessions(told.sessions, read)) {
      return "unchanged";
    }
    if (!core.isAvailable()) {
      // It lies in the store and is on its way from there.
      if (held.header) return undefined;
      const asked = core.getLoadingStateForPeer(this.peerId);
      return asked === "unavailable" && told && !told.header ? "absent" : undefined;
    }
    if (!told?.header || core.isStreaming() || core.hasMissingDependencies()) return undefined;
    // Ours is done only when the relay knows of it, so that it cannot bring the content back.
    if (core.isDeleted) return Object.keys(told.sessions).some(isDeletion) ? "deleted" : undefined;
    return sameSessions(told.sessions, held.sessions) ? "current" : undefined;
  }

  /** Resolves when something about the CoValue may have changed, or after `ms`. */
  private news(core: CoValueCore, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        unsubscribe();
        this.waiting.get(core.id)?.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      const unsubscribe = core.subscribe(() => done(), false);
      const set = this.waiting.get(core.id) ?? new Set();
      set.add(done);
      this.waiting.set(core.id, set);
    });
  }

  private wake(id: string): void {
    // After the current message has been dealt with whole.
    queueMicrotask(() => {
      for (const done of [...(this.waiting.get(id) ?? [])]) done();
    });
  }

  private joined(peer: Peer): void {
    this.own.clear();
    this.node.syncManager.addPeer(this.guarded(peer));
    this.node.syncManager.peers[peer.id]?.subscribeToKnownStatesUpdates((id) => this.wake(id));
  }

  /** Drops content whose header does not hash to the id it is sent under. */
  private guarded(peer: Peer): Peer {
    const onMessage = peer.incoming.onMessage.bind(peer.incoming);
    peer.incoming.onMessage = (handle) =>
      onMessage((message) => {
        if (message !== "Disconnected") {
          if (this.isForged(message)) {
            this.damaged.add(message.id);
            this.wake(message.id);
            return;
          }
          this.listen(message);
        }
        handle(message);
      });
    return peer;
  }

  private listen(message: SyncMessage): void {
    if (this.moves(message)) this.heardAt = performance.now();
    if (message.action === "known") {
      const count = message.sessions?.[this.node.currentSessionID] ?? 0;
      const repeated = this.own.get(message.id)?.count === count;
      this.own.set(message.id, { count, repeatedAt: repeated ? performance.now() : undefined });
      if (repeated) this.wake(message.id);
    }
    if (this.heard.has(message.id) || !this.node.hasCoValue(message.id as RawCoID)) return;
    this.heard.add(message.id);
    if (message.action !== "known") return;
    const held = this.node.getCoValue(message.id as RawCoID).knownState().sessions;
    if (!message.header || !covers(message.sessions ?? {}, held)) this.behind.add(message.id);
  }

  /** Whether a message brings anything on: a relay that takes nothing and repeats itself is a silent one. */
  private moves(message: SyncMessage): boolean {
    if (message.action !== "known") return message.action === "content";
    const told = Object.values(message.sessions ?? {}).reduce((sum, count) => sum + count, 0);
    if (told <= (this.told.get(message.id) ?? -1)) return false;
    this.told.set(message.id, told);
    return true;
  }

  private isForged(message: SyncMessage): boolean {
    if (message.action !== "content" || !message.header) return false;
    try {
      return cojsonInternals.idforHeader(message.header, this.node.crypto) !== message.id;
    } catch {
      return true;
    }
  }

  private setOpen(open: boolean): void {
    if (this.open === open) return;
    this.open = open;
    this.lostAt = performance.now();
    // There is less time, or more, than those who wait thought.
    for (const id of this.waiting.keys()) this.wake(id);
    emit({ type: open ? "connected" : "disconnected" });
  }
}
