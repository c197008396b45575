/**
 * The relay: a node of the Jazz protocol that stores everything and owns nothing.
 *
 * It verifies every signature, forgets values that nobody has touched for a while (the store keeps
 * them), and, unlike stock relays, erases the content of deleted values and names its peers at random.
 */

import { cojsonInternals, LocalNode, type RawCoID } from "cojson";
import { createWebSocketPeer } from "cojson-transport-ws";
import { CaroCrypto } from "./crypto";
import { awaitDependencies } from "./dependencies";
import { onDisk } from "./flush";
import { eraseHoldings, keepHoldings } from "./holdings";
import { refresh, tellWhatIsStored } from "./others";
import type { Handlers, MayWrite, Serving } from "./protocol";
import { onStorageRefusal, openStorage } from "./storage";
import { Turns } from "./turns";
import { HostSocket } from "./websocket";
import { Writers } from "./writers";

/**
 * For how long the SDK deals with what has come before others are heard, milliseconds. Its own 50 are for a device, where
 * nobody else waits.
 */
const TURN_MS = 5;

export class Relay {
  private readonly crypto = new CaroCrypto();
  private readonly sockets = new Set<HostSocket>();
  private node: LocalNode;
  private writers: Writers;
  private turns!: Turns;

  constructor(private readonly setting: Serving) {
    cojsonInternals.setIncomingMessagesTimeBudget(TURN_MS);
    [this.node, this.writers] = this.newNode();
    onStorageRefusal(() => this.startOver());
  }

  readonly handlers: Handlers = {
    accept: async ({ socket, mayWrite }) => {
      this.accept(HostSocket.accepted(socket, onDisk), mayWrite);
      return {};
    },
    measure: async ({ memory }) => ({ heapBytes: memory ? Deno.core.ops.op_memory_usage().heapUsed : null }),
    forget: async ({ account }) => {
      // What somebody has in memory of it would be confirmed, and given to others.
      this.startOver();
      return { values: eraseHoldings(account) };
    },
    refresh: async ({ ids }) => {
      await refresh(this.node, ids as RawCoID[] | null);
      return {};
    },
    close: async () => {
      await this.node.storage?.eraseAllDeletedCoValues();
      // Who waits for a confirmation gets it.
      await onDisk();
      await this.node.gracefulShutdown();
      return {};
    },
  };

  private newNode(): [LocalNode, Writers] {
    const secret = this.crypto.newRandomAgentSecret();
    const node = new LocalNode(secret, this.crypto.newRandomSessionID(this.crypto.getAgentID(secret)), this.crypto);
    const storage = openStorage();
    if (this.setting.tells) tellWhatIsStored(storage);
    node.setStorage(storage);
    if (!this.setting.isShared) keepHoldings();
    const writers = new Writers(node, this.setting);
    this.turns = new Turns(node);
    awaitDependencies(node);
    node.enableGarbageCollector();
    return [node, writers];
  }

  /**
   * The store does not hold what this node has in memory, and would confirm: it refused a change, or something was erased.
   * Whoever sent it gets no confirmation but has to come again, to a node that knows what the store holds and no more.
   */
  private startOver(): void {
    for (const socket of this.sockets) socket.abandon();
    this.sockets.clear();
    const failed = this.node;
    [this.node, this.writers] = this.newNode();
    void failed.gracefulShutdown();
  }

  private accept(websocket: HostSocket, mayWrite: MayWrite): void {
    this.sockets.add(websocket);
    websocket.addEventListener("close", () => this.sockets.delete(websocket));
    const id = `client-${this.crypto.uniquenessForHeader()}`;
    this.writers.add(id, websocket, mayWrite);
    const turns = this.turns;
    websocket.mayGoOn = () => turns.over(id, websocket);
    const peer = createWebSocketPeer({
      id,
      role: "client",
      websocket,
      expectPings: false,
      batchingByDefault: false,
      deletePeerStateOnClose: true,
    });
    this.node.syncManager.addPeer(peer);
  }
}
