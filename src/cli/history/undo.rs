//! `caro history undo`.

use serde::Serialize;

use super::super::{CliError, Home, Ui, time};
use super::output::SCHEMA_VERSION;
use super::removing::commands;
use super::select::open;
use crate::history::Undone;

/// Takes back what `delete`, `prune`, `dedup` or `clear` removed in the last minute
///
/// A deletion that your other devices have been told of cannot be taken back. What was removed with --for-good is gone at
/// once. Each further time takes back what was removed before that.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caro history undo
  caro history undo --dry-run
")]
pub struct Args {
    /// Say what would be there again, or why nothing can be, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// The result as JSON, version 1.
#[derive(Serialize)]
struct UndoneJson {
    schema_version: u32,
    dry_run: bool,
    restored: u64,
    /// What another device deleted too, or what had come back already.
    left_out: u64,
    /// Later removals that your other devices have been told of, and that stay.
    passed_over: u64,
}

/// Runs `caro history undo`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let history = open(home)?;
    let now = time::now();
    let undone = if args.dry_run { history.would_undo(now)? } else { history.undo_removal(now)? };
    let (restored, left_out, passed_over) = match undone {
        Undone::Restored { restored, left_out, passed_over } => (restored, left_out, passed_over),
        Undone::Nothing => {
            return Err(CliError::failed("nothing was removed in the last minute")
                .hinted("Only what was removed within a minute, and not with --for-good, can be taken back."));
        }
        Undone::Told => {
            return Err(CliError::failed("your other devices have been told of this deletion")
                .hinted("What has been synced cannot be taken back; nothing was changed."));
        }
    };
    if args.json {
        return ui.json(&UndoneJson {
            schema_version: SCHEMA_VERSION,
            dry_run: args.dry_run,
            restored,
            left_out,
            passed_over,
        });
    }
    let again = commands(usize::try_from(restored).unwrap_or(usize::MAX));
    if args.dry_run {
        ui.status(format_args!("Would bring {again} back."));
    } else {
        ui.line(format_args!("brought {again} back"))?;
    }
    if left_out > 0 {
        ui.hint(format_args!("Another {left_out} had come back already, or another device deleted them too."));
    }
    if passed_over > 0 {
        ui.hint("What was removed after that stays removed: your other devices have been told of it.");
    }
    Ok(())
}
