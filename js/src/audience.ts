/**
 * Which clients of a relay have to hear of which CoValue: those between whom and the relay a message about it has passed.
 *
 * For each message the SDK goes through all of its peers and looks which of them subscribed. With ten thousand of them
 * that takes longer than all the rest; here it gets those who may have.
 */

import type { LocalNode, RawCoID } from "cojson";
import { waitToAsk } from "./asking";
import type { Guest } from "./guest";

type SyncManager = LocalNode["syncManager"];
type PeerState = SyncManager["peers"][string];

export class Audience {
  private readonly byId = new Map<string, Set<Guest>>();

  /** Has a node ask here for its peers. */
  constructor(private readonly sync: SyncManager) {
    const servers = new Set<string>();
    const add = sync.addPeer.bind(sync);
    sync.addPeer = (peer, ...rest) => {
      if (peer.role === "server") servers.add(peer.id);
      add(peer, ...rest);
      const state = sync.peers[peer.id];
      if (peer.role === "client" && state) waitToAsk(state);
    };
    sync.getServerPeers = (_id, except) => this.states([...servers].filter((peer) => peer !== except));
    sync.getPeers = (id) => sync.getServerPeers(id).concat(this.states([...(this.byId.get(id) ?? [])].map((guest) => guest.id)));
  }

  /** What all of them have spoken of, in CoValues. */
  get topics(): number {
    return this.byId.size;
  }

  /** A message about a CoValue has come from a client, or goes to it. Whether it is the first one about that. */
  hears(guest: Guest, id: string): boolean {
    if (guest.topics.has(id)) return false;
    guest.topics.add(id);
    const guests = this.byId.get(id);
    if (guests) guests.add(guest);
    else this.byId.set(id, new Set([guest]));
    return true;
  }

  /** Whether a client is subscribed to a CoValue, there or not. */
  isSubscribed(id: RawCoID): boolean {
    for (const guest of this.byId.get(id) ?? []) {
      if (this.sync.peers[guest.id]?.isCoValueSubscribedToPeer(id)) return true;
    }
    return false;
  }

  /** A client has gone, or is about to. */
  left(guest: Guest): void {
    for (const id of guest.topics) {
      const guests = this.byId.get(id);
      guests?.delete(guest);
      if (guests?.size === 0) this.byId.delete(id);
    }
  }

  private states(peers: string[]): PeerState[] {
    return peers.map((peer) => this.sync.peers[peer]).filter((state) => state !== undefined);
  }
}
