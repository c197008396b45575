//! A crowd that reports, and an adversary who reads: what many tell is found within its error bars, and what one tells gives
//! away no more than the bound says.

use std::collections::BTreeMap;

use super::answers::{Device, truths};
use super::estimate::estimate;
use super::noise::tests::Seeded;
use super::noise::{WEIGHT, below, faces, faces_that_tell, tell};
use super::questions::QUESTIONS;
use crate::history::{Category, Counts, Habits, RiskLevel};

/// Somebody: how much he does, and of what, differs by chance.
pub(super) fn somebody(random: &mut Seeded) -> (Habits, Device) {
    let mut some = |most: u64| below(most, random).unwrap();
    let commands = [10, 80, 600, 5000][usize::try_from(some(4)).unwrap()] + some(100);
    let failed = some(commands / 4 + 1);
    let generated = some(commands / 3 + 1);
    let counts = |commands: u64, failed: u64| Counts { commands, succeeded: commands - failed, failed };
    let habits = Habits {
        all: counts(commands, failed),
        generated: counts(generated, failed.min(generated) / 2),
        by_category: Category::ALL.into_iter().map(|category| (category, some(commands / 6 + 1))).collect(),
        by_model: BTreeMap::from([("qwen", some(generated + 1)), ("claude", some(generated + 1)), ("gpt", some(20))]),
        by_safety: RiskLevel::ALL.into_iter().map(|level| (level, some(generated / 4 + 1))).collect(),
        by_quarter: [some(9), some(90), some(120), some(60)],
        weekend: some(commands / 3 + 1),
    };
    let system = ["linux", "linux", "linux", "macos", "windows"][usize::try_from(some(5)).unwrap()];
    (habits, Device { version: "0.1.0", system })
}

#[test]
fn what_a_crowd_tells_is_true_of_it_within_the_error_bars() {
    let mut random = Seeded(20_261_129);
    let crowd = 42_000;
    let mut told: Vec<Vec<u64>> = QUESTIONS.iter().map(|question| vec![0; question.answers.len()]).collect();
    let mut true_of = told.clone();
    for _ in 0..crowd {
        let (habits, device) = somebody(&mut random);
        let truths = truths(&habits, device);
        for ((_, truth), of) in truths.iter().zip(&mut true_of) {
            of[*truth] += 1;
        }
        let drawn = usize::try_from(below(QUESTIONS.len() as u64, &mut random).unwrap()).unwrap();
        let (question, truth) = truths[drawn];
        told[drawn][tell(truth, question.answers.len(), &mut random).unwrap()] += 1;
    }
    let (mut held, mut all) = (0_u32, 0_u32);
    for ((question, told), true_of) in QUESTIONS.iter().zip(&told).zip(&true_of) {
        for (found, true_of) in estimate(told).unwrap().iter().zip(true_of) {
            let truth = *true_of as f64 / f64::from(crowd);
            all += 1;
            held += u32::from((found.low..=found.high).contains(&truth));
            let off = (found.share - truth).abs() / found.error;
            assert!(off < 4.0, "{}: {} instead of {truth}", question.name, found.share);
        }
    }
    // Of 92 bars five are expected to miss.
    assert!(all > 85 && all - held <= 12, "{held} of {all} error bars hold");
}

/// With which chance the best guesser is right who thinks two truths equally likely, as parts and their number.
fn best_guess(one: usize, other: usize, answers: usize) -> (u64, u64) {
    let best = |told| faces_that_tell(told, one).max(faces_that_tell(told, other));
    ((0..answers).map(best).sum(), 2 * faces(answers))
}

#[test]
fn no_guesser_is_right_more_often_than_the_bound_allows() {
    for question in QUESTIONS {
        let answers = question.answers.len();
        for (one, other) in (0..answers).flat_map(|one| (0..one).map(move |other| (one, other))) {
            let (parts, of) = best_guess(one, other, answers);
            // e^ε / (1 + e^ε), with e^ε = 3: three quarters.
            assert!(parts * (1 + WEIGHT) <= WEIGHT * of, "{}", question.name);
        }
    }
}

#[test]
fn whoever_plays_the_best_guess_does_no_better_than_that() {
    let mut random = Seeded(7);
    for answers in [2, 4, 5, 10] {
        let (games, mut right) = (40_000_u32, 0_u32);
        for _ in 0..games {
            let truth = usize::try_from(below(2, &mut random).unwrap()).unwrap();
            let told = tell(truth, answers, &mut random).unwrap();
            // What is neither says nothing; then he guesses the first.
            let guess = usize::from(told == 1);
            right += u32::from(guess == truth);
        }
        let (parts, of) = best_guess(0, 1, answers);
        let bound = parts as f64 / of as f64;
        let share = f64::from(right) / f64::from(games);
        assert!((share - bound).abs() < 0.01, "{answers} answers: {share}, where the bound is {bound}");
    }
}
