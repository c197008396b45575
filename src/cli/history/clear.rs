//! `caro history clear`.

use serde::Serialize;

use super::super::sync::is_set_up;
use super::super::{CliError, Home, Ui, time};
use super::output::SCHEMA_VERSION;
use super::removing::{How, commands, offer_undo};
use super::select::open;

/// Forgets the whole history on this machine, and nowhere else.
///
/// Your other devices and the relay keep what was synced; it comes back when this device reads everything again,
/// for example after `caro sync restore`. To delete commands everywhere, use `caro history delete`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caro history clear --dry-run
  caro history clear --yes
")]
pub struct Args {
    #[command(flatten)]
    how: How,
}

/// The result as JSON, version 1.
#[derive(Serialize)]
struct ClearedJson {
    schema_version: u32,
    dry_run: bool,
    forgotten: u64,
}

/// Runs `caro history clear`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let history = open(home)?;
    let unsynced = history.unsynced_count()?;
    if args.how.dry_run {
        let forgotten = history.count()?;
        if args.how.json {
            return ui.json(&ClearedJson { schema_version: SCHEMA_VERSION, dry_run: true, forgotten });
        }
        ui.status(format_args!("Would forget {}.", commands(count(forgotten))));
        return Ok(());
    }
    if !args.how.yes {
        let alone = match unsynced {
            0 => String::new(),
            _ if !is_set_up(home) => " (they are nowhere else)".to_owned(),
            some => format!(" ({} of them in no synced history: they may exist nowhere else)", count(some)),
        };
        let question = format!("Forget all {} on this machine{alone}?", commands(count(history.count()?)));
        if !ui.terminal("--yes")?.confirm(&question)? {
            return Err(CliError::declined("nothing was forgotten"));
        }
    }
    let forgotten = if args.how.for_good { history.clear()? } else { history.clear_for_now(time::now())? };
    if args.how.json {
        return ui.json(&ClearedJson { schema_version: SCHEMA_VERSION, dry_run: false, forgotten });
    }
    if !args.how.for_good {
        offer_undo(ui, home, "whatever sync has brought back by then");
    }
    ui.line(format_args!("forgot {}", commands(count(forgotten))))?;
    if !is_set_up(home) {
        return Ok(());
    }
    ui.hint("This was on this machine only: what was synced stays on your other devices and the relay.");
    if unsynced > 0 {
        let verb = if unsynced == 1 { "was" } else { "were" };
        ui.hint(format_args!("Not synced {verb} {}.", commands(count(unsynced))));
    }
    Ok(())
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
