//! One isolate on a thread of its own, and the handle with which the program talks to it.
//!
//! The thread runs the engine's event loop until the handle is closed or dropped. Whatever goes wrong
//! inside (an exception, an endless loop, too much memory, a panic) reaches the caller as an
//! [`IsolateError`]; the process lives on.

use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use deno_core::{JsRuntime, PollEventLoopOptions, v8};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc as async_mpsc, oneshot};

use super::boot::{BootOptions, boot, call, forget, is_stopped, let_go};
use super::ops::socket::{Dialer, Frames, Sockets};
use super::ops::{Host, HostMessage};
use super::protocol::{Event, Failure, Request};
use super::store::Store;

/// A single turn of the event loop that takes longer is an endless loop: the SDK yields every 50 ms.
const LONGEST_TURN: Duration = Duration::from_secs(30);
/// How often a waiting caller looks whether the isolate hangs.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How long a turn may go on after the handle was dropped: nobody waits for its outcome any more.
const LAST_TURN: Duration = Duration::from_secs(2);
/// A turn that was told to end and goes on is told again after so many looks of a caller.
const TELL_AGAIN: u32 = 12;
/// Stack of the isolate's thread; the engine's own recursion limit is far below.
const STACK_BYTES: usize = 16 << 20;

/// What an isolate is given at its start.
pub struct IsolateOptions {
    /// The store of the SDK.
    pub store: Box<dyn Store>,
    /// How to reach the relay; none: it can dial nothing.
    pub dialer: Option<Dialer>,
    /// Bytes of heap beyond which the script is stopped.
    pub memory_limit: usize,
}

/// What only tests do with an isolate: the program runs its own script and no other.
#[doc(hidden)]
pub struct TestHooks {
    /// Runs before the script takes its first request.
    pub script: &'static str,
    /// In place of the 30 seconds that one turn of the event loop may take.
    pub longest_turn: Duration,
}

/// Why a request was not answered with a result.
#[derive(Debug, thiserror::Error)]
pub enum IsolateError {
    /// The script said so.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// No answer came in time. The request may still take effect.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The isolate has ended: it was closed, ran into one of its limits, or could not start.
    #[error("the sync engine stopped: {0}")]
    Stopped(String),
    /// An answer that does not have the agreed shape.
    #[error("the sync engine gave an unexpected answer: {0}")]
    Unexpected(#[from] serde_json::Error),
}

type Reply = Result<Box<RawValue>, Failure>;

/// A connection, and where to say by which handle the script knows it.
type Accepted = (Frames, oneshot::Sender<u32>);

/// State that the handle, the router of answers and the engine's thread share.
#[derive(Default)]
struct Shared {
    pending: Mutex<HashMap<u64, oneshot::Sender<Reply>>>,
    /// Why the isolate ended, once it has.
    ended: Mutex<Option<String>>,
    /// Whether the engine's thread holds nothing but memory any more.
    finished: Mutex<bool>,
    has_finished: Condvar,
    /// Milliseconds since the start at which the running turn began, plus one; 0 between turns.
    turn_began: AtomicU64,
    /// Whether a turn took too long and was told to end.
    overran: AtomicBool,
    /// Milliseconds since the start at which it was last told so, plus one; 0 if never.
    told: AtomicU64,
    /// Turns that have ended, and the nanoseconds that they took together.
    turns: AtomicU64,
    busy: AtomicU64,
    engine: Mutex<Option<v8::IsolateHandle>>,
}

impl Shared {
    /// One more turn has ended.
    fn has_turned(&self, took: Duration) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.busy.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Nothing is done any more; for good.
    fn end(&self, end: Result<(), String>) {
        lock(&self.engine).take();
        let mut ended = lock(&self.ended);
        if ended.is_none() {
            *ended = Some(match end {
                Ok(()) => "it was closed".to_owned(),
                Err(reason) => {
                    tracing::error!(reason, "the isolate stopped");
                    reason
                }
            });
        }
        drop(ended);
        lock(&self.pending).clear();
        *lock(&self.finished) = true;
        self.has_finished.notify_all();
    }
}

/// What an isolate has done since its start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Turns of its event loop that have ended.
    pub turns: u64,
    /// How long they took together.
    pub busy: Duration,
}

/// A poisoned lock only means that some thread panicked; the data here is valid at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A running isolate. Dropping it ends it.
pub struct Isolate {
    requests: async_mpsc::UnboundedSender<String>,
    /// None once the isolate is to end.
    connections: Mutex<Option<async_mpsc::UnboundedSender<Accepted>>>,
    events: Mutex<mpsc::Receiver<Event>>,
    shared: Arc<Shared>,
    next_id: AtomicU64,
    started: Instant,
    longest_turn: Duration,
    thread: Option<JoinHandle<()>>,
}

impl Isolate {
    /// Starts an isolate from the snapshot.
    ///
    /// # Errors
    ///
    /// [`IsolateError::Stopped`] where the operating system gives no thread.
    pub fn start(options: IsolateOptions) -> Result<Self, IsolateError> {
        Self::start_with(options, TestHooks { script: "", longest_turn: LONGEST_TURN })
    }

    /// As [`Isolate::start`], with a test's script inside.
    ///
    /// # Errors
    ///
    /// As [`Isolate::start`].
    #[doc(hidden)]
    pub fn start_with(options: IsolateOptions, hooks: TestHooks) -> Result<Self, IsolateError> {
        let (request_sender, request_receiver) = async_mpsc::unbounded_channel();
        let (connections, accepted) = async_mpsc::unbounded_channel();
        let (message_sender, message_receiver) = mpsc::channel();
        let (event_sender, events) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let started = Instant::now();

        spawn("caro-answers", {
            let shared = shared.clone();
            move || route(&message_receiver, &shared, &event_sender)
        })?;
        let thread = spawn("caro-isolate", {
            let shared = shared.clone();
            move || {
                let script = hooks.script;
                let parts = Parts { options, script, request_receiver, accepted, message_sender, started };
                let end = catch_unwind(AssertUnwindSafe(|| run(parts, &shared)));
                shared.end(end.unwrap_or_else(|_| Err("internal error".into())));
            }
        })?;
        Ok(Self {
            requests: request_sender,
            connections: Mutex::new(Some(connections)),
            events: Mutex::new(events),
            shared,
            next_id: AtomicU64::new(1),
            started,
            longest_turn: hooks.longest_turn,
            thread: Some(thread),
        })
    }

    /// Asks the script, and waits for its answer on this thread.
    ///
    /// # Errors
    ///
    /// See [`IsolateError`]. After [`IsolateError::Stopped`] every further request fails the same way.
    pub fn call<R: Request>(&self, request: &R, deadline: Duration) -> Result<R::Answer, IsolateError> {
        let mut answer = self.send(request)?;
        let give_up = Instant::now() + deadline;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            match wait(&mut answer, left.min(self.watch_every())) {
                Some(Ok(reply)) => return read::<R>(reply),
                Some(Err(_)) => return Err(self.stopped()),
                None if left.is_zero() => return Err(IsolateError::TimedOut(deadline)),
                None => self.stop_endless_turn(),
            }
        }
    }

    /// Asks the script, from an async context.
    ///
    /// # Errors
    ///
    /// As [`Isolate::call`].
    pub async fn call_async<R: Request>(&self, request: &R, deadline: Duration) -> Result<R::Answer, IsolateError> {
        let mut answer = self.send(request)?;
        let give_up = Instant::now() + deadline;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left.min(self.watch_every()), &mut answer).await {
                Ok(Ok(reply)) => return read::<R>(reply),
                Ok(Err(_)) => return Err(self.stopped()),
                Err(_) if left.is_zero() => return Err(IsolateError::TimedOut(deadline)),
                Err(_) => self.stop_endless_turn(),
            }
        }
    }

    /// Hands over a connection; the handle that the script knows it by.
    ///
    /// # Errors
    ///
    /// [`IsolateError::Stopped`].
    pub async fn add_connection(&self, frames: Frames) -> Result<u32, IsolateError> {
        let (sender, receiver) = oneshot::channel();
        let connections = lock(&self.connections).clone().ok_or_else(|| self.stopped())?;
        connections.send((frames, sender)).map_err(|_| self.stopped())?;
        receiver.await.map_err(|_| self.stopped())
    }

    /// The next event, or none within `wait`.
    pub fn next_event(&self, wait: Duration) -> Option<Event> {
        lock(&self.events).recv_timeout(wait).ok()
    }

    /// The events from here on, for one who waits for other things too. [`Isolate::next_event`] then has none.
    pub fn take_events(&self) -> mpsc::Receiver<Event> {
        let (_, none) = mpsc::channel();
        std::mem::replace(&mut *lock(&self.events), none)
    }

    /// What ends every request under way, and refuses those to come, from any thread.
    pub fn stopper(&self) -> impl FnOnce(&str) + Send + 'static {
        let shared = self.shared.clone();
        move |reason| {
            lock(&shared.ended).get_or_insert_with(|| reason.to_owned());
            lock(&shared.pending).clear();
        }
    }

    /// Ends the isolate, and waits until it holds nothing but memory; whether it came to that.
    pub fn end(&self) -> bool {
        // This is what ends the engine's thread.
        lock(&self.connections).take();
        let longest = self.longest_turn.min(LAST_TURN);
        let give_up = Instant::now() + 2 * LONGEST_TURN;
        let mut finished = lock(&self.shared.finished);
        while !*finished && Instant::now() < give_up {
            self.stop_turn_after(longest);
            finished = match self.shared.has_finished.wait_timeout(finished, longest / 2) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        *finished
    }

    /// Whether the isolate has ended.
    pub fn has_ended(&self) -> bool {
        lock(&self.shared.ended).is_some()
    }

    /// For how long the turn of its event loop has been running that has not ended yet; none between turns.
    pub fn turn(&self) -> Option<Duration> {
        let began = self.shared.turn_began.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.started.elapsed().saturating_sub(Duration::from_millis(began)))
    }

    /// What it has done so far.
    pub fn work(&self) -> Work {
        Work {
            turns: self.shared.turns.load(Ordering::Relaxed),
            busy: Duration::from_nanos(self.shared.busy.load(Ordering::Relaxed)),
        }
    }

    /// Ends the isolate if one turn of its event loop has been running for too long.
    pub fn stop_endless_turn(&self) {
        self.stop_turn_after(self.longest_turn);
    }

    fn stop_turn_after(&self, longest: Duration) {
        if self.turn().is_none_or(|turn| turn <= longest) {
            return;
        }
        let since = |then: u64| self.started.elapsed().saturating_sub(Duration::from_millis(then - 1));
        self.shared.overran.store(true, Ordering::Relaxed);
        // Whoever holds this decides: several may look at the same time.
        let engine = lock(&self.shared.engine);
        let Some(engine) = engine.as_ref() else { return };
        let told = self.shared.told.load(Ordering::Relaxed);
        if told == 0 || since(told) >= self.watch_every() * TELL_AGAIN {
            self.shared.told.store(millis(self.started.elapsed()) + 1, Ordering::Relaxed);
            engine.terminate_execution();
        } else if since(told) >= self.watch_every() {
            // QuickJS looks up at every ten thousandth call. A chain of tasks in which that always is a call that
            // may fail goes on, and only frees what it held. Left alone for a while it runs out of memory.
            engine.cancel_terminate_execution();
        }
    }

    /// How often a caller looks whether the isolate hangs.
    fn watch_every(&self) -> Duration {
        WATCH_EVERY.min(self.longest_turn / 2)
    }

    fn send<R: Request>(&self, request: &R) -> Result<oneshot::Receiver<Reply>, IsolateError> {
        #[derive(serde::Serialize)]
        struct Envelope<'a, R> {
            id: u64,
            method: &'static str,
            params: &'a R,
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let text = serde_json::to_string(&Envelope { id, method: R::METHOD, params: request })?;
        super::listen::told(&text);
        let (sender, receiver) = oneshot::channel();
        lock(&self.shared.pending).insert(id, sender);
        if self.requests.send(text).is_err() || self.has_ended() {
            lock(&self.shared.pending).remove(&id);
            return Err(self.stopped());
        }
        Ok(receiver)
    }

    /// Why the isolate takes no more requests.
    pub fn stopped(&self) -> IsolateError {
        let reason = lock(&self.shared.ended).clone();
        IsolateError::Stopped(reason.unwrap_or_else(|| "it is ending".into()))
    }
}

impl Drop for Isolate {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // V8 must not be met by the end of the process while it frees its heap.
        if self.end() && cfg!(feature = "engine-v8") {
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, IsolateError> {
    std::thread::Builder::new()
        .name(name.into())
        .stack_size(STACK_BYTES)
        .spawn(body)
        .map_err(|e| IsolateError::Stopped(format!("the system gave no thread ({e})")))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Waits for an answer for a while.
fn wait(answer: &mut oneshot::Receiver<Reply>, time: Duration) -> Option<Result<Reply, ()>> {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Wake};

    /// Wakes the thread that waits.
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut answer = pin!(answer);
    let give_up = Instant::now() + time;
    loop {
        if let Poll::Ready(reply) = Future::poll(answer.as_mut(), &mut context) {
            return Some(reply.map_err(drop));
        }
        let left = give_up.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::park_timeout(left);
    }
}

fn read<R: Request>(reply: Reply) -> Result<R::Answer, IsolateError> {
    match reply {
        Ok(result) => Ok(serde_json::from_str(result.get())?),
        Err(failure) => Err(IsolateError::Failed(failure)),
    }
}

/// Gives each answer to its caller and each event to the queue, until the engine's thread has ended.
fn route(messages: &mpsc::Receiver<HostMessage>, shared: &Shared, events: &mpsc::Sender<Event>) {
    #[derive(Deserialize)]
    struct Envelope {
        id: u64,
        result: Option<Box<RawValue>>,
        error: Option<Failure>,
    }
    for message in messages {
        match message {
            HostMessage::Reply(text) => {
                let Ok(envelope) = serde_json::from_str::<Envelope>(&text) else {
                    tracing::error!("the script sent an answer that is none");
                    continue;
                };
                let reply = match (envelope.result, envelope.error) {
                    (Some(result), None) => Ok(result),
                    (_, Some(failure)) => Err(failure),
                    (None, None) => continue,
                };
                if let Some(caller) = lock(&shared.pending).remove(&envelope.id) {
                    // The caller may have stopped waiting.
                    let _ = caller.send(reply);
                }
            }
            HostMessage::Event(text) => match serde_json::from_str(&text) {
                Ok(event) => drop(events.send(event)),
                Err(_) => tracing::error!("the script sent an event that is none"),
            },
        }
    }
}

/// What the engine's thread takes over.
struct Parts {
    options: IsolateOptions,
    script: &'static str,
    request_receiver: async_mpsc::UnboundedReceiver<String>,
    accepted: async_mpsc::UnboundedReceiver<Accepted>,
    message_sender: mpsc::Sender<HostMessage>,
    started: Instant,
}

/// Runs the script until the handle is gone; the reason if it ended otherwise.
fn run(parts: Parts, shared: &Shared) -> Result<(), String> {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("the system gave no event queue ({e})"))?;
    tokio.block_on(async move {
        let Parts { options, script, request_receiver, mut accepted, message_sender, started } = parts;
        let memory_limit = options.memory_limit;
        let mut runtime =
            boot(BootOptions { store: options.store, dialer: options.dialer, memory_limit, extensions: vec![] })?;
        *lock(&shared.engine) = Some(runtime.v8_isolate().thread_safe_handle());
        let state = runtime.op_state();
        state
            .borrow_mut()
            .put(Host { requests: Rc::new(tokio::sync::Mutex::new(request_receiver)), messages: message_sender });
        let began = |at: u64| shared.turn_began.store(at, Ordering::Relaxed);
        let stopped = |runtime: &mut JsRuntime| {
            if shared.overran.load(Ordering::Relaxed) {
                Some("a step of it did not come to an end".to_owned())
            } else {
                is_stopped(runtime).then(|| format!("it needs more than {} MiB of memory", memory_limit >> 20))
            }
        };

        let ended = async {
            began(millis(started.elapsed()) + 1);
            let ran = match script {
                "" => Ok(()),
                script => runtime.execute_script("test", script).map(drop).map_err(|error| error.to_string()),
            };
            let ran = ran.and_then(|()| call(&mut runtime, "run"));
            began(0);
            if let Err(error) = ran {
                return Err(stopped(&mut runtime).unwrap_or(error));
            }

            poll_fn(|cx| {
                while let Poll::Ready(accepted) = accepted.poll_recv(cx) {
                    // Without a handle, whatever is still waited for is of no use to anyone.
                    let Some((frames, handle)) = accepted else { return Poll::Ready(Ok(())) };
                    // The listener may have given up meanwhile; then the connection just ends.
                    let _ = handle.send(state.borrow_mut().borrow_mut::<Sockets>().add(frames));
                }
                let before = started.elapsed();
                began(millis(before) + 1);
                let polled = runtime.poll_event_loop(cx, PollEventLoopOptions::default());
                began(0);
                shared.has_turned(started.elapsed().saturating_sub(before));
                if let Some(reason) = stopped(&mut runtime) {
                    return Poll::Ready(Err(reason));
                }
                polled.map_err(|e| e.to_string())
            })
            .await
        }
        .await;
        let closed = ended.is_ok();
        // From here on it holds nothing but memory, and whoever ends the process need not wait until that is free.
        forget(&mut runtime);
        if !cfg!(feature = "engine-v8") {
            shared.end(ended.clone());
        }
        if closed {
            let_go(&mut runtime);
        }
        ended
    })
}
