//! What can be asked: a fixed list of questions, each with a fixed list of answers.
//!
//! A report names both by these words, so the list is a part of the format: a question is never changed, only left out or
//! added with the next [`FORMAT`](super::FORMAT). All of them are about the last [`DAYS`] days and about commands that ran on
//! the device that reports. No answer is rare by itself: what would be is folded into one that is not
//! ([`FOLDED_BELOW`]).

/// What a report looks back on, in days.
pub const DAYS: i64 = 28;
/// Categories, models and levels with fewer commands than this do not count as themselves but as `other`, or as nothing.
pub const FOLDED_BELOW: u64 = 5;
/// Shares of fewer commands than this are not told.
pub const FEW: u64 = 20;

/// A question.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// How a report names it.
    pub name: &'static str,
    /// How a person is asked it, of himself.
    pub words: &'static str,
    /// The answers, as a report names them; two to ten.
    pub answers: &'static [&'static str],
}

/// Numbers of commands.
const COUNT: &[&str] = &["under 5", "5 to 49", "50 to 199", "200 or more"];
/// Shares of commands that succeeded.
const SUCCESS: &[&str] = &["too few", "under 80%", "80% to 90%", "90% to 97%", "97% or more"];

macro_rules! questions {
    ($($name:literal, $words:literal, $answers:expr;)*) => {
        /// All questions. One of them is drawn for a report, each with the same chance.
        pub const QUESTIONS: &[Question] = &[$(Question { name: $name, words: $words, answers: $answers },)*];
    };
}

questions! {
    "file_management", "How many commands worked with files and folders?", COUNT;
    "system_monitoring", "How many commands looked at the system?", COUNT;
    "git_version_control", "How many commands were of git and its like?", COUNT;
    "log_analysis", "How many commands read logs?", COUNT;
    "network_operations", "How many commands reached other machines?", COUNT;
    "devops_kubernetes", "How many commands worked with containers, clusters and services?", COUNT;
    "text_processing", "How many commands searched or changed text?", COUNT;
    "other", "How many commands were of another kind?", COUNT;
    "commands", "How many commands were there?", &["under 50", "50 to 499", "500 to 1999", "2000 or more"];
    "generated", "How many commands did a model write?", COUNT;
    "success", "How many of all commands succeeded?", SUCCESS;
    "success_generated", "How many of the commands that a model wrote succeeded?", SUCCESS;
    "model", "Which family of models wrote the most commands?",
        &["none", "qwen", "smollm", "llama", "mistral", "deepseek", "gemma", "gpt", "claude", "other"];
    "safety_safe", "How many commands were rated safe?", COUNT;
    "safety_moderate", "How many commands were rated moderate?", COUNT;
    "safety_high", "How many commands were rated high?", COUNT;
    "safety_critical", "How many commands were rated critical?", COUNT;
    "time_of_day", "In which quarter of the day were the most commands?",
        &["too few", "night", "morning", "afternoon", "evening"];
    "weekend", "How many of the commands ran on a weekend?", &["too few", "under 5%", "5% to 25%", "25% or more"];
    "version", "Which version of caro is this?", &["0.1", "0.2", "0.3", "other"];
    "platform", "What kind of system is this?", &["linux", "macos", "windows", "other"];
}

impl Question {
    /// The question of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        QUESTIONS.iter().find(|question| question.name == name)
    }

    /// The place of an answer in the list.
    #[must_use]
    pub fn answer(&self, name: &str) -> Option<usize> {
        self.answers.iter().position(|answer| *answer == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::community::noise;

    #[test]
    fn every_name_is_there_once_and_is_plain() {
        let names: BTreeSet<_> = QUESTIONS.iter().map(|question| question.name).collect();
        assert_eq!(names.len(), QUESTIONS.len());
        for question in QUESTIONS {
            let answers: BTreeSet<_> = question.answers.iter().collect();
            assert_eq!(answers.len(), question.answers.len(), "{question:?}");
            assert!((2..=10).contains(&answers.len()), "{question:?}");
            let is_plain =
                |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" _%.".contains(&byte));
            assert!(is_plain(question.name) && question.answers.iter().all(|answer| is_plain(answer)), "{question:?}");
        }
    }

    #[test]
    fn a_year_never_runs_out_of_questions() {
        assert!(QUESTIONS.len() > noise::REPORTS_A_YEAR);
    }
}
