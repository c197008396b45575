/**
 * Stands where the SDK's transport tests start a sync server: `caro relay serve`, a process of its own, behind a pipe that
 * only passes bytes on, so that the tests can end single connections and take the server away as they do with theirs.
 *
 * What they look up in their server's own node is asked of the relay, by another client on the official SDK.
 */

import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { LocalNode } from "cojson";
import { WasmCrypto } from "cojson/crypto/WasmCrypto";
import { createWebSocketPeer } from "suite:createWebSocketPeer";
import { WebSocket } from "ws";
import { startRelay } from "./process.mjs";

type Connection = { outside: Socket; inside: Socket; terminate(): void };

/** The next one: the tests expect theirs to be there at once. */
let next = startRelay();

function takeNext(): typeof next {
  const relay = next;
  next = startRelay();
  // Whoever takes it hears why it does not run.
  next.catch(() => {});
  return relay;
}

export const startSyncServer = async (port?: number) => {
  const relay = await takeNext();
  const connections = new Set<Connection>();
  const server = createServer((outside) => {
    const inside = connect(relay.port, "127.0.0.1");
    const connection: Connection = { outside, inside, terminate: () => inside.destroy() };
    for (const [one, other] of [[outside, inside], [inside, outside]] as const) {
      one.setNoDelay(true);
      one.pipe(other);
      one.on("error", () => {});
      one.on("close", () => {
        connections.delete(connection);
        other.destroy();
      });
    }
    inside.once("connect", () => connections.add(connection));
  });
  await new Promise<void>((resolve) => server.listen(port ?? 0, resolve));
  const actualPort = (server.address() as AddressInfo).port;

  return {
    close: () => {
      relay.kill();
      for (const { outside, inside } of connections) {
        outside.destroy();
        inside.destroy();
      }
      server.close();
    },
    syncServer: `ws://localhost:${actualPort}`,
    port: actualPort,
    wss: { clients: connections },
    localNode: {
      load: (id: string) => loadFrom(relay.port, id),
      syncManager: {
        /** The connections, as far as the relay's end of them is open. */
        getClientPeers: () => [...connections].map(({ inside }) => ({ get closed() { return inside.destroyed; } })),
      },
    },
  };
};

/** What a client that has nothing gets of a CoValue. */
async function loadFrom(port: number, id: string): Promise<unknown> {
  const crypto = await WasmCrypto.create();
  const secret = crypto.newRandomAgentSecret();
  const node = new LocalNode(secret, crypto.newRandomSessionID(crypto.getAgentID(secret)), crypto);
  const websocket = new WebSocket(`ws://127.0.0.1:${port}`);
  node.syncManager.addPeer(createWebSocketPeer({ id: "reader", websocket, role: "server" }));
  const loaded = await node.load(id as never);
  await node.gracefulShutdown();
  return loaded;
}
