//! Waiting for another process that keeps the database to itself, and having it told when that takes long.

use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Waiting that takes longer is told of.
const LONG: Duration = Duration::from_secs(1);
/// The longest pause between two looks; the first ones are shorter.
const PAUSE: Duration = Duration::from_millis(25);

static TELL: OnceLock<fn()> = OnceLock::new();
static TOLD: Once = Once::new();

/// Has `tell` called once this process has waited a second for another one; at most once, and the first `tell` counts.
pub fn tell_of_waiting(tell: fn()) {
    // Whoever comes later finds that it is seen to.
    let _ = TELL.set(tell);
}

/// How long other processes are waited for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    /// So long, each time.
    Each(Duration),
    /// Until then, however often it comes to it.
    Until(Instant),
}

impl Limit {
    /// What is left of it after having waited for so long.
    fn left(self, waited: Duration) -> Duration {
        match self {
            Self::Each(time) => time.saturating_sub(waited),
            Self::Until(end) => end.saturating_duration_since(Instant::now()),
        }
    }
}

/// How long a connection waits. Its handler is set once and asks this: the engine has no way to put one back that was replaced.
#[derive(Debug, Clone)]
pub(super) struct Patience(Arc<Mutex<Limit>>);

impl Patience {
    /// Has the connection wait for other processes, but no longer than `limit`.
    pub(super) fn of(db: &mut Connection, limit: Limit) -> rusqlite::Result<Self> {
        let patience = Self(Arc::new(Mutex::new(limit)));
        let asked = patience.clone();
        let mut began = Instant::now();
        db.busy_handler(Some(move |looks: i32| {
            if looks == 0 {
                began = Instant::now();
            }
            let waited = began.elapsed();
            if waited >= LONG
                && let Some(tell) = TELL.get()
            {
                TOLD.call_once(tell);
            }
            let left = asked.limit().left(waited);
            let goes_on = !left.is_zero();
            if goes_on {
                thread::sleep(left.min(PAUSE).min(Duration::from_millis(u64::from(looks.unsigned_abs()) + 1)));
            }
            goes_on
        }))?;
        Ok(patience)
    }

    /// How long is waited from now on.
    pub(super) fn left(&self) -> Duration {
        self.limit().left(Duration::ZERO)
    }

    /// Runs `work` with another limit.
    pub(super) fn instead<T>(&self, limit: Limit, work: impl FnOnce() -> T) -> T {
        let usual = self.replace(limit);
        let result = work();
        self.replace(usual);
        result
    }

    fn limit(&self) -> Limit {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, limit: Limit) -> Limit {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), limit)
    }
}
