//! `caro history last`.

use super::super::{CliError, Home, Ui};
use super::output::{Output, Printer};
use super::select::{Page, Selection, open, running};
use crate::history::Filter;

/// Shows the latest command, not counting the one that asks
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caro history last
  caro history last --failed --cmd-only
  caro history last --cwd . --json
")]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    output: Output,
}

/// Runs `caro history last`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let history = open(home)?;
    let filter = Filter { without: running(&history)?, ..args.selection.filter(&Page::default(), &history)? };
    let record = history.last(&filter)?.ok_or_else(|| {
        CliError::failed("no command is remembered that fits")
            .hinted("`caro history import bash` takes over what bash remembers; fewer filters find more.")
    })?;
    Printer::new(&args.output, ui).print(&record, ui)
}
