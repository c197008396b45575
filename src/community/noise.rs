//! The die between what is true and what is told: randomized response, in whole numbers.
//!
//! For a question with `k` answers a die with `k + 2` faces is thrown. [`WEIGHT`] = 3 faces say the truth; each of the others
//! says one of the `k - 1` other answers. So whatever is true, any answer is told with a chance of either `3/(k+2)` or
//! `1/(k+2)`: what is seen is at most three times as likely under one history as under any other, which is
//! ε-local differential privacy with ε = ln 3 (Warner 1965; Kasiviswanathan et al. 2008; for `k` answers Kairouz et al. 2014).
//! Chances are fractions of whole numbers and faces come from the system's random source by rejection, so nothing is lost to the
//! rounding of floating-point numbers (Mironov 2012).

/// How many faces of the die say the truth; ε of a report is its natural logarithm.
pub const WEIGHT: u64 = 3;
/// How many reports a device sends within [`YEAR_DAYS`] at the most.
pub const REPORTS_A_YEAR: usize = 12;
/// The year of the budget, in days: as long as twelve months can be. No question is answered twice within it.
pub const YEAR_DAYS: i64 = 366;

/// ε of one report.
#[must_use]
pub fn epsilon() -> f64 {
    (WEIGHT as f64).ln()
}

/// Random 64-bit numbers; the system's, outside of tests.
pub trait Random {
    /// The next one.
    ///
    /// # Errors
    /// Where the system gives none.
    fn next(&mut self) -> Result<u64, NoRandom>;
}

/// The system's random source failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random data")]
pub struct NoRandom;

/// The system's random source.
#[derive(Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next(&mut self) -> Result<u64, NoRandom> {
        getrandom::u64().map_err(|_| NoRandom)
    }
}

/// A number below `bound` (at least 1), each with exactly the same chance.
///
/// # Errors
/// [`NoRandom`].
pub fn below(bound: u64, random: &mut impl Random) -> Result<u64, NoRandom> {
    let bound = bound.max(1);
    // 2^64 modulo the bound; what is left above the greatest multiple would favour the small ones.
    let excess = (u64::MAX % bound + 1) % bound;
    loop {
        let drawn = random.next()?;
        if drawn <= u64::MAX - excess {
            return Ok(drawn % bound);
        }
    }
}

/// How many faces the die for `answers` answers has.
#[must_use]
pub const fn faces(answers: usize) -> u64 {
    WEIGHT + answers as u64 - 1
}

/// On how many of its [`faces`] the die says `told` where `truth` is true.
#[must_use]
pub const fn faces_that_tell(told: usize, truth: usize) -> u64 {
    if told == truth { WEIGHT } else { 1 }
}

/// Throws the die: what to tell where `truth`, one of `answers`, is true.
///
/// # Errors
/// [`NoRandom`].
pub fn tell(truth: usize, answers: usize, random: &mut impl Random) -> Result<usize, NoRandom> {
    let face = below(faces(answers), random)?;
    let Some(other) = face.checked_sub(WEIGHT) else { return Ok(truth) };
    // The other answers in their order.
    let other = usize::try_from(other).unwrap_or_default();
    Ok(if other < truth { other } else { other + 1 })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Numbers in a row, for tests that try every face.
    struct Row(Vec<u64>);

    impl Random for Row {
        fn next(&mut self) -> Result<u64, NoRandom> {
            self.0.pop().ok_or(NoRandom)
        }
    }

    /// A generator with a seed (SplitMix64), so that a statistical test says the same every time.
    pub(crate) struct Seeded(pub u64);

    impl Random for Seeded {
        fn next(&mut self) -> Result<u64, NoRandom> {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            Ok(mixed ^ (mixed >> 31))
        }
    }

    #[test]
    fn every_face_of_every_die_says_what_it_should() {
        for answers in 2..=10 {
            for truth in 0..answers {
                let mut told = vec![0; answers];
                for face in 0..faces(answers) {
                    told[tell(truth, answers, &mut Row(vec![face])).unwrap()] += 1;
                }
                let wanted: Vec<u64> = (0..answers).map(|answer| faces_that_tell(answer, truth)).collect();
                assert_eq!(told, wanted, "{truth} of {answers}");
                assert_eq!(told.iter().sum::<u64>(), faces(answers));
            }
        }
    }

    #[test]
    fn no_answer_is_more_than_three_times_as_likely_for_one_as_for_another() {
        for answers in 2..=10 {
            for told in 0..answers {
                for (one, other) in (0..answers).flat_map(|one| (0..answers).map(move |other| (one, other))) {
                    // Both dice have as many faces, so the ratio of chances is that of whole numbers.
                    assert!(faces_that_tell(told, one) <= WEIGHT * faces_that_tell(told, other));
                }
            }
        }
        assert!((epsilon() - 1.0986).abs() < 1e-4);
    }

    #[test]
    fn what_would_favour_small_numbers_is_thrown_away() {
        // 2^64 = 6 · 3074457345618258602 + 4.
        let mut row = Row(vec![5, u64::MAX, u64::MAX - 3]);
        assert_eq!(below(6, &mut row), Ok(5));
        assert!(row.0.is_empty());
        assert_eq!(below(6, &mut Row(vec![u64::MAX - 4])), Ok(5));
        assert_eq!(below(1, &mut Row(vec![u64::MAX])), Ok(0));
        assert_eq!(below(1 << 63, &mut Row(vec![u64::MAX])), Ok((1 << 63) - 1));
        assert_eq!(below(6, &mut Row(vec![])), Err(NoRandom));
    }

    #[test]
    fn the_systems_numbers_fall_on_all_faces_alike() {
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[usize::try_from(below(6, &mut SystemRandom).unwrap()).unwrap()] += 1;
        }
        // Six standard deviations: it fails by chance once in some hundred million runs.
        assert!(seen.iter().all(|count| count.abs_diff(10_000) < 6 * 92), "{seen:?}");
    }
}
