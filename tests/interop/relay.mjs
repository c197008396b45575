// A relay on the official SDK: the same few lines that `jazz-run sync` and the SDK's hosted relay are built from.
//
//   node relay.mjs (--db FILE | --in-memory) [--port N] [--erase-deleted] [--durable]
//
// Prints {"port":N} once it listens on 127.0.0.1, and {"peakRssBytes":N} when it has stopped (SIGTERM, or end of
// stdin). Upstream relays never erase deleted content; `--erase-deleted` adds that, so that the test which looks for
// erased ciphertext can be seen to pass on a relay that erases and to fail on one that does not. `--durable` brings each
// transaction to disk, for comparisons with relays that do.

import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { cojson, NapiCrypto, onShutdown, peakRssBytes, printLine, transport, WebSocketServer } from "./sdk.mjs";
import { openStorage } from "./storage.mjs";

const PING_INTERVAL_MS = 1500;
const ERASE_INTERVAL_MS = 200;

const { values: options } = parseArgs({
  options: {
    db: { type: "string" },
    "in-memory": { type: "boolean", default: false },
    port: { type: "string", default: "0" },
    "erase-deleted": { type: "boolean", default: false },
    durable: { type: "boolean", default: false },
  },
});
if (Boolean(options.db) === options["in-memory"]) {
  console.error("say either --db FILE or --in-memory");
  process.exit(2);
}

const crypto = await NapiCrypto.create();
const secret = crypto.newRandomAgentSecret();
const node = new cojson.LocalNode(secret, crypto.newRandomSessionID(crypto.getAgentID(secret)), crypto);

let eraser;
if (options.db) {
  const { storage, driver } = openStorage(options.db, { durable: options.durable });
  node.setStorage(storage);
  if (options["erase-deleted"]) {
    driver.pragma("secure_delete = ON");
    eraser = setInterval(() => {
      void storage.eraseAllDeletedCoValues().then(() => driver.pragma("wal_checkpoint(TRUNCATE)"));
    }, ERASE_INTERVAL_MS);
  }
}
node.enableGarbageCollector();

const http = createServer((request, response) => {
  response.writeHead(request.url === "/health" ? 200 : 404).end();
});
const sockets = new WebSocketServer({ server: http, maxPayload: 64 * 1024 * 1024 });
sockets.on("connection", (socket) => {
  const ping = setInterval(() => {
    socket.send(JSON.stringify({ type: "ping", time: Date.now(), dc: "interop" }));
  }, PING_INTERVAL_MS);
  socket.on("close", () => clearInterval(ping));
  socket.on("error", (error) => console.error("socket:", error.message));
  node.syncManager.addPeer(
    transport.createWebSocketPeer({
      id: randomUUID(),
      role: "client",
      websocket: socket,
      expectPings: false,
      batchingByDefault: false,
      deletePeerStateOnClose: true,
    }),
  );
});

onShutdown(async () => {
  clearInterval(eraser);
  for (const socket of sockets.clients) socket.terminate();
  http.close();
  await node.gracefulShutdown();
  printLine({ peakRssBytes: peakRssBytes() });
});

http.listen(Number(options.port), "127.0.0.1", () => printLine({ port: http.address().port }));
