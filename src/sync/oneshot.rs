//! Exchanges after a capture, where no daemon runs: detached, debounced, one at a time.
//!
//! A capture stays as cheap as it was. It reads the state file and, if something is due, asks the daemon's
//! socket; only where none answers it starts a process, and none where one waits already. That one collects
//! what comes within a moment, waits for its turn, lets go of the "waiting" lock, and exchanges: whoever records
//! something after it let go starts the next. So nothing is missed, and never more than two of them are there.

use std::fs::{File, TryLockError};
use std::time::Duration;

use super::daemon::socket::{self, Ask};
use super::daemon::{Period, before_lasting, next, pause, period, random};
use super::{SyncConfig, SyncError, SyncPaths, SyncState};
use crate::history::UnixNanos;
use crate::prefs::{Frequency, Settings};
use crate::private_file;

/// The longest pause between attempts that fail.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// What is to be done after something was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: sync is not set up, off, not due, or somebody else does it.
    Nothing,
    /// Start a background exchange.
    Start,
}

/// Tells the daemon that something was recorded or changed; says whether a process has to be started instead.
/// Whatever cannot be read says no: a capture never fails for sync.
#[must_use]
pub fn after_capture(paths: &SyncPaths, now: UnixNanos) -> Next {
    let Ok(Some(state)) = SyncState::load(&paths.state) else { return Next::Nothing };
    let Ok(settings) = Settings::load(&paths.config) else { return Next::Nothing };
    if !is_due(&state, settings.frequency, now) {
        return Next::Nothing;
    }
    if !SyncConfig::load(&paths.config).is_ok_and(|config| config.relay.is_some()) {
        return Next::Nothing;
    }
    if socket::ask(&paths.socket, Ask::Captured).is_some() {
        return Next::Nothing;
    }
    match waiting(paths) {
        Ok(Some(_)) => Next::Start,
        _ => Next::Nothing,
    }
}

/// Whether a background exchange that had to wait for its turn may be made yet.
#[must_use]
pub fn is_still_due(paths: &SyncPaths, now: UnixNanos) -> bool {
    let Ok(Some(state)) = SyncState::load(&paths.state) else { return false };
    Settings::load(&paths.config).is_ok_and(|settings| is_due(&state, settings.frequency, now))
}

/// When the next exchange happens by itself where no daemon runs, and what starts it; no time: with the next command.
#[must_use]
pub fn next_by_itself(
    state: &SyncState,
    frequency: Frequency,
    now: UnixNanos,
) -> Option<(Option<UnixNanos>, &'static str)> {
    let after_failure = (!backoff_is_over(state, now)).then_some(UnixNanos(state.background.not_before));
    match period(frequency) {
        Period::Live => Some((after_failure, "capture")),
        Period::Every(period, trigger) => {
            Some((Some(next(state, period, now).max(after_failure.unwrap_or(now))), trigger))
        }
        Period::Never => None,
    }
}

/// Whether a background exchange may be made now.
fn is_due(state: &SyncState, frequency: Frequency, now: UnixNanos) -> bool {
    if state.may_exchange().is_err() || state.paused || !backoff_is_over(state, now) {
        return false;
    }
    match period(frequency) {
        Period::Live => true,
        Period::Every(period, _) => next(state, period, now) <= now,
        Period::Never => false,
    }
}

/// A pause that would last longer than the longest was noted under a wrong clock.
fn backoff_is_over(state: &SyncState, now: UnixNanos) -> bool {
    let left = state.background.not_before.saturating_sub(now.0);
    left <= 0 || u128::from(left.unsigned_abs()) > LONGEST_PAUSE.as_nanos()
}

/// Takes the place of the one process that waits for more to come; none where another has it.
///
/// # Errors
///
/// [`SyncError::File`].
pub fn waiting(paths: &SyncPaths) -> Result<Option<File>, SyncError> {
    let failed = |source| SyncError::File { file: paths.waiting_lock.display().to_string(), action: "written", source };
    let file = private_file::make_folder(private_file::folder_of(&paths.waiting_lock))
        .and_then(|()| private_file::open_lock(&paths.waiting_lock))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// How a background exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It went well.
    Well,
    /// It failed.
    Failed,
    /// It failed, and the next one would until somebody does something about it.
    ForGood,
}

/// Notes how a background exchange ended, so that those that fail become rare.
///
/// # Errors
///
/// As [`SyncState::update`].
pub fn ended(paths: &SyncPaths, now: UnixNanos, how: Ended) -> Result<(), SyncError> {
    SyncState::update(&paths.state, |state| {
        if how == Ended::Well {
            state.background = Default::default();
            return;
        }
        let failures = state.background.failures.saturating_add(1);
        // The first failures cost nothing: a second command is mostly seconds away.
        let counted = failures.saturating_add(3);
        let counted = if how == Ended::ForGood { before_lasting(counted).saturating_add(1) } else { counted };
        let pause = pause(counted, LONGEST_PAUSE, random());
        let until = now.0.saturating_add(i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX));
        state.background = super::Background { failures, not_before: until };
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{Background, Consent, LastExchange};

    const SECOND: i64 = 1_000_000_000;
    const NOW: UnixNanos = UnixNanos(1_790_000_000 * SECOND);

    fn state() -> SyncState {
        serde_json::from_value(serde_json::json!({ "account": "a", "device": uuid::Uuid::nil(), "session": null }))
            .unwrap()
    }

    #[test]
    fn nothing_is_due_where_it_is_off_paused_or_the_users_own_business() {
        assert!(is_due(&state(), Frequency::Realtime, NOW));
        assert!(!is_due(&state(), Frequency::Manual, NOW));
        assert!(!is_due(&SyncState { paused: true, ..state() }, Frequency::Realtime, NOW));
        assert!(!is_due(&SyncState { consent: Consent::Disabled, ..state() }, Frequency::Realtime, NOW));
        assert!(!is_due(&SyncState { removed: true, ..state() }, Frequency::Realtime, NOW));
    }

    #[test]
    fn an_hour_and_a_day_are_waited_for() {
        let hour_ago = crate::sync::daemon::rfc3339(UnixNanos(NOW.0 - 3_700 * SECOND));
        let last = LastExchange { at: hour_ago, ..LastExchange::default() };
        let state = SyncState { last_exchange: Some(last), ..state() };
        assert!(is_due(&state, Frequency::Hourly, NOW));
        assert!(!is_due(&state, Frequency::Daily, NOW));
        assert!(is_due(&state, Frequency::Daily, UnixNanos(NOW.0 + 86_400 * SECOND)));
    }

    #[test]
    fn failures_make_attempts_rare_and_a_wrong_clock_stops_them_no_longer_than_that() {
        let folder = tempfile::tempdir().unwrap();
        let paths = SyncPaths::new(folder.path(), folder.path(), folder.path());
        state().save(&paths.state).unwrap();
        let load = || SyncState::load(&paths.state).unwrap().unwrap();
        for failures in 1..20 {
            ended(&paths, NOW, Ended::Failed).unwrap();
            assert_eq!(load().background.failures, failures);
        }
        assert!(!is_due(&load(), Frequency::Realtime, NOW));
        assert!(is_due(&load(), Frequency::Realtime, UnixNanos(NOW.0 + 901 * SECOND)));
        assert!(is_due(&load(), Frequency::Realtime, UnixNanos(NOW.0 - 100_000 * SECOND)));
        ended(&paths, NOW, Ended::Well).unwrap();
        assert_eq!(load().background, Background::default());
        ended(&paths, NOW, Ended::ForGood).unwrap();
        assert!(!is_due(&load(), Frequency::Realtime, UnixNanos(NOW.0 + 30 * SECOND)));
        assert!(is_due(&load(), Frequency::Realtime, UnixNanos(NOW.0 + 200 * SECOND)));
    }

    #[test]
    fn one_waits_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let paths = SyncPaths::new(folder.path(), folder.path(), folder.path());
        let first = waiting(&paths).unwrap();
        assert!(first.is_some() && waiting(&paths).unwrap().is_none());
        drop(first);
        assert!(waiting(&paths).unwrap().is_some());
    }
}
