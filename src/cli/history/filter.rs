//! `caro history filter …`: which commands are recorded on this machine.

use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::super::rules::{self, Candidate};
use super::super::ui::visible;
use super::super::{CliError, Home, Ui, host};
use super::removing::commands;
use crate::history::Filter;
use crate::history::filter::{Action, FilterRule, Why};
use crate::prefs::Recording;

/// The preference that holds the rules.
const RULES: &str = "history.filter";

/// Which commands are recorded on this machine
#[derive(Debug, Subcommand)]
#[command(after_long_help = "\
A rule includes or excludes commands by what they are (command), where they run (directory), on
which host (device) or how they are labelled (tag). The last rule that matches decides; without
one a command is recorded. In a pattern * stands for anything, in a directory for one name and **
for any number; a command pattern between slashes is a regular expression. Commands that hold
secrets are not recorded either, unless history.secrets is `keep`. The rules hold on this machine;
`caro sync filter` says what of the rest is synced.

Examples:
  caro history filter add exclude command 'aws *'
  caro history filter add exclude directory '~/clients'
  caro history filter add include command '/^aws s3 ls/'
  caro history filter test 'aws iam list-users'
  caro history prune --dry-run              what is stored and would not be recorded now
")]
pub enum Command {
    /// Print the rules
    List(ListArgs),
    /// Add a rule behind the others
    Add(AddArgs),
    /// Remove a rule
    Remove(RemoveArgs),
    /// Say whether a command would be recorded, and why
    Test(TestArgs),
}

/// Prints the rules.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro history filter list
  caro history filter list --json
")]
pub struct ListArgs {
    /// Print each as a line of JSON
    #[arg(long)]
    json: bool,
}

/// Adds a rule.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro history filter add exclude command 'aws *'
  caro history filter add exclude directory '~/clients'
  caro history filter add include command '/^aws s3 ls/'
")]
pub struct AddArgs {
    #[command(flatten)]
    rule: rules::Words,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Removes a rule.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro history filter list                  shows the numbers
  caro history filter remove 2
")]
pub struct RemoveArgs {
    #[command(flatten)]
    rule: rules::One,
}

/// Tries the rules.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro history filter test 'aws iam list-users'
  caro history filter test --json 'aws s3 ls'
")]
pub struct TestArgs {
    #[command(flatten)]
    candidate: Candidate,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct AddedJson {
    schema_version: u32,
    rule: String,
    /// Stored commands that would not be recorded now, because of it.
    stored: usize,
}

#[derive(Serialize)]
struct TestJson {
    schema_version: u32,
    /// `record` or `leave_out`.
    decision: &'static str,
    /// `rule`, `secret`, or `default` where no rule matches.
    reason: &'static str,
    rule: Option<String>,
    rule_number: Option<usize>,
    secret: Option<&'static str>,
}

/// Runs `caro history filter …`.
pub(super) fn run(command: Command, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let recording = Recording::load(&home.prefs().sync)?;
    match command {
        Command::List(args) => list(ui, home, &args, &recording.filter),
        Command::Add(args) => add(ui, home, &args, recording),
        Command::Remove(args) => remove(ui, home, &args, recording.filter),
        Command::Test(args) => test(ui, home, args, &recording),
    }
}

fn list(ui: &mut Ui, home: &Home, args: &ListArgs, rules: &[FilterRule]) -> Result<(), CliError> {
    rules::list(ui, rules, args.json)?;
    let left_out = home.open_history()?.left_out()?;
    if left_out > 0 && !args.json {
        let were = if left_out == 1 { "was" } else { "were" };
        ui.status(format_args!(
            "So far {} {were} not recorded because of a rule or a secret in them.",
            commands(usize::try_from(left_out).unwrap_or(usize::MAX))
        ));
    }
    Ok(())
}

fn add(ui: &mut Ui, home: &Home, args: &AddArgs, mut recording: Recording) -> Result<(), CliError> {
    let rule = args.rule.parse()?;
    let is_new = rules::append(&mut recording.filter, rule.clone());
    rules::save(home, RULES, &recording.filter)?;
    let counts = if is_new { "The rule counts" } else { "That rule was there already, and counts as the last one" };
    ui.status(format_args!("{counts} from the next command on: {}", visible(&rule.to_string())));
    let stored = if rule.action() == Action::Exclude { stored(home, &recording, &rule)? } else { 0 };
    if args.json {
        return ui.json(&AddedJson { schema_version: 1, rule: rule.to_string(), stored });
    }
    if stored > 0 {
        ui.hint(format_args!(
            "{} that it excludes {} stored already; `caro history prune` deletes what would not be recorded now.",
            commands(stored),
            if stored == 1 { "is" } else { "are" }
        ));
    }
    Ok(())
}

/// How many stored commands a rule excludes.
fn stored(home: &Home, recording: &Recording, rule: &FilterRule) -> Result<usize, CliError> {
    let filter = rules::compile(&recording.filter)?;
    let mut stored = 0;
    home.open_history()?.list_each(&Filter::default(), |record| {
        stored += usize::from(filter.rule(&record, record.host.as_deref().unwrap_or_default()) == Some(rule));
        ControlFlow::Continue(())
    })?;
    Ok(stored)
}

fn remove(ui: &Ui, home: &Home, args: &RemoveArgs, mut rules: Vec<FilterRule>) -> Result<(), CliError> {
    let rule = rules.remove(args.rule.place(&rules, "caro history filter list")?);
    rules::save(home, RULES, &rules)?;
    ui.status(format_args!("The rule is gone: {}", visible(&rule.to_string())));
    Ok(())
}

fn test(ui: &mut Ui, home: &Home, args: TestArgs, recording: &Recording) -> Result<(), CliError> {
    let host = args.candidate.device.clone().or_else(host::name);
    let mut record = args.candidate.record(home.open_history()?.device_id()?);
    record.host = host;
    let intake =
        recording.intake().map_err(|error| CliError::usage(format!("the rules cannot be applied: {error}")))?;
    let included = intake.rules.rule(&record, record.host.as_deref().unwrap_or_default()).cloned();
    let hidden = record.command.starts_with(' ');
    let (decision, reason, rule, secret) = match (intake.refuses(&record), included) {
        _ if hidden => ("leave_out", "space", None, None),
        (Some(Why::Rule(rule)), _) => ("leave_out", "rule", Some(rule), None),
        (Some(Why::Secret(name)), _) => ("leave_out", "secret", None, Some(name)),
        (None, Some(rule)) => ("record", "rule", Some(rule), None),
        (None, None) => ("record", "default", None, None),
    };
    let rule_number = rules::number(&recording.filter, rule.as_ref());
    if args.json {
        let rule = rule.map(|rule| rule.to_string());
        return ui.json(&TestJson { schema_version: 1, decision, reason, rule, rule_number, secret });
    }
    let what = if decision == "record" { "recorded" } else { "not recorded" };
    ui.line(match (rule, rule_number, secret) {
        (Some(rule), Some(number), _) => format!("{what}: rule {number}, {}", visible(&rule.to_string())),
        (_, _, Some(secret)) => format!("{what}: it holds what looks like {secret}"),
        _ if hidden => format!("{what}: it begins with a space"),
        _ => format!("{what}: no rule matches"),
    })
}
