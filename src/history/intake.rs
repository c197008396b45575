//! What is recorded at all: neither what the user's rules exclude nor, unless the user wants it, what holds a secret.
//!
//! The same question is asked where a command begins, where a history is taken over, and where what is stored is
//! cleared of what would not be recorded any more.

use super::filter::{Action, Filter, Why, secret_in};
use super::record::Record;
use super::{History, Result};

/// What is let in.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    /// The user's rules.
    pub rules: Filter,
    /// Whether commands with secrets are recorded too; they stay on this device even then.
    pub keep_secrets: bool,
}

impl Intake {
    /// Everything, whatever it holds.
    #[must_use]
    pub fn everything() -> Self {
        Self { keep_secrets: true, ..Self::default() }
    }

    /// Why a record is not let in; none where it is.
    #[must_use]
    pub fn refuses(&self, record: &Record) -> Option<Why> {
        // The rules are quick to apply, the patterns of secrets are not.
        match self.rules.rule(record, record.host.as_deref().unwrap_or_default()) {
            Some(rule) if rule.action() == Action::Exclude => Some(Why::Rule(rule.clone())),
            _ if self.keep_secrets => None,
            _ => secret_in(record),
        }
    }
}

/// How many commands were not recorded, in the history's small pieces of state.
const LEFT_OUT: &str = "left_out";

impl History {
    /// Counts a command that was not let in. Nothing of it is kept.
    ///
    /// # Errors
    /// What the database says.
    pub fn note_left_out(&self) -> Result<()> {
        self.meta_note(LEFT_OUT, &(self.left_out()? + 1).to_string())
    }

    /// How many commands were not let in when they were run on this device.
    ///
    /// # Errors
    /// What the database says.
    pub fn left_out(&self) -> Result<u64> {
        Ok(self.meta_get(LEFT_OUT)?.and_then(|count| count.parse().ok()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::plain;

    #[test]
    fn the_rules_and_then_the_secrets_decide() {
        let rules: Vec<_> = ["exclude command \"aws *\"", "include command \"aws s3*\"", "exclude directory /clients"]
            .map(|rule| rule.parse().unwrap())
            .into();
        let mut intake = Intake { rules: Filter::new(&rules).unwrap(), keep_secrets: false };
        let at = |command: &str, cwd: &str| Record { cwd: Some(cwd.into()), ..plain(command, 1) };
        assert_eq!(intake.refuses(&at("make", "/")), None);
        assert_eq!(intake.refuses(&at("aws iam", "/")), Some(Why::Rule(rules[0].clone())));
        assert_eq!(intake.refuses(&at("aws s3 ls", "/")), None);
        assert_eq!(intake.refuses(&at("make", "/clients/x")), Some(Why::Rule(rules[2].clone())));
        // An inclusion lets no secret in.
        let secret = at("aws s3 ls --password hunter2", "/");
        assert_eq!(intake.refuses(&secret), Some(Why::Secret("a secret given by a flag")));
        let asked = Record { prompt: Some("log in with --password hunter2".into()), ..plain("login", 1) };
        assert!(intake.refuses(&asked).is_some());
        intake.keep_secrets = true;
        assert_eq!((intake.refuses(&secret), intake.refuses(&asked)), (None, None));
        assert!(intake.refuses(&at("aws iam", "/")).is_some());
    }
}
