/**
 * What a node asks of its peers waits in a queue of each: a dozen objects of the SDK. A relay asks clients for next to
 * nothing, so a client gets one when it is asked for something, and until then has the same empty one as all others.
 */

import type { LocalNode } from "cojson";

type PeerState = LocalNode["syncManager"]["peers"][string];
type Asking = { loadQueue: object };
type Queue = new (peer: string) => object;

/** The one that is empty. */
let empty: object | undefined;

/** Has a peer that was just added share a queue until it is asked for something. */
export function waitToAsk(state: PeerState): void {
  const asking = state as unknown as Asking;
  if (!empty) {
    const all = Object.getPrototypeOf(state) as PeerState;
    const shared = (empty = asking.loadQueue);
    const ask = all.sendLoadRequest;
    all.sendLoadRequest = function (this: PeerState, ...what) {
      const asked = this as unknown as Asking;
      if (asked.loadQueue === shared) asked.loadQueue = new (shared.constructor as Queue)(this.id);
      ask.apply(this, what);
    };
  }
  asking.loadQueue = empty;
}
