//! What the script can reach: a fixed list of ops, and nothing behind the engine's back.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::bare::Bare;

/// Every op that the script can see, one a line; an op of the engine that is switched off says so.
const ALL_OPS: &str = include_str!("ops.txt");

fn source(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn strings(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// The ops that `js/ops.d.ts` declares.
fn declared() -> BTreeSet<String> {
    let text = source("js/ops.d.ts");
    let methods = text.lines().filter_map(|line| line.trim().split_once('('));
    let declared: BTreeSet<String> =
        methods.map(|(name, _)| name.to_owned()).filter(|name| name.starts_with("op_")).collect();
    assert!(declared.len() > 40, "the declarations were not understood: {declared:?}");
    declared
}

/// The lines of the checked-in list: name, and whether it is switched off.
fn listed() -> Vec<(&'static str, bool)> {
    let lines = ALL_OPS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.strip_suffix(" off").map_or((line, false), |name| (name, true))).collect()
}

#[test]
fn the_ops_are_those_on_the_checked_in_list_and_no_others() {
    let found = strings(&Bare::boot().value("return Object.getOwnPropertyNames(Deno.core.ops)"));
    let expected: BTreeSet<String> = listed().into_iter().map(|(name, _)| name.to_owned()).collect();
    let new: Vec<_> = found.difference(&expected).collect();
    let gone: Vec<_> = expected.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "review what a new op can reach, switch it off in src/runtime/ops/mod.rs unless it is needed, and \
         write it into tests/isolate/ops.txt: new {new:?}, gone {gone:?}"
    );
}

#[test]
fn the_ops_of_ours_are_those_that_the_script_has_types_for() {
    let ours: BTreeSet<String> =
        ["op_clock_", "op_crypto_", "op_host_", "op_log", "op_session_map_", "op_socket_", "op_sql_"]
            .iter()
            .flat_map(|prefix| listed().into_iter().filter(move |(name, _)| name.starts_with(prefix)))
            .map(|(name, _)| name.to_owned())
            .collect();
    assert_eq!(ours, declared());
}

#[test]
fn an_op_that_is_switched_off_throws_whatever_it_is_given() {
    let off: Vec<&str> = listed().into_iter().filter(|(_, off)| *off).map(|(name, _)| name).collect();
    assert!(off.len() > 20, "{off:?}");
    let mut engine = Bare::boot();
    let alive = engine.value(&format!(
        "const alive = [];
         for (const name of {}) {{
           for (const args of [[], ['x'], ['x', false], [0], [0, new Uint8Array(8)], [Symbol()], [{{}}, []]]) {{
             try {{ await Deno.core.ops[name](...args); alive.push(name); }}
             catch (error) {{ if (error.message !== 'op is disabled') alive.push(name + ': ' + error.message); }}
           }}
         }}
         return alive;",
        json!(off)
    ));
    assert_eq!(alive, json!([]));
}

/// Runs one of the tests below that are ignored otherwise in a process of its own.
pub fn in_a_process(test: &str) -> std::process::Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads", "1"]);
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("running 1 test"), "there is no test {test}: {stdout}");
    output
}

#[test]
fn the_script_cannot_write_to_the_terminal_nor_end_the_process() {
    let output = in_a_process("isolate::ops::process_that_prints_and_panics");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("CANARY"), "{said}");
    assert!(said.contains("it got to the end"), "{said}");
}

#[test]
#[ignore = "run in a process of its own by the test above"]
#[allow(clippy::print_stdout)]
fn process_that_prints_and_panics() {
    let mut engine = Bare::boot();
    let ended = engine.run(
        "const { core } = Deno;
         const tries = [
           () => core.print('CANARY', false), () => core.print('CANARY', true),
           () => core.ops.op_print('CANARY', false), () => core.ops.op_print('CANARY', true),
           () => console.log('CANARY'), () => console.error('CANARY'), () => console.trace('CANARY'),
           () => core.ops.op_panic('CANARY'), () => core.writeSync(1, new TextEncoder().encode('CANARY')),
           () => core.writeAll(2, new TextEncoder().encode('CANARY')),
         ];
         // Often enough for a compiler that replaces hot calls by direct ones.
         for (let i = 0; i < 20000; i += 1) for (const attempt of tries) { try { await attempt(); } catch {} }
         return 'end';",
    );
    assert_eq!(ended, Ok(json!("end")));
    println!("it got to the end");
}

#[test]
fn no_module_is_loaded_from_anywhere() {
    let file = tempfile::NamedTempFile::with_suffix(".js").unwrap();
    std::fs::write(file.path(), "export default 1").unwrap();
    let mut engine = Bare::boot();
    let loaded = engine.value(&format!(
        "const loaded = [];
         for (const from of ['file://{}', 'data:text/javascript,export default 1', 'node:fs', 'npm:cojson',
                             'ext:core/ops', 'ext:core/mod.js', 'https://localhost/x.js', './x.js']) {{
           try {{ await import(from); loaded.push(from); }} catch (error) {{ if (!(error instanceof Error)) loaded.push(String(error)); }}
         }}
         return loaded;",
        file.path().display()
    ));
    assert_eq!(loaded, json!([]));
}

#[test]
fn nothing_global_reaches_the_machine() {
    let mut engine = Bare::boot();
    let there = engine.value(
        "const names = ['process', 'require', 'module', 'Buffer', 'fetch', 'XMLHttpRequest', 'WebSocket', 'EventSource',
           'Worker', 'navigator', 'localStorage', 'indexedDB', 'std', 'os', 'bjson', 'print', 'load', 'read', 'scriptArgs',
           'importScripts', 'Bun', 'WebAssembly', 'SharedArrayBuffer', 'Atomics', 'alert', 'd8', 'version', 'quit'];
         const there = names.filter((name) => name in globalThis);
         const deno = Object.keys(Deno).filter((name) => name !== 'core');
         const indirect = (0, eval)('typeof process + typeof require + typeof Deno.env + typeof Deno.readFile');
         const made = new Function('return typeof process + typeof Deno.Command')();
         return [there, deno, indirect, made];",
    );
    assert_eq!(there, json!([[], [], "undefinedundefinedundefinedundefined", "undefinedundefined"]));
}

#[test]
fn sql_reaches_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE secret (x); INSERT INTO secret VALUES (1)")
        .unwrap();
    let copy = folder.path().join("copy.db");
    let mut engine = Bare::boot();
    let worked = engine.value(&format!(
        "const worked = [];
         for (const sql of [\"ATTACH DATABASE '{other}' AS o\", \"/* x */ attach '{other}' as o\", \"VACUUM INTO '{copy}'\",
                            \"SELECT load_extension('{other}')\", \"SELECT readfile('{other}')\", \"SELECT writefile('{copy}', 'x')\"]) {{
           for (const op of ['op_sql_run', 'op_sql_query']) {{
             try {{ Deno.core.ops[op](sql, []); worked.push(sql); }} catch {{}}
           }}
         }}
         return worked;",
        other = other.display(),
        copy = copy.display()
    ));
    assert_eq!(worked, json!([]));
    assert!(!copy.exists());
}

#[test]
fn without_a_relay_nothing_can_be_dialled() {
    let refused = Bare::boot().run("await Deno.core.ops.op_socket_connect()").unwrap_err();
    assert!(refused.contains("no relay is configured"), "{refused}");
}

#[test]
fn handles_that_were_never_given_are_errors_or_nothing() {
    let mut engine = Bare::boot();
    let outcome = engine.value(
        "const { ops } = Deno.core;
         ops.op_socket_send(77, 'x');
         ops.op_socket_close(77);
         ops.op_session_map_free(77);
         ops.op_host_event('{}');
         ops.op_host_reply('nonsense');
         let message; try { ops.op_session_map_header(77); } catch (error) { message = error.message; }
         ops.op_socket_await(77);
         const ended = [await ops.op_socket_arrivals(), ops.op_socket_take(77), await ops.op_socket_receive(77)];
         return [ops.op_socket_buffered(77), ...ended, message, await ops.op_host_receive()];",
    );
    assert_eq!(outcome, json!([0, [77], null, null, "that session map was freed", null]));
}

/// Objects of the engine's garbage-collected kind are never freed by QuickJS.
#[test]
fn every_op_is_a_plain_function() {
    let strange = Bare::boot().value(
        "const methods = (op) => Object.getOwnPropertyNames(op.prototype ?? {}).filter((name) => name !== 'constructor');
         return Object.entries(Deno.core.ops).filter(([, op]) => typeof op !== 'function' || methods(op).length > 0)
           .map(([name]) => name);",
    );
    assert_eq!(strange, json!([]));
}
