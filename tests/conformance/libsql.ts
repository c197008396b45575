/**
 * Stands where the suite imports `libsql`, and gives its storage tests our own SQLite driver: both over
 * the test-only storage ops.
 */

import { HostDatabase } from "../../js/src/storage.ts";

const ops = Deno.core.ops;

function bind(params: readonly unknown[]): SqlValue[] {
  return params.flat().map((value) => (value === undefined ? null : (value as SqlValue)));
}

class Statement {
  constructor(
    private readonly database: number,
    private readonly sql: string,
  ) {}
  run(...params: unknown[]): void {
    ops.op_test_sql_run(this.database, this.sql, bind(params));
  }
  all(...params: unknown[]): unknown[] {
    return ops.op_test_sql_query(this.database, this.sql, bind(params));
  }
  get(...params: unknown[]): unknown {
    return this.all(...params)[0];
  }
}

/** The asynchronous driver of the suite, and its raw writes behind the SDK's back, use this. */
export default class Database {
  private readonly database: number;
  constructor(name: string) {
    this.database = ops.op_test_sql_open(name);
  }
  pragma(text: string): unknown {
    return this.prepare(`PRAGMA ${text}`).all();
  }
  prepare(sql: string): Statement {
    return new Statement(this.database, sql);
  }
  close(): void {
    ops.op_test_sql_close(this.database);
  }
}

/** The product's driver, with its transactions, over a database of its own. */
export class TestDatabase extends HostDatabase {
  private readonly database: number;
  constructor(name: string) {
    super();
    this.database = ops.op_test_sql_open(name);
  }
  override run(sql: string, params: readonly unknown[]): void {
    ops.op_test_sql_run(this.database, sql, bind(params));
  }
  override query<T>(sql: string, params: readonly unknown[]): T[] {
    return ops.op_test_sql_query(this.database, sql, bind(params)) as T[];
  }
  override closeDb(): void {
    ops.op_test_sql_close(this.database);
  }
}
