/**
 * Waits until the disk has what was stored: one flush for all that was stored before it began, one at a time.
 *
 * Meanwhile the script goes on, and what it stores is for the next flush. So the busier a relay is, the less of the disk
 * each change costs it.
 */

import { refused } from "./storage";

/** The flush that is under way, or the last one. */
let running: Promise<void> | undefined;
/** The one after that, if somebody waits for it. */
let next: Promise<void> | undefined;

/** Resolves once everything is on disk that is stored now, or once whoever waits has been cut off, since the disk refused it. */
export function onDisk(): Promise<void> {
  // One that is under way may have begun before the last change.
  next ??= (running ?? Promise.resolve()).then(() => {
    next = undefined;
    running = flush();
    return running;
  });
  return next;
}

async function flush(): Promise<void> {
  try {
    await Deno.core.ops.op_sql_flush();
  } catch (error) {
    refused(error);
  }
}
