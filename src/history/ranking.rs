//! Which of several matches comes first: what a person most likely looks for, in points.
//!
//! | what counts | points |
//! | --- | --- |
//! | how well the text matches | up to 1000 |
//! | how recently it ran: 400 for a moment ago, 20 less with each doubling of its age in minutes | up to 400 |
//! | it ran in the directory that one is in | 250 |
//! | how often it ran: 25 with each doubling | up to 200 |
//! | how often it succeeded; what was never known counts half | up to 150 |
//!
//! So an hour-old command has 280 points for its age, one of yesterday 190, of last week 135, of last year 20: a command
//! of this directory comes before a newer one from elsewhere, and one that always fails gives way to the one that
//! mended it. A command that was interrupted has neither failed nor succeeded: so end servers and pagers.
//!
//! It is a pure function of [`Facts`], the same for `caro history search` and for its full screen.

use super::UnixNanos;

/// The most points for the text.
pub(super) const BEST_MATCH: u32 = 1000;
const NOW: f64 = 400.0;
const EACH_DOUBLING_OF_AGE: f64 = 20.0;
const HERE: u32 = 250;
const EACH_DOUBLING_OF_RUNS: f64 = 25.0;
const MOST_FOR_RUNS: f64 = 200.0;
const ALWAYS_SUCCEEDED: u32 = 150;
/// The exit status of what a person interrupted.
const INTERRUPTED: i32 = 130;
const MINUTE: f64 = 60e9;

/// Where and when somebody searches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Here {
    /// The directory that one is in.
    pub cwd: Option<String>,
    /// The current time.
    pub now: UnixNanos,
}

/// What is known of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// How well the text matches, 0 to 1000.
    pub text: u32,
    /// Nanoseconds since it ran last; what lies in the future counts as now.
    pub age: i64,
    /// Whether it ran in the directory that one is in.
    pub here: bool,
    /// How often it ran.
    pub runs: u32,
    /// How often it succeeded.
    pub succeeded: u32,
    /// How often it failed.
    pub failed: u32,
}

impl Facts {
    /// Counts one run with this exit status.
    pub fn count(&mut self, exit: Option<i32>) {
        self.runs += 1;
        match exit {
            None | Some(INTERRUPTED) => {}
            Some(0) => self.succeeded += 1,
            Some(_) => self.failed += 1,
        }
    }
}

/// The points of a match; the more the better.
#[must_use]
pub fn points(facts: &Facts) -> u32 {
    let minutes = facts.age.max(0) as f64 / MINUTE;
    let recent = (NOW - EACH_DOUBLING_OF_AGE * (1.0 + minutes).log2()).max(0.0) as u32;
    let frequent = (EACH_DOUBLING_OF_RUNS * f64::from(facts.runs.max(1)).log2()).min(MOST_FOR_RUNS) as u32;
    let here = if facts.here { HERE } else { 0 };
    // As if it had succeeded and failed once more: one run says little, many say much.
    let known = u64::from(facts.succeeded) + u64::from(facts.failed) + 2;
    let successful = u64::from(ALWAYS_SUCCEEDED) * (u64::from(facts.succeeded) + 1) / known;
    facts.text.min(BEST_MATCH) + recent + here + frequent + u32::try_from(successful).unwrap_or(ALWAYS_SUCCEEDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    fn once() -> Facts {
        Facts { text: 800, age: HOUR, runs: 1, ..Facts::default() }
    }

    #[test]
    fn each_preference_counts_on_its_own() {
        let plain = points(&once());
        assert!(points(&Facts { text: 900, ..once() }) > plain);
        assert!(points(&Facts { age: HOUR / 2, ..once() }) > plain);
        assert!(points(&Facts { here: true, ..once() }) > plain);
        assert!(points(&Facts { runs: 2, ..once() }) > plain);
        assert!(points(&Facts { succeeded: 1, ..once() }) > plain);
        assert!(points(&Facts { failed: 1, ..once() }) < plain);
    }

    #[test]
    fn the_points_are_those_of_the_table() {
        let age = |hours| points(&Facts { age: hours * HOUR, ..Facts::default() }) - ALWAYS_SUCCEEDED / 2;
        assert_eq!(age(0), 400);
        for (hours, near) in [(1, 280), (24, 190), (168, 135), (365 * 24, 20)] {
            assert!(age(hours).abs_diff(near) <= 5, "{hours} h: {}", age(hours));
        }
        let most = Facts { text: 1000, age: 0, here: true, runs: 1 << 20, succeeded: 1 << 20, failed: 0 };
        assert_eq!(points(&most), 1000 + 400 + 250 + 200 + 149);
    }

    #[test]
    fn a_command_of_this_directory_comes_before_a_newer_one_from_elsewhere() {
        let here = Facts { here: true, age: 24 * HOUR, ..once() };
        assert!(points(&here) > points(&Facts { age: 0, ..once() }));
    }

    #[test]
    fn what_always_fails_gives_way_to_what_mended_it() {
        let failing = Facts { age: 0, runs: 5, failed: 5, ..once() };
        let mended = Facts { age: HOUR / 60, runs: 5, succeeded: 5, ..once() };
        assert!(points(&mended) > points(&failing));
    }

    #[test]
    fn an_interrupted_run_is_neither_a_failure_nor_a_success() {
        let mut facts = Facts::default();
        for exit in [Some(0), Some(130), Some(1), None, Some(-1)] {
            facts.count(exit);
        }
        assert_eq!((facts.runs, facts.succeeded, facts.failed), (5, 1, 2));
    }

    #[test]
    fn the_most_extreme_facts_have_points() {
        for age in [i64::MIN, 0, i64::MAX] {
            let facts =
                Facts { text: u32::MAX, age, here: true, runs: u32::MAX, succeeded: u32::MAX, failed: u32::MAX };
            assert!(points(&facts) <= 2000);
        }
    }
}
