// Answers crypto requests with the official native package, so that a test can compare it with ours.
//
//   node tests/interop/crypto-oracle.mjs NODE_MODULES
//
// One JSON array a line on stdin, `[operation, ...arguments]`; one JSON object a line on stdout, `{"ok": value}` or
// `{"error": kind}`, where null stands for "nothing". Each call is made as the SDK's own NapiCrypto makes it.
//
// The official core has defects that ours must not have, so answers are not always the package's first word:
//
// - a call that failed may have left traces in its map, so the map is made anew from the calls that succeeded;
// - a malformed signer ID kills the process there, so it is looked at before it gets that far;
// - in a session with unverified transactions the package's hash is wrong, and in one that began without a signer
//   it never verifies anything: for those "mixed" sessions the hash, the check and the signature are made here, with
//   the package's own primitives.

import { realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const bytes = (text) => new TextEncoder().encode(text);
const text = (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
const to64 = (prefix, bytes) => {
  const plain = Buffer.from(bytes).toString("base64url");
  return prefix + plain + "=".repeat((4 - (plain.length % 4)) % 4);
};
const from64 = (prefix, value) => new Uint8Array(Buffer.from(value.slice(prefix.length), "base64url"));

/** The kind of an error, which is what the two sides are compared by. */
function kindOf(error) {
  const message = String(error?.message ?? error);
  const hash = message.match(/Signature verification failed: \(hash: (hash_z\w+)\)/);
  if (hash) return `signature ${hash[1]}`;
  if (message.includes("Wrong tag")) return "tag";
  if (message.includes("UTF-8 conversion failed")) return "not text";
  if (message.includes("Cannot add to deleted CoValue")) return "deleted";
  const size = message.match(/Transaction too large to be synced: (\d+) bytes > (\d+) bytes limit/);
  if (size) return `size ${size[1]} > ${size[2]}`;
  const index = message.match(/Transaction not found at index (\d+)/);
  if (index) return `no transaction ${index[1]}`;
  const id = message.match(/CoValue ID mismatch: expected (\S+), got/);
  if (id) return `id ${id[1]}`;
  return "malformed";
}

/** Loads the official package from a node_modules folder. */
export function loadOfficial(nodeModules) {
  return createRequire(join(resolve(nodeModules), "anchor.js"))("cojson-core-napi");
}

/** One official session map, with its defects worked around. */
class OracleMap {
  constructor(official, ...args) {
    this.official = official;
    this.args = args;
    this.done = [];
    this.mixed = new Map(); // session -> whether its hash and signer are kept here
    this.signers = new Map(); // session -> the signer first named in a call that succeeded
    this.corrected = new Map(); // wrong signature of the package -> right one
    this.native = this.fresh();
  }

  fresh() {
    return new this.official.SessionMap(...this.args);
  }

  /** Makes a call that changes the map; if it fails, the map is as before. */
  change(method, ...args) {
    try {
      const result = this.native[method](...args);
      this.done.push([method, args]);
      return result;
    } catch (error) {
      this.native = this.fresh();
      for (const [method, args] of this.done) this.native[method](...args);
      throw error;
    }
  }

  has(session) {
    return this.native.getTransactionCount(session) !== -1;
  }

  hashWith(session, transactions) {
    const hasher = new this.official.Blake3Hasher();
    for (const json of this.native.getSessionTransactions(session, 0) ?? []) hasher.update(bytes(json));
    for (const json of transactions) hasher.update(bytes(json));
    return `hash_z${base58(hasher.finalize())}`;
  }

  add(session, signer, transactions, signature, skipVerify) {
    const known = this.signers.get(session);
    const named = known ?? signer;
    if (this.native.isDeleted()) {
      // The package says what it has to say before it looks at the signer.
      if (!(session.includes("_session_d") && session.endsWith("$"))) return this.native.addTransactions(session, undefined, "[]", "", true);
    }
    // What the package makes of the transactions, apart from this map.
    const scratch = this.fresh();
    scratch.addTransactions("scratch", undefined, transactions, "", true);
    if (named !== undefined && known === undefined) this.official.verify(bytes(this.zeroSignature), bytes(""), bytes(named));

    const fresh = !this.has(session);
    if (skipVerify || this.mixed.get(session) || (fresh && named === undefined)) {
      if (!skipVerify) {
        const hash = this.hashWith(session, scratch.getSessionTransactions("scratch", 0));
        const good = named !== undefined && this.official.verify(bytes(signature), bytes(`"${hash}"`), bytes(named));
        if (!good) throw new Error(`Signature verification failed: (hash: ${hash})`);
      }
      this.change("addTransactions", session, signer, transactions, signature, true);
      this.mixed.set(session, true);
    } else {
      this.change("addTransactions", session, signer, transactions, signature, false);
    }
    if (named !== undefined) this.signers.set(session, named);
  }

  make(method, session, secret, ...rest) {
    const fresh = !this.has(session);
    const made = JSON.parse(this.change(method, session, secret, ...rest));
    if (fresh) this.mixed.set(session, true);
    if (this.mixed.get(session)) {
      const right = this.official.sign(bytes(`"${this.hashWith(session, [])}"`), bytes(secret));
      if (right !== made.signature) this.corrected.set(made.signature, right);
    }
    const last = this.native.getSessionTransactions(session, this.native.getTransactionCount(session) - 1)[0];
    return `{"signature":"${this.right(made.signature)}","transaction":${last}}`;
  }

  right(signature) {
    return this.corrected.get(signature) ?? signature;
  }

  get zeroSignature() {
    return `signature_z${"1".repeat(64)}`;
  }
}

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

export function base58(bytes) {
  let number = BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`);
  let digits = "";
  for (; number > 0n; number /= 58n) digits = ALPHABET[Number(number % 58n)] + digits;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return "1".repeat(zeros === -1 ? bytes.length : zeros) + digits;
}

/** The operations, by name. Maps are named by the number of the slot they were put in. */
export function operations(official) {
  let maps = new Map();
  const map = (slot) => maps.get(slot);
  const optional = (value) => value ?? undefined;
  return {
    reset: () => void (maps = new Map()),
    signerId: (secret) => official.getSignerId(bytes(secret)),
    sealerId: (secret) => official.getSealerId(bytes(secret)),
    sign: (secret, message) => official.sign(bytes(message), bytes(secret)),
    verify: (signature, message, signer) => official.verify(bytes(signature), bytes(message), bytes(signer)),
    blake3: (data, context) => Buffer.from(official.blake3HashOnceWithContext(Buffer.from(data, "hex"), Buffer.from(context, "hex"))).toString("hex"),
    shortHash: (value) => official.shortHash(value),
    encrypt: (value, key, nonce) => to64("encrypted_U", official.encrypt(bytes(value), key, bytes(nonce))),
    decrypt: (value, key, nonce) => text(official.decrypt(from64("encrypted_U", value), key, bytes(nonce))),
    seal: (value, from, to, nonce) => to64("sealed_U", official.seal(bytes(value), from, to, bytes(nonce))),
    unseal: (value, secret, from, nonce) => text(official.unseal(from64("sealed_U", value), secret, from, bytes(nonce))),
    sealForGroup: (value, to, nonce) => to64("sealedForGroup_U", official.sealForGroup(bytes(value), to, bytes(nonce))),
    unsealForGroup: (value, secret, nonce) => text(official.unsealForGroup(from64("sealedForGroup_U", value), secret, bytes(nonce))),

    "map.new": (slot, id, header, maxTxSize, skipVerify) => void maps.set(slot, new OracleMap(official, id, header, optional(maxTxSize), skipVerify)),
    "map.header": (slot) => map(slot).native.getHeader(),
    "map.add": (slot, session, signer, transactions, signature, skipVerify) => map(slot).add(session, optional(signer), transactions, signature, skipVerify),
    "map.makePrivate": (slot, session, secret, changes, keyId, key, meta, madeAt) =>
      map(slot).make("makeNewPrivateTransaction", session, secret, changes, keyId, key, optional(meta), madeAt),
    "map.makeTrusting": (slot, session, secret, changes, meta, madeAt) =>
      map(slot).make("makeNewTrustingTransaction", session, secret, changes, optional(meta), madeAt),
    "map.sessionIds": (slot) => map(slot).native.getSessionIds(),
    "map.count": (slot, session) => map(slot).native.getTransactionCount(session),
    "map.transaction": (slot, session, index) => map(slot).native.getTransaction(session, index),
    "map.transactions": (slot, session, from) => map(slot).native.getSessionTransactions(session, from),
    "map.lastSignature": (slot, session) => map(slot).right(map(slot).native.getLastSignature(session)),
    "map.signatureAfter": (slot, session, index) => map(slot).right(map(slot).native.getSignatureAfter(session, index)),
    "map.checkpoint": (slot, session) => map(slot).native.getLastSignatureCheckpoint(session),
    "map.knownState": (slot) => map(slot).native.getKnownState(),
    "map.knownStateWithStreaming": (slot) => map(slot).native.getKnownStateWithStreaming(),
    "map.isStreaming": (slot) => map(slot).native.isStreaming(),
    "map.setStreaming": (slot, sessions) => map(slot).change("setStreamingKnownState", sessions),
    "map.markDeleted": (slot) => map(slot).change("markAsDeleted"),
    "map.isDeleted": (slot) => map(slot).native.isDeleted(),
    "map.decrypt": (slot, session, index, key) => map(slot).native.decryptTransaction(session, index, key),
    "map.decryptMeta": (slot, session, index, key) => map(slot).native.decryptTransactionMeta(session, index, key),
  };
}

/** Answers one request. */
export function answer(table, [operation, ...args]) {
  if (!Object.hasOwn(table, operation)) throw new Error(`no operation is called ${operation}`);
  try {
    return { ok: table[operation](...args) ?? null };
  } catch (error) {
    return { error: kindOf(error) };
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  const table = operations(loadOfficial(process.argv[2]));
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(answer(table, JSON.parse(line)))}\n`);
  }
}
