// SQLite for the official peers: the SDK's own storage over libsql, the driver its own tests use.
//
// Statements are prepared once and kept, because a load of 10,000 records would otherwise spend most of its time in
// the SQL parser; the figures of `bench.mjs` are to show the SDK at its best.

import { cojson, Database } from "./sdk.mjs";

class LibsqlDriver {
  #db;
  #statements = new Map();

  constructor(file, durable) {
    this.#db = new Database(file);
    this.#db.pragma("journal_mode = WAL");
    this.#db.pragma(`synchronous = ${durable ? "FULL" : "NORMAL"}`);
  }

  #prepare(sql) {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  run(sql, params) {
    this.#prepare(sql).run(bound(params));
  }

  get(sql, params) {
    return this.#prepare(sql).get(bound(params));
  }

  query(sql, params) {
    return this.#prepare(sql).all(bound(params));
  }

  transaction(callback) {
    this.run("BEGIN IMMEDIATE", []);
    try {
      callback();
      this.run("COMMIT", []);
    } catch (error) {
      this.run("ROLLBACK", []);
      throw error;
    }
  }

  pragma(text) {
    return this.#db.pragma(text);
  }

  closeDb() {
    this.#statements.clear();
    this.#db.close();
  }
}

function bound(params) {
  return params.map((value) => (value === undefined ? null : value));
}

/**
 * The SDK's storage over the SQLite file, and the driver for what the storage has no method for. Where it is to be
 * durable, a transaction is on disk when it has been committed.
 */
export function openStorage(file, { durable = false } = {}) {
  const driver = new LibsqlDriver(file, durable);
  return { storage: cojson.getSqliteStorage(driver), driver };
}
