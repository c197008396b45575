//! `caro history delete`.

use std::ops::ControlFlow;

use uuid::Uuid;

use super::super::{CliError, Home, Ui, completions};
use super::removing::{How, commands, one_line};
use super::search::Mode;
use super::select::{Page, Selection, open, running};
use crate::history::{Filter, History, Record, Search};

/// Deletes commands: here at once, and with the next sync on all your devices and the relay.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
`caro history undo` takes a deletion back within a minute, unless another device has been told before. Where
sync is set up, every device hides the command as soon as it hears of the deletion, and erases it; your own relay erases its ciphertext too.

Examples:
  caro history delete 019a2b3c-7d4e
  caro history delete --query 'export TOKEN' --dry-run
  caro history delete --query secret --mode prefix --before 2026-01-01 --yes
  caro history delete --before '2 years ago'      whatever it is
")]
pub struct Args {
    /// The ids of the commands, or as much of their beginnings as no other has
    #[arg(value_name = "ID", add = completions::records(), conflicts_with_all = ["query", "Selection", "Page"])]
    ids: Vec<String>,
    /// Delete every command that this finds; an empty text finds all
    #[arg(long, value_name = "QUERY", allow_hyphen_values = true)]
    query: Option<String>,
    /// How the query is understood
    #[arg(long, value_enum, default_value_t, requires = "query")]
    mode: Mode,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    how: How,
}

/// Runs `caro history delete`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let history = open(home)?;
    let found = found(args, &history)?;
    let ids: Vec<Uuid> = found.iter().map(|record| record.id).collect();
    let show: Vec<String> = found.iter().map(one_line).collect();
    args.how.delete(ui, home, &history, &ids, &show)?;
    if args.how.say_deleted(ui, &ids)? {
        return Ok(());
    }
    for record in &found {
        ui.line(format_args!("{}  {}", record.id, one_line(record)))?;
    }
    ui.status(format_args!("Would delete {}.", commands(ids.len())));
    Ok(())
}

/// The records that are meant, the newest last.
fn found(args: &Args, history: &History) -> Result<Vec<Record>, CliError> {
    if args.ids.is_empty() {
        if args.query.is_none() && args.selection == Selection::default() {
            return Err(CliError::usage("nothing says which commands to delete").hinted(
                "Give their ids, or --query TEXT, or a filter such as --before '2 years ago'; --dry-run shows them.",
            ));
        }
        let text = args.query.clone().unwrap_or_default();
        let filter = Filter { without: running(history)?, ..args.selection.filter(&args.page, history)? };
        let mut found = Vec::new();
        history.search_each(&Search { text, mode: args.mode.into(), filter, here: None }, |record| {
            found.push(record);
            ControlFlow::Continue(())
        })?;
        return Ok(found);
    }
    // All of them have to be there before any is deleted.
    let mut found: Vec<Record> = Vec::new();
    for id in &args.ids {
        let record = history.find(id)?;
        if !found.iter().any(|other| other.id == record.id) {
            found.push(record);
        }
    }
    Ok(found)
}
