/**
 * The relay above this one: whatever is held here gets there, and what is not held here is asked for there.
 *
 * To the SDK it is a peer in the role of a server, to which it passes on what it has in memory. The rest this file does:
 * at each connection everything in the store is compared with what is held there, whoever wrote it and whenever, before
 * there was such a relay or while it was away, in an earlier process too. So nothing has to be noted of what is still on
 * its way, and nothing can be forgotten; changes and deletions that happened there meanwhile come down the same way. A
 * comparison costs a question for each CoValue; only those that differ are taken out of the store.
 */

import type { LocalNode, Peer, RawCoID, StorageAPI } from "cojson";
import { Connection } from "./connection";
import { isStored, storedAfter } from "./holdings";
import { type Agreement, emit } from "./protocol";
import { covers, isDeletion } from "./sessions";

/** What it is called in the SDK's records. */
const NAME = "upstream";
/** CoValues that are compared at the same time. */
const AT_ONCE = 100;
/** How long one may take that makes no other one wait, milliseconds. */
const PATIENCE_MS = 60_000;
/** How long a client's first question about something waits for what is new of it above, milliseconds. */
const FIRST_WORD_MS = 3_000;

type PeerState = LocalNode["syncManager"]["peers"][string];

export class Upstream {
  private readonly connection: Connection;
  /** As it is while it is connected. */
  private peer: PeerState | undefined;
  /** What it has said something about on this connection. */
  private readonly heard = new Set<string>();
  private readonly waiting = new Map<string, Set<() => void>>();
  private readonly unconfirmed = new Set<string>();
  private isCompared = false;

  constructor(
    private readonly node: LocalNode,
    storage: StorageAPI,
  ) {
    let made: Peer | undefined;
    const ends = {
      joined: (peer: Peer) => {
        made = peer;
      },
      // Not before: whoever asks for something while it is being dialled would wait for that.
      opened: () => made && this.opened(made),
      left: (peer: Peer) => this.left(peer),
    };
    this.connection = new Connection(NAME, ends, true);
    this.followStore(storage);
    this.askBeforeAnswering();
  }

  get agreement(): Agreement {
    return { isCompared: this.isCompared, unconfirmed: this.unconfirmed.size };
  }

  connect(): void {
    this.connection.enable();
  }

  disconnect(): void {
    this.connection.disable();
  }

  private opened(peer: Peer): void {
    const sync = this.node.syncManager;
    sync.addPeer(peer);
    const state = sync.peers[peer.id];
    if (!state) return;
    this.peer = state;
    state.subscribeToKnownStatesUpdates((id) => {
      if (this.peer === state) this.told(id);
    });
    emit({ type: "connected" });
    void this.compare(state);
  }

  private left(peer: Peer): void {
    this.node.syncManager.removePeer(peer.id);
    if (!this.peer) return;
    this.peer = undefined;
    this.isCompared = false;
    this.heard.clear();
    for (const id of this.waiting.keys()) this.wake(id);
    emit({ type: "disconnected" });
  }

  /** It said what it has of something, or was sent more of it. */
  private told(id: RawCoID): void {
    this.heard.add(id);
    if (this.unconfirmed.has(id) && this.isConfirmed(id)) this.unconfirmed.delete(id);
    // Of one without any transactions the SDK thinks that nothing is missing there.
    const core = this.node.getCoValue(id);
    const isHeldAlone = !this.peer?.getKnownState(id)?.header && !core.isAvailable() && core.knownState().header;
    if (isHeldAlone) core.loadFromStorage();
    this.wake(id);
  }

  private followStore(storage: StorageAPI): void {
    const store = storage.store.bind(storage);
    storage.store = (content, ...rest) => {
      const stored = store(content, ...rest);
      if (!this.isConfirmed(content.id)) this.unconfirmed.add(content.id);
      return stored;
    };
  }

  /**
   * Has the first question of a client about something that is held here wait for what is new of it above: whoever
   * compares once, and takes the answer for all that there is, would miss what was written there since.
   */
  private askBeforeAnswering(): void {
    const sync = this.node.syncManager;
    const handle = sync.handleLoad.bind(sync);
    sync.handleLoad = (message, from) => {
      const peer = from.role === "client" && !this.heard.has(message.id) ? this.peer : undefined;
      // What is not held here the SDK asks for by itself.
      if (!peer || !isStored(message.id)) return handle(message, from);
      this.begin(message.id, peer);
      void this.until(message.id, () => this.isCaughtUp(message.id, peer), FIRST_WORD_MS).then(() => handle(message, from));
    };
  }

  private async compare(peer: PeerState): Promise<void> {
    const underWay = new Set<Promise<void>>();
    for (let row = 0; this.peer === peer; ) {
      const { ids, last } = storedAfter(row, AT_ONCE);
      if (ids.length === 0) break;
      row = last;
      for (const id of ids) {
        const one = this.compareOne(id, peer).finally(() => underWay.delete(one));
        underWay.add(one);
        if (underWay.size >= AT_ONCE) await Promise.race(underWay);
      }
    }
    await Promise.all(underWay);
    if (this.peer !== peer) return;
    this.isCompared = true;
    this.connection.proved();
  }

  private async compareOne(id: RawCoID, peer: PeerState): Promise<void> {
    const wasInMemory = this.node.isCoValueInMemory(id);
    this.begin(id, peer);
    // What nobody waits for is forgotten (`names.ts`), and the answer would find nothing to send.
    const release = this.node.getCoValue(id).subscribe(() => {}, false);
    const isOver = () => this.isConfirmed(id) || this.node.getCoValue(id).isErroredInPeer(peer.id);
    await this.until(id, () => this.peer !== peer || isOver(), PATIENCE_MS);
    if (this.peer === peer && !this.isConfirmed(id)) this.unconfirmed.add(id);
    release();
    const core = this.node.getCoValue(id);
    // Nothing came of it: what is told of it later finds it in the store.
    if (!wasInMemory && core.loadingState === "onlyKnownState" && core.listeners.size === 0) this.node.internalDeleteCoValue(id);
  }

  /** Asks for what is new of something that is held here, and says what that is. */
  private begin(id: RawCoID, peer: PeerState): void {
    const core = this.node.getCoValue(id);
    if (!peer.loadRequestSent.has(id)) core.getKnownStateFromStorage(() => peer.sendLoadRequest(core));
  }

  /** Whether it has said that it has all that is held here of something. */
  private isConfirmed(id: RawCoID): boolean {
    const told = this.peer?.getKnownState(id);
    if (!told?.header || !this.node.isCoValueInMemory(id)) return false;
    const core = this.node.getCoValue(id);
    if (core.isDeleted) return Object.keys(told.sessions).some(isDeletion);
    const held = core.knownState();
    return held.header && covers(told.sessions, held.sessions);
  }

  /** Whether all is here that it has said to have of something, or nothing more will come. */
  private isCaughtUp(id: RawCoID, peer: PeerState): boolean {
    if (this.peer !== peer) return true;
    const core = this.node.getCoValue(id);
    if (!this.heard.has(id) || core.isStreaming()) return false;
    const told = peer.getKnownState(id);
    return !told?.header || core.isDeleted || core.isErroredInPeer(peer.id) || covers(core.knownState().sessions, told.sessions);
  }

  /** Resolves once something is so, which is looked at whenever it says something about this CoValue; or after `ms`. */
  private until(id: RawCoID, holds: () => boolean, ms: number): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => {
      const waiting = this.waiting.get(id) ?? new Set();
      this.waiting.set(id, waiting);
      const done = () => {
        clearTimeout(timer);
        waiting.delete(look);
        if (waiting.size === 0 && this.waiting.get(id) === waiting) this.waiting.delete(id);
        resolve();
      };
      const look = () => {
        if (holds()) done();
      };
      const timer = setTimeout(done, ms);
      waiting.add(look);
    });
  }

  private wake(id: string): void {
    for (const look of [...(this.waiting.get(id) ?? [])]) look();
  }
}
