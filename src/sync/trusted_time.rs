//! What time it is for decisions that take something away from all devices: a clock that is ahead must not do that.
//!
//! The time that counts is never later than this device's clock. It follows that clock, but at most a day from one exchange to
//! the next, unless another device was in sync lately by its own clock: it is then at most a day after that. So a clock
//! that jumps ahead moves it by a day, and one that was right all along is believed as soon as a second device says the same.
//! A device that is alone in its account has nobody to ask: it is believed once its clock has gone on for a day.

use super::SyncError;
use super::engine::Engine;
use crate::history::{History, UnixNanos};

const DAY: i64 = 86_400_000_000_000;
/// What was noted last, in the history's small pieces of state.
const NOTED: &str = "sync_time";

/// The time that counted at the last exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    /// That time.
    trusted: i64,
    /// What the clock said.
    clock: i64,
    /// What the clock said when it first was ahead of that time; none where it is not.
    ahead_since: Option<i64>,
}

impl Noted {
    fn load(history: &History) -> Result<Option<Self>, SyncError> {
        let noted = history.meta_get(NOTED)?.unwrap_or_default();
        let numbers: Vec<Option<i64>> = noted.split_whitespace().map(|number| number.parse().ok()).collect();
        Ok(match numbers[..] {
            [Some(trusted), Some(clock), ahead_since] => Some(Self { trusted, clock, ahead_since }),
            _ => None,
        })
    }

    fn text(&self) -> String {
        let ahead_since = self.ahead_since.map_or_else(|| "-".to_owned(), |since| since.to_string());
        format!("{} {} {ahead_since}", self.trusted, self.clock)
    }

    /// The time that counts when the clock says `clock`, without having asked anybody.
    fn at(&self, clock: i64) -> i64 {
        let passed = clock.saturating_sub(self.clock).clamp(0, DAY);
        clock.min(self.trusted.saturating_add(passed))
    }
}

/// The note after an exchange; `witness` is when another device was in sync last, by its own clock.
fn next(noted: Option<Noted>, clock: i64, witness: Option<i64>, alone: bool) -> Noted {
    let told = witness.map(|witness| witness.saturating_add(DAY).min(clock));
    let trusted = match noted {
        Some(noted) => told.unwrap_or(i64::MIN).max(noted.at(clock)),
        None => told.unwrap_or(clock),
    };
    if trusted >= clock {
        return Noted { trusted: clock, clock, ahead_since: None };
    }
    let since = noted.and_then(|noted| noted.ahead_since).filter(|since| *since <= clock).unwrap_or(clock);
    if alone && clock - since >= DAY {
        return Noted { trusted: clock, clock, ahead_since: None };
    }
    Noted { trusted, clock, ahead_since: Some(since) }
}

/// Takes note of the time, after what the other devices say was read.
pub(super) fn settle(engine: &Engine) -> Result<(), SyncError> {
    let others = engine.devices.others(engine.device);
    let witness = others.iter().filter_map(|(_, last_sync, _)| *last_sync).max();
    let alone = others.iter().all(|(_, _, removed)| *removed);
    let noted = next(Noted::load(&engine.history)?, (engine.now)().0, witness, alone);
    if noted.ahead_since.is_some() {
        tracing::warn!("the clock of this device is far ahead of what is known of the others");
    }
    engine.history.meta_note(NOTED, &noted.text())?;
    Ok(())
}

/// The time that counts where the clock says `clock`.
pub(super) fn at(history: &History, clock: UnixNanos) -> Result<UnixNanos, SyncError> {
    Ok(UnixNanos(Noted::load(history)?.map_or(clock.0, |noted| noted.at(clock.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: i64) -> i64 {
        days * DAY
    }

    #[test]
    fn a_clock_that_jumps_ahead_moves_the_time_by_a_day() {
        let before = next(None, days(100), Some(days(100)), false);
        assert_eq!(before.trusted, days(100));
        let mut ahead = next(Some(before), days(500), Some(days(100)), false);
        assert_eq!(ahead.trusted, days(101));
        for _ in 0..50 {
            ahead = next(Some(ahead), days(500), Some(days(100)), false);
        }
        assert_eq!(ahead.trusted, days(101), "not once more for each exchange");
        assert_eq!(next(Some(ahead), days(100), Some(days(100)), false).trusted, days(100), "and back");
    }

    #[test]
    fn a_clock_is_believed_if_another_device_says_the_same_or_nobody_can() {
        let before = next(None, days(100), None, true);
        assert_eq!(before.trusted, days(100));
        assert_eq!(next(Some(before), days(500), Some(days(500) - 1), false).trusted, days(500));
        let ahead = next(Some(before), days(500), None, true);
        assert_eq!(ahead.trusted, days(101));
        assert_eq!(next(Some(ahead), days(501), None, false).trusted, days(102));
        assert_eq!(next(Some(ahead), days(501), None, true).trusted, days(501), "it went on for a day");
        assert_eq!(next(None, days(500), Some(days(100)), false).trusted, days(101));
    }

    #[test]
    fn what_is_noted_reads_back() {
        let history = History::in_memory().unwrap();
        for ahead_since in [None, Some(7)] {
            let noted = Noted { trusted: 5, clock: 9, ahead_since };
            history.meta_set(NOTED, Some(&noted.text())).unwrap();
            assert_eq!(Noted::load(&history).unwrap(), Some(noted));
        }
        assert_eq!(at(&history, UnixNanos(20)).unwrap(), UnixNanos(16));
        assert_eq!(at(&history, UnixNanos(3)).unwrap(), UnixNanos(3));
    }
}
