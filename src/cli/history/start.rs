//! `caro history start` and `end`: a command as it runs, recorded by the shell's hooks.
//!
//! The prompt waits for both, so each is one small transaction and nothing else. Any number of shells may do so at
//! once.

use clap::ArgAction;

use super::super::{CliError, Home, Ui, host, time};
use super::select::directory;
use crate::history::{HistoryError, Record, UnixNanos, new_id};

/// Records a command that begins to run, and prints its id for `caro history end`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  id=$(caro history start --session \"$$\" -- make test)
  caro history end \"$id\" --exit 0
")]
pub struct StartArgs {
    /// The command line, after `--`
    #[arg(value_name = "CMD", required = true, last = true, num_args = 1.., action = ArgAction::Append)]
    command: Vec<String>,
    /// Where it runs [default: the current directory]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// The shell session it runs in
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The shell that runs it, for example bash
    #[arg(long, value_name = "NAME")]
    shell: Option<String>,
}

/// Completes a command that `caro history start` recorded.
#[derive(Debug, clap::Args)]
pub struct EndArgs {
    /// The id that `start` printed
    #[arg(value_name = "ID")]
    id: String,
    /// Its exit status
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    exit: i32,
    /// How long it ran, in nanoseconds [default: from its start to now]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    duration_ns: Option<i64>,
}

/// Runs `caro history start`.
pub(super) fn start(args: StartArgs, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let command = args.command.join(" ");
    if command.trim().is_empty() {
        return Err(CliError::usage("the command is empty").hinted("Give the command line after `--`."));
    }
    let history = home.open_history()?;
    let now = time::now();
    let mut record = Record::with_id(new_id(now), command, now, history.device_id()?);
    // A directory that was deleted under the shell has no name; the command is recorded anyway.
    record.cwd = match args.cwd {
        Some(given) => Some(directory(&given)?),
        None => directory(".").ok(),
    };
    record.session = args.session;
    record.shell = args.shell;
    record.host = host::name();
    history.begin(&record)?;
    ui.line(record.id)
}

/// Runs `caro history end`.
pub(super) fn end(args: &EndArgs, home: &Home) -> Result<(), CliError> {
    let history = home.open_history()?;
    let mut record = history.find(&args.id).map_err(|error| match error {
        HistoryError::NotFound(id) => CliError::failed(format!("no command was started under an id like `{id}`"))
            .hinted("Give the id that `caro history start` printed; a deleted command has none any more."),
        error => error.into(),
    })?;
    if record.exit.is_some() {
        return Err(CliError::failed("this command has ended already").hinted("Nothing was changed."));
    }
    record.exit = Some(args.exit);
    let UnixNanos(ran) = UnixNanos(time::now().0.saturating_sub(record.started_at.0));
    record.duration_ns = Some(args.duration_ns.unwrap_or(ran.max(0)));
    history.add(&record)?;
    Ok(())
}
