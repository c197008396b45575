//! What a daemon may do now, as state, settings and clock say; and whether the machine has slept.

use std::time::{Duration, Instant};

use super::socket::Doing;
use crate::history::UnixNanos;
use crate::prefs::Frequency;
use crate::sync::{SyncError, SyncState};

/// What the user has chosen, as far as it concerns a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// When to exchange without being asked.
    pub frequency: Frequency,
    /// Whether a relay is named.
    pub has_relay: bool,
    /// Changes with anything that an open engine was given.
    pub fingerprint: [u8; 32],
}

/// What may be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing, for this reason; even if the user asks.
    Nothing(Doing),
    /// Only what the user asks for.
    Asked(Doing),
    /// Stay connected.
    Live,
    /// An exchange at this time, for this reason.
    At(UnixNanos, &'static str),
}

impl Plan {
    pub(super) fn make(state: &SyncState, choices: &Choices, lent: bool, now: UnixNanos) -> Self {
        if !state.is_enabled() {
            Self::Nothing(Doing::Disabled)
        } else if state.may_exchange().is_err() {
            Self::Nothing(Doing::Left)
        } else if !choices.has_relay {
            Self::Nothing(Doing::NoRelay)
        } else if lent {
            Self::Nothing(Doing::Lent)
        } else if state.paused {
            Self::Asked(Doing::Paused)
        } else {
            match period(choices.frequency) {
                Period::Live => Self::Live,
                Period::Never => Self::Asked(Doing::Waiting),
                Period::Every(period, trigger) => Self::At(next(state, period, now), trigger),
            }
        }
    }
}

/// How often exchanges are made without being asked.
pub(crate) enum Period {
    /// After each change.
    Live,
    /// So often, and what such an exchange is called.
    Every(Duration, &'static str),
    /// Not at all.
    Never,
}

pub(crate) fn period(frequency: Frequency) -> Period {
    match frequency {
        Frequency::Realtime => Period::Live,
        Frequency::Hourly => Period::Every(Duration::from_secs(3600), "hourly"),
        Frequency::Daily => Period::Every(Duration::from_secs(24 * 3600), "daily"),
        Frequency::Manual => Period::Never,
    }
}

/// When an exchange of this period is due. A last one that lies in the future was made under a wrong clock.
pub(crate) fn next(state: &SyncState, period: Duration, now: UnixNanos) -> UnixNanos {
    let last = state.last_exchange.as_ref().filter(|last| last.error.is_none());
    let last = last.and_then(|last| last.at.parse::<jiff::Timestamp>().ok());
    let period = i64::try_from(period.as_nanos()).unwrap_or(i64::MAX);
    let last = last.and_then(|at| i64::try_from(at.as_nanosecond()).ok()).filter(|at| *at <= now.0);
    last.map_or(now, |at| UnixNanos(at.saturating_add(period)))
}

pub(crate) fn rfc3339(time: UnixNanos) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or_default().to_string()
}

/// The state of a home where sync is set up.
pub(super) fn state(path: &std::path::Path) -> Result<SyncState, SyncError> {
    SyncState::load(path)?.ok_or(SyncError::NotSetUp)
}

/// The wall clock beside one that does not count the time asleep: where they part, the machine has slept or its
/// clock was set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    wall: UnixNanos,
    steady: Instant,
}

/// Clocks that part by less are being corrected by the network's time.
const PARTED: i128 = 8_000_000_000;

impl Clocks {
    pub(super) fn read(now: fn() -> UnixNanos) -> Self {
        Self { wall: now(), steady: Instant::now() }
    }

    /// Whether they have parted since the last look.
    pub(super) fn jumped(&mut self, now: fn() -> UnixNanos) -> bool {
        let before = std::mem::replace(self, Self::read(now));
        let wall = i128::from(self.wall.0) - i128::from(before.wall.0);
        let steady = i128::try_from(self.steady.duration_since(before.steady).as_nanos()).unwrap_or(i128::MAX);
        (wall - steady).abs() > PARTED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::LastExchange;

    const HOUR: Duration = Duration::from_secs(3600);

    fn state(at: &str, error: Option<&str>) -> SyncState {
        let last = LastExchange { at: at.into(), error: error.map(Into::into), ..LastExchange::default() };
        let account = serde_json::json!({ "account": "a", "device": uuid::Uuid::nil(), "session": null });
        SyncState { last_exchange: Some(last), ..serde_json::from_value(account).unwrap() }
    }

    fn time(text: &str) -> UnixNanos {
        UnixNanos(i64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap())
    }

    #[test]
    fn an_exchange_is_due_a_period_after_the_last_that_went_well() {
        let now = time("2026-11-24T12:00:00Z");
        let due = |state| next(&state, HOUR, now);
        assert_eq!(due(state("2026-11-24T11:30:00Z", None)), time("2026-11-24T12:30:00Z"));
        assert_eq!(due(state("2026-11-24T11:30:00Z", Some("no network"))), now);
        assert_eq!(due(state("2027-01-01T00:00:00Z", None)), now, "a clock that was ahead stops nothing");
        assert_eq!(due(state("nonsense", None)), now);
    }

    #[test]
    fn consent_comes_before_everything_and_a_pause_leaves_what_is_asked_for() {
        let now = time("2026-11-24T12:00:00Z");
        let choices = |frequency, has_relay| Choices { frequency, has_relay, fingerprint: [0; 32] };
        let plan = |state: &SyncState, choices, lent| Plan::make(state, &choices, lent, now);
        let well = state("2026-11-24T11:30:00Z", None);
        assert_eq!(plan(&well, choices(Frequency::Realtime, true), false), Plan::Live);
        assert_eq!(plan(&well, choices(Frequency::Realtime, false), false), Plan::Nothing(Doing::NoRelay));
        assert_eq!(plan(&well, choices(Frequency::Realtime, true), true), Plan::Nothing(Doing::Lent));
        assert_eq!(plan(&well, choices(Frequency::Manual, true), false), Plan::Asked(Doing::Waiting));
        let due = Plan::At(time("2026-11-25T11:30:00Z"), "daily");
        assert_eq!(plan(&well, choices(Frequency::Daily, true), false), due);
        let paused = SyncState { paused: true, ..well };
        assert_eq!(plan(&paused, choices(Frequency::Realtime, true), false), Plan::Asked(Doing::Paused));
        let disabled = SyncState { consent: crate::sync::Consent::Disabled, ..paused };
        assert_eq!(plan(&disabled, choices(Frequency::Realtime, true), false), Plan::Nothing(Doing::Disabled));
    }

    #[test]
    fn clocks_part_when_the_machine_sleeps_or_the_clock_is_set() {
        let mut steady = Clocks::read(crate::clock::now);
        assert!(!steady.jumped(crate::clock::now));
        for hours in [3, -3] {
            let mut set = Clocks { wall: UnixNanos(crate::clock::now().0 + hours * 3_600_000_000_000), ..steady };
            assert!(set.jumped(crate::clock::now));
            assert!(!set.jumped(crate::clock::now), "only once");
        }
    }
}
