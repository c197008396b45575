//! Waiting for another process that keeps the database to itself, and having it told when that takes long.

use std::sync::{Once, OnceLock};
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

/// Has the connection wait for other processes, but no longer than `patience`.
pub(super) fn wait(db: &mut Connection, patience: Duration) -> rusqlite::Result<()> {
    if patience <= LONG {
        return db.busy_timeout(patience);
    }
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
        let goes_on = waited < patience;
        if goes_on {
            thread::sleep(PAUSE.min(Duration::from_millis(u64::from(looks.unsigned_abs()) + 1)));
        }
        goes_on
    }))
}
