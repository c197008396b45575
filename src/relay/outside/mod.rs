//! How a relay is seen from outside: for programs that watch it, and for whoever runs it.
//!
//! | path | answer |
//! | --- | --- |
//! | `/metrics` | OpenMetrics text |
//! | `/status` | the same as JSON, and what went wrong last |
//! | `/` | the same as a page, where nothing else is served |
//!
//! All of it comes from one [`Status`]. It is served at the socket of the relay's user, and at the addresses for watching.

mod ask;
mod counts;
mod mishaps;
mod openmetrics;
mod page;
mod pseudonyms;
mod status;
mod stored;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State as Extracted;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Mutex;

pub use ask::ask;
pub(super) use counts::Counts;
pub use mishaps::{Mishap, Mishaps};
pub(super) use pseudonyms::Pseudonyms;
pub use status::{Above, Connections, Engine, Frames, Messages, State, Status};
pub use stored::Stored;
pub(super) use stored::{stored, stored_in};

use self::stored::Inventory;
use super::engines::Engines;
use super::http::Shared;
use super::postgres::{self, Database};
use crate::clock;
use crate::history::UnixNanos;
use crate::runtime::protocol::Measure;

/// A step of the engine that takes longer is told: its clients take it for gone by then.
const LONGEST_TURN: Duration = Duration::from_secs(5);
/// How often that is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the engine is asked something, and how long it may take to answer.
const ASK_EVERY: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(60);
/// Every how many times its heap is measured: all of it is walked for that.
const MEASURE_EVERY: u32 = 6;
/// How often it is logged who was not taken in.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// For how long what was counted in the store is good enough, and for how many times as long as counting took.
const COUNTED: Duration = Duration::from_secs(5);
const TIMES_AS_LONG: u32 = 20;

/// What is known of a relay besides what it counts.
pub(super) struct Outside {
    pub(super) counts: Arc<Counts>,
    mishaps: Mishaps,
    listening: Vec<String>,
    limit: usize,
    started: UnixNanos,
    begun: Instant,
    kept: Mutex<Kept>,
}

/// What was counted in the store, and for how long that counts.
struct Kept {
    counted: Counted,
    last: Option<(Instant, Stored)>,
}

/// Where it is counted.
enum Counted {
    /// In memory nothing is.
    Nowhere,
    File(Arc<std::sync::Mutex<Inventory>>),
    Database(Arc<Database>),
}

impl Outside {
    /// Of a relay that starts now, with its store in this folder or database.
    pub(super) fn new(
        folder: Option<&Path>,
        database: Option<&Arc<Database>>,
        listening: Vec<String>,
        limit: usize,
        mishaps: Mishaps,
    ) -> Self {
        let counted = match (folder, database) {
            (_, Some(database)) => Counted::Database(database.clone()),
            (Some(folder), None) => Counted::File(Arc::new(std::sync::Mutex::new(Inventory::of(folder)))),
            (None, None) => Counted::Nowhere,
        };
        let kept = Mutex::new(Kept { counted, last: None });
        let (started, begun) = (clock::now(), Instant::now());
        Self { counts: Counts::new(), mishaps, listening, limit, started, begun, kept }
    }
}

impl Kept {
    /// What the store holds, as it was a while ago at most; `erasures` is how often something was erased from it. Who else
    /// asks meanwhile gets what this one finds.
    async fn stored(&mut self, erasures: u64) -> Option<Stored> {
        if let Some((until, stored)) = self.last
            && Instant::now() < until
        {
            return Some(stored);
        }
        let begun = Instant::now();
        let counted = match &self.counted {
            Counted::Nowhere => return None,
            Counted::File(inventory) => {
                let inventory = inventory.clone();
                // The disk may be slow, and others are to be served meanwhile.
                let take = move || inventory.lock().unwrap_or_else(PoisonError::into_inner).take(erasures);
                let taken = tokio::task::spawn_blocking(take).await;
                taken.map_err(|error| error.to_string()).and_then(|taken| taken.map_err(|error| error.to_string()))
            }
            Counted::Database(database) if !database.answers() => Err("the database is away".to_owned()),
            Counted::Database(database) => postgres::stored(database).await,
        };
        match counted {
            Ok(stored) => {
                self.last = Some((Instant::now() + COUNTED.max(begun.elapsed() * TIMES_AS_LONG), stored));
                Some(stored)
            }
            Err(error) => {
                tracing::debug!(%error, "what is in the store could not be counted");
                None
            }
        }
    }
}

/// What a relay is doing.
pub(super) fn state(shared: &Shared) -> State {
    if shared.engines.has_ended() {
        State::Ended
    } else if !shared.reaches_database() {
        State::Away
    } else if !shared.takes_changes() {
        State::Full
    } else if is_stuck(&shared.engines) {
        State::Stuck
    } else if shared.draining.load(Ordering::Relaxed) {
        State::Stopping
    } else {
        State::Serving
    }
}

fn is_stuck(engines: &Engines) -> bool {
    engines.longest_turn() > LONGEST_TURN
}

/// How a relay does now.
async fn status(shared: &Shared) -> Status {
    let outside = &shared.outside;
    let counts = &outside.counts;
    let stored = outside.kept.lock().await.stored(counts.erasures.get()).await;
    let work = shared.engines.work();
    let messages = |traffic: &counts::Traffic| Messages {
        frames: traffic.frames.get(),
        messages: traffic.messages.get(),
        bytes: traffic.bytes.get(),
    };
    let waiting = Frames { frames: counts.waiting.frames.get(), bytes: counts.waiting.bytes.get() };
    Status {
        schema_version: status::SCHEMA_VERSION,
        state: state(shared),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: if cfg!(feature = "engine-v8") { "v8" } else { "quickjs" }.to_owned(),
        pid: std::process::id(),
        started_at: rfc3339(outside.started),
        running_ns: nanos(outside.begun.elapsed()),
        listening: outside.listening.clone(),
        access: shared.access.name().to_owned(),
        connections: Connections {
            now: counts.connections.get(),
            opened: counts.opened.get(),
            limit: u64::try_from(outside.limit).unwrap_or(u64::MAX),
        },
        refusals: counts.refusals().map(|(why, count)| (why.to_owned(), count)).collect(),
        sent_away: counts.endings().map(|(why, count)| (why.to_owned(), count)).collect(),
        incoming: messages(&counts.incoming),
        outgoing: messages(&counts.outgoing),
        waiting,
        work: Engine {
            turns: work.turns,
            busy_ns: nanos(work.busy),
            turn_ns: nanos(shared.engines.longest_turn()),
            heap_bytes: counts.heap.get(),
            content_bytes: counts.content.get(),
            hangs: counts.hangs.get(),
        },
        memory_bytes: memory(),
        stored,
        forgotten_accounts: counts.forgotten.get(),
        upstream: shared.upstream.as_ref().map(|upstream| upstream.told()),
        mishaps: outside.mishaps.last(),
    }
}

/// The answers for the user of a relay, besides those for its clients.
pub(super) fn for_its_user() -> Router<Arc<Shared>> {
    Router::new().route("/metrics", get(metrics)).route("/status", get(as_json))
}

/// The answers for those who watch a relay.
pub(super) fn for_watching() -> Router<Arc<Shared>> {
    for_its_user().route("/", get(as_page))
}

async fn metrics(Extracted(shared): Extracted<Arc<Shared>>) -> Response {
    #[expect(clippy::cast_precision_loss, reason = "fractions of a microsecond do not matter")]
    let started = shared.outside.started.0 as f64 / 1e9;
    match openmetrics::text(&status(&shared).await, &shared.outside.counts, started) {
        Ok(text) => ([(CONTENT_TYPE, openmetrics::TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn as_json(Extracted(shared): Extracted<Arc<Shared>>) -> Response {
    match serde_json::to_string(&status(&shared).await) {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json + "\n").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn as_page(Extracted(shared): Extracted<Arc<Shared>>) -> Response {
    page::response(&status(&shared).await)
}

/// Asks the engine now and then how it does, and logs what it is good to know. Does not end.
pub(super) async fn watch(shared: Arc<Shared>) {
    tokio::join!(ask_the_engine(&shared), look_for_hangs(&shared), log_refusals(&shared.outside.counts));
}

async fn ask_the_engine(shared: &Shared) {
    let counts = &shared.outside.counts;
    let mut every = tokio::time::interval(ASK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in (0..MEASURE_EVERY).cycle() {
        every.tick().await;
        let (mut heap, mut content) = (None, 0);
        for engine in shared.engines.all() {
            let asked = Instant::now();
            let answer = engine.call_async(&Measure { memory: round == 0 }, ANSWER).await;
            // One that never came took at least as long.
            counts.answers.observe(asked.elapsed().as_secs_f64());
            match answer {
                Ok(measured) => {
                    content += measured.content_bytes;
                    heap = measured.heap_bytes.map(|bytes| bytes + heap.unwrap_or(0)).or(heap);
                    if let (Some(upstream), Some(agreement)) = (&shared.upstream, measured.upstream) {
                        upstream.measured(agreement);
                    }
                }
                Err(error) => tracing::debug!(%error, "the engine was not measured"),
            }
        }
        counts.content.set(content);
        heap.into_iter().for_each(|bytes| counts.heap.set(bytes));
    }
}

async fn look_for_hangs(shared: &Shared) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    let mut was_stuck = false;
    loop {
        every.tick().await;
        let is_stuck = is_stuck(&shared.engines);
        if is_stuck && !was_stuck {
            shared.outside.counts.hangs.add(1);
            tracing::warn!("its engine has been busy with one thing for {} s", LONGEST_TURN.as_secs());
        } else if was_stuck && !is_stuck {
            tracing::info!("its engine goes on");
        }
        was_stuck = is_stuck;
    }
}

async fn log_refusals(counts: &Counts) {
    let mut every = tokio::time::interval(LOG_EVERY);
    let mut refused: Vec<u64> = counts.refusals().map(|_| 0).collect();
    let mut sent_away: Vec<u64> = counts.endings().map(|_| 0).collect();
    loop {
        every.tick().await;
        for (reason, count) in more(counts.refusals(), &mut refused) {
            tracing::info!(reason, count, "clients were not taken in");
        }
        for (reason, count) in more(counts.endings(), &mut sent_away) {
            tracing::info!(reason, count, "clients were sent away");
        }
    }
}

/// By how much each number has grown since it was last looked at, where it has.
fn more<'a>(
    counts: impl Iterator<Item = (&'static str, u64)> + 'a,
    seen: &'a mut [u64],
) -> impl Iterator<Item = (&'static str, u64)> + 'a {
    let grown =
        |((reason, count), seen): ((&'static str, u64), &mut u64)| (reason, count - std::mem::replace(seen, count));
    counts.zip(seen).map(grown).filter(|(_, more)| *more > 0)
}

/// Bytes of memory that this process has in use, where the system tells.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

pub(super) fn rfc3339(at: UnixNanos) -> String {
    jiff::Timestamp::from_nanosecond(at.0.into()).unwrap_or_default().to_string()
}
