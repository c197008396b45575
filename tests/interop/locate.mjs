// Where the packages that `install.mjs` installed are, and how to load one of them.
//
// The scripts stay in the source tree and the packages in the build directory, so packages are resolved from the
// install folder and not from the folder of the script: `CARO_INTEROP_DIR`, or `target/interop` of the project.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));

export const INTEROP_DIR = resolve(process.env.CARO_INTEROP_DIR || join(HERE, "..", "..", "target", "interop"));

/** Imports a package as code inside `folder` would. */
export async function importFrom(folder, specifier) {
  requireInstalled(folder);
  return import(pathToFileURL(createRequire(join(folder, "package.json")).resolve(specifier)).href);
}

/** Imports a file of a package that the package does not export, such as the program behind its `bin`. */
export async function importFile(folder, ...path) {
  requireInstalled(folder);
  return import(pathToFileURL(join(folder, "node_modules", ...path)).href);
}

function requireInstalled(folder) {
  if (existsSync(join(folder, "node_modules"))) return;
  console.error(`The test peers are not installed in ${folder}: run "make setup" (or node tests/interop/install.mjs).`);
  process.exit(1);
}
