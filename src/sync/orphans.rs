//! Records of other devices that have been in the account and lie in no segment any more: whoever still has them sends them
//! again, should their own device not do so.
//!
//! That happens when a segment is given up (`gone`), or when all that held a record was lost. Their own device queues them as soon
//! as it learns of it; others step in one after the other, in the order of their ids and a day apart: at once for a device that is
//! gone, after a week for one that should have done so itself. So as a rule each record goes up once, whoever holds it.

use super::SyncError;
use super::alive::{Alive, SILENCE};
use super::engine::Engine;
use super::pull::Pulled;
use super::retention::Window;
use crate::history::{History, ORPHANS, UnixNanos};

const DAY: i64 = 86_400_000_000_000;
/// How often a device looks again while it waits for others, nanoseconds.
const EVERY: i64 = 3_600_000_000_000;
/// How much later than the window a record must have begun: at its edge devices do not agree about what is inside.
const EDGE: i64 = 2 * DAY;

/// Since when there have been such records, and when that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    since: i64,
    looked: i64,
}

impl Noted {
    /// What is noted, if there may be any; `now` where nobody has looked yet.
    fn load(history: &History, now: i64) -> Result<Option<Self>, SyncError> {
        let Some(noted) = history.meta_get(ORPHANS)? else { return Ok(None) };
        let numbers = noted.split_once(' ').and_then(|(since, at)| Some((since.parse().ok()?, at.parse().ok()?)));
        Ok(Some(match numbers {
            Some((since, looked)) => Self { since: now.min(since), looked },
            None => Self { since: now, looked: i64::MIN },
        }))
    }

    fn is_due(&self, now: i64) -> bool {
        now < self.looked || now.saturating_sub(self.looked) >= EVERY
    }
}

/// Queues those that it falls to this device to send.
pub(super) fn adopt(engine: &Engine, pulled: &Pulled) -> Result<(), SyncError> {
    // Where they lie may be in what has not been read.
    if engine.index.newer > 0 || !pulled.is_complete() {
        return Ok(());
    }
    let alive = Alive::of(engine)?;
    let now = alive.now.0;
    let Some(noted) = Noted::load(&engine.history, now)? else { return Ok(()) };
    if !noted.is_due(now) {
        return Ok(());
    }
    let from = UnixNanos(Window::of(engine)?.from().0.saturating_add(EDGE));
    let (mut due, mut wait) = (Vec::new(), false);
    for (id, device) in engine.history.orphans(engine.device, from)? {
        let patience = if alive.is_alive(device) { SILENCE } else { 0 };
        if now - noted.since >= patience.saturating_add(alive.rank().saturating_mul(DAY)) {
            due.push(id);
        } else {
            wait = true;
        }
    }
    if !due.is_empty() {
        tracing::info!(records = due.len(), "records that no device had in sync any more go up again");
        engine.history.queue_again(&due)?;
    }
    let note = wait.then(|| format!("{} {now}", noted.since));
    engine.history.meta_set(ORPHANS, note.as_deref())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_looked_at_again_after_an_hour_and_by_a_clock_that_was_set_back() {
        let history = History::in_memory().unwrap();
        assert_eq!(Noted::load(&history, 5).unwrap(), None);
        history.meta_set(ORPHANS, Some("new")).unwrap();
        let noted = Noted::load(&history, 5).unwrap().unwrap();
        assert!(noted.since == 5 && noted.is_due(5));
        history.meta_set(ORPHANS, Some("5 9")).unwrap();
        let noted = Noted::load(&history, EVERY).unwrap().unwrap();
        assert_eq!(noted, Noted { since: 5, looked: 9 });
        assert!(noted.is_due(8) && noted.is_due(9 + EVERY) && !noted.is_due(8 + EVERY));
    }
}
