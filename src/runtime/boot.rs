//! Boots an engine from the snapshot, with our ops bound and a limit on its memory.
//!
//! Nothing else is given to it: no module loader, no inspector, no way to the machine but the ops. The
//! limit ends the script, never the process: QuickJS marks the script as ended by itself, V8 would
//! abort the process and is stopped shortly before that.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use deno_core::{JsRuntime, RuntimeOptions, v8};

use super::ops;
use super::ops::clock::Started;
use super::ops::session_map::SessionMaps;
use super::ops::socket::{Dialer, Sockets};
use super::ops::storage::Database;
use super::store::Store;

/// The heap with the script loaded, made by `build.rs`.
static SNAPSHOT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/isolate.snapshot"));

/// Added to V8's limit once the script has been told to stop: the one allocation that is under way must
/// still succeed, and a single object of V8 is never larger than a quarter of this.
const ROOM_TO_UNWIND: usize = 4 << 30;

/// What a bare engine needs; public for the test target that runs the SDK's own suite.
#[doc(hidden)]
pub struct BootOptions {
    pub store: Box<dyn Store>,
    pub dialer: Option<Dialer>,
    pub memory_limit: usize,
    pub extensions: Vec<deno_core::Extension>,
}

/// Whether the script has run into the limit of its memory.
struct MemoryExhausted(Arc<AtomicBool>);

/// Boots an engine from the snapshot with our ops bound. Must run inside a tokio runtime.
///
/// # Errors
///
/// What the engine says when the snapshot does not fit it.
#[doc(hidden)]
pub fn boot(options: BootOptions) -> Result<JsRuntime, String> {
    let mut extensions = vec![ops::extension()];
    extensions.extend(options.extensions);
    let mut runtime = JsRuntime::try_new(RuntimeOptions {
        startup_snapshot: Some(SNAPSHOT),
        extensions,
        create_params: Some(v8::CreateParams::default().heap_limits(0, options.memory_limit)),
        ..Default::default()
    })
    .map_err(|e| e.to_string())?;
    call(&mut runtime, "confine")?;
    let exhausted = Arc::new(AtomicBool::new(false));
    if cfg!(feature = "engine-v8") {
        stop_at_memory_limit(&mut runtime, exhausted.clone());
    }
    let state = runtime.op_state();
    let mut state = state.borrow_mut();
    state.put(MemoryExhausted(exhausted));
    state.put(Started(Instant::now()));
    state.put(Database(Rc::from(options.store)));
    state.put(Sockets::new(options.dialer));
    state.put(SessionMaps::default());
    drop(state);
    Ok(runtime)
}

/// Calls a function of the script that the snapshot holds, without waiting for what it promises.
///
/// No text is ever compiled here: the engine's binding would look it up in a cache outside of our folders, in the folder
/// for temporary files where there is no home, and run whatever lies there under its name.
pub(super) fn call(runtime: &mut JsRuntime, name: &str) -> Result<(), String> {
    deno_core::scope!(scope, runtime);
    v8::tc_scope!(let scope, scope);
    let script = scope.get_current_context().global(scope).into();
    let caro = property(scope, script, "caro");
    let function =
        caro.and_then(|caro| property(scope, caro, name)).and_then(|value| value.try_cast::<v8::Function>().ok());
    let (Some(caro), Some(function)) = (caro, function) else { return Err(format!("the script has no `{name}`")) };
    if function.call(scope, caro, &[]).is_some() {
        return Ok(());
    }
    Err(scope.exception().map_or_else(|| "it was stopped".to_owned(), |error| error.to_rust_string_lossy(scope)))
}

fn property<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    of: v8::Local<'s, v8::Value>,
    name: &str,
) -> Option<v8::Local<'s, v8::Value>> {
    let name = v8::String::new(scope, name)?;
    of.to_object(scope)?.get(scope, name.into())
}

/// Closes what an engine works with, its database and its connections. None runs in it from here on.
pub(super) fn forget(runtime: &mut JsRuntime) {
    let state = runtime.op_state();
    let mut state = state.borrow_mut();
    drop((state.try_take::<Database>(), state.try_take::<Sockets>()));
}

/// Makes sure that the memory of an engine is given back when it is dropped. None runs in it from here on, and it must not
/// have been stopped: QuickJS is not fit to run anything then. V8 needs no help.
pub(super) fn let_go(runtime: &mut JsRuntime) {
    if cfg!(feature = "engine-v8") {
        return;
    }
    if let Err(error) = call(runtime, "letGo") {
        tracing::warn!(%error, "the memory of a closed engine is not given back");
    }
}

/// Ends the script at the limit, with some room left to unwind.
fn stop_at_memory_limit(runtime: &mut JsRuntime, exhausted: Arc<AtomicBool>) {
    let engine = runtime.v8_isolate().thread_safe_handle();
    runtime.add_near_heap_limit_callback(move |current, _initial| {
        exhausted.store(true, Ordering::Relaxed);
        engine.terminate_execution();
        current + ROOM_TO_UNWIND
    });
}

/// Whether the engine has run into its memory limit, or was told to stop: it runs no script any more.
pub(super) fn is_stopped(runtime: &mut JsRuntime) -> bool {
    let exhausted = runtime.op_state().borrow().borrow::<MemoryExhausted>().0.load(Ordering::Relaxed);
    exhausted || runtime.v8_isolate().is_execution_terminating()
}
