/**
 * Connections take turns: each is read on only when the SDK has dealt with what it brought before, and when its client has
 * taken most of the answers. The SDK's queue takes one message of each connection in turn, but neither it nor that of the
 * answers has an end; a client that floods, or never reads, would fill them faster than they are emptied.
 */

import type { LocalNode } from "cojson";
import type { Guest } from "./guest";

type Queues = LocalNode["syncManager"]["messagesQueue"];

export class Turns {
  /** Who waits, by the SDK's name of the connection. */
  private readonly waiting = new Map<string, () => void>();
  private readonly queues: Queues;

  constructor(private readonly node: LocalNode) {
    this.queues = node.syncManager.messagesQueue;
    const pull: Queues["pull"] = this.queues.pull.bind(this.queues);
    this.queues.pull = () => {
      const entry = pull();
      if (entry && this.waiting.size > 0 && !this.queues.peerToQueue.has(entry.peer)) this.next(entry.peer.id);
      return entry;
    };
  }

  /** Resolves when a client may be read on; undefined where that is now. */
  of(guest: Guest): Promise<void> | undefined {
    return this.isBusy(guest.id) || guest.isFull ? this.wait(guest) : undefined;
  }

  private async wait(guest: Guest): Promise<void> {
    if (this.isBusy(guest.id)) await new Promise<void>((resolve) => this.waiting.set(guest.id, resolve));
    await guest.room();
  }

  private isBusy(peer: string): boolean {
    const state = this.node.syncManager.peers[peer];
    return state !== undefined && this.queues.peerToQueue.has(state);
  }

  private next(peer: string): void {
    const resolve = this.waiting.get(peer);
    this.waiting.delete(peer);
    resolve?.();
  }
}
