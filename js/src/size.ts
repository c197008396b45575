/** About how much of the heap a message takes up that waits there. */

import type { SyncMessage } from "cojson";

/** Bytes that a message, a session in it, and a transaction take up besides what they say. */
const OF_MESSAGE = 1_000;
const OF_SESSION = 500;
const OF_TRANSACTION = 500;

/** Bytes that a message takes up; whatever somebody made up for one counts as far as it is one. */
export function sizeOf(message: SyncMessage): number {
  let bytes = OF_MESSAGE;
  if (message.action !== "content") return bytes;
  for (const session of Object.values(message.new ?? {})) {
    bytes += OF_SESSION;
    if (!Array.isArray(session?.newTransactions)) continue;
    for (const transaction of session.newTransactions) {
      const said = transaction?.privacy === "private" ? transaction.encryptedChanges : transaction?.changes;
      bytes += OF_TRANSACTION + (typeof said === "string" ? said.length : 0);
    }
  }
  return bytes;
}
