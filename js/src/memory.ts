/**
 * The content that a relay has in memory is bounded. The SDK forgets a CoValue once nobody has touched it for ten minutes;
 * who moves much in less time would fill the memory before. Beyond the bound those that were touched longest ago are
 * forgotten at once: the store has all of them, and whoever wants one has it read again.
 */

import type { LocalNode } from "cojson";

/** How often it is looked, milliseconds: what comes meanwhile lies in memory beyond the bound. */
const LOOK_EVERY_MS = 1_000;
/** What has taken so long is not done again for so many times as long: the heap is walked for it. */
const REST = 10;
/** Part of all that is forgotten at each look, those that were touched longest ago. */
const PART = 0.25;

/** Bytes of transactions in memory. */
export const contentBytes = (): number => Deno.core.ops.op_session_map_bytes();

export class Memory {
  private readonly timer: ReturnType<typeof setInterval>;
  private restsUntil = 0;

  /** Keeps what a node has in memory below so many bytes of transactions. */
  constructor(
    private readonly node: LocalNode,
    private readonly most: number,
  ) {
    this.timer = setInterval(() => {
      if (performance.now() > this.restsUntil && contentBytes() > this.most) this.forget();
    }, LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.timer as never);
  }

  private forget(): void {
    const begun = performance.now();
    const touched = (value: { verified: { lastAccessed: number | undefined } | null }) => value.verified?.lastAccessed ?? 0;
    const values = [...this.node.allCoValues()].filter((value) => value.verified && !value.isStreaming()).sort((a, b) => touched(a) - touched(b));
    for (const value of values.slice(0, Math.ceil(values.length * PART))) this.node.internalUnmountCoValue(value.id);
    Deno.core.ops.op_session_map_collect();
    this.restsUntil = performance.now() + (performance.now() - begun) * REST;
  }
}
