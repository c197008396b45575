/**
 * What goes to a client of a relay: a text, or a message with much content. That is in Rust as the JSON that it was signed as,
 * and the host writes the message from there: as an object of the engine it would be written string by string.
 */

import type { SyncMessage } from "cojson";
import { sizeOf } from "./size";

type ContentMessage = Extract<SyncMessage, { action: "content" }>;

/** Messages from so many bytes on are written by the host. */
const LARGE = 8_000;

/** A message with content of which the host has all, in this session map. */
export class ContentFrame {
  constructor(
    private readonly message: ContentMessage,
    private readonly map: number,
    readonly length: number,
  ) {}

  send(socket: number): void {
    const { new: sessions, ...head } = this.message;
    const excerpts = Object.entries(sessions).map(([id, { after, newTransactions, lastSignature }]) => [
      id,
      after,
      newTransactions.length,
      lastSignature,
    ]);
    const ops = Deno.core.ops;
    if (ops.op_socket_send_content(socket, this.map, JSON.stringify(head), JSON.stringify(excerpts))) return;
    ops.op_socket_send(socket, JSON.stringify(this.message));
  }
}

export type Frame = string | ContentFrame;

/** The frame for a message. `mapOf` names the session map of what the node has of a CoValue. */
export function frameOf(message: SyncMessage, mapOf: (id: string) => number | undefined): Frame {
  const map = message.action === "content" ? mapOf(message.id) : undefined;
  const length = map === undefined ? 0 : sizeOf(message);
  return map === undefined || length < LARGE ? JSON.stringify(message) : new ContentFrame(message as ContentMessage, map, length);
}

export function sendFrame(socket: number, frame: Frame): void {
  if (typeof frame === "string") Deno.core.ops.op_socket_send(socket, frame);
  else frame.send(socket);
}
