//! `caro sync filter …`: which commands leave this machine.

use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::{after_capture, is_set_up, paths};
use crate::cli::rules::{self, Candidate};
use crate::cli::ui::visible;
use crate::cli::{CliError, Home, Ui, config, time};
use crate::history::filter::{Action, Decision, FilterRule, Why};
use crate::history::{self, History};
use crate::prefs::{LARGE_RECORD, LargeRecords, Settings};
use crate::sync::{SyncConfig, SyncState};

/// The preference that holds the rules.
const RULES: &str = "sync.filter";

/// Which commands leave this machine
#[derive(Debug, Subcommand)]
#[command(after_long_help = "\
A rule includes or excludes commands by what they are (command), where they ran (directory), which device ran them
(device) or how they are labelled (tag). The last rule that matches decides; without one a command syncs. In a pattern
* stands for anything, in a directory for one name and ** for any number; a command pattern between slashes is a regular
expression. Commands that hold secrets never leave, whatever the rules say. The rules follow you to all your devices.

Examples:
  caro sync filter add exclude command 'aws *'
  caro sync filter add exclude directory '~/clients'
  caro sync filter add include command '/^aws s3 ls/'
  caro sync filter test 'aws iam list-users'
")]
pub(in crate::cli) enum Command {
    List(ListArgs),
    Add(AddArgs),
    Remove(RemoveArgs),
    Test(TestArgs),
}

/// Print the rules
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync filter list
  caro sync filter list --json
")]
pub(in crate::cli) struct ListArgs {
    /// Print each as a line of JSON
    #[arg(long)]
    json: bool,
}

/// Add a rule behind the others
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync filter add exclude command 'aws *'
  caro sync filter add exclude directory '~/clients' --delete-synced
  caro sync filter add include command '/^aws s3 ls/'
")]
pub(in crate::cli) struct AddArgs {
    #[command(flatten)]
    rule: rules::Words,

    /// Delete commands that it excludes and that went up already from the relay and your other devices; here they stay
    #[arg(long, conflicts_with = "keep_synced")]
    delete_synced: bool,

    /// Leave what went up already where it is
    #[arg(long)]
    keep_synced: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Remove a rule
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync filter list                     shows the numbers
  caro sync filter remove 2
")]
pub(in crate::cli) struct RemoveArgs {
    #[command(flatten)]
    rule: rules::One,
}

/// Say what would happen to a command, and why
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync filter test 'aws iam list-users'
  caro sync filter test --json 'aws s3 ls'
")]
pub(in crate::cli) struct TestArgs {
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
    /// Commands that it excludes and that went up already.
    already_synced: u64,
    /// Those that are deleted from the relay and the other devices with the next sync.
    withdrawn: u64,
}

#[derive(Serialize)]
struct TestJson {
    schema_version: u32,
    /// `sync` or `held`.
    decision: &'static str,
    /// `rule`, `secret`, or `default` where no rule matches.
    reason: &'static str,
    rule: Option<String>,
    rule_number: Option<usize>,
    secret: Option<&'static str>,
    /// What happens because it is over 10 KB: `truncate` or `exclude`.
    large: Option<&'static str>,
}

impl Command {
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        // A list that another device set counts first, if the user sees it here.
        config::announce(ui, home, &config::store(home)?, false)?;
        let rules = Settings::load(&home.prefs().sync)?.filter;
        match self {
            Self::List(args) => list(ui, home, &args, &rules),
            Self::Test(args) => test(ui, home, args, &rules),
            Self::Add(args) => {
                add(ui, home, &args, rules)?;
                after_capture(home);
                Ok(())
            }
            Self::Remove(args) => {
                remove(ui, home, &args, rules)?;
                after_capture(home);
                Ok(())
            }
        }
    }
}

fn list(ui: &mut Ui, home: &Home, args: &ListArgs, rules: &[FilterRule]) -> Result<(), CliError> {
    rules::list(ui, rules, args.json)?;
    let held = home.open_history()?.held_count()?;
    if held > 0 && !args.json {
        ui.status(format_args!("{held} of your commands stay on this machine because of a rule or a secret in them."));
    }
    Ok(())
}

fn add(ui: &mut Ui, home: &Home, args: &AddArgs, mut rules: Vec<FilterRule>) -> Result<(), CliError> {
    let rule = args.rule.parse()?;
    let is_new = rules::append(&mut rules, rule.clone());
    rules::save(home, RULES, &rules)?;
    let from = if is_set_up(home) { "from the next sync on" } else { "once sync is set up" };
    let counts = if is_new { "The rule counts" } else { "That rule was there already, and counts as the last one" };
    ui.status(format_args!("{counts} {from}: {}", visible(&rule.to_string())));

    let history = home.open_history()?;
    let synced = match rule.action() {
        Action::Exclude if SyncState::load(&paths(home).state)?.is_some() => synced(home, &history, &rules, &rule)?,
        _ => Vec::new(),
    };
    let mut withdrawn = 0;
    if !synced.is_empty() {
        ui.status(format_args!("{} of your commands that it excludes went up already.", synced.len()));
        if delete_synced(ui, args)? {
            withdrawn = history.withdraw(&synced, time::now())?;
            ui.status("With the next sync they are deleted from the relay and your other devices. Here they stay.");
        } else {
            ui.status("They stay on the relay and your other devices.");
        }
    }
    if args.json {
        ui.json(&AddedJson {
            schema_version: 1,
            rule: rule.to_string(),
            already_synced: synced.len() as u64,
            withdrawn,
        })?;
    }
    Ok(())
}

/// Whether what went up already is to be deleted elsewhere. Without a flag or anybody to ask it stays.
fn delete_synced(ui: &Ui, args: &AddArgs) -> Result<bool, CliError> {
    if args.delete_synced || args.keep_synced {
        return Ok(args.delete_synced);
    }
    match ui.terminal("--delete-synced or --keep-synced") {
        Ok(mut terminal) => terminal.confirm("Delete them from the relay and your other devices?"),
        Err(_) => {
            ui.warn("nobody can be asked here whether they are to be deleted elsewhere");
            ui.hint("To delete them there, give the same command with --delete-synced.");
            Ok(false)
        }
    }
}

/// The commands of this device that a rule excludes and that went up already.
fn synced(home: &Home, history: &History, rules: &[FilterRule], rule: &FilterRule) -> Result<Vec<Uuid>, CliError> {
    let filter = rules::compile(rules)?;
    let name = SyncConfig::load(&paths(home).config)?.device_name;
    let mut excluded = Vec::new();
    let own = history::Filter { device: Some(history.device_id()?), ..history::Filter::default() };
    history.list_each(&own, |record| {
        if matches!(filter.decide(&record, &name), Decision::Held { why: Why::Rule(why) } if why == *rule) {
            excluded.push(record.id);
        }
        ControlFlow::Continue(())
    })?;
    let mut synced = Vec::new();
    for id in excluded {
        if !history.is_deleted(id)? && !history.segments_of(id)?.is_empty() {
            synced.push(id);
        }
    }
    Ok(synced)
}

fn remove(ui: &Ui, home: &Home, args: &RemoveArgs, mut rules: Vec<FilterRule>) -> Result<(), CliError> {
    let rule = rules.remove(args.rule.place(&rules, "caro sync filter list")?);
    rules::save(home, RULES, &rules)?;
    ui.status(format_args!("The rule is gone: {}", visible(&rule.to_string())));
    ui.status("What it held back goes up with the next sync, unless another rule or a secret keeps it here.");
    Ok(())
}

fn test(ui: &mut Ui, home: &Home, args: TestArgs, rules: &[FilterRule]) -> Result<(), CliError> {
    let settings = Settings::load(&home.prefs().sync)?;
    let name = match &args.candidate.device {
        Some(name) => name.clone(),
        None => SyncConfig::load(&paths(home).config)?.device_name,
    };
    let record = args.candidate.record(home.open_history()?.device_id()?);
    let large = (record.command.len() > LARGE_RECORD).then_some(match settings.large_records {
        LargeRecords::Truncate => "truncate",
        LargeRecords::Exclude => "exclude",
    });

    let (decision, reason, rule, secret) = match rules::compile(rules)?.decide(&record, &name) {
        Decision::Sync(Some(rule)) => ("sync", "rule", Some(rule), None),
        Decision::Sync(None) => ("sync", "default", None, None),
        Decision::Held { why: Why::Rule(rule) } => ("held", "rule", Some(rule), None),
        Decision::Held { why: Why::Secret(name) } => ("held", "secret", None, Some(name)),
    };
    let rule_number = rules::number(rules, rule.as_ref());
    if args.json {
        let rule = rule.map(|rule| rule.to_string());
        return ui.json(&TestJson { schema_version: 1, decision, reason, rule, rule_number, secret, large });
    }
    let what = match (decision, is_set_up(home)) {
        ("sync", true) => "syncs",
        ("sync", false) => "would sync",
        (_, true) => "stays here",
        (_, false) => "would stay here",
    };
    let why = match (&rule, rule_number, secret) {
        (Some(rule), Some(number), _) => format!("rule {number}, {}", visible(&rule.to_string())),
        (_, _, Some(secret)) => format!("it holds what looks like {secret}"),
        _ => "no rule matches".to_owned(),
    };
    ui.line(format_args!("{what}: {why}"))?;
    match large {
        Some("truncate") if decision == "sync" => ui.line("shortened: it is over 10 KB (sync.large_records)"),
        Some("exclude") if decision == "sync" => ui.line("but left out: it is over 10 KB (sync.large_records)"),
        _ => Ok(()),
    }
}
