//! Runs one file of the suite in an isolate of its own, and watches over it.
//!
//! The isolate is the product's (`caro::runtime::boot`), on a thread with the stack that the product
//! gives it. Timers that a test leaves behind keep its event loop alive, so the file has ended when it
//! says so. A file that says nothing for a long time is stopped, whether its script runs in a circle or
//! waits for something that never comes.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use caro::runtime::{BootOptions, boot, open_database};
use deno_core::{PollEventLoopOptions, v8};
use serde_json::json;
use tokio::sync::oneshot;

use crate::bundle::{Script, Suite};
use crate::file_run::{FileRun, Progress, Record};
use crate::ops::{self, Bench};

/// Multiplies the suite's own time limits (5 s a test, 10 s a hook), which are meant for an engine
/// that compiles.
const TIMEOUT_FACTOR: u64 = 5;
/// Longer than the longest time limit of the suite; the runner itself ends what only waits too long.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(120);
/// What a stopped isolate has to come to its end.
const GRACE: Duration = Duration::from_secs(30);
/// As for the product's client.
const MEMORY_LIMIT: usize = 1 << 30;
const STACK_BYTES: usize = 16 << 20;

/// What the watching thread can reach of the isolate.
#[derive(Default)]
struct Engine(OnceLock<v8::IsolateHandle>);

struct Job {
    prelude: Arc<str>,
    script: Script,
    /// JavaScript that sets `conformanceConfig`.
    config: String,
}

/// Runs a file, or only the tests named.
pub fn run_file(suite: &Suite, file: &str, only: Option<&[String]>) -> FileRun {
    let began = Instant::now();
    let mut run = FileRun::of(file);
    match suite.script(file) {
        Some(script) => {
            let mut config = json!({ "timeoutFactor": TIMEOUT_FACTOR, "retry": 0 });
            if let Some(only) = only {
                config["only"] = json!(only);
            }
            let config = format!("globalThis.conformanceConfig = {config};");
            watch(Job { prelude: suite.prelude.clone(), script, config }, &mut run);
        }
        None => run.problems.push("the bundle has no script for it".into()),
    }
    run.time = began.elapsed();
    run
}

/// Starts the isolate's thread and takes its records until it has ended.
fn watch(job: Job, run: &mut FileRun) {
    let (sender, records) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let engine = Arc::new(Engine::default());
    let thread = std::thread::Builder::new().name("isolate".into()).stack_size(STACK_BYTES).spawn({
        let engine = engine.clone();
        move || in_isolate(job, sender, stopped, &engine)
    });
    let thread = match thread {
        Ok(thread) => thread,
        Err(e) => return run.problems.push(format!("the system gave no thread: {e}")),
    };

    let mut progress = Progress::default();
    let mut stop = Some(stop);
    let mut give_up = Instant::now() + LONGEST_SILENCE;
    loop {
        match records.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
            Ok(record) => {
                if progress.note(record, run) {
                    give_up = Instant::now() + LONGEST_SILENCE;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => match stop.take() {
                Some(stop) => {
                    progress.give_up(LONGEST_SILENCE, run);
                    // One of the two is what it waits for; if neither, its thread is left behind.
                    let _ = stop.send(());
                    if let Some(engine) = engine.0.get() {
                        engine.terminate_execution();
                    }
                    give_up = Instant::now() + GRACE;
                }
                None => return run.problems.push("its isolate could not be stopped".into()),
            },
        }
    }
    match thread.join() {
        Ok(Ok(())) => {}
        // What a script says that was stopped is not news.
        Ok(Err(_)) if stop.is_none() => {}
        Ok(Err(reason)) => run.problems.push(format!("{reason} (in {})", progress.current())),
        Err(_) => run.problems.push(format!("its isolate panicked, in {}", progress.current())),
    }
    progress.finish(run);
}

/// Boots the isolate and turns its event loop until the file has ended.
fn in_isolate(
    job: Job,
    records: mpsc::Sender<Record>,
    stopped: oneshot::Receiver<()>,
    engine: &Engine,
) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    tokio.block_on(async {
        let mut runtime = boot(BootOptions {
            store: Box::new(open_database(None).map_err(|e| e.to_string())?),
            dialer: None,
            memory_limit: MEMORY_LIMIT,
            extensions: vec![ops::extension()],
        })?;
        // A thread that is told to stop before this finds the channel's message below.
        let _ = engine.0.set(runtime.v8_isolate().thread_safe_handle());
        let done = Rc::new(Cell::new(false));
        runtime.op_state().borrow_mut().put(Bench::new(folder.path().to_owned(), records, done.clone()));

        for (name, script) in [
            ("prelude.js".to_owned(), &*job.prelude),
            ("config.js".to_owned(), &*job.config),
            (job.script.path, &*job.script.text),
        ] {
            runtime.execute_script(name, script.to_owned()).map_err(|e| e.to_string())?;
        }
        let turning = poll_fn(|cx| {
            let polled = runtime.poll_event_loop(cx, PollEventLoopOptions::default());
            match polled {
                _ if done.get() => Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => Poll::Ready(Err("the event loop ran out of work".to_owned())),
                Poll::Ready(Err(e)) => Poll::Ready(Err(e.to_string())),
                Poll::Pending => Poll::Pending,
            }
        });
        tokio::select! {
            ended = turning => ended,
            _ = stopped => Ok(()),
        }
    })
}
