/**
 * Which day each account of a relay was last used, so that those can be erased that nobody uses any more.
 *
 * An account is used on a day on which anything that belongs to it passes between the relay and a client, whoever that is
 * and whichever way, and while a client is connected for it: so what is read or shared is used too. Only days on which a
 * relay looked count as days without use. One that did not run for a year, or whose clock jumps, has not been a relay that
 * nobody used.
 *
 * What somebody else's CoValues need to be read stays: the accounts that wrote in them, are members of their groups, or own
 * what they hang from.
 */

import type { LocalNode, RawCoID, SyncMessage } from "cojson";
import type { Guest } from "./guest";
import { eraseValues, forgetRefusal, ownerIn, type Stored } from "./holdings";
import { HostDatabase } from "./storage";

type Core = ReturnType<LocalNode["getCoValue"]>;

/** CoValues that are erased before others have their turn. */
const AT_ONCE = 50;
/** Groups that are looked at before others have their turn. */
const GROUPS_AT_ONCE = 100;
/** Rows that are looked at before that. */
const ROWS_AT_ONCE = 10_000;
/** CoValues that are noted before that. */
const NOTED_AT_ONCE = 500;
/** Of so many it is remembered that they were noted today; after that they may be noted again. */
const REMEMBERED = 200_000;

/** The account '' stands for the relay itself, or all that use the database: the last day on which one looked. */
const TABLE = "CREATE TABLE IF NOT EXISTS caro_used (account TEXT PRIMARY KEY, day INTEGER NOT NULL)";
/** What stands there before any has. */
const NEVER = -1;

/** Nobody else changes what is noted until this transaction ends. */
const ALONE = "INSERT INTO caro_used VALUES ('', ?) ON CONFLICT (account) DO UPDATE SET day = caro_used.day";

/** The owner of a CoValue was used on a day. */
const USED = `
  INSERT INTO caro_used
  SELECT account, CAST(? AS BIGINT) FROM caro_owners JOIN coValues ON coValues.rowID = coValue WHERE id = ? AND account <> ''
  ON CONFLICT (account) DO UPDATE SET day = excluded.day`;

/** An account was used on a day, if it owns anything. */
const USED_ACCOUNT = `
  INSERT INTO caro_used
  SELECT CAST(? AS TEXT), CAST(? AS BIGINT) WHERE EXISTS (SELECT 1 FROM caro_owners WHERE account = ?)
  ON CONFLICT (account) DO UPDATE SET day = excluded.day`;

/** From when on accounts are counted that are not noted yet. */
const KNOWN = `
  INSERT INTO caro_used SELECT DISTINCT account, CAST(? AS BIGINT) FROM caro_owners WHERE account <> ''
  ON CONFLICT (account) DO NOTHING`;

/** Accounts that own nothing any more. */
const GONE = `
  DELETE FROM caro_used
  WHERE account <> '' AND NOT EXISTS (SELECT 1 FROM caro_owners WHERE caro_owners.account = caro_used.account)`;

/** Forgets when accounts were used, for a relay with a file that does not count that: it would be taken for true later. */
export function forgetUsage(): void {
  new HostDatabase().run("DROP TABLE IF EXISTS caro_used", []);
}

export class Usage {
  private readonly database = new HostDatabase();
  /** What passed since it was last noted, what has been noted today, and whose that was. */
  private passed = new Set<string>();
  private readonly noted = new Set<string>();
  private readonly users = new Set<string>();
  private day: number | undefined;
  /** What is being noted, and looked for. */
  private noting: Promise<void> = Promise.resolve();
  private looking: Promise<string[]> | undefined;

  /** `guests` are the clients that there are; a database that others use has its tables already. */
  constructor(
    private readonly node: LocalNode,
    private readonly guests: ReadonlyMap<string, Guest>,
    isShared: boolean,
  ) {
    if (!isShared) this.database.run(TABLE, []);
    const sync = node.syncManager;
    const send = sync.trySendToPeer.bind(sync);
    // Whatever a client asks or brings is answered.
    sync.trySendToPeer = (peer, message) => {
      if (peer.role === "client") this.touch(message);
      return send(peer, message);
    };
  }

  /** Notes what was used since, on this day, a little at a time. */
  note(day: number): Promise<void> {
    const noted = this.noting.then(() => this.noteAll(day));
    this.noting = noted.catch(() => {});
    return noted;
  }

  /** Notes what was used since it was last told which day it is. */
  async flush(): Promise<void> {
    if (this.day !== undefined) await this.note(this.day);
  }

  /** As `find`; who asks while it is looked gets what is found then. */
  unused(before: number): Promise<string[]> {
    this.looking ??= this.find(before).finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  /**
   * Erases some of what an account owns, the newest first, so that what the rest hangs from goes last; which CoValues, and
   * whether there are more. Nothing where it was used since `before` after all. `gone` is told of them before anybody else
   * has a turn.
   */
  async eraseSome(
    account: string,
    before: number | null,
    gone: (ids: RawCoID[]) => void,
  ): Promise<{ ids: RawCoID[]; more: boolean }> {
    await this.flush();
    const used = this.database.get<{ day: number }>("SELECT day FROM caro_used WHERE account = ?", [account])?.day;
    if (before !== null && (used === undefined || used >= before)) return { ids: [], more: false };
    const rows = this.database.query<Stored>(
      `SELECT coValue, id FROM caro_owners JOIN coValues ON coValues.rowID = coValue
       WHERE account = ? ORDER BY coValue DESC LIMIT ?`,
      [account, AT_ONCE],
    );
    const more = rows.length === AT_ONCE;
    this.database.aside(() => {
      eraseValues(this.database, rows);
      if (more) return;
      this.database.run("DELETE FROM caro_used WHERE account = ?", [account]);
      forgetRefusal(this.database, account);
    });
    const ids = rows.map(({ id }) => id);
    gone(ids);
    return { ids, more };
  }

  /** A message goes to a client. */
  private touch(message: SyncMessage): void {
    // Whoever asks for a name that nobody has, uses nothing.
    const isSomebodys = message.action === "content" || (message.action === "known" && message.header);
    if (isSomebodys && !this.noted.has(message.id)) this.passed.add(message.id);
  }

  private async noteAll(day: number): Promise<void> {
    if (day !== this.day) this.begin(day);
    const passed = [...this.passed];
    this.passed = new Set();
    for (let at = 0; at < passed.length; at += NOTED_AT_ONCE) {
      const some = passed.slice(at, at + NOTED_AT_ONCE);
      try {
        this.noteSome(some, day);
      } catch (error) {
        for (const id of passed.slice(at)) this.passed.add(id);
        throw error;
      }
      // Not after the last ones: who waits for this goes by it.
      if (at + NOTED_AT_ONCE < passed.length) await turn();
    }
  }

  private noteSome(ids: string[], day: number): void {
    const accounts = new Set<string>();
    this.database.aside(() => {
      this.database.run(ALONE, [NEVER]);
      accounts.clear();
      for (const id of ids) {
        const account = this.ownerOf(id);
        if (account === undefined) this.database.run(USED, [day, id]);
        else if (!this.users.has(account)) accounts.add(account);
      }
      for (const account of accounts) this.database.run(USED_ACCOUNT, [account, day, account]);
    });
    if (this.noted.size > REMEMBERED) this.noted.clear();
    for (const id of ids) this.noted.add(id);
    for (const account of accounts) this.users.add(account);
  }

  /** Whose a CoValue is, as far as that is in memory. */
  private ownerOf(id: string): string | undefined {
    if (!this.node.hasCoValue(id as RawCoID)) return undefined;
    const header = this.node.getCoValue(id as RawCoID).verified?.header;
    return header && ownerIn(this.node, id, header as never);
  }

  /** A day begins; which day it was before is in the store, since others use the same. */
  private begin(day: number): void {
    this.database.aside(() => {
      this.database.run(ALONE, [NEVER]);
      const last = this.database.get<{ day: number }>("SELECT day FROM caro_used WHERE account = ''", [])?.day ?? NEVER;
      if (last !== NEVER && last < day - 1) this.database.run("UPDATE caro_used SET day = day + ?", [day - 1 - last]);
      if (last > day) this.database.run("UPDATE caro_used SET day = ? WHERE day > ?", [day, day]);
      if (last === day) return;
      this.database.run("UPDATE caro_used SET day = ? WHERE account = ''", [day]);
      this.database.run(GONE, []);
      this.database.run(KNOWN, [day]);
    });
    this.day = day;
    this.noted.clear();
    this.users.clear();
    // What clients are connected for.
    for (const guest of this.guests.values()) {
      for (const id of guest.topics) if (this.isSomebodys(id)) this.passed.add(id);
    }
  }

  /** Whether it is not one of the names that nobody has, which are in memory as long as clients wait for them. */
  private isSomebodys(id: string): boolean {
    const core = (this.node as unknown as { coValues: ReadonlyMap<string, Core> }).coValues.get(id);
    return core === undefined || core.isKnownStateAvailable();
  }

  /** The accounts that were last used before a day, without those that somebody else needs. */
  private async find(before: number): Promise<string[]> {
    const sql = "SELECT account FROM caro_used WHERE day < ? AND account <> ''";
    const unused = new Set(this.database.query<{ account: string }>(sql, [before]).map(({ account }) => account));
    if (unused.size === 0) return [];
    const needs = await this.needs(before);
    // Who is needed by one that stays, stays; and whom that one needs.
    for (let left = -1; left !== unused.size; ) {
      left = unused.size;
      for (const [account, owner] of needs) if (!unused.has(owner)) unused.delete(account);
    }
    return [...unused];
  }

  /** Who else needs which of the accounts that were last used before a day. */
  private async needs(before: number): Promise<[account: string, owner: string][]> {
    const owners = new Map<string, string>();
    const owned = this.database.query<{ id: string; account: string }>(
      `SELECT id, caro_owners.account FROM caro_owners JOIN coValues ON coValues.rowID = coValue
       JOIN caro_used ON caro_used.account = caro_owners.account WHERE day < ?`,
      [before],
    );
    for (const { id, account } of owned) owners.set(id, account);

    const needs: [account: string, owner: string][] = [];
    for await (const [after, to] of this.pieces("sessions")) {
      const others = this.database.query<{ account: string; owner: string }>(
        `SELECT DISTINCT caro_written.account, caro_owners.account AS owner FROM caro_written
         JOIN sessions ON sessions.rowID = ses JOIN caro_owners ON caro_owners.coValue = sessions.coValue
         WHERE caro_written.account <> caro_owners.account AND ses > ? AND ses <= ?`,
        [after, to],
      );
      for (const { account, owner } of others) needs.push([account, owner]);
    }
    const named = (text: string, owner: string) => {
      for (const [id] of text.matchAll(/co_z[1-9A-HJ-NP-Za-km-z]+/g)) {
        const account = owners.get(id);
        if (account !== undefined && account !== owner) needs.push([account, owner]);
      }
    };
    const groups: { rowID: number; owner: string }[] = [];
    for await (const [after, to] of this.pieces("coValues")) {
      const rows = this.database.query<{ rowID: number; header: string; owner: string }>(
        `SELECT rowID, header, account AS owner FROM coValues JOIN caro_owners ON coValue = rowID
         WHERE rowID > ? AND rowID <= ? AND (header LIKE '%"source"%' OR header LIKE '%"type":"group"%')`,
        [after, to],
      );
      for (const { rowID, header, owner } of rows) {
        const { ruleset, meta } = JSON.parse(header) as { ruleset?: { type?: unknown }; meta?: { source?: unknown } | null };
        if (meta?.source !== undefined) named(header, owner);
        if (ruleset?.type === "group") groups.push({ rowID, owner });
      }
    }
    for (const [at, { rowID, owner }] of groups.entries()) {
      if (at % GROUPS_AT_ONCE === 0) await turn();
      const sql = "SELECT tx FROM transactions JOIN sessions ON sessions.rowID = ses WHERE coValue = ?";
      for (const { tx } of this.database.query<{ tx: string }>(sql, [rowID])) named(tx, owner);
    }
    return needs;
  }

  /** The rows of a table, in pieces between which others have their turn. */
  private async *pieces(table: "sessions" | "coValues"): AsyncGenerator<[after: number, to: number]> {
    const sql = `SELECT rowID FROM ${table} WHERE rowID > ? ORDER BY rowID LIMIT 1 OFFSET ?`;
    for (let after = 0; ; ) {
      await turn();
      const to = this.database.get<{ rowID: number }>(sql, [after, ROWS_AT_ONCE - 1])?.rowID;
      yield [after, to ?? Number.MAX_SAFE_INTEGER];
      if (to === undefined) return;
      after = to;
    }
  }
}

/** Others have their turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
