/**
 * The ops that only the conformance suite has, beside those of `js/ops.d.ts`. The test driver
 * provides them; the shipped program has none of them.
 *
 * The suite opens many small databases at once and the same file twice, so these ops take a handle,
 * where the product's storage ops act on the one file of their isolate.
 */
declare interface CaroOps {
  /**
   * Opens a SQLite database the way the product opens `sync.db` and returns a handle. `name` is a bare file
   * name inside a temporary folder that the driver makes for the isolate and removes with it.
   */
  op_test_sql_open(name: string): number;
  /** Runs one statement; returns nothing. */
  op_test_sql_run(database: number, sql: string, params: SqlValue[]): void;
  /** All rows, as objects keyed by column name. */
  op_test_sql_query(database: number, sql: string, params: SqlValue[]): Record<string, SqlValue>[];
  op_test_sql_close(database: number): void;
  /** Hands one `ConformanceRecord`, as JSON, to the driver. */
  op_test_report(json: string): void;
}

/** What the driver asks for: the global `conformanceConfig`, set before a test file's script runs. */
declare interface ConformanceConfig {
  /** Full names (`describe > test`) to run; without it the whole file runs. */
  only?: string[];
  /** Full names that are not to run; they are told as skipped. */
  without?: string[];
  /** Multiplies the suite's own time limits: 5 s a test, 10 s a hook. 1 without it. */
  timeoutFactor?: number;
  /** How often a failing test is tried again. 0 without it. */
  retry?: number;
}

/** What the suite tells the driver, in this order: for each test `start` and `test`, then one `done`. */
declare type ConformanceRecord =
  | { kind: "start"; file: string; name: string }
  | {
      kind: "test";
      file: string;
      /** Full name; the second test of the same name in a file ends in ` #2`, and so on. */
      name: string;
      state: "pass" | "fail" | "skip" | "todo";
      /** Why it failed: message and difference, shortened. */
      error?: string;
      ms: number;
      /** Times it was tried again before this outcome. */
      retries: number;
    }
  /** A rejected promise that nobody handled while `name` was running. */
  | { kind: "unhandled"; file: string; name: string; error: string }
  /** The file has ended; `error` says why it could not be collected or an after-all hook failed. */
  | { kind: "done"; file: string; tests: number; error?: string };
