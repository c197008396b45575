/**
 * Bundles those of the SDK's tests that need a sync server, for Node: the SDK as it is, with its native cryptography, and our
 * relay for the server. The sources are those of the npm packages, where `make setup` (transport) and `../bundle.mjs` (the
 * rest) install them; nothing of them is in this repository.
 */

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const source = dirname(fileURLToPath(import.meta.url));
const interop = resolve(process.env.CARO_INTEROP_DIR || join(source, "../../../target/interop"));
const transport = join(interop, "node_modules/cojson-transport-ws/src");

/** The test files of the transport that start a sync server; the others have none and see no relay. */
const TRANSPORT = ["webSocket.integration", "WebSocketPeerWithReconnection"];

/**
 * Test files whose clients talk to each other through a sync server. Of the others most compare each message with a
 * snapshot, in an order that only a server in the same process gives, or look into the server's memory.
 */
const SYNC = [
  "GarbageCollector",
  "SyncManager.processQueues",
  "SyncStateManager",
  "account",
  "clockDrift.integration",
  "coMap",
  "coStream",
  "coValueCore.isCompletelyDownloaded",
  "deleteCoValue",
  "group.addMember",
  "group.inheritance",
  "group.invite",
  "group.parentGroupCache",
  "sync.localStoreDurability",
  "sync.upload",
];

/** What both kinds need of the outside. */
function outside(build, vitest) {
  const installed = createRequire(join(interop, "package.json"));
  const url = (path) => pathToFileURL(path).href;
  const external = (path) => ({ path, external: true });
  build.onResolve({ filter: /^vitest$/ }, () => ({ path: "vitest", namespace: "prelude" }));
  build.onLoad({ filter: /.*/, namespace: "prelude" }, () => ({ contents: vitest, loader: "js" }));
  build.onResolve({ filter: /^ws$/ }, () => external(url(join(interop, "node_modules/ws/wrapper.mjs"))));
  build.onResolve({ filter: /^(libsql|cojson-core-napi)$/ }, ({ path }) => external(url(installed.resolve(path))));
  build.onResolve({ filter: /^suite:createWebSocketPeer$/ }, () => ({ path: join(transport, "createWebSocketPeer.ts") }));
  build.onResolve({ filter: /^relay:/ }, ({ path }) => ({ path: path.slice("relay:".length), namespace: "relay" }));
}

/** One SDK: that of the tests. */
function sdkPlugin(sdk, vitest, edit, entry) {
  return {
    name: "relay",
    setup(build) {
      outside(build, vitest);
      build.onResolve({ filter: /^cojson$/ }, () => ({ path: join(sdk, "exports.ts") }));
      build.onResolve({ filter: /(^cojson|\/)\/?crypto\/WasmCrypto(\.js)?$/ }, () => ({ path: "crypto", namespace: "native" }));
      build.onLoad({ filter: /.*/, namespace: "native" }, () => ({
        contents: `import { NapiCrypto } from "./crypto/NapiCrypto.ts";
export class WasmCrypto extends NapiCrypto {
  static createSync() { return new this(); }
  static async create() { return new this(); }
}`,
        loader: "js",
        resolveDir: sdk,
      }));
      build.onLoad({ filter: /\/cojson\/src\/.*(\.test|testUtils)\.ts$/ }, ({ path }) => ({
        contents: edit(readFileSync(path, "utf8"), path),
        loader: "ts",
      }));
      build.onResolve({ filter: /^\.\/syncServer$/ }, () => ({ path: join(source, "sync-server.ts") }));
      build.onResolve({ filter: /^suite:stand-in$/ }, () => ({ path: join(source, "stand-in.ts") }));
      build.onLoad({ filter: /.*/, namespace: "relay" }, ({ path }) => ({ ...entry(path), loader: "js" }));
    },
  };
}

/** Runs a test file under its name in the list. */
function run(name, setup, tests) {
  return `globalThis.conformance.run(${JSON.stringify(`relay/${name}.test.ts`)}, {
  setup: () => { ${setup} },
  tests: () => { require(${JSON.stringify(tests)}); },
});`;
}

/** Has the suite's helper connect clients of the sync server to the relay. */
function withRelay(text, path, replaceAllOrFail) {
  const replace = (from, to) => {
    text = replaceAllOrFail(text, from, to, path);
  };
  replace("syncServer.current = node;", "syncServer.current = standIn(node);");
  replace("syncServer.current = ctx.node;", "syncServer.current = standIn(ctx.node);");
  replace(
    `  const { peer1, peer2 } = connectedPeersWithMessagesTracking({
    peer1: {
      id: currentSyncServer`,
    `  if (isStandIn(currentSyncServer)) return connected(currentSyncServer, opts, (message) => SyncMessagesLog.add(message)) as never;
  const { peer1, peer2 } = connectedPeersWithMessagesTracking({
    peer1: {
      id: currentSyncServer`,
  );
  return `import { connected, isStandIn, standIn } from "suite:stand-in";\n${text}`;
}

/** Bundles them below `target`; what the list of files says of them. */
export async function bundleForRelay({ build, options, sdk, target, vitest, replaceAllOrFail }) {
  if (!existsSync(transport)) throw new Error(`the official SDK is not installed in ${interop}: run \`make setup\``);
  const edit = (text, path) => {
    const plain = text.replace(/^((?:const|let) \w+ = )await WasmCrypto\.create\(\);$/gm, "$1WasmCrypto.createSync();");
    return path.endsWith("testUtils.ts") ? withRelay(plain, path, replaceAllOrFail) : plain;
  };
  const entry = (name) =>
    TRANSPORT.includes(name)
      ? {
          contents: `import { WebSocket } from "ws";\nglobalThis.WebSocket ??= WebSocket;\n${run(name, "", `./tests/${name}.test.ts`)}`,
          resolveDir: transport,
        }
      : { contents: run(name, 'require("./tests/setup.ts");', `./tests/${name}.test.ts`), resolveDir: sdk };
  const names = [...TRANSPORT, ...SYNC];
  await build({
    ...options,
    format: "esm",
    platform: "node",
    target: "node20",
    define: {},
    // For what is in the bundle and was written for `require`.
    banner: { js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);' },
    entryPoints: Object.fromEntries(names.map((name) => [`relay/${name}`, `relay:${name}`])),
    outdir: target,
    outExtension: { ".js": ".mjs" },
    plugins: [sdkPlugin(sdk, vitest, edit, entry)],
  });
  return names.map((name) => ({ file: `relay/${name}.test.ts`, script: `relay/${name}.mjs` }));
}
