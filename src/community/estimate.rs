//! What is true of many, from what was told by each: the other half of [`noise`](super::noise).
//!
//! Of `n` reports on a question with `k` answers let `c` tell an answer. With `p = 3/(k+2)` and `q = 1/(k+2)`, the share of
//! devices of which it is true is estimated by `(c/n − q)/(p − q)`. That is unbiased, since a share `f` makes an expected
//! part `λ = q + f(p − q)` of all reports tell it. Where the senders are a sample of all users, its variance is
//! `λ(1 − λ)/(n(p − q)²)`; it counts what comes from the die and what comes from the sample.
//!
//! Error bars are Wilson's interval for `λ` at 95%, moved and stretched the same way: unlike `±1.96` standard errors it holds for
//! few reports and small shares too. Each bar is true by itself; of twenty one is expected to miss.

use super::noise::{WEIGHT, faces};

/// 97.5% of a normal distribution lie below this.
const Z: f64 = 1.959_963_984_540_054;

/// What share of devices an answer is true of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate; noise may bring it below 0 or above 1.
    pub share: f64,
    /// Its standard error.
    pub error: f64,
    /// Where the 95% interval begins; from 0 to 1.
    pub low: f64,
    /// Where it ends; from 0 to 1.
    pub high: f64,
}

/// The estimate for each answer of a question, from how often each was told; nothing where nothing was.
#[must_use]
pub fn estimate(told: &[u64]) -> Option<Vec<Estimate>> {
    let n: u64 = told.iter().sum();
    if n == 0 || told.len() < 2 {
        return None;
    }
    let n = n as f64;
    let q = 1.0 / faces(told.len()) as f64;
    let stretch = (WEIGHT - 1) as f64 * q;
    let share = |part: f64| (part - q) / stretch;
    let one = |count: &u64| {
        let part = *count as f64 / n;
        let (low, high) = wilson(part, n);
        let error = (part * (1.0 - part) / n).sqrt() / stretch;
        Estimate { share: share(part), error, low: share(low).clamp(0.0, 1.0), high: share(high).clamp(0.0, 1.0) }
    };
    Some(told.iter().map(one).collect())
}

/// Wilson's 95% interval (1927) for a share that was seen in `n` draws.
fn wilson(part: f64, n: f64) -> (f64, f64) {
    let z2 = Z * Z;
    let middle = (part + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (part * (1.0 - part) / n + z2 / (4.0 * n * n)).sqrt();
    (middle - half, middle + half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::community::noise::tests::Seeded;
    use crate::community::noise::{below, tell};

    /// What `n` devices tell, each of which has the answers with these chances in a hundred.
    fn told(chances: &[u64], n: usize, random: &mut Seeded) -> Vec<u64> {
        let mut told = vec![0; chances.len()];
        for _ in 0..n {
            let mut at = below(100, random).unwrap();
            let truth = chances.iter().position(|chance| {
                let is_it = at < *chance;
                at = at.saturating_sub(*chance);
                is_it
            });
            told[tell(truth.unwrap(), chances.len(), random).unwrap()] += 1;
        }
        told
    }

    #[test]
    fn what_is_expected_to_be_told_is_estimated_exactly() {
        // 600 devices, of which 300, 180, 120 and 0 have the answers; each throws a die with six faces.
        let truth = [300_u64, 180, 120, 0];
        let told: Vec<u64> = truth.iter().map(|true_of| (true_of * 3 + (600 - true_of)) / 6).collect();
        let shares: Vec<f64> = estimate(&told).unwrap().iter().map(|estimate| estimate.share).collect();
        for (share, true_of) in shares.iter().zip(truth) {
            assert!((share - true_of as f64 / 600.0).abs() < 1e-12, "{shares:?}");
        }
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn error_bars_hold_the_truth_as_often_as_they_say() {
        for (seed, chances, n) in [
            (1, &[50, 30, 15, 5][..], 2_000),
            (2, &[100, 0, 0, 0], 500),
            (3, &[2, 3, 5, 5, 5, 10, 10, 20, 20, 20], 1_000),
            (4, &[90, 10], 200),
        ] {
            let mut random = Seeded(seed);
            let (mut held, mut all, mut squares, mut sum) =
                (0_u32, 0_u32, vec![0.0; chances.len()], vec![0.0; chances.len()]);
            let rounds = 400;
            let mut claimed = vec![0.0; chances.len()];
            for _ in 0..rounds {
                let found = estimate(&told(chances, n, &mut random)).unwrap();
                for (at, (estimate, chance)) in found.iter().zip(chances).enumerate() {
                    let truth = *chance as f64 / 100.0;
                    all += 1;
                    held += u32::from(estimate.low <= truth && truth <= estimate.high);
                    sum[at] += estimate.share - truth;
                    squares[at] += (estimate.share - truth).powi(2);
                    claimed[at] += estimate.error.powi(2);
                }
            }
            let held = f64::from(held) / f64::from(all);
            assert!((0.92..=0.985).contains(&held), "{chances:?}: {held}");
            for at in 0..chances.len() {
                let (bias, real, claimed) = (sum[at] / 400.0, squares[at] / 400.0, claimed[at] / 400.0);
                assert!(bias.abs() < 4.0 * (real / 400.0).sqrt(), "{chances:?}, {at}: off by {bias}");
                assert!((real / claimed - 1.0).abs() < 0.35, "{chances:?}, {at}: {real} instead of {claimed}");
            }
        }
    }

    #[test]
    fn nothing_told_is_nothing_known() {
        assert_eq!(estimate(&[0, 0, 0, 0]), None);
        assert_eq!(estimate(&[7]), None);
        let one = estimate(&[1, 0, 0, 0]).unwrap();
        assert!(one.iter().all(|estimate| (0.0..=1.0).contains(&estimate.low) && estimate.high <= 1.0));
        assert!(one[0].high - one[0].low > 0.8, "one report says next to nothing: {one:?}");
    }
}
