/**
 * Builds the script: `node build.mjs OUT_FILE`, in a folder where `npm ci` has run.
 * Type errors fail the build.
 */
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
const out = process.argv[2];
if (!out) throw new Error("usage: node build.mjs OUT_FILE");

const typescript = path.dirname(require.resolve("typescript/package.json"));
execFileSync(process.execPath, [path.join(typescript, "bin", "tsc"), "--project", "."], { stdio: "inherit" });

const esbuild = require("esbuild");
await esbuild.build({
  entryPoints: ["src/main.ts"],
  outfile: out,
  bundle: true,
  format: "iife",
  platform: "neutral",
  mainFields: ["module", "main"],
  conditions: ["import"],
  target: "es2023",
  minify: true,
  keepNames: false,
  legalComments: "none",
  logLevel: "warning",
});
