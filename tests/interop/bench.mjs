// The same work as `caro sync`, done by the official SDK on Node: what `make bench` measures Caro against.
//
//   node bench.mjs --relay ws://127.0.0.1:PORT [--records 10000] [--batch 100] [--rounds 100]
//
// Each phase runs in a process of its own with SQLite storage of its own, and prints one JSON line; times are in ms.
//
//   up    create the records as streams of one transaction of `batch` records each, listed in an index map, and wait
//         until the relay has confirmed all (timed once the account itself is confirmed)
//   down  a device with an empty database opens the account and holds every record, stored (timed from before it
//         connects); the records are compared with those sent
//   live  one record at a time from device A over the relay to a subscribed device B, from the write until B sees it
//
// A record is base64url text of random bytes, as long as a sealed blob of one shell command.

import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

const RECORD_BYTES = 300; // 400 characters
const TIMEOUT_MS = 60_000;

const { values: options } = parseArgs({
  options: {
    relay: { type: "string" },
    records: { type: "string", default: "10000" },
    batch: { type: "string", default: "100" },
    rounds: { type: "string", default: "100" },
    phase: { type: "string" },
    db: { type: "string" },
    account: { type: "string" },
  },
});
if (!options.relay) {
  console.error("say which relay: --relay ws://127.0.0.1:PORT");
  process.exit(2);
}
const records = Number(options.records);
const batch = Number(options.batch);
const rounds = Number(options.rounds);

if (options.phase) {
  await runPhase();
} else {
  await runAll();
}

async function runAll() {
  const folder = mkdtempSync(join(tmpdir(), "caro-bench-"));
  try {
    const account = (await inOwnProcess("up", folder)).account;
    await inOwnProcess("down", folder, account);
    await inOwnProcess("live", folder, account);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function inOwnProcess(phase, folder, account) {
  const passed = ["relay", "records", "batch", "rounds"].flatMap((name) => [`--${name}`, options[name]]);
  const own = ["--phase", phase, "--db", join(folder, `${phase}.db`), ...(account ? ["--account", JSON.stringify(account)] : [])];
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), ...passed, ...own]);
  const result = JSON.parse(stdout);
  const { account: _, digest, ...figures } = result;
  if (account && digest !== account.digest) throw new Error(`${phase}: the records that arrived are not the records that were sent`);
  console.log(JSON.stringify(figures));
  return result;
}

async function runPhase() {
  const { Device } = await import("./device.mjs");
  const { peakRssBytes, printLine } = await import("./sdk.mjs");
  const phases = { up, down, live };
  const result = await phases[options.phase](Device);
  printLine({ phase: options.phase, ...result, peakRssBytes: peakRssBytes() });
  process.exit(0);
}

async function up(Device) {
  const contents = Array.from({ length: records }, () => randomBytes(RECORD_BYTES).toString("base64url"));
  const device = await Device.create({ relay: options.relay, db: options.db });
  const root = await device.root();
  await device.uploaded(TIMEOUT_MS);

  const started = performance.now();
  const group = device.node.createGroup();
  const index = group.createMap({});
  const segments = {};
  for (let at = 0; at < records; at += batch) {
    const stream = group.createStream();
    const items = contents.slice(at, at + batch);
    stream.core.makeTransaction(items, "private");
    segments[stream.id] = items.length;
  }
  index.assign(segments);
  root.set("index", index.id);
  const created = performance.now();
  await device.uploaded(TIMEOUT_MS);
  const uploaded = performance.now();

  const account = { accountID: device.accountID, accountSecret: device.accountSecret, digest: digestOf(contents) };
  await device.close();
  return { records, batch, createMs: ms(created - started), uploadMs: ms(uploaded - created), totalMs: ms(uploaded - started), account };
}

async function down(Device) {
  const { accountID, accountSecret } = JSON.parse(options.account);
  const started = performance.now();
  const device = await Device.load({ relay: options.relay, db: options.db, accountID, accountSecret });
  const opened = performance.now();
  const index = await device.loadValue((await device.root()).get("index"));
  const streams = await Promise.all(index.keys().map((id) => device.loadValue(id)));
  const contents = streams.flatMap((stream) => stream.getSingleStream());
  await Promise.all(streams.map((stream) => device.node.syncManager.waitForStorageSync(stream.id)));
  const loaded = performance.now();
  await device.close();
  return { records: contents.length, openMs: ms(opened - started), loadMs: ms(loaded - opened), totalMs: ms(loaded - started), digest: digestOf(contents) };
}

async function live(Device) {
  const { accountID, accountSecret, digest } = JSON.parse(options.account);
  const sender = await Device.load({ relay: options.relay, db: `${options.db}-a`, accountID, accountSecret });
  const receiver = await Device.load({ relay: options.relay, db: `${options.db}-b`, accountID, accountSecret });
  const stream = sender.node.createGroup().createStream();
  await sender.uploaded(TIMEOUT_MS);
  const received = await receiver.loadValue(stream.id);

  const latencies = [];
  for (let round = 0; round < rounds; round++) {
    const item = randomBytes(RECORD_BYTES).toString("base64url");
    const arrival = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`update ${round} did not arrive`)), TIMEOUT_MS);
      const unsubscribe = received.core.subscribe((core) => {
        if (core.getCurrentContent().getSingleStream()?.at(-1) !== item) return;
        clearTimeout(timer);
        setImmediate(() => unsubscribe());
        resolve(performance.now());
      }, false);
    });
    const started = performance.now();
    stream.push(item);
    latencies.push((await arrival) - started);
  }
  latencies.sort((a, b) => a - b);
  await sender.close();
  await receiver.close();
  return { rounds, p50Ms: ms(percentile(latencies, 50)), p95Ms: ms(percentile(latencies, 95)), maxMs: ms(latencies.at(-1)), digest };
}

/** Nearest-rank percentile of sorted values. */
function percentile(sorted, p) {
  return sorted[Math.ceil((p / 100) * sorted.length) - 1];
}

/** One digest for a set of records, whatever their order. */
function digestOf(contents) {
  const hash = createHash("sha256");
  for (const content of [...contents].sort()) hash.update(content).update("\n");
  return hash.digest("hex");
}

function ms(value) {
  return Math.round(value * 100) / 100;
}
