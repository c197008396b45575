/** Content as it comes from outside: whether it is any, what of it is kept, and how much that is. */

import type { LocalNode } from "cojson";

export type Content = Parameters<LocalNode["syncManager"]["handleNewContent"]>[0];
export type Transactions = Content["new"][keyof Content["new"]]["newTransactions"];
type Transaction = Transactions[number];

/** The longest name of a session, in characters: that of an agent has some 150. */
const LONGEST_NAME = 500;
/** What a transaction has. */
const FIELDS: ReadonlySet<string> = new Set(["privacy", "madeAt", "keyUsed", "encryptedChanges", "changes", "meta"]);

/** Whether a message has what is looked at here; the SDK sees to the rest. */
export function isWellFormed(message: Content): boolean {
  if (typeof message.new !== "object" || message.new === null) return false;
  return Object.entries(message.new).every(
    ([name, session]) =>
      // A database that several relays use would not take it.
      name.length <= LONGEST_NAME && !name.includes("\0") &&
      Array.isArray(session?.newTransactions) &&
      session.newTransactions.every((transaction) =>
        transaction?.privacy === "private"
          ? typeof transaction.encryptedChanges === "string"
          : transaction?.privacy === "trusting" && typeof transaction.changes === "string",
      ),
  );
}

/** Takes out of a message what no transaction has: no signature covers it, and the SDK would store it all the same. */
export function tidy(message: Content): void {
  for (const { newTransactions } of Object.values(message.new)) {
    for (const transaction of newTransactions as unknown as Record<string, unknown>[]) {
      for (const field in transaction) if (!FIELDS.has(field)) delete transaction[field];
    }
  }
}

/** Characters of what a transaction says. */
export function sizeOf(transaction: Transaction): number {
  const meta = lengthOf(transaction.meta);
  if (transaction.privacy === "trusting") return transaction.changes.length + meta;
  return transaction.encryptedChanges.length + lengthOf(transaction.keyUsed) + meta;
}

/** Anything but a text is refused with its signature. */
function lengthOf(text: unknown): number {
  return typeof text === "string" ? text.length : 0;
}
