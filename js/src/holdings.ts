/**
 * What each account has on a relay: kept by the database itself, beside the SDK's tables, so that it is right after every
 * change and erasure, whoever makes it. In a file triggers do so. A database that several relays use has views of the same
 * names, of what the host says in the statements that store something (`src/relay/postgres/counted.rs`).
 *
 * A CoValue belongs to an account by its header, which nobody can change: an account to itself, a group to whoever made it,
 * everything else to the owner of its group. Bytes count for the account that wrote them, as the session's name says whose
 * signature they carry; what an account writes as its agent, before it has a session, counts for the account it is in.
 */

import type { LocalNode, RawCoID } from "cojson";
import { HostDatabase } from "./storage";

/** What an account has. */
export interface Held {
  bytes: number;
  values: number;
}

type Header = { ruleset: { type: string; initialAdmin?: string; group?: string }; meta: unknown };

/** Whose a CoValue is, from its header as JSON and its id; names of columns. */
const ownerOf = (header: string, id: string) => `
  CASE
    WHEN json_extract(${header}, '$.meta.type') = 'account' THEN ${id}
    WHEN json_extract(${header}, '$.ruleset.type') = 'group' THEN json_extract(${header}, '$.ruleset.initialAdmin')
    ELSE COALESCE((SELECT account FROM caro_owners JOIN coValues AS groups ON groups.rowID = caro_owners.coValue
                   WHERE groups.id = json_extract(${header}, '$.ruleset.group')), '')
  END`;

/** Who wrote a session; names of columns. */
const authorOf = (session: string, value: string) => `
  CASE
    WHEN ${session} LIKE 'co\\_z%' ESCAPE '\\' THEN substr(${session}, 1, instr(${session}, '_session_') - 1)
    ELSE COALESCE((SELECT account FROM caro_owners WHERE coValue = ${value}), '')
  END`;

const TABLES = [
  "CREATE TABLE caro_owners (coValue INTEGER PRIMARY KEY, account TEXT NOT NULL)",
  "CREATE INDEX caro_owners_by_account ON caro_owners (account)",
  "CREATE TABLE caro_written (ses INTEGER PRIMARY KEY, account TEXT NOT NULL, bytes INTEGER NOT NULL)",
  "CREATE INDEX caro_written_by_account ON caro_written (account)",
  // What a store of an earlier version holds: groups before what is in them.
  ...["= 'group'", "<> 'group'"].map(
    (which) => `INSERT INTO caro_owners SELECT rowID, ${ownerOf("coValues.header", "coValues.id")} FROM coValues
                WHERE json_extract(coValues.header, '$.ruleset.type') ${which}`,
  ),
  `INSERT INTO caro_written SELECT rowID, ${authorOf("sessionID", "sessions.coValue")},
     (SELECT COALESCE(SUM(length(tx)), 0) FROM transactions WHERE ses = sessions.rowID) FROM sessions`,
  `CREATE TRIGGER caro_value_stored AFTER INSERT ON coValues BEGIN
     INSERT INTO caro_owners VALUES (NEW.rowID, ${ownerOf("NEW.header", "NEW.id")});
   END`,
  `CREATE TRIGGER caro_value_gone AFTER DELETE ON coValues BEGIN
     DELETE FROM caro_owners WHERE coValue = OLD.rowID;
   END`,
  `CREATE TRIGGER caro_session_stored AFTER INSERT ON sessions BEGIN
     INSERT INTO caro_written VALUES (NEW.rowID, ${authorOf("NEW.sessionID", "NEW.coValue")}, 0);
   END`,
  `CREATE TRIGGER caro_session_gone AFTER DELETE ON sessions BEGIN
     DELETE FROM caro_written WHERE ses = OLD.rowID;
   END`,
  `CREATE TRIGGER caro_transaction_stored AFTER INSERT ON transactions BEGIN
     UPDATE caro_written SET bytes = bytes + length(NEW.tx) WHERE ses = NEW.ses;
   END`,
];

/** Whether the store is a file of this isolate's. */
let isFile = false;

/** Has the file of this isolate, which the SDK has opened, keep account of what it holds. */
export function keepHoldings(): void {
  isFile = true;
  const database = new HostDatabase();
  const known = "SELECT 1 AS known FROM sqlite_master WHERE name = 'caro_owners'";
  if (database.get(known, [])) return;
  database.transaction(() => {
    for (const statement of TABLES) database.run(statement, []);
  });
}

/** What an account has now. */
export function held(account: string): Held {
  const database = new HostDatabase();
  const written = database.get<{ bytes: number }>(
    "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM caro_written WHERE account = ?",
    [account],
  );
  const owned = database.get<{ amount: number }>("SELECT COUNT(*) AS amount FROM caro_owners WHERE account = ?", [account]);
  return { bytes: written?.bytes ?? 0, values: owned?.amount ?? 0 };
}

/** How much the store has of a CoValue: bytes of what it says, and of the names of its sessions; and how much that is of. */
export function storedOf(id: string): { bytes: number; transactions: number; sessions: number; names: number } {
  const sum = (of: string, name: string) => `CAST(COALESCE(SUM(${of}), 0) AS BIGINT) AS ${name}`;
  const found = new HostDatabase().get<ReturnType<typeof storedOf>>(
    `SELECT ${sum("caro_written.bytes", "bytes")}, ${sum("lastIdx", "transactions")}, COUNT(*) AS sessions,
            ${sum("length(sessionID)", "names")}
     FROM sessions JOIN caro_written ON caro_written.ses = sessions.rowID
     WHERE coValue = (SELECT rowID FROM coValues WHERE id = ?)`,
    [id],
  );
  return found ?? { bytes: 0, transactions: 0, sessions: 0, names: 0 };
}

/** When something of an account was last not taken, since it was too much; for whoever asks what accounts hold. In files only. */
const REFUSED = "CREATE TABLE IF NOT EXISTS caro_refused (account TEXT PRIMARY KEY, day INTEGER NOT NULL)";

/** Notes that something of an account was not taken, on this day since 1970. A disk that is full itself takes no note. */
export function noteRefusal(account: string, day: number): void {
  if (!isFile) return;
  const database = new HostDatabase();
  try {
    database.run(REFUSED, []);
    database.run("INSERT INTO caro_refused VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET day = excluded.day", [account, day]);
  } catch (error) {
    console.debug("it was not noted that an account is full", error);
  }
}

/** The account is not here any more. */
export function forgetRefusal(database: HostDatabase, account: string): void {
  if (!isFile) return;
  database.run(REFUSED, []);
  database.run("DELETE FROM caro_refused WHERE account = ?", [account]);
}

export function isStored(id: string): boolean {
  return new HostDatabase().get("SELECT 1 AS stored FROM coValues WHERE id = ?", [id]) !== undefined;
}

/** Some of the ids that are stored, in the order in which they came, from a row on; and the last of their rows. */
export function storedAfter(row: number, amount: number): { ids: RawCoID[]; last: number } {
  const sql = "SELECT rowID, id FROM coValues WHERE rowID > ? ORDER BY rowID LIMIT ?";
  const rows = new HostDatabase().query<{ rowID: number; id: RawCoID }>(sql, [row, amount]);
  return { ids: rows.map(({ id }) => id), last: rows.at(-1)?.rowID ?? row };
}

/** CoValues that are erased before others have their turn. */
const AT_ONCE = 200;

/**
 * Erases everything that belongs to an account, a little at a time; how many CoValues. `begun` is told once the store has
 * taken the first of it, before anybody else has a turn: where it takes none, all stays as it is. `forget` drops one from
 * memory: whoever reads may have come meanwhile.
 */
export async function eraseHoldings(account: string, begun: () => void, forget: (id: RawCoID) => void): Promise<number> {
  const database = new HostDatabase();
  for (let erased = 0; ; ) {
    const rows = database.query<Stored>(
      "SELECT coValue, id FROM caro_owners JOIN coValues ON coValues.rowID = coValue WHERE account = ? LIMIT ?",
      [account, AT_ONCE],
    );
    const more = rows.length === AT_ONCE;
    database.aside(() => {
      eraseValues(database, rows);
      if (!more) forgetRefusal(database, account);
    });
    if (erased === 0) begun();
    for (const { id } of rows) forget(id);
    erased += rows.length;
    if (!more) return erased;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

/** Drops a CoValue that should not have come, from the store and from memory. */
export function takeBack(node: LocalNode, id: RawCoID): void {
  const database = new HostDatabase();
  node.internalDeleteCoValue(id);
  database.transaction(() => {
    eraseValues(database, database.query<Stored>("SELECT rowID AS coValue, id FROM coValues WHERE id = ?", [id]));
  });
}

/** A CoValue and its row. */
export interface Stored {
  coValue: number;
  id: RawCoID;
}

/** Erases CoValues in a transaction of the caller's. */
export function eraseValues(database: HostDatabase, rows: Stored[]): void {
  for (const { coValue, id } of rows) {
    const sessions = "(SELECT rowID FROM sessions WHERE coValue = ?)";
    database.run(`DELETE FROM transactions WHERE ses IN ${sessions}`, [coValue]);
    database.run(`DELETE FROM signatureAfter WHERE ses IN ${sessions}`, [coValue]);
    database.run("DELETE FROM sessions WHERE coValue = ?", [coValue]);
    database.run("DELETE FROM deletedCoValues WHERE coValueID = ?", [id]);
    database.run("DELETE FROM coValues WHERE rowID = ?", [coValue]);
  }
}

/** Whose a CoValue is; undefined where its group is not known, or it is nobody's. */
export function ownerIn(node: LocalNode, id: string, header: Header): string | undefined {
  if ((header.meta as { type?: unknown } | null)?.type === "account") return id;
  if (header.ruleset.type === "group") return header.ruleset.initialAdmin;
  const group = header.ruleset.type === "ownedByGroup" ? header.ruleset.group : undefined;
  if (!group || !node.hasCoValue(group as RawCoID)) return undefined;
  const above = node.getCoValue(group as RawCoID).verified?.header;
  return above?.ruleset.type === "group" ? ownerIn(node, group, above as Header) : undefined;
}
