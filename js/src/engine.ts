/**
 * What is done to the engine itself as it starts and before it ends.
 */

/**
 * Takes away what the script has no use for: a compiler for another language, and memory to wait on,
 * which no limit could end. Not part of the snapshot, since an engine makes its own globals anew.
 */
export function confine(): void {
  for (const name of ["Atomics", "SharedArrayBuffer", "WebAssembly"]) Reflect.deleteProperty(globalThis, name);
}

/**
 * Cuts what QuickJS's binding never frees off from the heap, which it would keep whole: the prototypes of
 * ops (those of async ops: `ops.ts`) and of the methods of a stack's entries, which only an error
 * hands out, and the handles of the engine's modules, which inherit from what every object does.
 * Nothing can be run in the engine afterwards.
 */
export function letGo(): void {
  const cut = (method: unknown) => {
    const { prototype } = method as { prototype?: object };
    if (prototype) Reflect.deleteProperty(prototype, "constructor");
  };
  Object.values(Deno.core.ops).forEach(cut);
  let site: Record<string, unknown> = {};
  Error.prepareStackTrace = (_error, [first]) => {
    site = Object.getPrototypeOf(first);
  };
  void new Error().stack;
  for (const name of Object.getOwnPropertyNames(site)) cut(site[name]);
  for (const key of Reflect.ownKeys(Object.prototype)) Reflect.deleteProperty(Object.prototype, key);
}
