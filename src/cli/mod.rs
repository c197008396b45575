//! The command line: the only room that reads the environment and the clock, prints and prompts.
//!
//! One file per command, in the tree that the user types. Arguments become typed values in clap;
//! each command is a function of its arguments, the [`Ui`] and the [`Home`] that returns a
//! [`CliError`]; [`run`] turns that into words and an exit code. Commands of the local history start
//! no async runtime and touch no network.

mod community;
mod completions;
mod config;
mod detached;
pub mod dirs;
mod doctor;
pub mod error;
mod export;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod help;
pub mod history;
mod host;
mod init;
mod log;
mod man;
mod misuse;
#[cfg(test)]
mod reference;
mod relay;
mod rescue;
mod rules;
mod screen;
mod server;
mod sync;
pub mod terminal;
pub mod time;
pub mod ui;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use anstream::ColorChoice;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use dirs::Home;
pub use error::{CliError, Kind};
pub use ui::Ui;

use crate::history::tell_of_waiting;

/// The command history of all your machines: local first, end-to-end encrypted, yours.
///
/// Everything works on this machine alone; no byte leaves it unless you set up sync.
#[derive(Debug, Parser)]
#[command(
    name = "caro",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  caro history import auto          take over what your shells remember
  caro history search docker run    find commands that contain both words
  caro history list --limit 20      the last twenty commands
"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// When to use colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    color: Color,

    /// Show the causes of an error too
    #[arg(long, short, global = true)]
    verbose: bool,
}

/// The commands; each variant is a module of the same name.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    /// The commands you ran: add, list, search, import
    #[command(subcommand)]
    History(history::Command),
    #[command(subcommand)]
    Config(config::Command),
    /// Your history on all your machines, readable by nobody else
    #[command(subcommand)]
    Sync(sync::Command),
    Export(export::Args),
    Doctor(doctor::DoctorArgs),
    Completions(completions::Args),
    Man(man::Args),
    /// A relay of your own
    #[command(subcommand)]
    Relay(relay::Command),
    /// Help Caro without giving yourself away: the optional anonymous report
    #[command(subcommand)]
    Community(community::Command),
}

impl Command {
    fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        match self {
            Self::Init(args) => init::run(&args, ui),
            Self::History(command) => command.run(ui, home),
            Self::Config(command) => command.run(ui, home),
            Self::Sync(command) => command.run(ui, home),
            Self::Export(args) => export::run(&args, ui, home),
            Self::Doctor(args) => doctor::run(ui, home, &args),
            Self::Completions(args) => completions::run(&args, ui),
            Self::Man(args) => man::run(&args, ui),
            Self::Relay(command) => command.run(ui, home),
            Self::Community(command) => command.run(ui, home),
        }
    }
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set; anywhere, if CLICOLOR_FORCE is
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    fn choice(self) -> ColorChoice {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        }
    }

    /// The choice on a command line that may be wrong elsewhere: help and usage errors obey it too.
    fn peek(args: &[OsString]) -> Self {
        let mut rest = args.iter().skip(1).map(OsString::as_os_str);
        let mut color = Self::default();
        while let Some(arg) = rest.next() {
            if arg == OsStr::new("--") {
                break;
            }
            let value = match arg.to_str() {
                Some("--color") => rest.next().and_then(OsStr::to_str),
                Some(arg) => arg.strip_prefix("--color="),
                None => None,
            };
            if let Some(parsed) = value.and_then(|value| Self::from_str(value, false).ok()) {
                color = parsed;
            }
        }
        color
    }
}

/// All commands, as clap knows them.
fn command_tree() -> clap::Command {
    Cli::command()
}

/// Runs the command line `args`, program name first, and says how it went.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    if completions::answer(&args) {
        return ExitCode::SUCCESS;
    }
    let color = Color::peek(&args);
    // Not for every command at the prompt.
    let asks = args.iter().skip(1).any(|arg| arg == "--help" || arg == "help");
    let tree = if asks { help::flowing(command_tree()) } else { command_tree() };
    let parser = tree.color(match color {
        Color::Auto => clap::ColorChoice::Auto,
        Color::Always => clap::ColorChoice::Always,
        Color::Never => clap::ColorChoice::Never,
    });
    let parsed = parser.try_get_matches_from(&args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let error = misuse::explain(error, &args);
            // Help and version go to standard output, usage errors to standard error; if that is
            // closed, the exit code has to do.
            drop(misuse::print(&error, color.choice()));
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Kind::Usage.code()));
        }
    };
    cli.color.choice().write_global();
    let mut ui = Ui::new(cli.color.choice(), cli.verbose);
    if ui.err_is_terminal() {
        tell_of_waiting(|| {
            ui::warn_anywhere("another process keeps the history to itself; waiting for it, for half a minute at most");
        });
    }
    // A shell whose key it was falls back on a search of its own, and says at the prompt that this one failed.
    let is_by_key = matches!(&cli.command, Command::History(command) if command.is_by_key());
    // Nobody watches a server who could try it again with the log on.
    let log = match &cli.command {
        Command::Relay(command) if command.starts_its_log() => Ok(()),
        Command::Relay(_) => log::start(Some("warn")),
        Command::Community(command) => log::start(command.logged()),
        _ => log::start(None),
    };
    let result = log
        .and_then(|()| Home::from_env())
        .and_then(|home| cli.command.run(&mut ui, &home).map_err(|error| rescue::instead_of(error, &home)))
        .map_err(|error| if is_by_key { error.unsaid() } else { error });
    // Whatever a failed command had printed before it failed is data too.
    match result.and(ui.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(ui.flush());
            ui.error(&error);
            error.kind.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    /// The commands that do something, with the words that lead to each.
    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
        let path = format!("{path}{}", command.get_name());
        if command.get_subcommands().all(|below| below.get_name() == "help") {
            let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            found.push((path, help));
            return;
        }
        for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set()) {
            leaves(below, &format!("{path} "), found);
        }
    }

    #[test]
    fn every_command_teaches_with_an_example_of_itself() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        assert!(found.len() > 50, "{found:?}");
        let without: Vec<_> = found.iter().filter(|(path, help)| !help.contains(path.as_str())).collect();
        assert!(without.is_empty(), "{without:?}");
    }

    #[test]
    fn colour_is_seen_on_a_wrong_command_line() {
        let peek = |args: &[&str]| Color::peek(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(peek(&["caro", "nonsense", "--color", "never"]), Color::Never);
        assert_eq!(peek(&["caro", "--color=always"]), Color::Always);
        assert_eq!(peek(&["caro", "--", "--color=always"]), Color::Auto);
        assert_eq!(peek(&["caro", "--color", "sometimes"]), Color::Auto);
    }
}
