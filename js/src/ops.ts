/**
 * Lets go of what would keep a whole engine in memory after it has been closed.
 *
 * QuickJS's binding never frees the prototype that it makes for each op, and that prototype's
 * `constructor` leads to everything. The host cuts this link for what it finds on `Deno.core.ops`
 * before it closes an engine (`src/runtime/boot.rs`); an async op is hidden behind a wrapper there,
 * so it is cut here, when the wrapper is made at each boot. V8 gives ops no prototype.
 */

const core = Deno.core;

// The engine's own object is frozen.
Object.assign(Deno, {
  core: Object.freeze({
    ...core,
    setUpAsyncStub(name: string, op: { prototype?: { constructor?: unknown } }, ...rest: unknown[]): unknown {
      delete op.prototype?.constructor;
      return core.setUpAsyncStub(name, op, ...rest);
    },
  }),
});
