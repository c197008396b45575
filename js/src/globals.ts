/**
 * The web globals that the SDK expects, over the engine's own primitives and our ops.
 *
 * It must be the first import of the bundle: the SDK looks for `setImmediate` and `TextEncoder`
 * while its modules load. Nothing here may call one of our ops at load time, since the snapshot is
 * made before they exist; they are looked up when they are used.
 */

import { writeLine } from "./lines";

const core = Deno.core;

type Callback = (...args: unknown[]) => void;

/** Timers by the number handed to the script, so that `clearTimeout(id)` finds the engine's object. */
const timers = new Map<number, unknown>();
let nextTimer = 1;

function startTimer(callback: Callback, delay: number | undefined, args: unknown[], repeats: boolean): number {
  const id = nextTimer++;
  const run = (...given: unknown[]) => {
    if (!repeats) timers.delete(id);
    callback(...given);
  };
  timers.set(id, core.createTimer(run, delay, args, repeats, true, false));
  return id;
}

function stopTimer(id: number | undefined): void {
  if (id === undefined) return;
  const timer = timers.get(id);
  if (timer === undefined) return;
  timers.delete(id);
  core.cancelTimer(timer);
}

/** One queued callback in the shape that the engine's queue of immediates links and runs. */
class Immediate {
  _idleNext: Immediate | null = null;
  _idlePrev: Immediate | null = null;
  _destroyed = false;
  asyncId = 0;
  triggerAsyncId = 0;
  constructor(
    public _onImmediate: Callback | null,
    public _argv: unknown[],
  ) {}
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

/** Only UTF-8, as the Encoding standard says for encoders. */
class Utf8Encoder {
  readonly encoding = "utf-8";
  encode(text = ""): Uint8Array {
    return core.encode(text);
  }
  encodeInto(text: string, target: Uint8Array): { read: number; written: number } {
    const bytes = core.encode(text);
    if (bytes.length <= target.length) {
      target.set(bytes);
      return { read: text.length, written: bytes.length };
    }
    let written = 0;
    let read = 0;
    for (const character of text) {
      const encoded = core.encode(character);
      if (written + encoded.length > target.length) break;
      target.set(encoded, written);
      written += encoded.length;
      read += character.length;
    }
    return { read, written };
  }
}

/** Whether the bytes are these, with or without a byte-order mark before them. */
function isEncodedBy(bytes: Uint8Array, encoded: Uint8Array): boolean {
  const start = bytes.length - encoded.length;
  return (start === 0 || start === 3) && encoded.every((byte, index) => bytes[start + index] === byte);
}

/** Only whole UTF-8 inputs: the SDK never streams. */
class Utf8Decoder {
  readonly encoding = "utf-8";
  readonly fatal: boolean;
  constructor(label = "utf-8", options: { fatal?: boolean } = {}) {
    if (!/^utf-?8$/i.test(label)) throw new RangeError(`this decoder reads UTF-8 only, not ${label}`);
    this.fatal = options.fatal ?? false;
  }
  decode(input?: ArrayBuffer | ArrayBufferView): string {
    if (input === undefined) return "";
    const bytes = ArrayBuffer.isView(input)
      ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
      : new Uint8Array(input);
    const text = core.decode(bytes);
    // Where nothing had to be replaced, encoding gives the input back, but for a byte-order mark.
    if (this.fatal && text.includes("\uFFFD") && !isEncodedBy(bytes, core.encode(text))) {
      throw new TypeError("the input is not valid UTF-8");
    }
    return text;
  }
}

/** Log levels as `op_log` numbers them. */
const ERROR = 0;
const WARN = 1;
const INFO = 2;
const DEBUG = 3;

function inWords(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return value.stack ? `${value.message}\n${value.stack}` : String(value);
  try {
    return JSON.stringify(value, (_key, inner) => (inner instanceof Error ? inner.message : inner)) ?? String(value);
  } catch {
    return String(value);
  }
}

function logAt(level: number): Callback {
  return (...values) => writeLine(level, values.map(inWords).join(" "));
}

const globals: Record<string, unknown> = {
  TextEncoder: Utf8Encoder,
  TextDecoder: Utf8Decoder,
  setTimeout: (callback: Callback, delay?: number, ...args: unknown[]) => startTimer(callback, delay, args, false),
  setInterval: (callback: Callback, delay?: number, ...args: unknown[]) => startTimer(callback, delay, args, true),
  clearTimeout: stopTimer,
  clearInterval: stopTimer,
  setImmediate: (callback: Callback, ...args: unknown[]) => {
    const immediate = new Immediate(callback, args);
    // The engine keeps turning for what is marked so, and counts it down again when it has run.
    Object.assign(immediate, { [core.kRefed]: true });
    core.immediateRefCount(true);
    core.queueImmediate(immediate);
    return immediate;
  },
  clearImmediate: (immediate: Immediate | undefined) => {
    if (immediate) core.clearImmediate(immediate);
  },
  queueMicrotask: (callback: () => void) => void Promise.resolve().then(callback),
  performance: { now: () => core.ops.op_clock_monotonic() },
  crypto: {
    getRandomValues<T extends ArrayBufferView>(view: T): T {
      core.ops.op_crypto_random(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
      return view;
    },
  },
  console: {
    error: logAt(ERROR),
    warn: logAt(WARN),
    info: logAt(INFO),
    log: logAt(INFO),
    debug: logAt(DEBUG),
    trace: logAt(DEBUG),
  },
};
for (const [name, value] of Object.entries(globals)) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}

/** Whole numbers below this are exact, and one of them over it is a fraction with all its bits. */
const FRACTIONS = 2 ** 53;

// The engine's own generator is predictable, and its state would be part of the snapshot.
Math.random = () => {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return ((high >>> 11) * 2 ** 32 + low) / FRACTIONS;
};

// The clock has one seam, so that the host decides what time it is.
Date.now = () => Math.floor(core.ops.op_clock_now());

export {};
