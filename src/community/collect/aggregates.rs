//! What is published: for each question how often each answer was told, and of what share of devices it is true.

use serde::Serialize;

use super::store::{Count, Counts};
use crate::community::FORMAT;
use crate::community::estimate::{Estimate, estimate};
use crate::community::noise;
use crate::history::UnixNanos;

/// The version of the JSON.
const SCHEMA_VERSION: u32 = 1;
/// Of a question with fewer reports nothing is published but their number: it would say next to nothing of many, and much of few.
pub const ENOUGH: u64 = 100;

/// All questions, version 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Aggregates {
    schema_version: u32,
    /// The version of the questions.
    format: u32,
    /// When this was counted, RFC 3339.
    pub(super) as_of: String,
    /// ε of one report.
    pub(super) epsilon: f64,
    /// Reports that are needed for figures.
    enough: u64,
    /// Reports of the last twelve months.
    pub(super) reports: u64,
    pub(super) questions: Vec<Asked>,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Asked {
    pub(super) question: &'static str,
    pub(super) words: &'static str,
    /// Of the last twelve months, in which no device answers it twice.
    pub(super) year: Figures,
    /// Of all time, in which some did.
    pub(super) all: Figures,
}

/// What was told in answer to a question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Figures {
    pub(super) reports: u64,
    /// None where there are not enough, or, of all time, not enough that are older than the year.
    pub(super) answers: Option<Vec<Answered>>,
}

/// An answer, and of what share of devices it is true.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Answered {
    pub(super) answer: &'static str,
    /// How many reports tell it.
    told: u64,
    /// The estimate; noise may bring it below 0 or above 1.
    pub(super) estimate: f64,
    /// Where the 95% interval begins and ends.
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Aggregates {
    /// What follows from the counts of this time.
    pub(super) fn of(counts: &Counts, at: UnixNanos) -> Self {
        let questions: Vec<Asked> = counts
            .by_question()
            .map(|(question, counts)| {
                let reports = |which: fn(&Count) -> u64| counts.iter().map(which).sum::<u64>();
                let (year, older) = (reports(|count| count.year), reports(|count| count.all - count.year));
                Asked {
                    question: question.name,
                    words: question.words,
                    year: Figures::of(question.answers, counts, |count| count.year, year >= ENOUGH),
                    // Less those of the year it is what the older ones told, so they have to be enough by themselves.
                    all: Figures::of(question.answers, counts, |count| count.all, older >= ENOUGH),
                }
            })
            .collect();
        Self {
            schema_version: SCHEMA_VERSION,
            format: FORMAT,
            as_of: jiff::Timestamp::from_second(at.0.div_euclid(1_000_000_000)).unwrap_or_default().to_string(),
            epsilon: noise::epsilon(),
            enough: ENOUGH,
            reports: questions.iter().map(|asked| asked.year.reports).sum(),
            questions,
        }
    }
}

impl Figures {
    fn of(answers: &'static [&'static str], counts: &[Count], which: impl Fn(&Count) -> u64, is_told: bool) -> Self {
        let told: Vec<u64> = counts.iter().map(which).collect();
        let estimated = if is_told { estimate(&told) } else { None };
        let answered = |((&answer, &told), estimate): ((&&'static str, &u64), Estimate)| Answered {
            answer,
            told,
            estimate: rounded(estimate.share),
            low: rounded(estimate.low),
            high: rounded(estimate.high),
        };
        let answers = estimated.map(|estimates| answers.iter().zip(&told).zip(estimates).map(answered).collect());
        Self { reports: told.iter().sum(), answers }
    }
}

/// To a ten-thousandth; noise is greater.
fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of git, told so often.
    fn git(told: [i64; 4]) -> Asked {
        let mut counts = Counts::new();
        for (answer, count) in ["under 5", "5 to 49", "50 to 199", "200 or more"].into_iter().zip(told) {
            counts.add("git_version_control", answer, true, count);
        }
        let aggregates = Aggregates::of(&counts, UnixNanos(0));
        aggregates.questions.into_iter().find(|asked| asked.question == "git_version_control").unwrap()
    }

    #[test]
    fn the_example_of_the_documentation_is_what_comes_out() {
        let asked = git([240, 260, 310, 390]);
        assert_eq!(asked.year.reports, 1200);
        let answers = asked.year.answers.unwrap();
        let shares: Vec<f64> = answers.iter().map(|answered| answered.estimate).collect();
        assert_eq!(shares, [0.1, 0.15, 0.275, 0.475]);
        let most = &answers[3];
        assert!((most.low - 0.397).abs() < 0.01 && (most.high - 0.555).abs() < 0.01, "{most:?}");
    }

    #[test]
    fn of_few_reports_nothing_but_their_number_is_published() {
        let asked = git([25, 25, 25, 24]);
        assert_eq!((asked.year.reports, asked.year.answers), (99, None));
        assert!(git([25, 25, 25, 25]).year.answers.is_some());
    }

    #[test]
    fn what_came_before_the_year_counts_in_all_alone() {
        let mut counts = Counts::new();
        counts.add("weekend", "too few", false, 150);
        counts.add("weekend", "too few", true, 20);
        let aggregates = Aggregates::of(&counts, UnixNanos(1_764_417_600_000_000_000));
        let asked = aggregates.questions.iter().find(|asked| asked.question == "weekend").unwrap();
        assert_eq!((asked.year.reports, asked.all.reports, aggregates.reports), (20, 170, 20));
        assert!(asked.year.answers.is_none() && asked.all.answers.is_some());
        assert_eq!(aggregates.as_of, "2025-11-29T12:00:00Z");
    }

    #[test]
    fn what_few_older_reports_told_does_not_follow_from_the_figures() {
        let weekend = |older: i64| {
            let mut counts = Counts::new();
            counts.add("weekend", "too few", true, 150);
            counts.add("weekend", "25% or more", false, older);
            let aggregates = Aggregates::of(&counts, UnixNanos(0));
            aggregates.questions.into_iter().find(|asked| asked.question == "weekend").unwrap()
        };
        let few = weekend(99);
        assert!(few.year.answers.is_some() && few.all.reports == 249 && few.all.answers.is_none());
        assert!(weekend(100).all.answers.is_some());
    }
}
