//! `caro history search`: once, or on the whole screen while one types (`--interactive`).
//!
//! - `interactive`: brings the parts together. `state`: keys in, what to do out; `keys`: what they mean; `line`: what is typed.
//! - `view`: what it looks like; `text`: texts for a screen; `screen`: the terminal. `worker`: the thread with the history.
//! - `start`: how it begins, by flags, preferences and the place one is in. `inspector`: everything known about a command.

mod inspector;
mod interactive;
mod keys;
mod line;
mod screen;
mod start;
mod state;
mod text;
mod view;
mod worker;

use std::ops::ControlFlow;

use clap::ValueEnum;

use self::state::Choice;
use super::super::screen::is_dumb as terminal_is_dumb;
use super::super::ui::visible;
use super::super::{CliError, Home, Kind, Ui, time};
use super::output::{Output, Printer};
use super::select::{Page, Selection, open, running, say_nothing_found};
use crate::history::ranking::Here;
use crate::history::{Filter, History, Search, SearchMode};

/// Finds commands by what they contain or what you had asked for, the best match last.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Letters match either case unless the query holds a capital. What ran in this directory, recently, often and with
success comes first, which is at the bottom. Of very many matches those among the newest 5,000 commands are put in this
order; older ones follow by time.

Examples:
  caro history search docker run              both words, in any order, also within words
  caro history search large files             also finds what you had asked the generator for
  caro history search --mode prefix 'git c'
  caro history search --mode regex '^ssh .*@' --limit 5 --cmd-only
  caro history search -- -rf                  after `--`, dashes are part of the query
  caro history search --scope workspace test  what ran in this git repository
  caro history search -i                      on the whole screen, while you type (a plain list where TERM is dumb)
  caro history search -i --failed --tag ci    the same, among what these filters leave

Keys of the search on the screen:
  Enter             runs the command (where the shell integration opened it), Tab puts it into the line; with
                    `caro config set search.enter edit` Enter does so too
  Ctrl-R, Ctrl-S    next scope (everywhere, this machine, session, directory, workspace), next mode
  Ctrl-O            everything known about the command: Up, Down, j, k, Page Up, Page Down and the wheel go through it,
                    Ctrl-P and Ctrl-N to other commands
  Ctrl-X, Ctrl-Y    deletes the command, copies it
  Up, Down, Page Up, Page Down, the wheel, a click, Alt-1 to Alt-9; Esc or Ctrl-C leaves
With `caro config set search.keymap vim`, Esc leads to the keys of vi: j k gg G w b x dd cw i a A q.
")]
pub struct Args {
    /// What to look for; without it, everything
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// How the query is understood [default: fulltext; with --interactive what search.mode says]
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Search on the whole screen while you type; what is chosen is printed
    #[arg(long, short, conflicts_with_all = ["Page", "Output"])]
    interactive: bool,
    /// Where to look, with --interactive only at first [default: everywhere; with --interactive what search.scope says]
    #[arg(long, value_enum)]
    scope: Option<start::Place>,
    /// Take so many lines under the cursor; 0: the whole screen [default: what search.inline_height says]
    #[arg(long, value_name = "HEIGHT", requires = "interactive")]
    inline: Option<u16>,
    /// Print first, on a line of its own, whether to `run` or to `edit` what was chosen, and nothing if it was left: for
    /// shell integrations
    #[arg(long, hide = true, requires = "interactive")]
    widget: bool,
    /// It was opened by the Up key: Down on the newest command leaves
    #[arg(long, hide = true, requires = "interactive")]
    up: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    output: Output,
}

impl Args {
    /// Whether a shell's key opened it.
    pub(super) fn is_widget(&self) -> bool {
        self.widget
    }
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

/// How many commands are listed where the terminal cannot show the search.
const LISTED: u64 = 20;

/// Where and when this is.
fn here() -> Here {
    let cwd = std::env::current_dir().ok().map(|cwd| cwd.to_string_lossy().into_owned());
    Here { cwd, now: time::now() }
}

/// Runs `caro history search`; says whether something was deleted.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<bool, CliError> {
    let history = open(home)?;
    // A shell's key is no command that runs.
    let without = if args.widget { None } else { running(&history)? };
    let filter = Filter { without, ..args.selection.filter(&args.page, &history)? };
    if args.interactive && !terminal_is_dumb() {
        return choose(args, ui, home, history, filter);
    }
    let here = here();
    let scope = start::scope(args, home, &history, &here)?;
    let mut search = Search {
        text: args.query.join(" "),
        mode: args.mode.unwrap_or_default().into(),
        filter: Filter { scope, ..filter },
        here: Some(here),
    };
    if args.interactive {
        const REMEDY: &str = "Set TERM, for example to xterm-256color, for the search on the screen.";
        // A list is no choice.
        if args.widget || !ui.out_is_terminal() {
            return Err(CliError::usage("this terminal cannot show the search: TERM is dumb").hinted(REMEDY));
        }
        search.mode = start::mode(args, home)?.into();
        search.filter.limit = Some(LISTED);
        ui.status("TERM is dumb, so this is a list.");
        ui.hint(REMEDY);
    }
    let printer = Printer::new(&args.output, ui);
    let mut printed = Ok(());
    let mut found = false;
    history.search_each(&search, |record| {
        found = true;
        printed = printer.print(&record, ui);
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    printed?;
    if !found {
        say_nothing_found(ui, &history)?;
    }
    Ok(false)
}

/// Searches on the screen and prints what was chosen.
fn choose(args: &Args, ui: &mut Ui, home: &Home, history: History, filter: Filter) -> Result<bool, CliError> {
    let here = here();
    let (begin, inline) = start::start(args, home, &history, &here, &filter)?;
    let look = view::Look {
        color: ui.colors_the_terminal(),
        now: here.now,
        zone: time::local_zone(),
        home: std::env::var("HOME").ok(),
    };
    let ended = interactive::run(history, filter, begin, here, inline, look)?;
    let (how, command) = match ended.choice {
        Choice::Nothing if args.widget => return Ok(ended.deleted),
        Choice::Nothing => {
            if ended.deleted {
                super::super::sync::after_capture(home);
            }
            return Err(CliError::new(Kind::Interrupted, ""));
        }
        Choice::Run(command) if start::enter_edits(home)? => ("edit", command),
        Choice::Run(command) => ("run", command),
        Choice::Edit(command) => ("edit", command),
    };
    if args.widget {
        ui.line(how)?;
    }
    // It is data for a shell; on a terminal it must not drive that.
    ui.line(if ui.out_is_terminal() { visible(&command) } else { command })?;
    Ok(ended.deleted)
}
