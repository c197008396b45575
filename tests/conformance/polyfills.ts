/**
 * Web and Node globals that the suite uses and the product's isolate deliberately lacks. Test-only, and
 * only as much of each as the suite and its test library touch.
 *
 * The product's own globals (timers, encoders, console, clock) are under test here and never replaced.
 */

type Listener = ((event: TestEvent) => void) | { handleEvent(event: TestEvent): void };
type ListenerOptions = boolean | { once?: boolean; capture?: boolean } | undefined;

class TestEvent {
  target: unknown = null;
  defaultPrevented = false;
  constructor(readonly type: string) {}
  preventDefault(): void {
    this.defaultPrevented = true;
  }
}

class TestMessageEvent extends TestEvent {
  readonly data: unknown;
  readonly ports: readonly TestMessagePort[];
  constructor(type: string, init: { data?: unknown; ports?: readonly TestMessagePort[] } = {}) {
    super(type);
    this.data = init.data;
    this.ports = init.ports ?? [];
  }
}

class TestEventTarget {
  private readonly listeners = new Map<string, { listener: Listener; once: boolean }[]>();

  addEventListener(type: string, listener: Listener | null, options?: ListenerOptions): void {
    if (!listener) return;
    const list = this.listeners.get(type) ?? [];
    if (list.some((known) => known.listener === listener)) return;
    list.push({ listener, once: typeof options === "object" && options.once === true });
    this.listeners.set(type, list);
  }

  removeEventListener(type: string, listener: Listener | null): void {
    const list = this.listeners.get(type);
    if (list) this.listeners.set(type, list.filter((known) => known.listener !== listener));
  }

  dispatchEvent(event: TestEvent): boolean {
    event.target = this;
    for (const { listener, once } of [...(this.listeners.get(event.type) ?? [])]) {
      if (once) this.removeEventListener(event.type, listener);
      if (typeof listener === "function") listener.call(this, event);
      else listener.handleEvent(event);
    }
    return !event.defaultPrevented;
  }
}

class TestAbortSignal extends TestEventTarget {
  aborted = false;
  reason: unknown = undefined;
  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }
}

class TestAbortController {
  readonly signal = new TestAbortSignal();
  abort(reason: unknown = Object.assign(new Error("This operation was aborted"), { name: "AbortError" })): void {
    if (this.signal.aborted) return;
    this.signal.aborted = true;
    this.signal.reason = reason;
    this.signal.dispatchEvent(new TestEvent("abort"));
  }
}

/** Copies plain data; keeps shared references and cycles, refuses code. */
function clone<T>(value: T, transferred: readonly unknown[] = [], seen = new Map<unknown, unknown>()): T {
  if (typeof value === "function" || typeof value === "symbol") {
    throw Object.assign(new Error(`${String(value)} could not be cloned.`), { name: "DataCloneError" });
  }
  if (typeof value !== "object" || value === null || transferred.includes(value)) return value;
  const known = seen.get(value);
  if (known) return known as T;
  const remember = <C>(copy: C): C => {
    seen.set(value, copy);
    return copy;
  };
  if (value instanceof Date) return remember(new Date(value.getTime())) as T;
  if (value instanceof Uint8Array) return remember(value.slice()) as T;
  if (value instanceof Map) {
    const copy = remember(new Map());
    for (const [key, inner] of value) copy.set(clone(key, transferred, seen), clone(inner, transferred, seen));
    return copy as T;
  }
  if (value instanceof Set) {
    const copy = remember(new Set());
    for (const inner of value) copy.add(clone(inner, transferred, seen));
    return copy as T;
  }
  const copy = remember(Array.isArray(value) ? [] : {}) as Record<string, unknown>;
  for (const [key, inner] of Object.entries(value)) copy[key] = clone(inner, transferred, seen);
  return copy as T;
}

/** One end of a channel: messages arrive in order, each in a macrotask of its own, once it is started. */
class TestMessagePort extends TestEventTarget {
  private other: TestMessagePort | undefined;
  private started = false;
  private closed = false;
  private waiting: TestEvent[] = [];

  static pair(): [TestMessagePort, TestMessagePort] {
    const one = new TestMessagePort();
    const two = new TestMessagePort();
    one.other = two;
    two.other = one;
    return [one, two];
  }

  override addEventListener(type: string, listener: Listener | null, options?: ListenerOptions): void {
    super.addEventListener(type, listener, options);
    // As in Node, and unlike a browser, a listener for messages starts the port.
    if (type === "message") this.start();
  }

  postMessage(message: unknown, transfer: readonly unknown[] = []): void {
    const ports = transfer.filter((item): item is TestMessagePort => item instanceof TestMessagePort);
    if (this.closed) return;
    this.other?.deliver(new TestMessageEvent("message", { data: clone(message, transfer), ports }));
  }

  start(): void {
    if (this.started) return;
    this.started = true;
    for (const event of this.waiting.splice(0)) this.deliver(event);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const other = this.other;
    setImmediate(() => {
      this.dispatchEvent(new TestEvent("close"));
      other?.close();
    });
  }

  private deliver(event: TestEvent): void {
    if (this.closed) return;
    if (!this.started) {
      this.waiting.push(event);
      return;
    }
    setImmediate(() => {
      if (!this.closed) this.dispatchEvent(event);
    });
  }
}

class TestMessageChannel {
  readonly port1: TestMessagePort;
  readonly port2: TestMessagePort;
  constructor() {
    [this.port1, this.port2] = TestMessagePort.pair();
  }
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The suite makes filler with `Buffer.alloc(size, text).toString("base64")` and nothing else. */
class TestBuffer extends Uint8Array {
  static alloc(size: number, fill = ""): TestBuffer {
    const buffer = new TestBuffer(size);
    const bytes = Deno.core.encode(fill);
    if (bytes.length > 0) for (let index = 0; index < size; index += 1) buffer[index] = bytes[index % bytes.length]!;
    return buffer;
  }

  override toString(encoding?: string): string {
    if (encoding !== "base64") throw new RangeError(`this Buffer writes base64 only, not ${encoding}`);
    let text = "";
    for (let index = 0; index < this.length; index += 3) {
      const left = this.length - index;
      const group = (this[index]! << 16) | ((this[index + 1] ?? 0) << 8) | (this[index + 2] ?? 0);
      text += ALPHABET[group >> 18]! + ALPHABET[(group >> 12) & 63]!;
      text += (left > 1 ? ALPHABET[(group >> 6) & 63]! : "=") + (left > 2 ? ALPHABET[group & 63]! : "=");
    }
    return text;
  }
}

const additions: Record<string, unknown> = {
  Event: TestEvent,
  EventTarget: TestEventTarget,
  MessageEvent: TestMessageEvent,
  MessagePort: TestMessagePort,
  MessageChannel: TestMessageChannel,
  AbortSignal: TestAbortSignal,
  AbortController: TestAbortController,
  Buffer: TestBuffer,
  structuredClone: clone,
};
for (const [name, value] of Object.entries(additions)) {
  if (name in globalThis) continue;
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}

if (!("timeOrigin" in performance)) {
  Object.defineProperty(performance, "timeOrigin", { value: Date.now() - performance.now(), configurable: true });
}

Promise.withResolvers ??= function withResolvers<T>() {
  let resolve!: (value: T | PromiseLike<T>) => void;
  let reject!: (reason?: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
};

export {};
