//! `caro history list`.

use std::ops::ControlFlow;

use super::super::{CliError, Home, Ui};
use super::output::{Output, Printer};
use super::select::{Page, Selection, open, say_nothing_found};

/// Lists commands, the newest last.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Times are 2026-01-31, `2026-01-31 14:30`, 2026-01-31T14:30:00Z, @1700000000, `2 hours ago`, yesterday.

Examples:
  caro history list --limit 20
  caro history list --cwd . --exit 0 --cmd-only
  caro history list --session this --failed
  caro history list --after yesterday --format '{time}\\t{exit}\\t{command}'
  caro history list --json | jq -r 'select(.exit != 0) | .command'
")]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    output: Output,
}

/// Runs `caro history list`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let history = open(home)?;
    let filter = args.selection.filter(&args.page, &history)?;
    let printer = Printer::new(&args.output, ui);
    let mut printed = Ok(());
    let mut found = false;
    history.list_each(&filter, |record| {
        found = true;
        printed = printer.print(&record, ui);
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    printed?;
    if found { Ok(()) } else { say_nothing_found(ui, &history) }
}
