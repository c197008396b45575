// A device on the official SDK that a test drives: one JSON request a line on stdin, one JSON answer a line on stdout.
//
//   {"do":"createMap","group":"co_z…","values":{…}}  →  {"ok":{"id":"co_z…"}}  or  {"error":"…"}
//
// The commands are the functions of `commands` below; they run one after another, so answers come in the order of the
// requests. `await…` commands answer when the value has arrived by subscription, never by asking again, so they show
// live updates. Ends on SIGTERM or end of stdin.

import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";
import { Device } from "./device.mjs";
import { onShutdown, printLine, sdkLog } from "./sdk.mjs";

let device;

const commands = {
  /** Makes a new account; without `relay` offline, without `db` in memory. */
  async create({ relay, db }) {
    device = await Device.create({ relay, db });
    return { accountID: device.accountID, accountSecret: device.accountSecret };
  },

  /** Opens an account as a further device (a new session) of it. */
  async open({ relay, db, accountID, accountSecret }) {
    device = await Device.load({ relay, db, accountID, accountSecret });
    return {};
  },

  async root() {
    return { id: (await open().root()).id };
  },

  createGroup() {
    return { id: open().node.createGroup().id };
  },

  /** Lets everybody write what belongs to a group. */
  async openToEveryone({ group }) {
    (await open().loadValue(group)).addMember("everyone", "writer");
    return {};
  },

  async createMap({ group, values }) {
    return { id: (await open().loadValue(group)).createMap(values).id };
  },

  async set({ id, key, value }) {
    (await open().loadValue(id)).set(key, value);
    return {};
  },

  async createStream({ group }) {
    return { id: (await open().loadValue(group)).createStream().id };
  },

  /** Appends all items to a stream in one transaction. */
  async push({ id, items }) {
    const stream = await open().loadValue(id);
    if (!stream.core.makeTransaction(items, "private")) throw new Error(`the stream ${id} takes no more entries`);
    return {};
  },

  async load({ id }) {
    return describe((await open().loadValue(id)).core);
  },

  async awaitValue({ id, key, value, timeoutMs }) {
    const core = (await open().loadValue(id)).core;
    return arrived(core, timeoutMs, `${key} of ${id} to be ${JSON.stringify(value)}`, (content) =>
      isDeepStrictEqual(content.get(key), value),
    );
  },

  async awaitItems({ id, count, timeoutMs }) {
    const core = (await open().loadValue(id)).core;
    return arrived(core, timeoutMs, `${count} entries in ${id}`, (content) => itemsOf(content).length >= count);
  },

  async awaitDeleted({ id, timeoutMs }) {
    const core = (await open().loadValue(id)).core;
    return arrived(core, timeoutMs, `the deletion of ${id}`, () => core.isDeleted);
  },

  /** Gives the group a new read key, sealed for its members, and says which one it is. */
  async rotateReadKey({ group }) {
    const loaded = await open().loadValue(group);
    loaded.rotateReadKey();
    return { key: loaded.get("readKey") };
  },

  async delete({ id }) {
    (await open().loadValue(id)).core.deleteCoValue();
    return {};
  },

  /** The encrypted changes of every transaction of a value, as they are stored and sent. */
  async ciphertexts({ id }) {
    const core = (await open().loadValue(id)).core;
    return { ciphertexts: transactionsOf(core).flatMap((tx) => (tx.privacy === "private" ? [tx.encryptedChanges] : [])) };
  },

  async uploaded({ timeoutMs }) {
    await open().uploaded(timeoutMs);
    return {};
  },

  disconnect() {
    open().disconnect();
    return {};
  },

  reconnect() {
    open().reconnect();
    return {};
  },

  /** What the SDK warned of or reported as an error so far. */
  logs() {
    return { lines: sdkLog };
  },

  async close() {
    await device?.close();
    return {};
  },
};

function open() {
  if (!device) throw new Error("no account is open: send create or open first");
  return device;
}

function transactionsOf(core) {
  return Object.keys(core.knownState().sessions).flatMap((session) => core.verified.getSession(session)?.transactions ?? []);
}

/** Entries of a stream, by session and in the order they were appended. */
function itemsOf(content) {
  return Object.values(content.items).flatMap((entries) => entries.map((entry) => entry.value));
}

function describe(core) {
  const content = core.getCurrentContent();
  const keys = transactionsOf(core).flatMap((tx) => (tx.privacy === "private" ? [tx.keyUsed] : []));
  return {
    type: content.type,
    deleted: core.isDeleted,
    value: content.type === "costream" ? itemsOf(content) : content.toJSON(),
    keys: [...new Set(keys)],
  };
}

/** Resolves with the description of the value once a subscription shows that `holds` is true of its content. */
function arrived(core, timeoutMs, what, holds) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      unsubscribe();
      const now = JSON.stringify(describe(core)).slice(0, 500);
      reject(new Error(`waited ${timeoutMs} ms for ${what}; it is now ${now}`));
    }, timeoutMs);
    const unsubscribe = core.subscribe((updated, stop) => {
      if (!holds(updated.getCurrentContent())) return;
      clearTimeout(timer);
      stop();
      resolve(describe(core));
    });
  });
}

async function answer(line) {
  try {
    const { do: name, ...argumentsOf } = JSON.parse(line);
    if (!Object.hasOwn(commands, name)) throw new Error(`unknown command ${JSON.stringify(name)}`);
    printLine({ ok: await commands[name](argumentsOf) });
  } catch (error) {
    printLine({ error: error instanceof Error ? error.message : String(error) });
  }
}

onShutdown(() => device?.close());
let queue = Promise.resolve();
createInterface({ input: process.stdin }).on("line", (line) => {
  queue = queue.then(() => answer(line));
});
printLine({ ready: true });
