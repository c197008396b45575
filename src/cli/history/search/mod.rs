//! `caro history search`.

use std::ops::ControlFlow;

use clap::ValueEnum;

use super::super::{CliError, Home, Ui, time};
use super::output::{Output, Printer};
use super::select::{Page, Selection, open};
use crate::history::ranking::Here;
use crate::history::{Search, SearchMode};

/// Finds commands by what they contain or what you had asked for, the best match last.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Letters match either case unless the query holds a capital. What ran in this directory, recently, often and with
success comes first, which is at the bottom.

Examples:
  caro history search docker run              both words, in any order, also within words
  caro history search large files             also finds what you had asked the generator for
  caro history search --mode prefix 'git c'
  caro history search --mode regex '^ssh .*@' --limit 5 --cmd-only
  caro history search -- -rf                  after `--`, dashes are part of the query
")]
pub struct Args {
    /// What to look for; without it, everything
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// How the query is understood
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    output: Output,
}

/// How a query is understood.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum Mode {
    /// Every word occurs in the command, or every word in the prompt
    #[default]
    Fulltext,
    /// The command begins with it
    Prefix,
    /// The letters of each word occur in this order, the closer the better
    Fuzzy,
    /// It is a regular expression
    Regex,
}

impl From<Mode> for SearchMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Fulltext => Self::Fulltext,
            Mode::Prefix => Self::Prefix,
            Mode::Fuzzy => Self::Fuzzy,
            Mode::Regex => Self::Regex,
        }
    }
}

/// Where and when this is.
fn here() -> Here {
    let cwd = std::env::current_dir().ok().map(|cwd| cwd.to_string_lossy().into_owned());
    Here { cwd, now: time::now() }
}

/// Runs `caro history search`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let history = open(home)?;
    let search = Search {
        text: args.query.join(" "),
        mode: args.mode.into(),
        filter: args.selection.filter(&args.page, &history)?,
        here: Some(here()),
    };
    let printer = Printer::new(&args.output, ui);
    let mut printed = Ok(());
    history.search_each(&search, |record| {
        printed = printer.print(&record, ui);
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    printed
}
