//! Rules on the command line: how one is given, listed, added, taken away and tried. The same for what is recorded
//! (`caro history filter`) and for what is synced (`caro sync filter`).

use clap::Args;
use serde::Serialize;
use uuid::Uuid;

use super::ui::visible;
use super::{CliError, Home, Ui, config, time};
use crate::history::Record;
use crate::history::filter::{Action, Field, Filter, FilterRule, RuleError};
use crate::prefs;

/// A rule, as words.
#[derive(Debug, Args)]
pub(super) struct Words {
    /// `include` or `exclude`, what it looks at, and the pattern; or all of it as one text
    #[arg(value_name = "RULE", required = true, num_args = 1..=3)]
    rule: Vec<String>,
}

/// One of the rules that there are.
#[derive(Debug, Args)]
pub(super) struct One {
    /// Its number in the list, or its text
    #[arg(value_name = "RULE", required = true, num_args = 1..=3)]
    rule: Vec<String>,
}

/// A command to try rules on.
#[derive(Debug, Args)]
pub(super) struct Candidate {
    /// The command line
    #[arg(value_name = "CMD", allow_hyphen_values = true)]
    command: String,

    /// Where it runs [default: the current directory]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,

    /// One of its labels; may be given several times
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,

    /// The name of the device that runs it [default: this one]
    #[arg(long, value_name = "NAME")]
    pub(super) device: Option<String>,
}

/// A rule as JSON, version 1.
#[derive(Serialize)]
struct RuleJson<'a> {
    schema_version: u32,
    number: usize,
    action: &'static str,
    field: &'static str,
    pattern: &'a str,
    rule: String,
}

impl Words {
    /// The rule they say.
    ///
    /// # Errors
    /// Where it is none, or names a directory that no command can ever run in.
    pub(super) fn parse(&self) -> Result<FilterRule, CliError> {
        let rule = parse(&self.rule)?;
        let begins = |with: &[char]| rule.pattern().starts_with(with);
        let has_drive = rule.pattern().as_bytes().get(1) == Some(&b':');
        if rule.field() == Field::Directory && !begins(&['/', '\\', '~', '*', '?', '[', '{']) && !has_drive {
            let hint =
                format!("Write it from the root or the home on, or as `**/{}` wherever it lies.", rule.pattern());
            return Err(CliError::usage("the directory of a rule is a whole path").hinted(hint));
        }
        Ok(rule)
    }
}

impl One {
    /// Its place among the rules. `list` is the command that shows them.
    ///
    /// # Errors
    /// Where it is none of them.
    pub(super) fn place(&self, rules: &[FilterRule], list: &str) -> Result<usize, CliError> {
        let place = match self.rule.as_slice() {
            [number] if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                number.parse::<usize>().ok().and_then(|number| number.checked_sub(1))
            }
            words => {
                let rule = parse(words)?;
                rules.iter().position(|other| *other == rule)
            }
        };
        place
            .filter(|place| *place < rules.len())
            .ok_or_else(|| CliError::failed("there is no such rule").hinted(format!("`{list}` shows them.")))
    }
}

impl Candidate {
    /// The record it would be.
    pub(super) fn record(self, device: Uuid) -> Record {
        let mut record = Record::new(self.command, time::now(), device);
        let cwd = self.cwd.map_or_else(std::env::current_dir, std::path::absolute);
        record.cwd = cwd.ok().map(|cwd| cwd.to_string_lossy().into_owned());
        record.tags = self.tag;
        record
    }
}

fn parse(words: &[String]) -> Result<FilterRule, CliError> {
    let parsed = match words {
        [text] => text.parse(),
        [action, field, pattern] => Action::from_name(action)
            .ok_or(RuleError::Action)
            .and_then(|action| Ok((action, Field::from_name(field).ok_or(RuleError::Field)?)))
            .and_then(|(action, field)| FilterRule::new(action, field, pattern.as_str())),
        _ => Err(RuleError::Pattern),
    };
    parsed.map_err(|error| {
        CliError::usage(format!("that is no rule: {error}")).hinted("For example: exclude command 'aws *'")
    })
}

/// Prints rules, numbered.
pub(super) fn list(ui: &mut Ui, rules: &[FilterRule], json: bool) -> Result<(), CliError> {
    for (number, rule) in (1..).zip(rules) {
        if json {
            ui.json(&RuleJson {
                schema_version: 1,
                number,
                action: rule.action().as_str(),
                field: rule.field().as_str(),
                pattern: rule.pattern(),
                rule: rule.to_string(),
            })?;
        } else {
            ui.line(format_args!("{number:>3}  {}", visible(&rule.to_string())))?;
        }
    }
    Ok(())
}

/// Puts a rule behind the others; an equal one further up would never decide again. Says whether there was none.
pub(super) fn append(rules: &mut Vec<FilterRule>, rule: FilterRule) -> bool {
    let before = rules.len();
    rules.retain(|other| *other != rule);
    rules.push(rule);
    rules.len() > before
}

/// The number of a rule in its list, from 1 on.
pub(super) fn number(rules: &[FilterRule], rule: Option<&FilterRule>) -> Option<usize> {
    rules.iter().rposition(|other| Some(other) == rule).map(|place| place + 1)
}

/// Makes rules ready to be applied.
pub(super) fn compile(rules: &[FilterRule]) -> Result<Filter, CliError> {
    Filter::new(rules).map_err(|error| CliError::usage(format!("the rules cannot be applied: {error}")))
}

/// Sets the preference that holds the rules.
pub(super) fn save(home: &Home, preference: &str, rules: &[FilterRule]) -> Result<(), CliError> {
    let lines: Vec<String> = rules.iter().map(ToString::to_string).collect();
    let value = (!lines.is_empty()).then(|| lines.join("\n"));
    Ok(config::store(home)?.set(prefs::find(preference)?, value.as_deref(), time::now())?)
}
