//! What is not needed any more is given back: session maps, which live outside the engine's heap, when the script forgets
//! them, and a whole engine when it ends.

use caro::runtime::{Isolate, IsolateOptions, open_database};
use serde_json::json;

use super::bare::Bare;
use super::ops::in_a_process;

/// Makes session maps as the SDK does, and drops them. `caro.newCrypto` is the provider that it uses.
const MAKE_AND_DROP: &str = r#"
    const crypto = caro.newCrypto();
    const described = { createdAt: "2026-11-01T00:00:00.000Z", meta: null, ruleset: { type: "unsafeAllowAll" },
                        type: "comap", uniqueness: "z1" };
    const header = JSON.stringify(described);
    const id = "co_" + crypto.shortHash(described).slice("shortHash_".length);
    const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
    const make = () => crypto.createSessionMap(id, header);
    async function makeAndDrop(count) {
      for (let i = 0; i < count; i += 1) {
        const map = make();
        // A cycle, as the SDK's own objects have.
        const holder = { map }; holder.self = holder;
        if (i % 500 === 0) await turn();
      }
    }
    const live = (upTo) => {
      let count = 0;
      for (let handle = 0; handle < upTo; handle += 1) {
        try { Deno.core.ops.op_session_map_header(handle); count += 1; } catch {}
      }
      return count;
    };
"#;

#[test]
fn dropped_session_maps_are_freed_as_the_loop_turns() {
    let mut engine = Bare::boot();
    let left = engine.value(&format!(
        "{MAKE_AND_DROP}
         const kept = make();
         await makeAndDrop(10000);
         const end = performance.now() + 20000;
         // V8 collects when it must, and memory outside its heap does not press it.
         while (live(10001) > 100 && performance.now() < end) {{
           let garbage = []; for (let i = 0; i < 200000; i += 1) garbage.push({{ i }});
           await turn();
         }}
         return [live(10001), JSON.parse(kept.getHeader()).type];"
    ));
    assert!(left[0].as_u64().unwrap() <= 100, "{left}");
    assert_eq!(left[1], json!("comap"), "one that is in use was freed");
}

#[test]
fn a_freed_handle_is_not_reused_for_another_map() {
    let mut engine = Bare::boot();
    let outcome = engine.value(&format!(
        "{MAKE_AND_DROP}
         const {{ ops }} = Deno.core;
         const a = ops.op_session_map_new(id, header, 0, true);
         ops.op_session_map_free(a);
         ops.op_session_map_free(a);
         const b = ops.op_session_map_new(id, header, 0, true);
         let message; try {{ ops.op_session_map_known_state(a); }} catch (error) {{ message = error.message; }}
         return [a !== b, message, JSON.parse(ops.op_session_map_known_state(b)).id === id];"
    ));
    assert_eq!(outcome, json!([true, "that session map was freed", true]));
}

#[test]
fn memory_is_given_back_as_the_loop_turns() {
    let output = in_a_process("isolate::memory::process_that_makes_and_drops");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

#[test]
#[ignore = "run in a process of its own by the test above"]
fn process_that_makes_and_drops() {
    let mut engine = Bare::boot();
    let mut round = || {
        engine.value(&format!("{MAKE_AND_DROP} await makeAndDrop(20000); await turn(); return null;"));
        resident_kib() / 1024
    };
    let early = (0..3).map(|_| round()).max().unwrap();
    let late = (0..10).map(|_| round()).max().unwrap();
    assert!(late < early + 64, "grew from {early} MiB to {late} MiB");
}

#[test]
fn an_engine_that_was_closed_gives_its_memory_back() {
    let output = in_a_process("isolate::memory::process_that_opens_and_drops");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

/// A daemon opens a new engine whenever its machine slept or its relay was away.
#[test]
#[ignore = "run in a process of its own by the test above"]
#[allow(clippy::print_stdout)]
fn process_that_opens_and_drops() {
    let open_and_drop = || {
        let database = open_database(None).unwrap();
        drop(
            Isolate::start(IsolateOptions { store: Box::new(database), dialer: None, memory_limit: 256 << 20 })
                .unwrap(),
        );
    };
    (0..10).for_each(|_| open_and_drop());
    let before = resident_kib();
    (0..40).for_each(|_| open_and_drop());
    let each = resident_kib().saturating_sub(before) / 40;
    println!("{each} KiB are left of each");
    // Something is: the binding's own tables. A heap would be more than a megabyte.
    assert!(each < 500, "{each} KiB are left of each");
}

/// Memory of this process, KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
