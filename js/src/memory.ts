/**
 * How much content a relay has in memory. The SDK forgets what nobody has touched for ten minutes, and in that time more may
 * pass than there is memory for. So what nobody needs at this moment is forgotten whenever a certain amount has come,
 * from clients or from the store, which keeps it.
 */

import type { LocalNode } from "cojson";
import { sizeOf } from "./size";

/** After so many bytes of content some is forgotten: a sixteenth of what the engine may have. */
const FORGET_AFTER = 128 << 20;
/** What was touched within this time is needed, milliseconds. */
const NEEDED_MS = 2_000;

export class Memory {
  private came = 0;

  /** Takes part in what a node does with content. */
  constructor(private readonly node: LocalNode) {
    const sync = node.syncManager;
    const handle = sync.handleNewContent.bind(sync);
    sync.handleNewContent = (message, from) => {
      this.came += sizeOf(message);
      if (this.came > FORGET_AFTER) {
        this.came = 0;
        // Not in the middle of dealing with something.
        setTimeout(() => this.forget(), 0);
      }
      handle(message, from);
    };
  }

  private forget(): void {
    const before = performance.now() - NEEDED_MS;
    for (const core of [...this.node.allCoValues()]) {
      const touched = core.verified?.lastAccessed;
      if (touched === undefined || touched > before || core.isStreaming()) continue;
      this.node.internalUnmountCoValue(core.id);
    }
  }
}
