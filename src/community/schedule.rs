//! When reports go by themselves: one in each week or month, at a random moment of it.

use serde::{Deserialize, Serialize};

use super::journal::DAY;
use super::noise::{NoRandom, Random, below};
use crate::history::UnixNanos;

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Often {
    /// One in each seven days.
    Weekly,
    /// One in each thirty days.
    Monthly,
}

impl Often {
    fn period(self) -> i64 {
        match self {
            Self::Weekly => 7 * DAY,
            Self::Monthly => 30 * DAY,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }
}

/// A schedule that was agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How often.
    pub often: Often,
    /// When the window begins in which the next one is sent, in nanoseconds since 1970.
    window: i64,
    /// The moment in it.
    due: i64,
}

impl Plan {
    /// The first window begins now.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub fn begin(often: Often, now: UnixNanos, random: &mut impl Random) -> Result<Self, NoRandom> {
        Self::within(often, now.0, random)
    }

    fn within(often: Often, window: i64, random: &mut impl Random) -> Result<Self, NoRandom> {
        let into = below(often.period().unsigned_abs(), random)?;
        Ok(Self { often, window, due: window.saturating_add_unsigned(into) })
    }

    /// The plan after a report did not reach its collector: it is tried again within a day.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub fn again(self, now: UnixNanos, random: &mut impl Random) -> Result<Self, NoRandom> {
        let into = below(DAY.unsigned_abs(), random)?;
        Ok(Self { due: now.0.saturating_add_unsigned(into), ..self })
    }

    /// When the next report is due.
    #[must_use]
    pub fn due(&self) -> UnixNanos {
        UnixNanos(self.due)
    }

    /// Whether it is.
    #[must_use]
    pub fn is_due(&self, now: UnixNanos) -> bool {
        now.0 >= self.due
    }

    /// The plan after a report was sent, or cannot be: the window that follows the one that is running. Windows that passed while nobody
    /// was there are not made up for.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub fn next(self, now: UnixNanos, random: &mut impl Random) -> Result<Self, NoRandom> {
        let period = self.often.period();
        let passed = now.0.saturating_sub(self.window).max(0) / period + 1;
        Self::within(self.often, self.window.saturating_add(passed.saturating_mul(period)), random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::community::noise::tests::Seeded;

    const NOW: UnixNanos = UnixNanos(20_000 * DAY);

    #[test]
    fn there_is_one_in_each_window_at_a_moment_that_chance_chooses() {
        for (often, days) in [(Often::Weekly, 7), (Often::Monthly, 30)] {
            let mut random = Seeded(1);
            let mut plan = Plan::begin(often, NOW, &mut random).unwrap();
            let mut moments = Vec::new();
            for window in 0..400 {
                let begins = NOW.0 + window * days * DAY;
                assert!((begins..begins + days * DAY).contains(&plan.due().0), "{often:?}, window {window}");
                assert!(!plan.is_due(UnixNanos(plan.due().0 - 1)) && plan.is_due(plan.due()));
                moments.push((plan.due().0 - begins) as f64 / (days * DAY) as f64);
                plan = plan.next(plan.due(), &mut random).unwrap();
            }
            let mean = moments.iter().sum::<f64>() / 400.0;
            assert!((mean - 0.5).abs() < 0.06, "{often:?}: {mean}");
            assert!(moments.iter().any(|at| *at < 0.05) && moments.iter().any(|at| *at > 0.95));
        }
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let plan = Plan::begin(Often::Weekly, NOW, &mut Seeded(1)).unwrap();
        let late = UnixNanos(NOW.0 + 30 * DAY);
        let next = plan.next(late, &mut Seeded(2)).unwrap();
        assert!((NOW.0 + 35 * DAY..NOW.0 + 42 * DAY).contains(&next.due().0));
        let again = plan.again(late, &mut Seeded(3)).unwrap();
        assert!((late.0..late.0 + DAY).contains(&again.due().0));
    }
}
