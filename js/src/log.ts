/** Sends the SDK's log to the host, with sizes and ids only: never the content of a transaction. */

import { LogLevel, logger } from "cojson";
import { writeLine } from "./lines";

/** Attributes that name a place or a state; everything else (messages, keys, content) stays out. */
const SHOWN = new Set(["id", "peerId", "peerRole", "sessionID", "errorType", "completed", "total", "state"]);

function line(message: string, attributes: Record<string, unknown> | undefined): string {
  const words = [message];
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "err") words.push(`error=${value instanceof Error ? value.message : String(value)}`);
    else if (SHOWN.has(name)) words.push(`${name}=${String(value)}`);
  }
  return words.join(" ");
}

export function logToHost(): void {
  const write = (level: number) => (message: string, attributes?: Record<string, unknown>) =>
    writeLine(level, line(message, attributes));
  logger.setLevel(LogLevel.DEBUG);
  logger.setLogSystem({ error: write(0), warn: write(1), info: write(2), debug: write(3) });
}
