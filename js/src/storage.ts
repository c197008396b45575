/**
 * The SDK's SQLite storage over the database that the host has opened for this isolate.
 *
 * Everything is synchronous: a transaction is on disk before the SDK sends it, so the session is
 * never behind what a relay has seen. What is erased also leaves the write-ahead log, where its pages
 * would otherwise stay readable until they happen to be overwritten.
 */

import { getSqliteStorage, type SQLiteDatabaseDriver, type StorageAPI } from "cojson";

type Parameters = readonly unknown[];

const bind = (params: Parameters): SqlValue[] => params.map((value) => (value === undefined ? null : (value as SqlValue)));

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

  /** Takes the write lock at once; an inner transaction joins the outer one. */
  transaction(callback: () => unknown): void {
    if (this.depth > 0) {
      callback();
      return;
    }
    this.run("BEGIN IMMEDIATE", []);
    this.depth += 1;
    try {
      callback();
      this.run("COMMIT", []);
      if (this.erased) setTimeout(() => this.emptyLog(), 0);
    } catch (error) {
      this.run("ROLLBACK", []);
      throw error;
    } finally {
      this.depth -= 1;
    }
  }

  /** The host owns the file; closing it with the isolate also empties its log. */
  closeDb(): void {}

  private emptyLog(): void {
    this.erased = false;
    this.run("PRAGMA wal_checkpoint(TRUNCATE)", []);
  }
}

export function openStorage(): StorageAPI {
  return getSqliteStorage(new HostDatabase());
}
