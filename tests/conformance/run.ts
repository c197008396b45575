/**
 * Runs one file of the suite in this isolate and reports each outcome through `op_test_report`.
 *
 * Order of scripts: the driver runs this prelude, sets `conformanceConfig`, then runs the test file's
 * script, which calls `conformance.run` and returns at once; the event loop does the rest, until a
 * `done` record. One isolate serves one file, since the suite's files change the SDK's global settings.
 *
 * The timers, encoders, clock and console are the product's own (`js/src/globals.ts`): they are in the
 * isolate already when this runs, and they are under test like the rest.
 */

import "./polyfills.ts";
import { type File, type Task, type Test, type VitestRunner, startTests } from "@vitest/runner";
import { getTests } from "@vitest/runner/utils";
import * as vitest from "./vitest-shim.ts";

/** Loads the modules of one test file; each call but the first finds them loaded. */
type Loader = { setup(): void; tests(): void };

const SETUP = "setup";
const LONGEST_ERROR = 4000;

const startTimer = setTimeout;
/** The loop turns once, whatever a test did to the timers: this is when the engine takes memory back. */
const macrotask = () => new Promise<void>((resolve) => startTimer(resolve, 0));

const report = (record: ConformanceRecord) => Deno.core.ops.op_test_report(JSON.stringify(record));

function describeError(error: unknown): string {
  const { name, message, diff, stack } = (error ?? {}) as Record<string, unknown>;
  const head = message === undefined ? String(error) : `${String(name ?? "Error")}: ${String(message)}`;
  // One engine repeats the message at the top of the stack, the other does not.
  const trace = typeof stack === "string" && stack.startsWith(head) ? stack.slice(head.length).trimStart() : stack;
  const text = [head, diff, trace].filter((part) => typeof part === "string" && part !== "").join("\n");
  return text.length > LONGEST_ERROR ? `${text.slice(0, LONGEST_ERROR)}…` : text;
}

function describeErrors(errors: readonly unknown[] | undefined): string {
  return (errors ?? []).map(describeError).join("\n");
}

/** `describe > test` for each test of the file, made unique by counting. */
function fullNames(file: File): Map<string, Test> {
  const names = new Map<string, Test>();
  for (const test of getTests(file)) {
    const words: string[] = [];
    for (let task: Task | undefined = test; task && task !== file; task = task.suite) words.unshift(task.name);
    const name = words.join(" > ");
    let unique = name;
    for (let count = 2; names.has(unique); count += 1) unique = `${name} #${count}`;
    names.set(unique, test);
  }
  return names;
}

/** Takes every test out of the tree that is not wanted, so that it does not even count as skipped. */
function prune(suite: { tasks: Task[] }, wanted: ReadonlySet<Task>): void {
  suite.tasks = suite.tasks.filter((task) => {
    if (task.type === "test") return wanted.has(task);
    prune(task, wanted);
    return task.tasks.length > 0;
  });
}

class IsolateRunner implements VitestRunner {
  readonly config: VitestRunner["config"];
  private readonly nameOf = new Map<Task, string>();
  private current = "";
  private reported = 0;

  constructor(
    private readonly file: string,
    private readonly load: Loader,
    private readonly wish: ConformanceConfig,
  ) {
    const factor = wish.timeoutFactor ?? 1;
    this.config = {
      root: "/",
      setupFiles: [SETUP],
      name: undefined,
      passWithNoTests: false,
      testNamePattern: undefined,
      allowOnly: false,
      sequence: { shuffle: false, concurrent: false, seed: 0, hooks: "stack", setupFiles: "list" },
      chaiConfig: undefined,
      maxConcurrency: 1,
      testTimeout: 5_000 * factor,
      hookTimeout: 10_000 * factor,
      retry: wish.retry ?? 0,
      includeTaskLocation: false,
      diffOptions: undefined,
    } as unknown as VitestRunner["config"];
  }

  importFile(path: string): void {
    if (path === SETUP) this.load.setup();
    else this.load.tests();
  }

  onCollected([file]: File[]): void {
    if (!file) return;
    const names = fullNames(file);
    for (const [name, test] of names) this.nameOf.set(test, name);
    for (const name of this.wish.without ?? []) {
      const test = names.get(name);
      if (!test) throw new Error(`no such test: ${name}`);
      test.mode = "skip";
    }
    if (this.wish.only && !file.result) {
      const unknown = this.wish.only.filter((name) => !names.has(name));
      if (unknown.length > 0) throw new Error(`no such test: ${unknown.join(", ")}`);
      prune(file, new Set(this.wish.only.map((name) => names.get(name)!)));
    }
  }

  async onBeforeRunTask(test: Test): Promise<void> {
    if (test.mode !== "run" && test.mode !== "queued") return;
    this.current = this.nameOf.get(test) ?? test.name;
    report({ kind: "start", file: this.file, name: this.current });
  }

  onBeforeTryTask(test: Test): void {
    vitest.startExpecting(this.nameOf.get(test) ?? test.name, this.file);
  }

  async onAfterRunTask(test: Test): Promise<void> {
    this.tell(test);
    await macrotask();
  }

  onUnhandled(reason: unknown): void {
    report({ kind: "unhandled", file: this.file, name: this.current, error: describeError(reason) });
  }

  private tell(test: Test): void {
    const { mode, result } = test;
    const state =
      result?.state === "pass" || result?.state === "fail" ? result.state
      : mode === "todo" ? "todo"
      : "skip";
    report({
      kind: "test",
      file: this.file,
      name: this.nameOf.get(test) ?? test.name,
      state,
      ...(state === "fail" && { error: describeErrors(result?.errors) }),
      ms: Math.round(result?.duration ?? 0),
      retries: result?.retryCount ?? 0,
    });
    this.reported += 1;
    this.nameOf.delete(test);
  }

  async run(): Promise<void> {
    let error = "";
    try {
      const [file] = await startTests([this.file], this);
      if (file) {
        // What was skipped has not been run and so not been told yet.
        for (const test of getTests(file)) if (this.nameOf.has(test)) this.tell(test);
        error = describeErrors([file, ...suitesOf(file)].flatMap((suite) => suite.result?.errors ?? []));
      }
    } catch (thrown) {
      error = describeError(thrown);
    }
    report({ kind: "done", file: this.file, tests: this.reported, ...(error !== "" && { error }) });
  }
}

function suitesOf(suite: { tasks: Task[] }): Extract<Task, { type: "suite" }>[] {
  return suite.tasks.flatMap((task) => (task.type === "suite" ? [task, ...suitesOf(task)] : []));
}

const conformance = {
  vitest,
  /** Called by a test file's script. */
  run(file: string, load: Loader): void {
    const wish = (globalThis as { conformanceConfig?: ConformanceConfig }).conformanceConfig ?? {};
    const runner = new IsolateRunner(file, load, wish);
    Deno.core.setUnhandledPromiseRejectionHandler((_promise, reason) => {
      runner.onUnhandled(reason);
      return true;
    });
    Deno.core.setReportExceptionCallback((error) => runner.onUnhandled(error));
    void runner.run();
  },
};
Object.defineProperty(globalThis, "conformance", { value: conformance });
