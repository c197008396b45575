//! How much of the history is kept in sync: the newest records, for so many days. Devices keep what they have.
//!
//! Only records inside the window go up, and long ones are cut or left out. A segment all of whose records have fallen
//! out of the window retires: any device says so in the index, and it is erased everywhere. What has retired is not
//! sent again; its line says how new its newest record was, so that a record which its writer added unseen by whoever
//! retired it still goes up. Days are counted back from a time that a wrong clock cannot move far (`trusted_time`); should
//! the window begin earlier again all the same, what then lies nowhere is queued once more: each device brings its own, and a
//! while later what another has not brought, since it may have lost it. What this device alone knows of a record that is in sync
//! otherwise, such as how it ended, waits in the queue for that.

use serde::{Deserialize, Serialize};

use super::copies::Copies;
use super::engine::Engine;
use super::index::{RETIRED, Segment};
use super::month::Month;
use super::pull::LINES;
use super::{SyncError, append, trusted_time};
use crate::history::{History, Record, UnixNanos};
use crate::prefs::{LARGE_RECORD, LargeRecords, Settings};

const DAY: i64 = 86_400_000_000_000;
/// The settings that decided what is in the outbox and what was left out of it.
const DECIDED_BY: &str = "sync_limits";
/// Since when records were kept in sync at the last exchange.
const BEGAN: &str = "sync_window";
/// When to look at what is here of other devices, after the window began earlier again.
const OTHERS_AT: &str = "sync_others_at";
/// How long the others have to bring it themselves.
const OTHERS_AFTER: i64 = 600_000_000_000;

/// Since when records are kept in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Since then, as days go.
    days: UnixNanos,
    /// Since then, as their number goes.
    number: UnixNanos,
}

/// Records of this device that sync leaves on it, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalOnly {
    /// They are older than the days that are kept in sync.
    pub too_old: u64,
    /// There are too many newer ones.
    pub beyond_limit: u64,
    /// They are too large.
    pub too_large: u64,
    /// A rule of the user or a secret in them keeps them here.
    pub filtered: u64,
}

impl LocalOnly {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.too_old + self.beyond_limit + self.too_large + self.filtered
    }
}

impl Window {
    /// The window as of now.
    pub(super) fn of(engine: &Engine) -> Result<Self, SyncError> {
        Self::at(&engine.history, &engine.settings, (engine.now)())
    }

    fn at(history: &History, settings: &Settings, now: UnixNanos) -> Result<Self, SyncError> {
        let now = trusted_time::at(history, now)?;
        let days = settings.retention_days.map_or(i64::MIN, |days| now.0.saturating_sub(i64::from(days) * DAY));
        let number = match settings.max_records {
            Some(number) => history.nth_newest(number)?.map_or(i64::MIN, |began| began.0),
            None => i64::MIN,
        };
        Ok(Self { days: UnixNanos(days), number: UnixNanos(number) })
    }

    /// Whether a record that began then is kept in sync.
    pub(super) fn holds(&self, began: UnixNanos) -> bool {
        began >= self.from()
    }

    /// The window of the last exchange, if there was one.
    fn noted(history: &History) -> Result<Option<Self>, SyncError> {
        let noted = history.meta_get(BEGAN)?.unwrap_or_default();
        let began = noted.split_once(' ').and_then(|(days, number)| Some((days.parse().ok()?, number.parse().ok()?)));
        Ok(began.map(|(days, number)| Self { days: UnixNanos(days), number: UnixNanos(number) }))
    }

    /// Whether the days of this one begin so much earlier than those of another that a clock must have been wrong.
    fn is_long_before(&self, other: &Self) -> bool {
        self.days.0 < other.days.0.saturating_sub(DAY)
    }

    /// Records that began before are not kept in sync.
    pub(super) fn from(&self) -> UnixNanos {
        self.days.max(self.number)
    }
}

/// What goes up of a record inside the window: itself, a cut form, or nothing.
pub(super) fn outgoing(settings: &Settings, record: Record) -> Option<Record> {
    match settings.large_records {
        LargeRecords::Truncate => Some(record.truncated(LARGE_RECORD)),
        LargeRecords::Exclude => (!record.is_longer_than(LARGE_RECORD)).then_some(record),
    }
}

/// The window of this exchange. After a change of the limits, or if it begins earlier than the last one, what had been
/// left out is looked at again. That goes for what is here of other devices too, which may be gone or have lost it: after a
/// wrong clock at once, since what was in sync was retired; else when they had time to bring it.
pub(super) fn reconsider(engine: &Engine) -> Result<Window, SyncError> {
    let history = &engine.history;
    let mut window = Window::of(engine)?;
    let Settings { retention_days, max_records, large_records, .. } = engine.settings;
    let limits = format!("{retention_days:?} {max_records:?} {large_records:?}");
    let changed = history.meta_get(DECIDED_BY)?.as_deref() != Some(&limits);
    let before = Window::noted(history)?;
    let mut queued = 0;
    if changed || before.is_some_and(|before| window.from() < before.from()) {
        let wrong_clock = !changed && before.is_some_and(|before| window.is_long_before(&before));
        queued = history.queue_unplaced((!wrong_clock).then_some(engine.device), window.from())?;
        queued += history.release_outside()?;
        history.meta_set(DECIDED_BY, Some(&limits))?;
        let at = (engine.now)().0.saturating_add(OTHERS_AFTER).to_string();
        history.meta_set(OTHERS_AT, (!wrong_clock && before.is_some()).then_some(&at))?;
    } else if let Some(at) = history.meta_get(OTHERS_AT)?
        && at.parse().is_ok_and(|at: i64| at <= (engine.now)().0)
    {
        queued = history.queue_unplaced(None, window.from())?;
        history.meta_set(OTHERS_AT, None)?;
    }
    if queued > 0 {
        // It counts from now on.
        window = Window::of(engine)?;
    }
    history.meta_note(BEGAN, &format!("{} {}", window.days.0, window.number.0))?;
    Ok(window)
}

/// Retires the segments that have fallen out of the window whole.
pub(super) fn run(engine: &mut Engine) -> Result<(), SyncError> {
    let from = Window::of(engine)?.from();
    let mut retired: Vec<Segment> = Vec::new();
    for segment in engine.index.live() {
        let month = segment.description.month;
        if month > Month::of(from) || month == Month::of(from) && engine.history.has_newer_in(&segment.id, from)? {
            continue;
        }
        let newest = match engine.history.newest_in(&segment.id)? {
            Some(newest) if newest < from => newest,
            // Not all of its records are known here; but they are of its month, which is over.
            None if month < Month::of(from) => from,
            _ => continue,
        };
        let mut segment = segment.gone(RETIRED);
        segment.description.newest = Some(newest.0);
        retired.push(segment);
    }
    if !retired.is_empty() {
        Copies::load(engine)?.keep_together(engine, &mut retired);
    }
    if retired.is_empty() {
        return Ok(());
    }
    tracing::info!(segments = retired.len(), "parts of the history are older than what is kept in sync");
    for lines in retired.chunks(LINES) {
        append::announce(engine, lines.to_vec())?;
    }
    Ok(())
}

/// How many records of this device sync leaves on it, and why.
///
/// # Errors
///
/// [`SyncError::History`].
pub fn local_only(history: &History, settings: &Settings, now: UnixNanos) -> Result<LocalOnly, SyncError> {
    let window = Window::at(history, settings, now)?;
    let mut local = LocalOnly { filtered: history.held_count()?, ..LocalOnly::default() };
    let (device, days, from) = (history.device_id()?, window.days, window.from());
    local.too_old = history.unplaced_count(device, UnixNanos(i64::MIN), days)?;
    local.beyond_limit = history.unplaced_count(device, days, from)?;
    local.too_large = history.unplaced_count(device, from, UnixNanos(i64::MAX))?;
    Ok(local)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn window(days: i64, number: i64) -> Window {
        Window { days: UnixNanos(days), number: UnixNanos(number) }
    }

    #[test]
    fn both_limits_hold() {
        let goes = |window: &Window, at| window.holds(UnixNanos(at));
        for window in [window(10, 5), window(5, 10)] {
            assert!(!goes(&window, 9));
            assert!(goes(&window, 10));
        }
        assert!(goes(&window(i64::MIN, i64::MIN), i64::MIN));
    }

    #[test]
    fn long_records_are_cut_or_stay() {
        let long = Record::new("x".repeat(LARGE_RECORD + 1), UnixNanos(1), Uuid::nil());
        let cut = outgoing(&Settings::default(), long.clone()).unwrap();
        assert!(cut.is_truncated() && cut.command.len() == LARGE_RECORD);
        let leave_out = Settings { large_records: LargeRecords::Exclude, ..Settings::default() };
        assert_eq!(outgoing(&leave_out, long), None);
        let whole = Record::new("x".repeat(LARGE_RECORD), UnixNanos(1), Uuid::nil());
        assert_eq!(outgoing(&leave_out, whole.clone()), Some(whole));
    }
}
