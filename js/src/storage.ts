/**
 * The SDK's SQLite storage over the database that the host has opened for this isolate.
 *
 * Everything is synchronous: a transaction is in the store before the SDK sends it, so that the end of this
 * process never leaves the session behind what a relay has seen. When it is on disk is the host's business
 * (at once on a relay). What is erased also leaves the write-ahead log, where its pages
 * would otherwise stay readable until they happen to be overwritten.
 */

import { getSqliteStorage, type SQLiteDatabaseDriver, type StorageAPI } from "cojson";

type Parameters = readonly unknown[];

const bind = (params: Parameters): SqlValue[] => params.map((value) => (value === undefined ? null : (value as SqlValue)));

/** What the store said when it last refused a change, and who wants to know at once. */
let refusal: string | undefined;
const listeners = new Set<() => void>();

/** Why the store takes nothing any more, for example since the disk is full; undefined where all is well. */
export function storageRefusal(): string | undefined {
  return refusal;
}

export function onStorageRefusal(listener: () => void): void {
  listeners.add(listener);
}

/** How often a transaction is tried that meets others. */
const ATTEMPTS = 5;

/** Whether the host says that the same may succeed now (`StoreError::Conflict` in `src/runtime/store.rs`). */
function isConflict(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("conflict: ");
}

/** What everyone was told of: it passes several places that tell. */
const told = new WeakSet<object>();

/** Whether it is what the store said, which everyone was told. */
export function isTold(error: unknown): boolean {
  return typeof error === "object" && error !== null && told.has(error);
}

/** Tells everyone that the store did not take a change. */
export function refused(error: unknown): void {
  if (isTold(error)) return;
  if (typeof error === "object" && error !== null) told.add(error);
  refusal = error instanceof Error ? error.message : String(error);
  for (const listener of listeners) listener();
}

export class HostDatabase implements SQLiteDatabaseDriver {
  private depth = 0;
  private erased = false;

  run(sql: string, params: Parameters): void {
    if (sql.startsWith("DELETE FROM transactions")) this.erased = true;
    Deno.core.ops.op_sql_run(sql, bind(params));
  }

  query<T>(sql: string, params: Parameters): T[] {
    return Deno.core.ops.op_sql_query(sql, bind(params)) as T[];
  }

  get<T>(sql: string, params: Parameters): T | undefined {
    return this.query<T>(sql, params)[0];
  }

  /**
   * Takes the write lock at once; an inner transaction joins the outer one. One that met somebody else's, in a store that
   * others use too, begins again: what it does follows from what it reads.
   */
  transaction(callback: () => unknown): void {
    try {
      this.aside(callback);
    } catch (error) {
      if (this.depth === 0) refused(error);
      throw error;
    }
  }

  /** The same for a change of which nobody has anything in memory: that it failed hears who asked for it, and nobody else. */
  aside(callback: () => unknown): void {
    if (this.depth > 0) {
      callback();
      return;
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.attempt(callback);
        return;
      } catch (error) {
        this.rollBack();
        if (attempt < ATTEMPTS && isConflict(error)) continue;
        throw error;
      }
    }
  }

  private attempt(callback: () => unknown): void {
    this.run("BEGIN IMMEDIATE", []);
    this.depth += 1;
    try {
      callback();
      this.run("COMMIT", []);
      if (this.erased) setTimeout(() => this.emptyLog(), 0);
    } finally {
      this.depth -= 1;
    }
  }

  /** Ends a transaction that failed; a full disk has ended it already. */
  private rollBack(): void {
    try {
      this.run("ROLLBACK", []);
    } catch (error) {
      console.debug("there was nothing to roll back", error);
    }
  }

  /** The host owns the file; closing it with the isolate also empties its log. */
  closeDb(): void {}

  /** Whoever reads the store at this moment, for a backup of it, is not waited for: nobody would be served meanwhile. */
  private emptyLog(): void {
    this.erased = false;
    const patience = this.get<{ timeout: number }>("PRAGMA busy_timeout", [])?.timeout ?? 0;
    this.run("PRAGMA busy_timeout = 0", []);
    const said = this.get<{ busy: number }>("PRAGMA wal_checkpoint(TRUNCATE)", []);
    this.run(`PRAGMA busy_timeout = ${patience}`, []);
    if (said?.busy) setTimeout(() => this.emptyLog(), EMPTY_AGAIN_MS);
  }
}

/** After how long the log is emptied that could not be, milliseconds. */
const EMPTY_AGAIN_MS = 1_000;

/** Drops what the store holds of one session of a CoValue. */
export function forgetSession(id: string, session: string): void {
  const database = new HostDatabase();
  database.transaction(() => {
    const rows = database.query<{ rowID: number }>(
      "SELECT rowID FROM sessions WHERE sessionID = ? AND coValue = (SELECT rowID FROM coValues WHERE id = ?)",
      [session, id],
    );
    for (const { rowID } of rows) {
      database.run("DELETE FROM transactions WHERE ses = ?", [rowID]);
      database.run("DELETE FROM signatureAfter WHERE ses = ?", [rowID]);
      database.run("DELETE FROM sessions WHERE rowID = ?", [rowID]);
    }
  });
}

/** The ids of everything that this store holds. */
export function heldIds(): string[] {
  return new HostDatabase().query<{ id: string }>("SELECT id FROM coValues ORDER BY id", []).map(({ id }) => id);
}

/**
 * The SDK's storage with its tables as this version has them. The SDK changes them statement by statement and cannot begin
 * again in the middle, so all of it is one transaction: a process that dies in it leaves a store that opens.
 */
function migrated(database: HostDatabase): ReturnType<typeof getSqliteStorage> {
  let storage: ReturnType<typeof getSqliteStorage> | undefined;
  database.transaction(() => {
    storage = getSqliteStorage(database);
  });
  if (!storage) throw new Error("the store did not open");
  return storage;
}

/** How long a deletion waits for further ones, milliseconds; one round erases them all. */
const ERASE_AFTER_MS = 200;

/**
 * The SDK's storage, which erases the content of deleted CoValues at once. The SDK's own eraser waits up to a minute;
 * what an earlier process left to erase is found as the store opens.
 */
export function openStorage(): StorageAPI {
  const storage = migrated(new HostDatabase());
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const eraseSoon = () => {
    waiting ??= setTimeout(() => {
      waiting = undefined;
      storage.eraseAllDeletedCoValues().catch((error: unknown) => console.error("erasure failed, and will be tried again", error));
    }, ERASE_AFTER_MS);
  };
  const store = storage.store.bind(storage);
  storage.store = (...change) => {
    try {
      return store(...change);
    } catch (error) {
      // Also what fails before anything is written: the SDK has the change in memory by now.
      refused(error);
      throw error;
    }
  };
  const load = storage.load.bind(storage);
  storage.load = (id, callback, done) => {
    // Whoever makes up a message may name anything in it.
    if (typeof id === "string") return load(id, callback, done);
    done(false);
    return Promise.resolve();
  };
  const markDeleteAsValid = storage.markDeleteAsValid.bind(storage);
  storage.markDeleteAsValid = (id) => {
    markDeleteAsValid(id);
    eraseSoon();
  };
  eraseSoon();
  return storage;
}
