/**
 * The part of `vitest` that the suite imports, over vitest's own libraries: its runner collects and
 * runs, its matchers compare, its spies spy. What is here is the glue that vitest keeps in its
 * Node-only package: `expect` bound to the running test, inline snapshots, `vi`.
 *
 * The suite is pinned, so this covers what it uses and no more; a name it imports that is not
 * exported here fails the bundle.
 */

import {
  ASYMMETRIC_MATCHERS_OBJECT,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  customMatchers,
  getState,
  setState,
} from "@vitest/expect";
import { format } from "@vitest/pretty-format";
import { getCurrentTest } from "@vitest/runner";
import { getSerializers, stripSnapshotIndentation } from "@vitest/snapshot";
import { fn, mocks, spyOn } from "@vitest/spy";
import { setSafeTimers } from "@vitest/utils";
import FakeTimers from "@sinonjs/fake-timers";
import * as chai from "chai";

export { afterAll, afterEach, beforeAll, beforeEach, describe, it, onTestFailed, onTestFinished, suite, test } from "@vitest/runner";

// The runner keeps its own time by these, whatever a test does to the globals.
setSafeTimers();

// --- expect -----------------------------------------------------------------------------------------

/** The text that vitest writes into a file for a value. */
function snapshotText(value: unknown): string {
  const text = format(value, {
    escapeRegex: true,
    escapeString: false,
    indent: 2,
    printBasicPrototype: false,
    printFunctionName: false,
    plugins: getSerializers(),
  });
  return text.replace(/\r\n?/g, "\n").trim();
}

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);
chai.use((library, utils) => {
  utils.addMethod(library.Assertion.prototype, "toMatchInlineSnapshot", function (this: object, snapshot?: string) {
    if (snapshot === undefined) throw new Error("toMatchInlineSnapshot has no snapshot to compare with");
    if (utils.flag(this, "negate")) throw new Error("toMatchInlineSnapshot cannot be used with not");
    const actual = snapshotText(utils.flag(this, "object"));
    const expected = stripSnapshotIndentation(snapshot).trim();
    if (actual !== expected) {
      throw Object.assign(new Error("the value does not match its inline snapshot"), { actual, expected });
    }
  });
});
chai.config.truncateThreshold = 0;

type Expect = {
  (value: unknown, message?: string): Chai.Assertion;
  [extra: string]: unknown;
};

function expectValue(value: unknown, message?: string): Chai.Assertion {
  const { assertionCalls } = getState(expect as never) as { assertionCalls: number };
  setState({ assertionCalls: assertionCalls + 1 }, expect as never);
  const assertion = chai.expect(value, message) as Chai.Assertion & { withTest(test: unknown): Chai.Assertion };
  const running = getCurrentTest();
  return running ? assertion.withTest(running) : assertion;
}

/** Of what vitest adds: the asymmetric matchers (`expect.any` and the like), and what its libraries ask for. */
export const expect = Object.assign(
  expectValue,
  chai.expect as object,
  (globalThis as never)[ASYMMETRIC_MATCHERS_OBJECT] as object,
) as Expect;
expect.getState = () => getState(expect as never);
expect.extend = (matchers: unknown) => (chai.expect as never as { extend(...args: unknown[]): void }).extend(expect, matchers);
Object.defineProperty(globalThis, GLOBAL_EXPECT, { value: expect, writable: true, configurable: true });
(expect.extend as (matchers: unknown) => void)(customMatchers);

/** Clears what `expect` counted, before a test is tried. */
export function startExpecting(testName: string, testPath: string): void {
  setState(
    {
      assertionCalls: 0,
      isExpectingAssertions: false,
      isExpectingAssertionsError: null,
      expectedAssertionsNumber: null,
      expectedAssertionsNumberErrorGen: null,
      currentTestName: testName,
      testPath,
    } as never,
    expect as never,
  );
}
startExpecting("", "");

export const assert = chai.assert;

// --- vi ---------------------------------------------------------------------------------------------

const fakeable = FakeTimers.withGlobal(globalThis);
let clock: FakeTimers.InstalledClock | undefined;
const stubbed = new Map<PropertyKey, PropertyDescriptor | undefined>();

function runningClock(): FakeTimers.InstalledClock {
  if (!clock) throw new Error("timers are real: call vi.useFakeTimers() first");
  return clock;
}

export const vi = {
  fn,
  spyOn,
  resetAllMocks() {
    for (const spy of [...mocks].reverse()) spy.mockReset();
    return vi;
  },
  restoreAllMocks() {
    for (const spy of [...mocks].reverse()) spy.mockRestore();
    return vi;
  },

  /** Every timer, `Date` and `performance`, but no microtasks: a promise resolves as always. */
  useFakeTimers() {
    if (clock) return vi;
    const toFake = Object.keys(fakeable.timers).filter((name) => name !== "nextTick" && name !== "queueMicrotask");
    clock = fakeable.install({
      now: Date.now(),
      loopLimit: 10_000,
      shouldClearNativeTimers: true,
      toFake: toFake as FakeTimers.FakeMethod[],
    });
    return vi;
  },
  useRealTimers() {
    clock?.uninstall();
    clock = undefined;
    return vi;
  },
  clearAllTimers() {
    clock?.reset();
    return vi;
  },
  async advanceTimersByTimeAsync(milliseconds: number) {
    await runningClock().tickAsync(milliseconds);
    return vi;
  },
  async runAllTimersAsync() {
    await runningClock().runAllAsync();
    return vi;
  },

  stubGlobal(name: PropertyKey, value: unknown) {
    if (!stubbed.has(name)) stubbed.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true });
    return vi;
  },
  unstubAllGlobals() {
    for (const [name, original] of stubbed) {
      if (original) Object.defineProperty(globalThis, name, original);
      else Reflect.deleteProperty(globalThis, name);
    }
    stubbed.clear();
    return vi;
  },
};
