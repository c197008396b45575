//! `caro history start` and `end`: a command as it runs, recorded by the shell's hooks.
//!
//! The prompt waits for them, so each is one small transaction and nothing else; where another process keeps
//! the database to itself, it is damaged, or its layout is that of an older version, what there is to store is put aside instead. Any number of shells may do so at once.

use std::ffi::OsString;
use std::io::Read;
use std::time::Duration;

use clap::ArgAction;
use serde::Serialize;
use uuid::Uuid;

use super::super::{CliError, Home, Ui, detached, host, time};
use super::output::SCHEMA_VERSION;
use super::select::directory;
use super::{hidden, intake};
use crate::history::{HistoryError, MAX_TEXT_BYTES, Record, new_id};

/// How long a prompt waits for another process: of the 50 ms that a hook may take, what it does itself takes the rest.
const PATIENCE: Duration = Duration::from_millis(30);

/// Records a command that begins to run, and prints its id for `caro history end`
///
/// Commands that hold a secret are not recorded, nor those that the rules in history.filter exclude; no id is printed then.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  id=$(caro history start --session \"$$\" -- make test)
  caro history end \"$id\" --exit 0
")]
pub struct StartArgs {
    /// The command line, after `--`
    #[arg(value_name = "CMD", required_unless_present = "stdin", last = true, num_args = 1.., action = ArgAction::Append)]
    command: Vec<OsString>,
    /// Read the command line from standard input: one that is too long for an argument
    #[arg(long, conflicts_with = "command")]
    stdin: bool,
    /// The id to record it under, a UUID that nothing else has [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    /// Where it runs [default: the current directory]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// The shell session it runs in [default: the one this runs in]
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The shell that runs it, for example bash
    #[arg(long, value_name = "NAME")]
    shell: Option<String>,
    /// Print the id as JSON; null where the command is not recorded
    #[arg(long)]
    json: bool,
}

/// What was begun, as JSON, version 1.
#[derive(Serialize)]
struct StartedJson {
    schema_version: u32,
    id: Option<String>,
}

/// Completes a command that `caro history start` recorded.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caro history end \"$id\" --exit 0
  caro history end \"$id\" --exit 1 --duration-ns 2500000000
")]
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
    let command = command_line(&args.command, args.stdin)?;
    if command.trim().is_empty() {
        return Err(CliError::usage("the command is empty").hinted("Give the command line after `--`."));
    }
    let session = args.session.or_else(hidden::current_session);
    if session.as_deref().is_some_and(|session| hidden::is_hidden(home, session)) {
        return print(ui, None, args.json);
    }
    let now = time::now();
    let mut record = Record::with_id(args.id.unwrap_or_else(|| new_id(now)), command, now, Uuid::nil());
    // A directory that was deleted under the shell has no name; the command is recorded anyway.
    record.cwd = match args.cwd {
        Some(given) => Some(directory(&given)?),
        None => directory(".").ok(),
    };
    record.session = session;
    record.shell = args.shell;
    record.host = host::name();
    if let Some(why) = intake::load_or_last(home).refuses(&record) {
        tracing::debug!(?why, "not recorded");
        if let Err(error) = home.open_history_within(PATIENCE).and_then(|history| history.note_left_out()) {
            tracing::debug!(%error, "and not counted");
        }
        return print(ui, None, args.json);
    }
    let stored = home.open_history_within(PATIENCE).and_then(|history| {
        record.device_id = history.device_id()?;
        history.begin(&record)
    });
    match stored {
        Err(error) if can_wait(&error) => home.waiting().put(&record)?,
        stored => drop(stored?),
    }
    print(ui, Some(record.id), args.json)
}

/// Prints the id that it is recorded under, if it is.
fn print(ui: &mut Ui, id: Option<Uuid>, json: bool) -> Result<(), CliError> {
    match id {
        _ if json => ui.json(&StartedJson { schema_version: SCHEMA_VERSION, id: id.map(|id| id.to_string()) }),
        Some(id) => ui.line(id),
        None => Ok(()),
    }
}

/// Whether a later command will be able to store it: that waits for others, and sees to a damaged or an older database.
fn can_wait(error: &HistoryError) -> bool {
    matches!(
        error,
        HistoryError::Busy(_) | HistoryError::Damaged(_) | HistoryError::Older | HistoryError::NotAHistory { .. }
    )
}

/// The command line, as text: what is not UTF-8 in it is replaced by a mark.
fn command_line(words: &[OsString], from_stdin: bool) -> Result<String, CliError> {
    if !from_stdin {
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        return Ok(words.join(" "));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_TEXT_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::failed("standard input could not be read").caused_by(error))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

/// Has another process bring the layout up to date and store what was put aside. Where it cannot be started, the next
/// command that is not at the prompt does.
fn take_in_later(home: &Home) {
    if let Err(error) = detached::start(home, &["history", "take-in"]) {
        tracing::debug!(%error, "the history could not be brought up to date in the background");
    }
}

/// Runs `caro history take-in`: whatever fails is told by the next command of the user.
pub(super) fn take_in(home: &Home) -> Result<(), CliError> {
    detached::let_go();
    Ok(home.take_in()?)
}

/// Runs `caro history end`.
pub(super) fn end(args: &EndArgs, home: &Home) -> Result<(), CliError> {
    let now = time::now();
    let waits = |id: &str| Uuid::try_parse(id).is_ok_and(|id| home.waiting().has(id));
    let ended = home.open_history_within(PATIENCE).and_then(|history| {
        let begun = match history.find(&args.id) {
            // Unless it still waits, another process may have taken it in since this one looked.
            Err(HistoryError::NotFound(id)) if !waits(&id) => history.find(&id)?,
            found => found?,
        };
        if begun.exit.is_some() {
            return Ok(false);
        }
        history.end(&begun, args.exit, args.duration_ns, now)?;
        Ok(true)
    });
    match (ended, Uuid::try_parse(&args.id)) {
        (Ok(true), _) => Ok(()),
        (Ok(false), _) => Err(CliError::failed("this command has ended already").hinted("Nothing was changed.")),
        (Err(error), Ok(id)) if can_wait(&error) || waits(&args.id) => {
            home.waiting().put_end(id, args.exit, args.duration_ns, now)?;
            if matches!(error, HistoryError::Older) {
                take_in_later(home);
            }
            Ok(())
        }
        (Err(HistoryError::NotFound(id)), _) => {
            Err(CliError::failed(format!("no command was started under an id like `{id}`"))
                .hinted("Give the id that `caro history start` printed; a deleted command has none any more."))
        }
        (Err(error), _) => Err(error.into()),
    }
}
