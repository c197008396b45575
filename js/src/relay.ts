/**
 * The relay: a node of the Jazz protocol that stores everything and owns nothing.
 *
 * It verifies every signature, forgets values that nobody has touched for a while (the store keeps
 * them), and, unlike stock relays, erases the content of deleted values and names its peers at random.
 */

import { LocalNode } from "cojson";
import { createWebSocketPeer } from "cojson-transport-ws";
import { CaroCrypto } from "./crypto";
import { awaitDependencies } from "./dependencies";
import type { Handlers } from "./protocol";
import { onStorageRefusal, openStorage } from "./storage";
import { HostSocket } from "./websocket";

export class Relay {
  private readonly crypto = new CaroCrypto();
  private readonly sockets = new Set<HostSocket>();
  private node = this.newNode();

  constructor() {
    onStorageRefusal(() => this.startOver());
  }

  readonly handlers: Handlers = {
    accept: async ({ socket }) => {
      this.accept(HostSocket.accepted(socket));
      return {};
    },
    measure: async ({ memory }) => ({ heapBytes: memory ? Deno.core.ops.op_memory_usage().heapUsed : null }),
    close: async () => {
      await this.node.storage?.eraseAllDeletedCoValues();
      await this.node.gracefulShutdown();
      return {};
    },
  };

  private newNode(): LocalNode {
    const secret = this.crypto.newRandomAgentSecret();
    const node = new LocalNode(secret, this.crypto.newRandomSessionID(this.crypto.getAgentID(secret)), this.crypto);
    node.setStorage(openStorage());
    awaitDependencies(node);
    node.enableGarbageCollector();
    return node;
  }

  /**
   * The store refused a change that this node holds in memory already, and would confirm. Whoever sent it
   * gets no confirmation but has to come again, to a node that knows what the store holds and no more.
   */
  private startOver(): void {
    for (const socket of this.sockets) socket.abandon();
    this.sockets.clear();
    const failed = this.node;
    this.node = this.newNode();
    void failed.gracefulShutdown();
  }

  private accept(websocket: HostSocket): void {
    this.sockets.add(websocket);
    websocket.addEventListener("close", () => this.sockets.delete(websocket));
    const peer = createWebSocketPeer({
      id: `client-${this.crypto.uniquenessForHeader()}`,
      role: "client",
      websocket,
      expectPings: false,
      batchingByDefault: false,
      deletePeerStateOnClose: true,
    });
    this.node.syncManager.addPeer(peer);
  }
}
