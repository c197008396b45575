/** Takes the host's requests, one after another as they come, and answers each when it is done. */

import { Failure, type Handlers, type Method } from "./protocol";

const ops = () => Deno.core.ops;

async function answer(handlers: Handlers, text: string): Promise<void> {
  const { id, method, params } = JSON.parse(text) as { id: number; method: Method; params: never };
  const handler = handlers[method];
  try {
    if (!handler) throw new Failure("misuse", `there is no request called ${method}`);
    const result = await handler(params);
    ops().op_host_reply(JSON.stringify({ id, result }));
  } catch (error) {
    const code = error instanceof Failure ? error.code : "failed";
    const message = error instanceof Error ? error.message : String(error);
    if (code === "failed") console.error(`request ${method} failed`, error);
    ops().op_host_reply(JSON.stringify({ id, error: { code, message } }));
  }
}

export async function serveHost(handlers: Handlers): Promise<void> {
  for (;;) {
    const text = await ops().op_host_receive();
    if (text === null) return;
    void answer(handlers, text);
  }
}
