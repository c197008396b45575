/**
 * What the isolate offers besides ECMAScript: the engine's own primitives that `src/globals.ts`
 * builds on, and the globals that it defines.
 */
declare namespace Deno {
  const core: {
    /** Ours, and the engine's own that says how large its heap is. */
    ops: CaroOps & { op_memory_usage(): { heapUsed: number } };
    encode(text: string): Uint8Array;
    decode(bytes: Uint8Array): string;
    createTimer(
      callback: (...args: unknown[]) => void,
      delay: number | undefined,
      args: unknown[] | undefined,
      repeats: boolean,
      keepsAlive: boolean,
      system: boolean,
    ): unknown;
    cancelTimer(timer: unknown): void;
    queueImmediate(immediate: object): void;
    clearImmediate(immediate: object): void;
    immediateRefCount(increase: boolean): void;
    readonly kRefed: symbol;
    /** What a script calls for an async op, made from the op itself. */
    setUpAsyncStub(name: string, op: object, ...rest: unknown[]): unknown;
    setUnhandledPromiseRejectionHandler(handler: (promise: Promise<unknown>, reason: unknown) => boolean): void;
    setReportExceptionCallback(report: (error: unknown) => void): void;
  };
}

declare function setTimeout(callback: (...args: any[]) => void, delay?: number, ...args: unknown[]): number;
declare function setInterval(callback: (...args: any[]) => void, delay?: number, ...args: unknown[]): number;
declare function clearTimeout(id: number | undefined): void;
declare function clearInterval(id: number | undefined): void;
declare function setImmediate(callback: (...args: any[]) => void, ...args: unknown[]): object;
declare function queueMicrotask(callback: () => void): void;
declare const performance: { now(): number };
declare const crypto: { getRandomValues<T extends ArrayBufferView>(view: T): T };
declare const console: Record<"error" | "warn" | "info" | "log" | "debug" | "trace", (...values: unknown[]) => void>;

/** The engine's hook that turns an error's frames into its `stack`. */
interface ErrorConstructor {
  prepareStackTrace?: (error: unknown, frames: object[]) => unknown;
}
