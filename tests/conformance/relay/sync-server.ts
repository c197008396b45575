/**
 * Stands where the SDK's transport tests start a sync server: `caro relay serve`, a process of its own, behind a pipe that
 * only passes bytes on, so that the tests can end single connections and take the server away as they do with theirs.
 *
 * What they look up in their server's own node is asked of the relay, by another client on the official SDK.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { LocalNode } from "cojson";
import { WasmCrypto } from "cojson/crypto/WasmCrypto";
import { createWebSocketPeer } from "suite:createWebSocketPeer";
import { WebSocket } from "ws";

type Relay = { process: ChildProcess; port: number };
type Connection = { outside: Socket; inside: Socket; terminate(): void };

/** Relays that end with this process, whatever comes first. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const relay of running) relay.kill("SIGKILL");
});

function start(): Promise<Relay> {
  const relay = spawn(process.env.CARO!, ["relay", "serve", "--in-memory", "--listen", "127.0.0.1:0"], {
    env: { HOME: process.env.HOME, CARO_LOG: "warn" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  running.add(relay);
  return new Promise((resolve, reject) => {
    relay.once("error", reject);
    relay.once("exit", (code) => {
      running.delete(relay);
      reject(new Error(`the relay ended with ${code}`));
    });
    createInterface({ input: relay.stdout! }).once("line", (line) => resolve({ process: relay, port: Number(line.split(":").at(-1)) }));
  });
}

/** The next one: the tests expect theirs to be there at once. */
let next = start();

function takeNext(): Promise<Relay> {
  const relay = next;
  next = start();
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
      relay.process.kill("SIGKILL");
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
