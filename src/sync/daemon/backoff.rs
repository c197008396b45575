//! When to try again after a failure: exponentially later, and never at the same moment as everybody else.

use std::time::{Duration, Instant};

/// The pause after the first failure, before jitter.
const FIRST: Duration = Duration::from_secs(1);
/// As if so many had failed before does one count that lasts until somebody does something: the next pause is a minute.
const LASTING: u32 = 6;

/// Failures in a row, and how long to wait for them.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    not_before: Option<Instant>,
    lasts: bool,
}

impl Backoff {
    /// Notes a failure. The pause doubles with each, up to `longest`.
    pub(super) fn failed(&mut self, longest: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(Instant::now() + pause(self.failures, longest, random()));
        self.lasts = false;
    }

    /// Notes a failure that would be the same again until somebody does something about it: no hint ends its pause.
    pub(super) fn failed_for_good(&mut self, longest: Duration) {
        self.failures = before_lasting(self.failures);
        self.failed(longest);
        self.lasts = true;
    }

    /// Notes that it went well.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// What failed may go well now: the pause ends, and the next begins small.
    pub(super) fn hurry(&mut self) {
        if !self.lasts {
            *self = Self { failures: self.failures.min(1), ..Self::default() };
        }
    }

    /// How long to wait still; none where there is no reason to.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.not_before?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

/// What failures before one that lasts count as.
pub(crate) fn before_lasting(failures: u32) -> u32 {
    failures.max(LASTING)
}

/// The pause after so many failures; `jitter` from 0 to 1 takes up to half of it away.
pub(crate) fn pause(failures: u32, longest: Duration, jitter: f64) -> Duration {
    let doubled = FIRST.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(longest).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

/// A number from 0 to 1; without a source of randomness everybody waits the longest.
pub(crate) fn random() -> f64 {
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_err() {
        return 0.0;
    }
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn pauses_double_up_to_the_longest() {
        let seconds: Vec<u64> = (1..9).map(|failures| pause(failures, MINUTE, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    proptest! {
        #[test]
        fn a_pause_is_never_longer_than_the_longest_nor_shorter_than_half_a_second(
            failures in 1u32.., jitter in 0.0..=1.0f64
        ) {
            let pause = pause(failures, MINUTE, jitter);
            prop_assert!(pause <= MINUTE && pause >= Duration::from_millis(500), "{pause:?}");
        }
    }

    #[test]
    fn a_hint_that_things_changed_ends_the_pause() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.left(), None);
        for _ in 0..5 {
            backoff.failed(MINUTE);
        }
        assert!(backoff.left().unwrap() > Duration::from_secs(7));
        backoff.hurry();
        assert_eq!((backoff.left(), backoff.failures()), (None, 1));
        backoff.succeeded();
        assert_eq!(backoff.failures(), 0);
    }

    #[test]
    fn what_lasts_is_tried_again_after_a_minute_and_a_hint_changes_nothing() {
        let mut backoff = Backoff::default();
        backoff.failed_for_good(15 * MINUTE);
        backoff.hurry();
        let first = backoff.left().unwrap();
        assert!(first > Duration::from_secs(30) && first <= Duration::from_secs(64), "{first:?}");
        for _ in 0..9 {
            backoff.failed_for_good(15 * MINUTE);
        }
        assert!(backoff.left().unwrap() > 7 * MINUTE);
        backoff.failed(MINUTE);
        backoff.hurry();
        assert_eq!(backoff.left(), None);
    }
}
