/**
 * Others that use the same store: what they store is looked up there and passed on, as if a client had sent it, and
 * what is stored here they are told.
 */

import { cojsonInternals, type LocalNode, type RawCoID, type SessionID, type StorageAPI } from "cojson";
import { isStored } from "./holdings";
import { emit } from "./protocol";
import { HostDatabase } from "./storage";

/** How many CoValues are looked at before connections have their turn again. */
const AT_ONCE = 20;

type Content = Parameters<LocalNode["syncManager"]["handleNewContent"]>[0];
type Core = ReturnType<LocalNode["getCoValue"]>;

/** Tells the host of every CoValue of which something was stored. */
export function tellWhatIsStored(storage: StorageAPI): void {
  const store = storage.store.bind(storage);
  storage.store = (content, ...rest) => {
    store(content, ...rest);
    emit({ type: "stored", id: content.id });
  };
}

/**
 * Looks whether the store holds more than this node knows, of these CoValues or of all that it has in memory. `gone` is told of
 * those that the store held and does not any more.
 */
export async function refresh(node: LocalNode, ids: RawCoID[] | null, gone: (ids: RawCoID[]) => void): Promise<void> {
  const all = ids ?? [...node.allCoValues()].map(({ id }) => id);
  for (let at = 0; at < all.length; at += AT_ONCE) {
    const erased = all.slice(at, at + AT_ONCE).filter((id) => !refreshOne(node, id));
    if (erased.length > 0) gone(erased);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

/** Whether all is well with one: it is in the store, or nobody has said that it is. */
function refreshOne(node: LocalNode, id: RawCoID): boolean {
  // Not by the node's own way, which would count as use: what nobody uses is unloaded after a while.
  const coValue = (node as unknown as { coValues: ReadonlyMap<RawCoID, Core> }).coValues.get(id);
  // Of what nobody has asked for here, nobody waits for more.
  if (!coValue) return true;
  const known = coValue.knownState();
  if (known.header) {
    const sessions = storedSessions(id);
    if (sessions.length === 0 && !isStored(id)) return false;
    if (sessions.every(({ sessionID, lastIdx }) => lastIdx <= (known.sessions[sessionID] ?? 0))) return true;
    if (coValue.hasVerifiedContent()) {
      const more = moreThan(id, sessions, known.sessions, coValue.verified.header);
      if (more) node.syncManager.handleNewContent(more, "storage");
      return true;
    }
  }
  node.storage?.load(
    id,
    (content) => node.syncManager.handleNewContent(content, "storage"),
    () => {},
  );
  return true;
}

interface SessionRow {
  rowID: number;
  sessionID: SessionID;
  lastIdx: number;
  lastSignature: string;
}

function storedSessions(id: RawCoID): SessionRow[] {
  return new HostDatabase().query<SessionRow>(
    "SELECT rowID, sessionID, lastIdx, lastSignature FROM sessions WHERE coValue = (SELECT rowID FROM coValues WHERE id = ?)",
    [id],
  );
}

/** What the store has of a CoValue beyond what is known of it, as a message of the protocol. */
function moreThan(
  id: RawCoID,
  sessions: SessionRow[],
  known: Record<SessionID, number>,
  header: Content["header"],
): Content | undefined {
  const database = new HostDatabase();
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
