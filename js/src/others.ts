/**
 * Others that use the same store: what they store is looked up there and passed on, as if a client had sent it, and
 * what is stored here they are told.
 */

import { cojsonInternals, type LocalNode, type RawCoID, type SessionID, type StorageAPI } from "cojson";
import { emit } from "./protocol";
import { HostDatabase } from "./storage";

/** How many CoValues are looked at before connections have their turn again. */
const AT_ONCE = 20;

type Content = Parameters<LocalNode["syncManager"]["handleNewContent"]>[0];

/** Tells the host of every CoValue of which something was stored. */
export function tellWhatIsStored(storage: StorageAPI): void {
  const store = storage.store.bind(storage);
  storage.store = (content, ...rest) => {
    store(content, ...rest);
    emit({ type: "stored", id: content.id });
  };
}

/** Looks whether the store holds more than this node knows, of these CoValues or of all that it has in memory. */
export async function refresh(node: LocalNode, ids: RawCoID[] | null): Promise<void> {
  const all = ids ?? [...node.allCoValues()].map(({ id }) => id);
  for (let at = 0; at < all.length; at += AT_ONCE) {
    for (const id of all.slice(at, at + AT_ONCE)) refreshOne(node, id);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

function refreshOne(node: LocalNode, id: RawCoID): void {
  // Of what nobody has asked for here, nobody waits for more.
  if (!node.isCoValueInMemory(id)) return;
  const coValue = node.getCoValue(id);
  if (coValue.hasVerifiedContent()) {
    const more = moreThan(id, coValue.knownState().sessions, coValue.verified.header);
    if (more) node.syncManager.handleNewContent(more, "storage");
  } else {
    node.storage?.load(
      id,
      (content) => node.syncManager.handleNewContent(content, "storage"),
      () => {},
    );
  }
}

interface SessionRow {
  rowID: number;
  sessionID: SessionID;
  lastIdx: number;
  lastSignature: string;
}

/** What the store has of a CoValue beyond what is known of it, as a message of the protocol. */
function moreThan(id: RawCoID, known: Record<SessionID, number>, header: Content["header"]): Content | undefined {
  const database = new HostDatabase();
  const sessions = database.query<SessionRow>(
    "SELECT rowID, sessionID, lastIdx, lastSignature FROM sessions WHERE coValue = (SELECT rowID FROM coValues WHERE id = ?)",
    [id],
  );
  const content = { action: "content", id, priority: cojsonInternals.getPriorityFromHeader(header), new: {} } as Content;
  for (const { rowID, sessionID, lastIdx, lastSignature } of sessions) {
    const after = known[sessionID] ?? 0;
    if (lastIdx <= after) continue;
    const rows = database.query<{ tx: string }>(
      "SELECT tx FROM transactions WHERE ses = ? AND idx >= ? AND idx < ? ORDER BY idx",
      [rowID, after, lastIdx],
    );
    // Erased meanwhile.
    if (rows.length < lastIdx - after) continue;
    const newTransactions = rows.map(({ tx }) => JSON.parse(tx));
    content.new[sessionID] = { after, newTransactions, lastSignature: lastSignature as `signature_z${string}` };
  }
  return Object.keys(content.new).length > 0 ? content : undefined;
}
