/**
 * Stands where the SDK's own tests have a sync server in their process: `caro relay serve`, to which their clients connect
 * through WebSockets, with the SDK's transport.
 *
 * The node that the tests call the server is a client of the relay like the others: what they make or look up there passes
 * through the relay. What they ask of the server's own state cannot be answered; such tests are left out.
 */

import { createWebSocketPeer } from "suite:createWebSocketPeer";
import { WebSocket } from "ws";

type Node = { currentSessionID: string; syncManager: { addPeer(peer: unknown): void } };
type Message = { from: string; to: string; msg: never };
type Names = { ourName?: string; syncServerName?: string; persistent?: boolean };

/** A socket on which may be sent before it is open: the tests close nodes that have not come to that. */
class PatientSocket extends WebSocket {
  override send(...frame: Parameters<WebSocket["send"]>): void {
    if (this.readyState === WebSocket.CONNECTING) this.once("open", () => super.send(...frame));
    else super.send(...frame);
  }
}

const standIns = new Set<Node>();

function peerOfRelay(id: string) {
  const { port } = (globalThis as unknown as { relay: { port: number } }).relay;
  return createWebSocketPeer({ id, role: "server", websocket: new PatientSocket(`ws://127.0.0.1:${port}`), batchingByDefault: false });
}

/** Makes a node the one that the tests call the server. */
export function standIn<N extends Node>(node: N): N {
  standIns.add(node);
  node.syncManager.addPeer(peerOfRelay("relay"));
  return node;
}

export function isStandIn(node: Node): boolean {
  return standIns.has(node);
}

/** A client's connection to what stands for the server, and what passes through it. */
export function connected(server: Node, { ourName = "client", syncServerName = "server", persistent = true }: Names, log: (message: Message) => void) {
  const peer = peerOfRelay(server.currentSessionID);
  peer.persistent = persistent;
  const { outgoing, incoming } = peer;
  const [push, onMessage] = [outgoing.push.bind(outgoing), incoming.onMessage.bind(incoming)];
  const note = (from: string, to: string, msg: unknown) => {
    if (typeof msg !== "string") log({ from, to, msg: msg as never });
  };
  outgoing.push = (message) => {
    note(ourName, syncServerName, message);
    push(message);
  };
  incoming.onMessage = (handle) =>
    onMessage((message) => {
      note(syncServerName, ourName, message);
      handle(message);
    });
  return { peer, peerStateOnServer: undefined, peerOnServer: undefined };
}
