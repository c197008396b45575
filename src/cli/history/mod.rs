//! `caro history`: the commands of the local history.

mod add;
mod clear;
mod dedup;
mod delete;
mod exported;
mod filter;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod generator;
mod hidden;
mod import;
mod input;
mod intake;
mod last;
mod lines;
mod list;
mod output;
mod prune;
mod removing;
mod search;
mod select;
mod show;
mod start;
mod stats;
mod template;
mod undo;

use clap::Subcommand;

use super::{CliError, Home, Ui};

pub(super) use hidden::{current_session, is_hidden};
pub(super) use input::COMMAND;
pub use output::{RecordJson, SCHEMA_VERSION};
pub(super) use select::{Page, Selection};
pub(super) use show::describe;
pub(super) use stats::Clock;

/// `caro history …`; each variant is a module of the same name.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record finished commands: one by flags, or many as JSON lines on standard input
    Add(add::Args),
    /// Record a command that begins to run, and print its id for `caro history end`
    Start(start::StartArgs),
    /// Complete a command that `caro history start` recorded
    End(start::EndArgs),
    /// Store what was put aside at the prompt
    #[command(hide = true)]
    TakeIn,
    /// Record nothing more in this shell session
    #[command(after_long_help = "\
Example:
  caro history pause
")]
    Pause(hidden::Args),
    /// Record again in this shell session
    #[command(after_long_help = "\
Example:
  caro history resume
")]
    Resume(hidden::Args),
    /// List commands, the newest last
    List(list::Args),
    /// Find commands by what they contain or what you had asked for
    Search(search::Args),
    /// Show everything known about one command
    Show(show::Args),
    /// Show the latest command
    Last(last::Args),
    /// Show how many commands were run on all your devices, and how many succeeded
    Stats(stats::Args),
    /// Take over the history of a shell; a second run adds nothing
    #[command(subcommand)]
    Import(import::Source),
    /// Delete commands, here and with the next sync everywhere
    Delete(delete::Args),
    /// Say which commands are recorded: rules that include or exclude them
    #[command(subcommand)]
    Filter(filter::Command),
    /// Delete stored commands that hold a secret or that a rule excludes
    Prune(prune::Args),
    /// Delete commands that are there more than once
    Dedup(dedup::Args),
    /// Forget the whole history on this machine only
    Clear(clear::Args),
    /// Take back what was removed in the last minute
    Undo(undo::Args),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// What went wrong, in words for the user.
    pub fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        if let Self::Search(args) = &self {
            if search::run(args, ui, home)? {
                super::sync::after_capture(home);
            }
            return Ok(());
        }
        if !self.is_at_the_prompt() {
            intake::tell(ui, home);
        }
        let changes = self.changes_the_history();
        // The end of a command that was not recorded changes nothing.
        let ends = matches!(&self, Self::End(_));
        let result = self.run_alone(ui, home);
        if changes && (result.is_ok() || !ends) {
            // After a failure too: part of it may be done.
            super::sync::after_capture(home);
            super::community::after_capture(home);
        }
        result
    }

    /// Whether a shell runs it while somebody waits for a prompt, or nobody looks at what it says.
    fn is_at_the_prompt(&self) -> bool {
        match self {
            Self::Start(_) | Self::End(_) | Self::TakeIn => true,
            _ => self.is_by_key(),
        }
    }

    /// Whether it is the search that a key of a shell opens.
    pub(super) fn is_by_key(&self) -> bool {
        matches!(self, Self::Search(args) if args.is_widget())
    }

    /// Whether there may be something to sync afterwards.
    fn changes_the_history(&self) -> bool {
        matches!(
            self,
            Self::Add(_)
                | Self::Delete(_)
                | Self::Prune(_)
                | Self::Dedup(_)
                | Self::Undo(_)
                | Self::End(_)
                | Self::TakeIn
                | Self::Import(_)
        )
    }

    fn run_alone(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        match self {
            Self::Add(args) => add::run(args, ui, home),
            Self::Start(args) => start::start(args, ui, home),
            Self::End(args) => start::end(&args, home),
            Self::TakeIn => start::take_in(home),
            Self::Pause(args) => hidden::pause(&args, ui, home),
            Self::Resume(args) => hidden::resume(&args, ui, home),
            Self::List(args) => list::run(&args, ui, home),
            Self::Search(args) => search::run(&args, ui, home).map(|_| ()),
            Self::Show(args) => show::run(&args, ui, home),
            Self::Last(args) => last::run(&args, ui, home),
            Self::Stats(args) => stats::run(&args, ui, home),
            Self::Import(source) => import::run(&source, ui, home),
            Self::Delete(args) => delete::run(&args, ui, home),
            Self::Filter(command) => filter::run(command, ui, home),
            Self::Prune(args) => prune::run(&args, ui, home),
            Self::Dedup(args) => dedup::run(&args, ui, home),
            Self::Clear(args) => clear::run(&args, ui, home),
            Self::Undo(args) => undo::run(&args, ui, home),
        }
    }
}
