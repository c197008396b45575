/** `caro relay serve`, in memory, as a process that ends with this one. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const running = new Set();
process.on("exit", () => {
  for (const relay of running) relay.kill("SIGKILL");
});

/** Starts one on a free port; the port, and what ends it at once. */
export function startRelay() {
  const relay = spawn(process.env.CARO, ["relay", "serve", "--in-memory", "--listen", "127.0.0.1:0"], {
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
    createInterface({ input: relay.stdout }).once("line", (line) =>
      resolve({ port: Number(line.split(":").at(-1)), kill: () => relay.kill("SIGKILL") }),
    );
  });
}
