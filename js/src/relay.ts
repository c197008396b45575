/**
 * The relay: a node of the Jazz protocol that stores everything and owns nothing.
 *
 * It verifies every signature, forgets values that nobody has touched for a while (the store keeps
 * them), and, unlike stock relays, erases the content of deleted values and names its peers at random.
 */

import { LocalNode } from "cojson";
import { createWebSocketPeer } from "cojson-transport-ws";
import { CaroCrypto } from "./crypto";
import type { Handlers } from "./protocol";
import { openStorage } from "./storage";
import { HostSocket } from "./websocket";

/** How often each client hears from us, milliseconds; clients give up after 10 s of silence. */
const PING_MS = 1_500;

export class Relay {
  private readonly node: LocalNode;

  constructor() {
    const crypto = new CaroCrypto();
    const secret = crypto.newRandomAgentSecret();
    const agent = crypto.getAgentID(secret);
    this.node = new LocalNode(secret, crypto.newRandomSessionID(agent), crypto);
    this.node.setStorage(openStorage());
    this.node.enableGarbageCollector();
    this.node.enableDeletedCoValuesErasure();
  }

  readonly handlers: Handlers = {
    accept: async ({ socket }) => {
      this.accept(HostSocket.accepted(socket));
      return {};
    },
    close: async () => {
      await this.node.storage?.eraseAllDeletedCoValues();
      await this.node.gracefulShutdown();
      return {};
    },
  };

  private accept(websocket: HostSocket): void {
    const ping = setInterval(() => {
      websocket.send(JSON.stringify({ type: "ping", time: Date.now(), dc: "caro" }));
    }, PING_MS);
    websocket.addEventListener("close", () => clearInterval(ping));
    const peer = createWebSocketPeer({
      id: `client-${this.node.crypto.uniquenessForHeader()}`,
      role: "client",
      websocket,
      expectPings: false,
      batchingByDefault: false,
      deletePeerStateOnClose: true,
    });
    this.node.syncManager.addPeer(peer);
  }
}
