//! What is true of this device: for each question the place of its answer. Nothing but counts comes in, nothing but places goes out.

use super::questions::{FEW, FOLDED_BELOW, QUESTIONS, Question};
use crate::history::{Category, Counts, Habits, RiskLevel};

/// What is known of the device besides its habits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// The program's version.
    pub version: &'static str,
    /// The operating system, as Rust names it.
    pub system: &'static str,
}

impl Device {
    /// The one this runs on.
    pub const THIS: Self = Self { version: env!("CARGO_PKG_VERSION"), system: std::env::consts::OS };
}

/// The place of the true answer in a question's list. There always is one: nothing about a history keeps it from being asked.
#[must_use]
pub fn truth(question: &Question, habits: &Habits, device: Device) -> usize {
    let by_category = |name| Category::named(name).map(|category| category_count(habits, category));
    let by_safety = |name: &str| {
        let level: RiskLevel = name.strip_prefix("safety_")?.parse().ok()?;
        Some(habits.by_safety.get(&level).copied().unwrap_or_default())
    };
    let answer = match question.name {
        "commands" => return step(habits.all.commands, &[50, 500, 2000]),
        "generated" => return count(habits.generated.commands),
        "success" => return success(habits.all),
        "success_generated" => return success(habits.generated),
        "time_of_day" => return time_of_day(habits),
        "weekend" => return weekend(habits),
        "model" => model(habits),
        "version" => device.version.rsplit_once('.').map_or("", |(minor, _)| minor),
        "platform" => device.system,
        name => return by_category(name).or_else(|| by_safety(name)).map(count).unwrap_or_default(),
    };
    // What is not in a list is the last of it, `other`.
    question.answer(answer).unwrap_or(question.answers.len() - 1)
}

/// All questions with the place of the answer that is true.
#[must_use]
pub fn truths(habits: &Habits, device: Device) -> Vec<(&'static Question, usize)> {
    QUESTIONS.iter().map(|question| (question, truth(question, habits, device))).collect()
}

/// The bucket of a number of commands.
fn count(commands: u64) -> usize {
    step(commands, &[FOLDED_BELOW, 50, 200])
}

/// How many of these bounds a number reaches.
fn step(number: u64, bounds: &[u64]) -> usize {
    bounds.iter().filter(|bound| number >= **bound).count()
}

/// What is rare is of the kind `other`.
fn category_count(habits: &Habits, category: Category) -> u64 {
    let of = |category: Category| habits.by_category.get(&category).copied().unwrap_or_default();
    if category != Category::Other {
        return of(category);
    }
    let rare = Category::ALL.into_iter().filter(|kind| *kind != Category::Other && of(*kind) < FOLDED_BELOW);
    rare.map(of).sum::<u64>() + of(Category::Other)
}

/// The family with the most commands, the first in the order of names where several have as many.
fn model(habits: &Habits) -> &'static str {
    if habits.generated.commands == 0 {
        return "none";
    }
    let common = habits.by_model.iter().filter(|(_, count)| **count >= FOLDED_BELOW);
    let rare: u64 = habits.by_model.values().filter(|count| **count < FOLDED_BELOW).sum();
    let most =
        common.fold(("other", rare), |most, (family, count)| if *count > most.1 { (family, *count) } else { most });
    most.0
}

fn success(Counts { succeeded, failed, .. }: Counts) -> usize {
    let finished = succeeded + failed;
    if finished < FEW {
        return 0;
    }
    1 + [80, 90, 97].iter().filter(|percent| succeeded * 100 >= **percent * finished).count()
}

fn time_of_day(habits: &Habits) -> usize {
    let most = habits.by_quarter.iter().copied().max().unwrap_or_default();
    let first = habits.by_quarter.iter().position(|count| *count == most).unwrap_or_default();
    if habits.all.commands < FEW { 0 } else { 1 + first }
}

fn weekend(habits: &Habits) -> usize {
    let all = habits.all.commands;
    if all < FEW {
        return 0;
    }
    1 + [5, 25].iter().filter(|percent| habits.weekend * 100 >= **percent * all).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Device = Device { version: "0.1.7", system: "linux" };

    fn counts(commands: u64, succeeded: u64, failed: u64) -> Counts {
        Counts { commands, succeeded, failed }
    }

    fn answer(name: &str, habits: &Habits, device: Device) -> &'static str {
        let question = Question::named(name).unwrap();
        question.answers[truth(question, habits, device)]
    }

    #[test]
    fn an_empty_history_has_an_answer_to_everything() {
        for (question, at) in truths(&Habits::default(), HERE) {
            assert!(at < question.answers.len(), "{question:?}");
        }
        for (name, wanted) in
            [("git_version_control", "under 5"), ("success", "too few"), ("model", "none"), ("time_of_day", "too few")]
        {
            assert_eq!(answer(name, &Habits::default(), HERE), wanted);
        }
    }

    #[test]
    fn counts_fall_into_their_buckets() {
        for (commands, wanted) in [
            (4, "under 5"),
            (5, "5 to 49"),
            (49, "5 to 49"),
            (50, "50 to 199"),
            (200, "200 or more"),
            (u64::MAX, "200 or more"),
        ] {
            let habits = Habits {
                by_category: [(Category::GitVersionControl, commands)].into(),
                by_safety: [(RiskLevel::Critical, commands)].into(),
                generated: counts(commands, 0, 0),
                ..Habits::default()
            };
            for name in ["git_version_control", "safety_critical", "generated"] {
                assert_eq!(answer(name, &habits, HERE), wanted, "{name}");
            }
            assert_eq!(answer("safety_safe", &habits, HERE), "under 5");
        }
        for (commands, wanted) in [(49, "under 50"), (50, "50 to 499"), (500, "500 to 1999"), (2000, "2000 or more")] {
            assert_eq!(answer("commands", &Habits { all: counts(commands, 0, 0), ..Habits::default() }, HERE), wanted);
        }
    }

    #[test]
    fn what_is_rare_counts_as_other() {
        let by_category =
            [(Category::LogAnalysis, 4), (Category::NetworkOperations, 3), (Category::TextProcessing, 90)];
        let by_model = [("qwen", 4), ("gpt", 3), ("claude", 6)];
        let mut habits = Habits {
            by_category: by_category.into(),
            by_model: by_model.into(),
            generated: counts(13, 0, 0),
            ..Habits::default()
        };
        assert_eq!(answer("log_analysis", &habits, HERE), "under 5");
        assert_eq!(answer("other", &habits, HERE), "5 to 49", "four and three");
        assert_eq!(answer("model", &habits, HERE), "other", "seven of rare ones, six of claude");
        habits.by_model.insert("claude", 8);
        assert_eq!(answer("model", &habits, HERE), "claude");
    }

    #[test]
    fn shares_are_told_of_many_only() {
        for (succeeded, failed, wanted) in [
            (19, 0, "too few"),
            (15, 5, "under 80%"),
            (16, 4, "80% to 90%"),
            (18, 2, "90% to 97%"),
            (97, 3, "97% or more"),
            (96, 4, "90% to 97%"),
        ] {
            let habits = Habits { all: counts(1000, succeeded, failed), ..Habits::default() };
            assert_eq!(answer("success", &habits, HERE), wanted, "{succeeded} and {failed}");
        }
        let habits = |commands, weekend| Habits { all: counts(commands, 0, 0), weekend, ..Habits::default() };
        for (commands, weekend, wanted) in
            [(19, 19, "too few"), (100, 4, "under 5%"), (100, 5, "5% to 25%"), (100, 25, "25% or more")]
        {
            assert_eq!(answer("weekend", &habits(commands, weekend), HERE), wanted);
        }
        let mut busy = habits(20, 0);
        busy.by_quarter = [3, 7, 7, 3];
        assert_eq!(answer("time_of_day", &busy, HERE), "morning");
    }

    #[test]
    fn systems_and_versions_that_are_not_listed_are_other() {
        let none = Habits::default();
        assert_eq!((answer("version", &none, HERE), answer("platform", &none, HERE)), ("0.1", "linux"));
        let other = Device { version: "17.2.0", system: "haiku" };
        assert_eq!((answer("version", &none, other), answer("platform", &none, other)), ("other", "other"));
        assert_ne!(answer("version", &none, Device::THIS), "other", "this version is in the list");
    }
}
