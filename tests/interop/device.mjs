// One device of an account, as an application on the official SDK would set it up: native crypto, the SDK's
// reconnecting WebSocket peer, a private profile group (the SDK's default one is readable by everyone), and
// optionally SQLite storage.

import { cojson, NapiCrypto, transport, WebSocket } from "./sdk.mjs";
import { openStorage } from "./storage.mjs";

const { LocalNode, cojsonInternals } = cojson;

// Tests wait for answers within seconds; the defaults of 60 s and 3 s suit people on bad networks.
cojsonInternals.setCoValueLoadingTimeout(10_000);
cojsonInternals.setCoValueLoadingRetryDelay(300);

const crypto = await NapiCrypto.create();

export class Device {
  constructor(node, link, accountID, accountSecret) {
    this.node = node;
    this.link = link;
    this.accountID = accountID;
    this.accountSecret = accountSecret;
  }

  /** Makes a new account. `relay` may be undefined: then the device begins offline. */
  static async create({ relay, db }) {
    const connection = prepareConnection(relay);
    const { node, accountID, accountSecret } = await LocalNode.withNewlyCreatedAccount({
      crypto,
      creationProps: { name: "" },
      peers: connection.peers,
      storage: db ? openStorage(db).storage : undefined,
      migration: (account, itsNode) => {
        const group = itsNode.createGroup();
        account.set("profile", group.createMap({ name: "" }).id, "trusting");
        account.set("root", group.createMap({}).id, "trusting");
      },
    });
    connection.attach(node);
    return new Device(node, connection.link, accountID, accountSecret);
  }

  /** Opens an existing account, from the relay or from what the database already holds. */
  static async load({ relay, db, accountID, accountSecret }) {
    const connection = prepareConnection(relay);
    try {
      const node = await LocalNode.withLoadedAccount({
        crypto,
        accountID,
        accountSecret,
        sessionID: undefined,
        peers: connection.peers,
        storage: db ? openStorage(db).storage : undefined,
      });
      connection.attach(node);
      return new Device(node, connection.link, accountID, accountSecret);
    } catch (error) {
      connection.link?.disable();
      throw error;
    }
  }

  /** The account's root map, where applications hang their data. */
  async root() {
    const account = this.node.expectCurrentAccount("the root map");
    return available(await this.node.load(account.get("root")), "the account's root");
  }

  async loadValue(id) {
    const value = await this.node.load(id);
    return available(value, id);
  }

  /** Waits until the relay has confirmed everything this device holds in memory. */
  async uploaded(timeoutMs) {
    if (this.node.syncManager.getPersistentServerPeers(this.accountID).length === 0) {
      throw new Error("no relay is connected, so nothing can be uploaded");
    }
    await this.node.syncManager.waitForAllCoValuesSync(timeoutMs);
  }

  /** Cuts the connection to the relay; writes go on locally. */
  disconnect() {
    this.link?.disable();
  }

  /** Restores the connection cut by `disconnect`. */
  reconnect() {
    this.link?.enable();
  }

  async close() {
    this.link?.disable();
    await this.node.gracefulShutdown();
  }
}

function available(value, what) {
  if (value === "unavailable") throw new Error(`unavailable: ${what}`);
  return value;
}

/** A relay connection that begins before the node exists: the first peer is handed over at the node's creation. */
function prepareConnection(relay) {
  const peers = [];
  let node;
  if (relay === undefined) return { peers, link: undefined, attach() {} };
  const link = new transport.WebSocketPeerWithReconnection({
    peer: relay,
    reconnectionTimeout: 100,
    pingTimeout: 10_000,
    WebSocketConstructor: WebSocket,
    addPeer: (peer) => (node ? node.syncManager.addPeer(peer) : peers.push(peer)),
    removePeer: (peer) => {
      const at = peers.indexOf(peer);
      if (at >= 0) peers.splice(at, 1);
    },
  });
  link.enable();
  return {
    peers,
    link,
    attach(created) {
      node = created;
    },
  };
}
