// The official SDK, loaded from where `install.mjs` put it, and what every peer process does alike.
//
// stdout of a peer carries one JSON value a line and nothing else; whatever the SDK logs is kept and goes to stderr.

import { importFrom, INTEROP_DIR } from "./locate.mjs";

export const cojson = await importFrom(INTEROP_DIR, "cojson");
export const { NapiCrypto } = await importFrom(INTEROP_DIR, "cojson/crypto/NapiCrypto");
export const transport = await importFrom(INTEROP_DIR, "cojson-transport-ws");
export const { default: WebSocket } = await importFrom(INTEROP_DIR, "ws");
export const { WebSocketServer } = WebSocket;
export const { default: Database } = await importFrom(INTEROP_DIR, "libsql");

/** Warnings and errors of the SDK since the process began, newest last. */
export const sdkLog = [];

function keep(level) {
  return (message, attributes) => {
    const cause = attributes?.err;
    const detail = cause === undefined ? JSON.stringify(attributes) : cause instanceof Error ? cause.message : JSON.stringify(cause);
    const line = `${level}: ${message}${detail ? ` ${detail}` : ""}`;
    sdkLog.push(line);
    console.error(line);
  };
}
cojson.logger.setLogSystem({ debug() {}, info() {}, warn: keep("warn"), error: keep("error") });

export function printLine(value) {
  process.stdout.write(JSON.stringify(value) + "\n");
}

/** Runs `stop` once, when the process is told to end or when whoever started it is gone (end of stdin). */
export function onShutdown(stop) {
  let stopping = false;
  const once = () => {
    if (stopping) return;
    stopping = true;
    Promise.resolve()
      .then(stop)
      .then(
        () => process.exit(0),
        (error) => {
          console.error("stopping failed:", error);
          process.exit(1);
        },
      );
  };
  process.on("SIGTERM", once);
  process.on("SIGINT", once);
  process.stdin.on("end", once);
  process.stdin.on("error", once);
  process.stdin.resume();
  return once;
}

/** Highest resident memory of this process so far, in bytes. */
export function peakRssBytes() {
  return process.resourceUsage().maxRSS * 1024;
}
