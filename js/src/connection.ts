/**
 * Keeps one connection to the relay: dials, notices when the relay has gone, and dials again.
 *
 * The SDK has such a thing too, but its pauses grow without bound, all clients of a relay that was
 * restarted come back in the same instant, and it measures silence by the wall clock, which jumps.
 */

import type { Peer } from "cojson";
import { createWebSocketPeer } from "cojson-transport-ws";
import { HostSocket } from "./websocket";

/** Pauses before the relay is dialled again: from the first, doubled with each failure, to the longest. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** A relay that has been silent for so long is given up. Relays ping every 1.5 s. */
const SILENCE_MS = 10_000;

/**
 * Codes of `src/runtime/ending.rs` after which the same would happen again, until somebody does something: what is sent is not
 * understood, is too large, or not taken; who may use the relay, and how much, is its operator's business.
 */
const FOR_GOOD: ReadonlySet<number> = new Set([4400, 4403, 4409, 4413, 4507, 4508, 4509, 4510]);

/** What the owner is told. */
export interface Ends {
  /** A connection is being made; what is sent on it waits until it is open. */
  joined(peer: Peer): void;
  opened(): void;
  /** It ended, or could not be made. */
  left(peer: Peer): void;
  /** The relay has sent this side away for good: where this is listened to, it is not dialled again. */
  refused?(): void;
}

export class Connection {
  private enabled = false;
  private failures = 0;
  private current: Peer | undefined;
  private pause: number | undefined;

  /** A relay's own connection to another one leaves no records when it ends, and has to be `proved`. */
  constructor(
    private readonly peerId: string,
    private readonly ends: Ends,
    private readonly ofRelay = false,
  ) {}

  enable(): void {
    if (this.enabled) return;
    this.enabled = true;
    this.dial();
  }

  disable(): void {
    this.enabled = false;
    clearTimeout(this.pause as never);
    // Its end is told by the peer itself.
    this.current?.outgoing.close();
  }

  /** It does what it is for: when it ends, it is dialled again soon. For a device its first word shows that. */
  proved(): void {
    this.failures = 0;
  }

  private dial(): void {
    const socket = HostSocket.dial();
    socket.addEventListener("open", () => this.ends.opened());
    const watch = new Silence(SILENCE_MS, () => peer.outgoing.close());
    socket.addEventListener("message", () => watch.heard());
    const peer = createWebSocketPeer({
      id: this.peerId,
      role: "server",
      websocket: socket as never,
      expectPings: false,
      deletePeerStateOnClose: this.ofRelay,
      onSuccess: () => {
        if (!this.ofRelay) this.proved();
      },
      onClose: () => {
        watch.end();
        this.ended(peer, socket.ending);
      },
    });
    this.current = peer;
    this.ends.joined(peer);
  }

  private ended(peer: Peer, ending: number | undefined): void {
    if (this.current !== peer) return;
    this.current = undefined;
    this.ends.left(peer);
    if (!this.enabled) return;
    if (this.ends.refused && ending !== undefined && FOR_GOOD.has(ending)) {
      this.enabled = false;
      return this.ends.refused();
    }
    const longest = Math.min(FIRST_PAUSE_MS * 2 ** this.failures, LONGEST_PAUSE_MS);
    this.failures += 1;
    this.pause = setTimeout(() => this.dial(), longest * (0.5 + Math.random() / 2)) as never;
  }
}

/** Tells when nothing was heard for a while, once something has been; by a clock that does not jump. */
class Silence {
  private at: number | undefined;
  private timer: number | undefined;

  constructor(
    private readonly longest: number,
    private readonly tell: () => void,
  ) {}

  heard(): void {
    const first = this.at === undefined;
    this.at = performance.now();
    if (first) this.wait(this.longest);
  }

  end(): void {
    clearTimeout(this.timer as never);
  }

  private wait(ms: number): void {
    this.timer = setTimeout(() => {
      const left = (this.at ?? 0) + this.longest - performance.now();
      if (left > 0) this.wait(left);
      else this.tell();
    }, ms) as never;
  }
}
