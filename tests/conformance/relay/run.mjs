/**
 * Runs one of the SDK's test files under Node, on the official SDK, with `caro relay serve` for its sync server.
 *
 *   CARO=…/caro node run.mjs BUNDLE SCRIPT CONFIG
 *
 * The scripts are those of `../bundle.mjs`, the runner is the one that runs in our isolate (`../run.ts`): what it asks of
 * the isolate is here. Prints a `ConformanceRecord` of `../ops.d.ts` a line; what the SDK logs goes to standard error.
 */

import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runInThisContext } from "node:vm";
import { startRelay } from "./process.mjs";

const [bundle, script, config] = process.argv.slice(2);
for (const name of ["log", "info", "debug"]) console[name] = console.error;

let unhandled = (error) => {
  throw error;
};
process.on("unhandledRejection", (reason) => unhandled(reason));
process.on("uncaughtException", (error) => unhandled(error));
// Whoever started this is gone.
process.stdin.on("end", () => process.exit(1)).resume();

globalThis.Deno = {
  core: {
    encode: (text) => new TextEncoder().encode(text),
    setUnhandledPromiseRejectionHandler: (handler) => {
      unhandled = (reason) => handler(undefined, reason);
    },
    setReportExceptionCallback() {},
    ops: {
      op_test_report(json) {
        writeSync(1, `${json}\n`);
        // What a test leaves behind would keep the process.
        if (JSON.parse(json).kind === "done") process.exit(0);
      },
    },
  },
};
// The fake timers look for Node's modules where there are some.
globalThis.require = createRequire(import.meta.url);
globalThis.relay = await startRelay();
globalThis.conformanceConfig = JSON.parse(config);
runInThisContext(readFileSync(join(bundle, "prelude.js"), "utf8"), { filename: "prelude.js" });
await import(pathToFileURL(join(bundle, script)).href);
