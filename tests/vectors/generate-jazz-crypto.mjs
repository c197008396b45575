// Makes jazz-crypto.json: what the official native package (cojson-core-napi 0.20.19) answers to fixed requests.
//
//   npm install --prefix DIR --ignore-scripts cojson-core-napi@0.20.19
//   node tests/vectors/generate-jazz-crypto.mjs DIR/node_modules > tests/vectors/jazz-crypto.json
//
// The file is frozen: make it again only to add requests, and look at the difference. It is a list of
// `[[operation, ...arguments], answer]`, in the form that tests/interop/crypto-oracle.mjs speaks. The requests stay
// away from the official core's known defects, so each answer is the package's own.

import { answer, base58, loadOfficial, operations } from "../interop/crypto-oracle.mjs";

const official = loadOfficial(process.argv[2]);
const table = operations(official);
const vectors = [];

function ask(...request) {
  const result = answer(table, request);
  vectors.push([request, result]);
  return result.ok;
}

// Requests whose answer holds randomness: the answer is asked back, not kept.
const unrecorded = (...request) => answer(table, request).ok;

const filled = (length, start) => Uint8Array.from({ length }, (_, i) => (i + start) & 255);
const id = (prefix, start, length = 32) => prefix + base58(filled(length, start));
const PLACE = '{"in":"co_zTEST","tx":{"sessionID":"co_zTEST_session_zTEST","txIndex":0}}';
const TEXTS = ['""', '"hello"', '{"a":"hello","b":[1,2.5,null,true]}', '"åß∂ƒ 你好 🎉 \\u0007\\n\\\\ \\" \u2028"', `"${"long ".repeat(80)}"`];

// --- keys and ids -------------------------------------------------------------------------------
const signers = [0, 9, 200].map((start) => id("signerSecret_z", start));
const sealers = [0, 9, 200].map((start) => id("sealerSecret_z", start));
const keys = [1, 2, 230].map((start) => id("keySecret_z", start));
const signerIds = signers.map((secret) => ask("signerId", secret));
const sealerIds = sealers.map((secret) => ask("sealerId", secret));
for (const bad of ["", "signerSecret_z", "signerSecret_z0", "signerSecret_zé", id("signerSecret_z", 3, 31), id("signerSecret_z", 3, 33), sealers[0]]) ask("signerId", bad);
for (const bad of ["", "sealerSecret_z", "sealerSecret_zl", id("sealerSecret_z", 3, 31), id("sealerSecret_z", 3, 33), signers[0]]) ask("sealerId", bad);
ask("signerId", `signerSecret_z${"1".repeat(32)}`);
ask("sealerId", `sealerSecret_z${"1".repeat(32)}`);

// The account of the secret seed 00 01 … 1f.
const SEED = Buffer.from(filled(32, 0)).toString("hex");
for (const context of ["seal", "sign"]) ask("blake3", SEED, Buffer.from(context).toString("hex"));

// --- hashes -------------------------------------------------------------------------------------
for (const length of [0, 1, 31, 64, 1023, 1024, 1025, 5000]) {
  const data = Buffer.from(filled(length, 5)).toString("hex");
  ask("blake3", data, "");
  ask("blake3", data, "00ff");
}
for (const text of TEXTS) ask("shortHash", text);

// --- signatures ---------------------------------------------------------------------------------
for (const [i, secret] of signers.entries()) {
  for (const text of TEXTS) {
    const signature = ask("sign", secret, text);
    ask("verify", signature, text, signerIds[i]);
    ask("verify", signature, `${text} `, signerIds[i]);
    ask("verify", signature, text, signerIds[(i + 1) % 3]);
  }
}
const signature = ask("sign", signers[0], '"x"');
for (const bad of ["", "signature_z", "signature_z0", id("signature_z", 1, 63), id("signature_z", 1, 65), signerIds[0]]) ask("verify", bad, '"x"', signerIds[0]);
for (const bad of ["", "signer_z", "signer_z0", id("signer_z", 1, 31), id("signer_z", 1, 33), `signer_z${base58(new Uint8Array(32).fill(2))}`, sealerIds[0]]) ask("verify", signature, '"x"', bad);
for (const start of [0, 1, 3, 255]) ask("verify", signature, '"x"', `signer_z${base58(new Uint8Array(32).fill(start))}`);
ask("verify", `signature_z${base58(new Uint8Array(64).fill(255))}`, '"x"', signerIds[0]);

// --- encryption ---------------------------------------------------------------------------------
for (const text of TEXTS) {
  for (const key of keys) {
    const encrypted = ask("encrypt", text, key, PLACE);
    ask("decrypt", encrypted, key, PLACE);
    ask("decrypt", encrypted, keys[0], "other place");
  }
}
for (const bad of ["keySecret_z", "keySecret_z0", id("keySecret_z", 1, 31), id("keySecret_z", 1, 33), signers[0]]) {
  ask("encrypt", '"x"', bad, PLACE);
  ask("decrypt", "encrypted_UAAAA", bad, PLACE);
}

// --- sealing ------------------------------------------------------------------------------------
for (const text of TEXTS) {
  const sealed = ask("seal", text, sealers[0], sealerIds[1], PLACE);
  ask("unseal", sealed, sealers[1], sealerIds[0], PLACE);
  ask("unseal", sealed, sealers[2], sealerIds[0], PLACE);
  ask("unseal", sealed, sealers[1], sealerIds[2], PLACE);
  ask("unseal", sealed, sealers[1], sealerIds[0], "other place");
  ask("unseal", `${sealed.slice(0, 12)}${sealed[12] === "A" ? "B" : "A"}${sealed.slice(13)}`, sealers[1], sealerIds[0], PLACE);
  const forGroup = unrecorded("sealForGroup", text, sealerIds[1], PLACE);
  ask("unsealForGroup", forGroup, sealers[1], PLACE);
  ask("unsealForGroup", forGroup, sealers[2], PLACE);
  ask("unsealForGroup", forGroup, sealers[1], "other place");
}
for (const bad of ["sealed_U", "sealed_UAAAA", `sealed_U${"A".repeat(24)}`]) ask("unseal", bad, sealers[1], sealerIds[0], PLACE);
ask("seal", '"x"', sealers[0], `sealer_z${"1".repeat(32)}`, PLACE);
ask("seal", '"x"', signers[0], sealerIds[0], PLACE);
ask("seal", '"x"', sealers[0], signerIds[0], PLACE);
ask("sealForGroup", '"x"', signerIds[0], PLACE);

// --- headers ------------------------------------------------------------------------------------
let slot = 0;
const agent = `${sealerIds[0]}/${signerIds[0]}`;
const ACCOUNT = { type: "comap", ruleset: { type: "group", initialAdmin: agent }, meta: { type: "account" }, createdAt: null, uniqueness: null };
const HEADERS = [
  ACCOUNT,
  { ...ACCOUNT, createdAt: undefined },
  { type: "costream", ruleset: { type: "ownedByGroup", group: "co_zGroup" }, meta: null, createdAt: "2024-05-01T00:00:00.000Z", uniqueness: "zUnique" },
  { type: "colist", ruleset: { type: "ownedByGroup", group: "co_zGroup", restrictDeletion: true }, meta: { z: 1, a: { é: "ü🎉", b: [1, 2.5, -3, false, null, "x"] } }, uniqueness: true },
  { type: "coplaintext", ruleset: { type: "unsafeAllowAll", more: 1 }, more: 2, meta: "text", uniqueness: -7 },
  { type: "comap", ruleset: { type: "unsafeAllowAll" }, meta: [], uniqueness: { b: "2", a: "1" } },
  { type: "comap", ruleset: { type: "unsafeAllowAll" }, uniqueness: "no meta" },
  { type: "comap", ruleset: { type: "unsafeAllowAll" }, meta: null, uniqueness: { "": "empty key" } },
  { type: "comap", ruleset: { type: "unsafeAllowAll" }, meta: null, uniqueness: 1.5 },
  { type: "comap", ruleset: { type: "unsafeAllowAll" }, meta: null, uniqueness: ["x"] },
  { type: "comap", ruleset: { type: "unsafeAllowAll" }, meta: null, uniqueness: { a: 1 } },
  { type: "comap", ruleset: { type: "unsafeAllowAll" }, meta: null },
  { type: "comap", ruleset: { type: "group" }, meta: null, uniqueness: null },
  { type: "comap", ruleset: { type: "ownedByGroup" }, meta: null, uniqueness: null },
  { type: "comap", ruleset: { type: "other" }, meta: null, uniqueness: null },
  { type: "comap", ruleset: { type: "ownedByGroup", group: "g", restrictDeletion: "yes" }, meta: null, uniqueness: null },
  { type: "comap", meta: null, uniqueness: null },
  { type: 5, ruleset: { type: "unsafeAllowAll" }, meta: null, uniqueness: null },
  { type: "comap", ruleset: { type: "unsafeAllowAll" }, meta: null, uniqueness: null, createdAt: 5 },
].map((header) => JSON.stringify(header));
for (const header of [...HEADERS, "", "null", "[]", "{", "{}x"]) {
  ask("map.new", slot, "co_zWrong", header, null, false); // its answer names the right id
  const right = vectors.at(-1)[1].error?.match(/^id (\S+)$/)?.[1];
  if (right) {
    ask("map.new", slot, right, header, null, false);
    ask("map.header", slot);
  }
  ask("map.new", slot + 1, "co_zWrong", header, null, true);
  if (vectors.at(-1)[1].error === undefined) ask("map.header", slot + 1);
  slot += 2;
}

// --- session maps -------------------------------------------------------------------------------
const HEADER = HEADERS[5];
const newMap = (maxTxSize = null, coId = "co_zTEST") => (ask("map.new", ++slot, coId, HEADER, maxTxSize, true), slot);
const SESSION = `${agent}_session_zFirst`;
const OTHER = "co_zAccount_session_zOther";
const DELETE = "co_zAccount_session_dGone$";

function observe(map, ...sessions) {
  for (const question of ["sessionIds", "knownState", "knownStateWithStreaming", "isStreaming", "isDeleted"]) ask(`map.${question}`, map);
  for (const session of [...sessions, "nobody"]) {
    for (const question of ["count", "lastSignature", "checkpoint"]) ask(`map.${question}`, map, session);
    const count = table["map.count"](map, session);
    for (const from of [0, 1, count, 4294967295]) ask("map.transactions", map, session, from < 0 ? 0 : from);
    for (let index = 0; index <= Math.min(count, 30); index++) {
      ask("map.signatureAfter", map, session, index);
      for (const key of keys.slice(0, 2)) {
        ask("map.decrypt", map, session, index, key);
        ask("map.decryptMeta", map, session, index, key);
      }
    }
    ask("map.transaction", map, session, 0);
    ask("map.transaction", map, session, 4294967295);
  }
}

// A chain of both kinds, with and without meta, and its way into another map in one batch and in two.
const author = newMap();
const CHANGES = ["[]", '[{"op":"set","key":"k","value":"åß 🎉 \\"quoted\\" \\\\ \\u0001"}]', "not even JSON", "", '["\u2028\u007f/"]'];
const signatures = [];
for (const [i, changes] of CHANGES.entries()) {
  const meta = i % 2 ? '{"meta":{"count":1,"é":"\\n"}}' : null;
  const asked = [
    ask("map.makePrivate", author, SESSION, signers[0], changes, 'key_z"odd', keys[0], meta, 1700000000000 + i),
    ask("map.makeTrusting", author, SESSION, signers[0], changes, meta, i === 2 ? 9007199254740991 : i),
  ];
  signatures.push(...asked.map((made) => JSON.parse(made).signature));
}
observe(author, SESSION);
const chain = table["map.transactions"](author, SESSION, 0);
const reader = newMap();
ask("map.add", reader, SESSION, signerIds[0], `[${chain}]`, signatures.at(-1), false);
observe(reader, SESSION);
const twice = newMap();
ask("map.add", twice, SESSION, signerIds[0], ` [ ${chain.slice(0, 4).join(" ,\n ")} ] `, signatures[3], false);
ask("map.add", twice, SESSION, signerIds[1], `[${chain.slice(4)}]`, signatures.at(-1), false); // the first signer stands
ask("map.add", twice, SESSION, signerIds[0], "[]", signatures.at(-1), false);
ask("map.makeTrusting", twice, SESSION, signers[0], "[9]", null, 9);
observe(twice, SESSION);

// Transactions as others may spell them, unverified.
for (const transactions of [
  "[]", "{}", "null", "[null]", "[1]", "[{}]", "x", "", "[", '[{"privacy":"trusting"}]', '[{"changes":"[1]","madeAt":5}]',
  '[{"privacy":"trusting","changes":[1],"madeAt":5}]', '[{"privacy":"trusting","changes":"[1]"}]',
  ...["5.5", "5.0", "-5", "1e3", "18446744073709551615", "18446744073709551616", '"5"', "null", "true"].map((at) => `[{"privacy":"trusting","changes":"[1]","madeAt":${at}}]`),
  '[{"privacy":"trusting","changes":"[1]","madeAt":5,"meta":null}]', '[{"privacy":"trusting","changes":"[1]","madeAt":5,"meta":""}]',
  '[{"privacy":"trusting","changes":"[1]","madeAt":5,"meta":{}}]', '[{"more":{"a":[1]},"privacy":"trusting","changes":"[1]","madeAt":5}]',
  '[{"privacy":"private","encryptedChanges":"x","keyUsed":"k","madeAt":1,"meta":"m"}]', '[{"privacy":"private","encryptedChanges":"x","keyUsed":5,"madeAt":1}]',
  '[{"madeAt":1,"keyUsed":"k\\"é","meta":null,"encryptedChanges":"encrypted_UAA==","privacy":"private"}]',
  '[{"privacy":"trusting","changes":"\\u00e9\\ud83d\\ude00\\u2028\\u0007\\u007f/\\/\\b\\f\\n\\r\\t","madeAt":5}]', '[{"privacy":"trusting","changes":"\\ud83d","madeAt":5}]',
  '[{"privacy":"trusting","changes":"","madeAt":0},{"privacy":"trusting","changes":"","madeAt":-1}]',
  '[{"privacy":"trusting","changes":"[1]","madeAt":5}] x', '[{"privacy":"trusting","changes":"[1]","madeAt":5},]',
]) {
  const map = newMap();
  ask("map.add", map, OTHER, null, transactions, "signature of anybody", true);
  if (vectors.at(-1)[1].error === undefined) for (const question of ["transactions", "decrypt"]) ask(`map.${question}`, map, OTHER, 0, ...(question === "decrypt" ? [keys[0]] : []));
}
for (const field of ["x", "encrypted_U", "encrypted_U!", "encrypted_UAA", "encrypted_UAA==", "encrypted_UAAA", "encrypted_UAB=="]) {
  const map = newMap();
  ask("map.add", map, OTHER, null, JSON.stringify([{ privacy: "private", encryptedChanges: field, keyUsed: "k", madeAt: 1, meta: field }]), "s", true);
  ask("map.decrypt", map, OTHER, 0, keys[0]);
  ask("map.decryptMeta", map, OTHER, 0, keys[0]);
}

// Refusals of what is signed wrongly, and of what is new and wrong.
for (const [signer, signed] of [[null, signatures[0]], [signerIds[1], signatures[0]], [signerIds[0], signatures[1]], [signerIds[0], "junk"], [signerIds[0], "signature_z1"], ["junk", signatures[0]], ["signer_z1", signatures[0]]]) {
  ask("map.add", newMap(), SESSION, signer, `[${chain[0]}]`, signed, false);
}
ask("map.makeTrusting", newMap(), SESSION, "junk", "[]", null, 0);
ask("map.makePrivate", newMap(), SESSION, signers[0], "[]", "k", "junk", null, 0);
ask("map.makePrivate", newMap(), SESSION, "junk", "[]", "k", keys[0], null, 0);

// Odd ids end up in nonces.
const odd = newMap(null, 'co_z"\\é\n');
ask("map.makePrivate", odd, 's"\\é\u0001', signers[0], "[1]", "k", keys[0], null, 5);
observe(odd, 's"\\é\u0001');

// Kept signatures: around the limit, in batches, at 100 KiB, and at the edges of the parameter.
const short = newMap(10);
const made = ["12345", "123456", "1", "1234567890", "12345678901", "é".repeat(6), "1"].map((changes) => JSON.parse(ask("map.makeTrusting", short, SESSION, signers[0], changes, null, 5)).signature);
observe(short, SESSION);
const shortChain = table["map.transactions"](short, SESSION, 0);
const batches = newMap(10);
for (const [from, to] of [[0, 3], [3, 4], [4, 5], [5, 7]]) ask("map.add", batches, SESSION, signerIds[0], `[${shortChain.slice(from, to)}]`, made[to - 1], false);
observe(batches, SESSION);
for (const limit of [0, 1, 11, 12]) {
  const map = newMap(limit);
  ask("map.makePrivate", map, SESSION, signers[0], "", "k", keys[0], null, 5);
  ask("map.makeTrusting", map, SESSION, signers[0], "", null, 5);
  ask("map.makeTrusting", map, SESSION, signers[0], "1", null, 5);
  observe(map, SESSION);
}
const large = newMap();
for (let i = 0; i < 5; i++) ask("map.makePrivate", large, SESSION, signers[0], i < 4 ? `"${"x".repeat(19_300)}"` : "[]", "k", keys[0], null, i);
for (const question of ["count", "lastSignature", "checkpoint"]) ask(`map.${question}`, large, SESSION);
for (let i = 0; i < 5; i++) ask("map.signatureAfter", large, SESSION, i);

// Announcements and deletion.
const streaming = newMap();
for (const state of ["{}", '{"z":2}', '{"a":3}', '{"z":1}', '{"q":0}', "x", "[]", "null", '{"z":-1}', '{"z":1.5}', '{"z":"1"}', '{"z":4294967296}', '{"z":4294967295}']) {
  ask("map.setStreaming", streaming, state);
  for (const question of ["knownState", "knownStateWithStreaming", "isStreaming"]) ask(`map.${question}`, streaming);
}
const arriving = newMap();
const EMPTY = '[{"changes":"","madeAt":1,"privacy":"trusting"}]';
ask("map.setStreaming", arriving, JSON.stringify({ [OTHER]: 2, [SESSION]: 2 }));
ask("map.makeTrusting", arriving, SESSION, signers[0], "1", null, 5);
observe(arriving, SESSION, OTHER);
ask("map.add", arriving, OTHER, null, EMPTY, "s1", true);
observe(arriving, SESSION, OTHER);
ask("map.makeTrusting", arriving, SESSION, signers[0], "1", null, 5);
ask("map.add", arriving, OTHER, null, EMPTY, "s2", true);
observe(arriving, SESSION, OTHER);
ask("map.makeTrusting", arriving, DELETE, signers[0], "1", null, 5);
ask("map.setStreaming", arriving, '{"later":3}');
ask("map.markDeleted", arriving);
observe(arriving, SESSION, OTHER, DELETE);
ask("map.makeTrusting", arriving, SESSION, signers[0], "1", null, 5);
ask("map.makeTrusting", arriving, DELETE, signers[0], "1", null, 5);
ask("map.makePrivate", arriving, SESSION, signers[0], "1", "k", keys[0], null, 5);
for (const session of [SESSION, "new_session_d", "$new", "_session_d$", DELETE]) ask("map.add", arriving, session, null, EMPTY, "s3", true);
ask("map.setStreaming", arriving, '{"later":3}');
ask("map.setStreaming", arriving, "junk");
observe(arriving, SESSION, DELETE, "_session_d$");

console.log(`[\n${vectors.map((vector) => JSON.stringify(vector)).join(",\n")}\n]`);
