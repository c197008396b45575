// Installs the independent peers (official SDK and jazz-run) and Nushell into OUT_DIR, from the lock files beside this
// script.
//
//   node tests/interop/install.mjs [OUT_DIR]        default: target/interop of the project
//
// Separate installs, OUT_DIR/node_modules and OUT_DIR/{jazz-run,nushell}/node_modules: jazz-run brings an older
// cojson, and Nushell is a single program. Nothing is written into the source tree, no package script runs
// (`--ignore-scripts`), and an install whose manifest, lock file and platform are unchanged is left alone: the stamp is
// written last, so that an interrupted install is repeated.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = dirname(fileURLToPath(import.meta.url));
const NPM_CI = ["ci", "--omit=peer", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];

const outDir = resolve(process.argv[2] ?? join(SOURCE, "..", "..", "target", "interop"));
install("official SDK", SOURCE, outDir, ["package.json", "package-lock.json", "stubs"]);
install("jazz-run", join(SOURCE, "jazz-run"), join(outDir, "jazz-run"), ["package.json", "package-lock.json"]);
// Only this one is locked.
if (process.platform === "linux" && process.arch === "x64")
  install("Nushell", join(SOURCE, "nushell"), join(outDir, "nushell"), ["package.json", "package-lock.json"]);

function install(what, from, to, inputs) {
  const stampFile = join(to, ".installed");
  const stamp = stampOf(from);
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;

  rmSync(stampFile, { force: true });
  mkdirSync(to, { recursive: true });
  for (const input of inputs) cpSync(join(from, input), join(to, input), { recursive: true });

  const started = performance.now();
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const run = spawnSync(npm, NPM_CI, { cwd: to, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (run.error) fail(`npm could not be started (${run.error.message}). Install Node 20 or newer together with npm.`);
  if (run.status !== 0) fail(`npm ci for ${what} ended with ${run.status ?? run.signal}. Its messages are above; run this again when they are solved.`);

  writeFileSync(stampFile, stamp);
  console.error(`${what}: installed into ${to} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** What an install depends on: the manifest, the locked hashes, and the platform npm chose native packages for. */
function stampOf(folder) {
  const hash = createHash("sha256");
  for (const file of ["package.json", "package-lock.json"]) hash.update(readFileSync(join(folder, file))).update("\0");
  return hash.update(`${process.platform}/${process.arch}`).digest("hex") + "\n";
}

function fail(message) {
  console.error(`The test peers could not be installed: ${message}`);
  process.exit(1);
}
