/**
 * The bundle's entry. Loading it defines `globalThis.caro`, which the snapshot then holds; the host
 * calls `caro.confine()` and `caro.run()` once the ops are there, and `caro.letGo()` in the end.
 * `caro.newCrypto()` is for tests of the provider, `caro.newTurns()` for those of a relay's queue.
 */

import "./globals";
import "./ops";
import { cojsonInternals } from "cojson";
import { Client } from "./client";
import { CaroCrypto } from "./crypto";
import { confine, letGo } from "./engine";
import { serveHost } from "./host";
import { logToHost } from "./log";
import type { Handlers } from "./protocol";
import { Relay } from "./relay";
import { isTold } from "./storage";
import { Turns } from "./turns";

/** The host waits with deadlines of its own; the SDK's must not outlast them. */
const LOAD_TIMEOUT_MS = 60_000;

async function run(): Promise<void> {
  logToHost();
  cojsonInternals.setCoValueLoadingTimeout(LOAD_TIMEOUT_MS);
  cojsonInternals.setCoValueLoadingMaxRetries(0);
  Deno.core.setUnhandledPromiseRejectionHandler((_promise, reason) => {
    if (!isTold(reason)) console.error("a promise was rejected and nobody cared", reason);
    return true;
  });
  Deno.core.setReportExceptionCallback((error) => console.error("a callback threw", error));

  const handlers: Handlers = {};
  const begin = (more: Handlers) => {
    delete handlers.open;
    delete handlers.serve;
    Object.assign(handlers, more);
  };
  handlers.open = async (params) => {
    const client = await Client.open(params);
    begin(client.handlers);
    return { account: client.account, session: client.session };
  };
  handlers.serve = async (setting) => {
    begin(new Relay(setting).handlers);
    return {};
  };
  await serveHost(handlers);
}

declare global {
  var caro: {
    confine(): void;
    run(): Promise<void>;
    letGo(): void;
    newCrypto(): CaroCrypto;
    newTurns(...args: ConstructorParameters<typeof Turns>): Turns;
  };
}
globalThis.caro = { confine, run, letGo, newCrypto: () => new CaroCrypto(), newTurns: (...args) => new Turns(...args) };
