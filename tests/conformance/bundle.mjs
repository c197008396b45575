/**
 * Bundles the Jazz SDK's own tests for caro's isolate.
 *
 *   node bundle.mjs OUT
 *
 * The tests come from the `src` folder of the npm package `cojson`, which the lock file pins. OUT gets
 * the packages (`npm ci` runs there, never in the source tree) and a folder `bundle` with
 *
 *   prelude.js      polyfills, vitest's runner and matchers (run.ts)
 *   NAME.test.js    one script per test file: the SDK's source, our crypto provider and storage
 *                   driver where the tests ask for the SDK's, and the tests
 *   relay/NAME.mjs  for Node: those test files that run against our relay (relay/bundle.mjs)
 *   files.json      [{"file": "tests/NAME.test.ts", "script": "tests/NAME.test.js"}]; "relay/NAME.test.ts" for Node
 *
 * The others are classic scripts. For each test file the driver boots the product's isolate (with its ops and
 * globals, but without calling `caro.run()`), adds the ops of `ops.d.ts`, runs `prelude.js`, sets the
 * global `conformanceConfig`, runs the file's script, and turns the event loop until the record `done`.
 * The outcomes must be those of `expected.toml`: pass, but for what is listed there. `short.txt` names
 * the files (or `file > test`) that the everyday test run takes.
 *
 * What is changed in the suite, all of it here: modules are replaced (vitest, libsql, Node's modules,
 * `crypto/WasmCrypto`), `await WasmCrypto.create()` at a module's top level becomes a plain call since a
 * script has no top-level await, and the suite's synchronous SQLite driver gives way to the product's.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { bundleForRelay } from "./relay/bundle.mjs";

const source = dirname(fileURLToPath(import.meta.url));

/** Installs the locked packages into `out`, unless they are there already. */
function install(out) {
  const inputs = ["package.json", "package-lock.json", "stubs"];
  const hash = createHash("sha256");
  for (const name of inputs.slice(0, 2)) hash.update(readFileSync(join(source, name)));
  const stamp = join(out, "installed");
  const wanted = hash.digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  rmSync(stamp, { force: true });
  for (const name of inputs) cpSync(join(source, name), join(out, name), { recursive: true });
  const npm = spawnSync("npm", ["ci", "--omit=peer", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: out,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (npm.error) throw new Error(`npm could not be started (${npm.error.message}): install Node 20 or newer with npm`);
  if (npm.status !== 0) throw new Error(`npm ci failed in ${out}: see its messages above`);
  writeFileSync(stamp, wanted);
}

/** Paths of all test files below `folder`, relative to it and sorted. */
function testFiles(folder) {
  return readdirSync(folder, { recursive: true })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".test.ts"))
    .sort();
}

/** `export const { … }` of what the prelude holds, so that both scripts share one runner. */
const VITEST = `const shim = globalThis.conformance.vitest;
export const { afterAll, afterEach, assert, beforeAll, beforeEach, describe, expect, it, onTestFailed,
  onTestFinished, suite, test, vi } = shim;`;

/** Replaces text that must be there: a newer suite that looks different must not pass unnoticed. */
function replaceAllOrFail(text, from, to, path) {
  if (!text.includes(from)) throw new Error(`${path} no longer has the text: ${from}`);
  return text.replaceAll(from, to);
}

function plugin(sdk) {
  const here = (name) => ({ path: join(source, name) });
  return {
    name: "conformance",
    setup(build) {
      build.onResolve({ filter: /^vitest$/ }, () => ({ path: "vitest", namespace: "prelude" }));
      build.onLoad({ filter: /.*/, namespace: "prelude" }, () => ({ contents: VITEST, loader: "js" }));

      build.onResolve({ filter: /^libsql$/ }, () => here("libsql.ts"));
      build.onResolve({ filter: /^node:(crypto|fs|os|path)$/ }, () => here("node-modules.ts"));
      build.onResolve({ filter: /\/crypto\/WasmCrypto(\.js)?$/ }, () => here("wasm-crypto.ts"));
      build.onResolve({ filter: /^cojson$/ }, () => ({ path: join(sdk, "exports.ts") }));

      build.onResolve({ filter: /^suite:/ }, ({ path }) => ({ path: path.slice("suite:".length), namespace: "suite" }));
      build.onLoad({ filter: /.*/, namespace: "suite" }, ({ path }) => ({
        contents: `globalThis.conformance.run(${JSON.stringify(path)}, {
  setup: () => { require("./tests/setup.ts"); },
  tests: () => { require(${JSON.stringify(`./${path}`)}); },
});`,
        resolveDir: sdk,
        loader: "js",
      }));

      build.onLoad({ filter: /\/cojson\/src\/tests\/testStorage\.ts$/ }, ({ path }) => ({
        contents:
          `import { TestDatabase } from "libsql";\n` +
          replaceAllOrFail(readFileSync(path, "utf8"), "new LibSQLSqliteSyncDriver(", "new TestDatabase(", path),
        loader: "ts",
      }));
      build.onLoad({ filter: /\/cojson\/src\/.*(\.test|testUtils)\.ts$/ }, ({ path }) => ({
        contents: readFileSync(path, "utf8").replace(
          /^((?:const|let) \w+ = )await WasmCrypto\.create\(\);$/gm,
          "$1WasmCrypto.createSync();",
        ),
        loader: "ts",
      }));
    },
  };
}

async function bundle(out) {
  const { build } = await import(pathToFileURL(join(out, "node_modules/esbuild/lib/main.js")).href);
  const sdk = join(out, "node_modules/cojson/src");
  const target = join(out, "bundle");
  rmSync(target, { recursive: true, force: true });

  const options = {
    bundle: true,
    format: "iife",
    platform: "browser",
    target: "es2022",
    charset: "utf8",
    define: { global: "globalThis" },
    logLevel: "warning",
    nodePaths: [join(out, "node_modules")],
    tsconfigRaw: "{}",
    outdir: target,
  };
  await build({
    ...options,
    entryPoints: { prelude: join(source, "run.ts") },
    // Node's own modules, which the fake timers look for and do without.
    external: ["timers", "timers/promises", "util"],
  });

  const files = testFiles(sdk).map((file) => ({ file, script: file.replace(/\.ts$/, ".js") }));
  await build({
    ...options,
    entryPoints: Object.fromEntries(files.map(({ file }) => [file.replace(/\.ts$/, ""), `suite:${file}`])),
    plugins: [plugin(sdk)],
  });
  files.push(...(await bundleForRelay({ build, options, sdk, target, vitest: VITEST, replaceAllOrFail })));
  writeFileSync(join(target, "files.json"), `${JSON.stringify(files, null, 1)}\n`);
}

const [folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node bundle.mjs OUT");
  process.exit(2);
}
const out = resolve(folder);
mkdirSync(out, { recursive: true });
install(out);
await bundle(out);
