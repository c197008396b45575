// Starts the released `jazz-run sync` 0.15.10, a relay nobody here wrote, and says on which port it listens.
//
//   node jazz-run.mjs (--db FILE | --in-memory)
//
// Prints {"port":N}; ends on SIGTERM or end of stdin. jazz-run runs in this process, so ending it ends the relay.
// It can neither report a port nor be told an address: it is given port 0, which the system turns into a free one,
// and `listen` is narrowed to the loopback interface and asked for the result. Its sync code runs as released; only
// its SQLite binding, which has no prebuilt file on the registry, is replaced by libsql, which has the same interface.

import { Server } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { importFile, INTEROP_DIR } from "./locate.mjs";

const { values: options } = parseArgs({
  options: { db: { type: "string" }, "in-memory": { type: "boolean", default: false } },
});
if (Boolean(options.db) === options["in-memory"]) {
  console.error("say either --db FILE or --in-memory");
  process.exit(2);
}

console.log = console.info = console.error;

const listen = Server.prototype.listen;
Server.prototype.listen = function (port) {
  this.once("listening", () => process.stdout.write(JSON.stringify({ port: this.address().port }) + "\n"));
  return listen.call(this, port, "127.0.0.1");
};

for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
process.stdin.on("end", () => process.exit(0)).on("error", () => process.exit(0)).resume();

const storage = options["in-memory"] ? ["--in-memory"] : ["--db", options.db];
process.argv = [process.execPath, "jazz-run", "sync", "--port", "0", ...storage];
await importFile(join(INTEROP_DIR, "jazz-run"), "jazz-run", "dist", "index.js");
