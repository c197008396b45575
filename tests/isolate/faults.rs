//! Whatever goes wrong in the script is an error of the one who asked; the process lives on.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use caro::runtime::protocol::{Append, Close, FailureCode, Open, Positions, Serve, Watch};
use caro::runtime::{Dialer, Frames, Isolate, IsolateError, IsolateOptions, TestHooks, open_database};
use futures::FutureExt;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span;

use super::bare::{Bare, agent_secret};

const DEADLINE: Duration = Duration::from_secs(60);
/// What a turn may take in tests of endless loops.
const SHORT_TURN: Duration = Duration::from_millis(300);

/// A script that does something terrible when it is asked to `watch`.
macro_rules! when_asked_to_watch {
    ($terrible:literal) => {
        concat!(
            "const parse = JSON.parse; let asked = false;
             JSON.parse = (text) => {
               const value = parse(text);
               if (value?.method === 'watch' && !asked) { asked = true; ",
            $terrible,
            " }
               return value;
             };"
        )
    };
}

fn options(memory_limit: usize, dialer: Option<Dialer>) -> IsolateOptions {
    IsolateOptions { store: Box::new(open_database(None).unwrap()), dialer, memory_limit }
}

fn start_with(script: &'static str, longest_turn: Duration) -> Isolate {
    Isolate::start_with(options(256 << 20, None), TestHooks { script, longest_turn }).unwrap()
}

fn start(script: &'static str) -> Isolate {
    start_with(script, Duration::from_secs(30))
}

fn ask(isolate: &Isolate) -> Result<(), IsolateError> {
    isolate.call(&Watch { ids: vec![] }, DEADLINE).map(drop)
}

/// It answers: before an account is open, a request of a client makes no sense.
fn assert_lives(isolate: &Isolate) {
    match ask(isolate) {
        Err(IsolateError::Failed(failure)) => assert_eq!(failure.code, FailureCode::Misuse),
        other => panic!("{other:?}"),
    }
}

fn open_client(isolate: &Isolate) {
    let secret = agent_secret();
    let open = Open {
        agent_secret: &secret,
        session: None,
        create: true,
        peer: None,
        month: "2026-11-01T00:00:00.000Z",
        ahead: &Positions::new(),
        timeout_ms: 10_000,
    };
    isolate.call(&open, DEADLINE).unwrap();
}

#[test]
fn an_exception_is_an_error_of_the_one_request() {
    let isolate = start("");
    open_client(&isolate);
    for _ in 0..3 {
        let answer = isolate.call(&Append { id: "co_zNothing".into(), values: vec!["x".into()] }, DEADLINE);
        let Err(IsolateError::Failed(failure)) = answer else { panic!("{answer:?}") };
        assert_eq!((failure.code, failure.message.as_str()), (FailureCode::Misuse, "that segment is not loaded"));
    }
    isolate.call(&Watch { ids: vec![] }, DEADLINE).unwrap();
    isolate.call(&Close {}, DEADLINE).unwrap();
}

/// Keeps the lines of the log that this thread's isolate writes.
struct Lines(Sender<String>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{value:?} "));
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        let _ = self.0.send(text.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn what_nobody_catches_is_logged_and_ends_nothing() {
    for (what, body) in [
        ("a promise was rejected and nobody cared", "Promise.reject(new Error('CANARY'));"),
        ("a callback threw", "setTimeout(() => { throw new Error('CANARY'); }, 0);"),
        ("a callback threw", "setImmediate(() => { throw new Error('CANARY'); });"),
        ("a promise was rejected and nobody cared", "queueMicrotask(() => { throw new Error('CANARY'); });"),
        ("a promise was rejected and nobody cared", "(async () => { await null; throw 'CANARY'; })();"),
    ] {
        let (sender, lines) = channel();
        let logged = tracing::subscriber::with_default(Lines(sender), || {
            let mut engine = Bare::boot();
            let value = engine.value(&format!(
                "void caro.run();
                 {body}
                 for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setTimeout(resolve, 1));
                 return 'alive';"
            ));
            assert_eq!(value, json!("alive"), "{body}");
            lines.try_iter().collect::<Vec<_>>()
        });
        assert!(logged.iter().any(|line| line.contains(what) && line.contains("CANARY")), "{body}: {logged:?}");
    }
}

#[test]
fn an_immediate_that_throws_does_not_lose_those_behind_it() {
    let mut engine = Bare::boot();
    let ran = engine.value(
        "Deno.core.setReportExceptionCallback(() => {});
         const ran = [];
         setImmediate(() => { throw new Error('x'); });
         setImmediate(() => ran.push(1));
         await new Promise((resolve) => setTimeout(resolve, 20));
         setImmediate(() => ran.push(2));
         await new Promise((resolve) => setTimeout(resolve, 20));
         return ran;",
    );
    assert_eq!(ran, json!([1, 2]));
}

#[test]
fn an_endless_loop_is_ended_wherever_it_runs() {
    for script in [
        when_asked_to_watch!("for (;;);"),
        when_asked_to_watch!("setTimeout(() => { for (;;); }, 1);"),
        when_asked_to_watch!("setImmediate(() => { for (;;); });"),
        when_asked_to_watch!("Promise.resolve().then(() => { for (;;); });"),
        when_asked_to_watch!("const again = () => { Promise.resolve().then(again); }; again();"),
        // Each promise waits for the next. Where the engine looks up is another place for each of these.
        when_asked_to_watch!("const again = () => Promise.resolve().then(again); again();"),
        when_asked_to_watch!("const again = () => Promise.resolve().then(again); (() => {})(); again();"),
        when_asked_to_watch!("const again = () => Promise.resolve().then(again); (() => (() => {})())(); again();"),
        when_asked_to_watch!(
            "const again = () => Promise.resolve().then(again); 'aaa'.replace(/a/g, () => ''); again();"
        ),
        when_asked_to_watch!(
            "const again = () => Promise.resolve().then(again); 'aaaa'.replace(/a/g, () => ''); again();"
        ),
        when_asked_to_watch!("(async () => { for (;;) { try { for (;;); } catch {} finally { for (;;); } } })();"),
        when_asked_to_watch!("/(a+)+$/.test('a'.repeat(60) + 'b');"),
    ] {
        let isolate = start_with(script, SHORT_TURN);
        let give_up = Instant::now() + DEADLINE;
        // A loop in a callback may begin only after the first answers.
        let reason = loop {
            match ask(&isolate) {
                Err(IsolateError::Stopped(reason)) => break reason,
                Err(IsolateError::Failed(_)) if Instant::now() < give_up => std::thread::yield_now(),
                other => panic!("{script}: {other:?}"),
            }
        };
        assert_eq!(reason, "a step of it did not come to an end", "{script}");
        assert!(isolate.has_ended());
    }
}

#[test]
fn an_endless_loop_before_the_first_request_is_ended_too() {
    let isolate = start_with("for (;;);", SHORT_TURN);
    assert!(matches!(ask(&isolate), Err(IsolateError::Stopped(_))));
}

#[test]
fn an_endless_loop_is_ended_for_an_async_caller() {
    let isolate = start_with(when_asked_to_watch!("for (;;);"), SHORT_TURN);
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = tokio.block_on(isolate.call_async(&Watch { ids: vec![] }, DEADLINE));
    assert!(matches!(answer, Err(IsolateError::Stopped(_))), "{answer:?}");
}

#[test]
fn many_callers_all_learn_that_it_stopped() {
    let isolate = Arc::new(start_with(when_asked_to_watch!("for (;;);"), SHORT_TURN));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let isolate = isolate.clone();
            std::thread::spawn(move || ask(&isolate))
        })
        .collect();
    for caller in callers {
        assert!(matches!(caller.join().unwrap(), Err(IsolateError::Stopped(_))));
    }
}

#[test]
fn too_much_memory_ends_the_script_and_not_the_process() {
    for script in [
        when_asked_to_watch!("const hoard = []; for (;;) hoard.push({ a: [1, 2, 3], b: 'x' + hoard.length });"),
        when_asked_to_watch!(
            "let text = 'x'; const hoard = []; for (;;) { hoard.push(text + hoard.length); text += 'yz'; }"
        ),
        when_asked_to_watch!(
            "const hoard = new Map(); for (let i = 0; ; i += 1) { try { hoard.set(i, { i }); } catch { hoard.set(-i, [i]); } }"
        ),
    ] {
        let isolate =
            Isolate::start_with(options(48 << 20, None), TestHooks { script, longest_turn: Duration::from_secs(30) })
                .unwrap();
        match ask(&isolate) {
            Err(IsolateError::Stopped(reason)) => assert_eq!(reason, "it needs more than 48 MiB of memory", "{script}"),
            other => panic!("{script}: {other:?}"),
        }
        // Another one starts as if nothing had happened.
        assert_lives(&start(""));
    }
}

#[test]
fn runaway_recursion_is_a_range_error() {
    let mut engine = Bare::boot();
    let thrown = engine.value(
        "const deeper = (n) => 1 + deeper(n + 1);
         const nested = '['.repeat(200000) + ']'.repeat(200000);
         const thrown = [];
         for (const dive of [() => deeper(0), () => { const a = []; a.toString = () => String(a); return String(a); }]) {
           try { dive(); thrown.push('nothing'); } catch (error) { thrown.push(error.constructor.name); }
         }
         try { JSON.parse(nested); } catch (error) { if (!(error instanceof Error)) thrown.push('strange'); }
         return thrown;",
    );
    assert_eq!(thrown, json!(["RangeError", "RangeError"]));
    assert_eq!(engine.value("return 1 + 1"), json!(2));
}

type Dialling = futures::future::BoxFuture<'static, Result<Frames, String>>;

#[test]
fn a_panic_in_an_op_is_an_exception() {
    let dialers: [Dialer; 3] = [
        Box::new(|| -> Dialling { panic!("while dialling") }),
        Box::new(|| -> Dialling { async { panic!("at once") }.boxed() }),
        Box::new(|| -> Dialling {
            async {
                tokio::task::yield_now().await;
                panic!("later")
            }
            .boxed()
        }),
    ];
    for dialer in dialers {
        let mut engine = Bare::boot_with(open_database(None).unwrap(), Some(dialer), 256 << 20);
        let thrown = engine.run("await Deno.core.ops.op_socket_connect()").unwrap_err();
        assert!(thrown.contains("internal error in an op"), "{thrown}");
        assert_eq!(engine.value("return 1 + 1"), json!(2));
    }
}

/// An op reads its parameters with the script's own getters, which may call ops.
#[test]
fn an_op_inside_the_parameters_of_another_is_no_panic() {
    let mut engine = Bare::boot();
    let rows = engine.value(
        "const { ops } = Deno.core;
         ops.op_sql_run('CREATE TABLE t (a, b)', []);
         const sneaky = (value) => Object.defineProperty([1, 2], 0, { get() {
           ops.op_socket_close(1);
           ops.op_session_map_free(1);
           ops.op_sql_run('INSERT INTO t VALUES (0, 0)', []);
           return value;
         } });
         ops.op_sql_run('INSERT INTO t VALUES (?, ?)', sneaky('x'));
         try { ops.op_sql_run('INSERT INTO t VALUES (?, ?)', Object.defineProperty([1, 2], 0, { get() { throw new Error('mine'); } })); } catch {}
         return ops.op_sql_query('SELECT a, b FROM t WHERE a <> ? AND b = ?', sneaky(7));",
    );
    assert_eq!(rows, json!([{ "a": "x", "b": 2 }]));
}

#[test]
fn dropping_the_handle_ends_the_thread_at_once() {
    let far = "setTimeout(() => {}, 3600000); setInterval(() => {}, 1000); setInterval(() => {}, 0);";
    let stuck: Dialer = Box::new(|| futures::future::pending().boxed());
    let isolate = Isolate::start_with(
        options(256 << 20, Some(stuck)),
        TestHooks { script: far, longest_turn: Duration::from_secs(30) },
    )
    .unwrap();
    assert_lives(&isolate);
    let begun = Instant::now();
    drop(isolate);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn dropping_the_handle_ends_a_loop_that_nobody_waits_for() {
    let isolate = start(when_asked_to_watch!("setImmediate(() => { for (;;); });"));
    let _ = ask(&isolate);
    let begun = Instant::now();
    drop(isolate);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn a_relays_isolate_with_its_timers_ends_as_quickly() {
    let isolate = start("");
    isolate.call(&Serve::default(), DEADLINE).unwrap();
    let begun = Instant::now();
    drop(isolate);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_deadline_is_kept_while_the_script_waits_for_something() {
    let isolate = start("caro.run = () => new Promise(() => {}); setInterval(() => {}, 10);");
    let begun = Instant::now();
    let answer = isolate.call(&Watch { ids: vec![] }, Duration::from_millis(200));
    assert!(matches!(answer, Err(IsolateError::TimedOut(_))), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_script_that_fails_to_start_is_an_error_of_the_first_request() {
    let isolate = start("throw new Error('broken');");
    let answer = ask(&isolate);
    let Err(IsolateError::Stopped(reason)) = answer else { panic!("{answer:?}") };
    assert!(reason.contains("broken"), "{reason}");
}

#[test]
fn answers_that_are_none_are_passed_over() {
    let isolate = start(
        "const { ops } = Deno.core;
         ops.op_host_reply('nonsense'); ops.op_host_reply('{}'); ops.op_host_reply('{\"id\":-1,\"result\":1}');
         ops.op_host_reply('{\"id\":999,\"result\":1}'); ops.op_host_event('[]'); ops.op_host_event('{\"type\":\"strange\"}');",
    );
    assert_lives(&isolate);
    assert_eq!(isolate.next_event(Duration::ZERO), None);
}
