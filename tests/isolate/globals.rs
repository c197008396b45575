//! The globals that the SDK finds: randomness, text, timers.

use serde_json::json;

use super::bare::Bare;

#[test]
fn randomness_is_different_at_each_boot() {
    let drawn = || {
        Bare::boot().value(
            "const bytes = crypto.getRandomValues(new Uint8Array(32));
             return [[...bytes].join(), Math.random(), Math.random()];",
        )
    };
    let (a, b) = (drawn(), drawn());
    for index in 0..3 {
        assert_ne!(a[index], b[index], "the snapshot holds the state of a generator");
    }
    assert_ne!(a[1], a[2]);
}

/// The engines' own generator and clock must not come back when the snapshot is restored.
#[test]
fn every_global_is_ours_and_none_the_engines() {
    let mut engine = Bare::boot();
    let native = engine.value(
        "const globals = { 'Math.random': Math.random, 'Date.now': Date.now };
         for (const name of ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'setImmediate', 'clearImmediate',
                             'queueMicrotask', 'TextEncoder', 'TextDecoder']) globals[name] = globalThis[name];
         for (const name of ['error', 'warn', 'info', 'log', 'debug', 'trace']) globals[`console.${name}`] = console[name];
         globals.getRandomValues = crypto.getRandomValues;
         globals.now = performance.now;
         return Object.keys(globals).filter((name) => String(globals[name]).includes('[native code]'));",
    );
    assert_eq!(native, json!([]));
}

#[test]
fn get_random_values_fills_exactly_the_view_it_is_given() {
    let mut engine = Bare::boot();
    let parts = engine.value(
        "const all = new Uint8Array(300);
         const view = new DataView(all.buffer, 100, 100);
         const same = crypto.getRandomValues(view) === view;
         const filled = (from, to) => all.subarray(from, to).some((byte) => byte !== 0);
         return [same, filled(0, 100), filled(100, 200), filled(200, 300)];",
    );
    assert_eq!(parts, json!([true, false, true, false]));
}

#[test]
fn math_random_is_uniform_enough_and_below_one() {
    let mut engine = Bare::boot();
    let share = engine.value(
        "const draws = Array.from({ length: 4000 }, () => Math.random());
         if (draws.some((d) => !(d >= 0 && d < 1))) throw new Error('out of range');
         return draws.filter((d) => d < 0.5).length;",
    );
    // Twelve standard deviations around one half.
    assert!((1600..=2400).contains(&share.as_u64().unwrap()), "{share}");
}

#[test]
fn text_encoder_is_that_of_the_standard() {
    let mut engine = Bare::boot();
    let encoded = engine.value(
        r"const bytes = (text) => [...new TextEncoder().encode(text)];
          return [bytes(), bytes('aé€😀'), bytes('\ud800'), bytes('a\udc00b'), bytes('\0')];",
    );
    assert_eq!(
        encoded,
        json!([
            [],
            [0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80],
            [0xef, 0xbf, 0xbd],
            [0x61, 0xef, 0xbf, 0xbd, 0x62],
            [0],
        ])
    );
}

#[test]
fn encode_into_never_cuts_a_character() {
    let mut engine = Bare::boot();
    let written = engine.value(
        r"const into = (text, length) => {
            const target = new Uint8Array(length);
            const { read, written } = new TextEncoder().encodeInto(text, target);
            return [read, written, [...target]];
          };
          return [into('aé😀', 7), into('aé😀', 6), into('aé😀', 2), into('😀', 3), into('x\ud800', 3), into('ab', 4)];",
    );
    assert_eq!(
        written,
        json!([
            [4, 7, [0x61, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80]],
            [2, 3, [0x61, 0xc3, 0xa9, 0, 0, 0]],
            [1, 1, [0x61, 0]],
            [0, 0, [0, 0, 0]],
            [1, 1, [0x78, 0, 0]],
            [2, 2, [0x61, 0x62, 0, 0]],
        ])
    );
}

#[test]
fn text_decoder_replaces_or_throws_as_it_is_told() {
    let mut engine = Bare::boot();
    let decoded = engine.value(
        r"const loose = (bytes) => new TextDecoder().decode(new Uint8Array(bytes));
          const strict = (bytes) => {
            try { return new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(bytes)); }
            catch (error) { return error.constructor.name; }
          };
          const view = new Uint8Array([0x61, 0x62, 0x63, 0x64]).subarray(1, 3);
          let label; try { new TextDecoder('latin1'); } catch (error) { label = error.constructor.name; }
          return [
            loose([0xf0, 0x9f, 0x98, 0x80]), loose([0x61, 0xff, 0x62]), loose([0xed, 0xa0, 0x80]).length > 0,
            loose([0xef, 0xbb, 0xbf, 0x61]), new TextDecoder().decode(view), new TextDecoder().decode(),
            new TextDecoder().decode(view.buffer),
            strict([0x61, 0xff, 0x62]), strict([0xef, 0xbf, 0xbd]), strict([0xef, 0xbb, 0xbf, 0xef, 0xbf, 0xbd]), label,
          ];",
    );
    assert_eq!(
        decoded,
        json!(["😀", "a\u{fffd}b", true, "a", "bc", "", "abcd", "TypeError", "\u{fffd}", "\u{fffd}", "RangeError"])
    );
}

#[test]
fn every_text_survives_encoder_and_decoder() {
    let mut engine = Bare::boot();
    let differ = engine.value(
        "const differ = [];
         for (let code = 0; code <= 0x10ffff; code += 37) {
           if (code >= 0xd800 && code < 0xe000) continue;
           const text = 'x' + String.fromCodePoint(code) + 'y';
           if (new TextDecoder().decode(new TextEncoder().encode(text)) !== text) differ.push(code);
         }
         return differ;",
    );
    assert_eq!(differ, json!([]));
}

#[test]
fn timers_run_in_the_order_of_their_times_with_their_arguments() {
    let mut engine = Bare::boot();
    let order = engine.value(
        "const order = [];
         const note = (...what) => order.push(what.join('-'));
         setTimeout(note, 30, 'late', 1);
         setTimeout(note, 1, 'first');
         setTimeout(note, 1, 'second');
         const never = setTimeout(note, 5, 'never');
         clearTimeout(never);
         clearTimeout(undefined);
         clearTimeout(123456);
         queueMicrotask(() => note('microtask'));
         note('now');
         await new Promise((resolve) => setTimeout(resolve, 60));
         return order;",
    );
    assert_eq!(order, json!(["now", "microtask", "first", "second", "late-1"]));
}

#[test]
fn an_interval_repeats_until_it_is_cleared_also_from_inside() {
    let mut engine = Bare::boot();
    let counts = engine.value(
        "let inside = 0, outside = 0;
         const id = setInterval(() => { if (++inside === 3) clearInterval(id); }, 1);
         const other = setInterval(() => { outside += 1; }, 1);
         while (inside < 3 || outside < 3) await new Promise((resolve) => setTimeout(resolve, 1));
         clearInterval(other);
         const then = [inside, outside];
         await new Promise((resolve) => setTimeout(resolve, 20));
         return [inside === then[0], outside === then[1], inside];",
    );
    assert_eq!(counts, json!([true, true, 3]));
}

#[test]
fn an_immediate_is_a_macrotask_of_its_own() {
    let mut engine = Bare::boot();
    let order = engine.value(
        "const order = [];
         setImmediate((word) => { order.push(word); Promise.resolve().then(() => order.push('its microtask')); }, 'one');
         setImmediate(() => order.push('two'));
         clearImmediate(setImmediate(() => order.push('never')));
         clearImmediate(undefined);
         for (let i = 0; i < 3; i += 1) await Promise.resolve().then(() => order.push('before'));
         await new Promise((resolve) => setImmediate(resolve));
         return order;",
    );
    assert_eq!(order, json!(["before", "before", "before", "one", "its microtask", "two"]));
}

#[test]
fn a_chain_of_immediates_does_not_starve_timers() {
    let mut engine = Bare::boot();
    let fired = engine.value(
        "let fired = false, turns = 0;
         setTimeout(() => { fired = true; }, 5);
         while (!fired && turns < 1e7) { turns += 1; await new Promise((resolve) => setImmediate(resolve)); }
         return [fired, turns > 1];",
    );
    assert_eq!(fired, json!([true, true]));
}

#[test]
fn the_clocks_are_the_hosts_and_run() {
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let mut engine = Bare::boot();
    let times = engine.value(
        "const [wall, steady] = [Date.now(), performance.now()];
         await new Promise((resolve) => setTimeout(resolve, 10));
         return [wall, new Date().getTime(), performance.now() - steady];",
    );
    let near = |value: &serde_json::Value| value.as_f64().unwrap() - before as f64;
    assert!((0.0..60_000.0).contains(&near(&times[0])), "{times}");
    assert!((0.0..60_000.0).contains(&near(&times[1])), "new Date() must not be that of the snapshot: {times}");
    assert!(times[2].as_f64().unwrap() >= 9.0, "{times}");
}
