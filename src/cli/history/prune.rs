//! `caro history prune`: what is stored, by the rules that now say what is recorded.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use uuid::Uuid;

use super::super::ui::visible;
use super::super::{CliError, Home, Ui};
use super::intake;
use super::output::SCHEMA_VERSION;
use super::removing::{How, commands, masked_line};
use super::select::{Page, Selection, open};
use crate::history::filter::Why;

/// Deletes stored commands that would not be recorded now: those that hold a secret, and those that a rule excludes
///
/// The rules are those in history.filter. With history.secrets set to keep, secrets are left where they are. Secrets are shown
/// as stars. As with `caro history delete`, it goes for all your devices.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caro history prune --dry-run
  caro history prune --after '1 week ago' --yes
  caro config set history.filter 'exclude command \"aws *\"'
")]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    how: How,
}

/// The result as JSON, version 1.
#[derive(Serialize)]
struct PrunedJson {
    schema_version: u32,
    dry_run: bool,
    pruned: Vec<OneJson>,
}

/// A command that goes.
#[derive(Serialize)]
struct OneJson {
    id: String,
    /// `secret` or `rule`.
    reason: &'static str,
    /// What kind of secret it holds.
    secret: Option<&'static str>,
    rule: Option<String>,
    /// With stars in place of secrets.
    command: String,
}

/// Runs `caro history prune`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let history = open(home)?;
    let intake = intake::load(home)?;
    let filter = args.selection.filter(&Page::default(), &history)?;
    let mut found: Vec<(Uuid, Why, String)> = Vec::new();
    history.list_each(&filter, |record| {
        if let Some(why) = intake.refuses(&record) {
            found.push((record.id, why, masked_line(&record)));
        }
        ControlFlow::Continue(())
    })?;
    let ids: Vec<Uuid> = found.iter().map(|(id, ..)| *id).collect();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (_, why, _) in &found {
        *counts.entry(words(why)).or_default() += 1;
    }
    if !args.how.json {
        for (why, count) in &counts {
            ui.status(format_args!("{}: {why}", commands(*count)));
        }
    }
    let show: Vec<String> = found.iter().map(|(_, _, command)| command.clone()).collect();
    args.how.delete(ui, home, &history, &ids, &show)?;
    if args.how.json {
        let pruned = found.into_iter().map(one).collect();
        return ui.json(&PrunedJson { schema_version: SCHEMA_VERSION, dry_run: args.how.dry_run, pruned });
    }
    if args.how.dry_run {
        for (id, why, command) in &found {
            ui.line(format_args!("{id}  {}  {command}", words(why)))?;
        }
        ui.status(format_args!("Would delete {}.", commands(ids.len())));
        return Ok(());
    }
    ui.line(format_args!("deleted {}", commands(ids.len())))
}

fn words(why: &Why) -> String {
    match why {
        Why::Rule(rule) => visible(&rule.to_string()),
        Why::Secret(name) => (*name).to_owned(),
    }
}

fn one((id, why, command): (Uuid, Why, String)) -> OneJson {
    let (reason, secret, rule) = match &why {
        Why::Secret(name) => ("secret", Some(*name), None),
        Why::Rule(rule) => ("rule", None, Some(rule.to_string())),
    };
    OneJson { id: id.to_string(), reason, secret, rule, command }
}
