//! `caro history add`: one record from flags, or many from standard input.
//!
//! An id is printed only after its record is durable, so whoever reads the ids knows what is
//! stored even if either side dies. Records are stored in batches, but never wait for input that is
//! yet to come: a program that writes one line and waits for the id gets it.

use std::io::{self, BufRead, BufReader, IsTerminal, Read};

use serde::Serialize;

use super::super::ui::visible;
use super::super::{CliError, Home, Kind, Ui, host, time};
use super::output::SCHEMA_VERSION;
use super::select::{directory, moment, safety_parser};
use super::{input, intake};
use crate::history::filter::Why;
use crate::history::{History, Intake, Record, RiskLevel, Stored, UnixNanos, new_id};

/// Most records in one transaction.
const BATCH: usize = 500;
/// Longest line of JSON, in bytes: three texts of full length with every character escaped.
const MAX_LINE: usize = 24 * 1024 * 1024;

/// Records finished commands: one by flags, or many as JSON lines on standard input
///
/// Commands that hold a secret are left out, and those that the rules in history.filter exclude.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Prints the ids of the records, one a line. On standard input, each line is a JSON object with the
fields that `caro history list --json` prints; only `command` is required.

Examples:
  caro history add --command 'make test' --exit 0 --duration-ns 8000000000
  caro history add --command 'du -sh *' --prompt 'how big is everything here' --safety safe
  echo '{\"command\": \"make test\", \"exit\": 0}' | caro history add
")]
pub struct Args {
    /// The command line; without it, JSON lines are read from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    command: Option<String>,
    /// What the generator was asked for
    #[arg(long, value_name = "TEXT", requires = "command", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// Its exit status
    #[arg(long, value_name = "N", requires = "command", allow_negative_numbers = true)]
    exit: Option<i32>,
    /// How long it ran, in nanoseconds
    #[arg(long, value_name = "N", requires = "command", value_parser = clap::value_parser!(i64).range(0..))]
    duration_ns: Option<i64>,
    /// Where it ran [default: the current directory]
    #[arg(long, value_name = "DIR", requires = "command")]
    cwd: Option<String>,
    /// When it began [default: now, less its duration]
    #[arg(long, value_name = "TIME", requires = "command", value_parser = moment)]
    at: Option<UnixNanos>,
    /// The shell session it ran in
    #[arg(long, value_name = "ID", requires = "command")]
    session: Option<String>,
    /// How dangerous it is
    #[arg(long, value_name = "LEVEL", requires = "command", value_parser = safety_parser())]
    safety: Option<RiskLevel>,
    /// A label; may be given several times
    #[arg(long, value_name = "TAG", requires = "command")]
    tag: Vec<String>,
    /// The model that generated it
    #[arg(long, value_name = "NAME", requires = "command")]
    model: Option<String>,
    /// Print each id as a line of JSON that also says whether the record is new
    #[arg(long)]
    json: bool,
}

/// What became of one record, as JSON.
#[derive(Debug, Serialize)]
struct AddedJson {
    schema_version: u32,
    id: String,
    /// `added`, `updated`, `already_there`, or `left_out` for what is not to be recorded.
    stored: &'static str,
}

/// Runs `caro history add`.
pub(super) fn run(args: Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    if args.command.is_none() && io::stdin().is_terminal() {
        return Err(CliError::usage("there is nothing to add")
            .hinted("Give `--command TEXT`, or send JSON lines to standard input."));
    }
    let history = home.open_history()?;
    let mut adder = Adder { history: &history, intake: intake::load(home)?, json: args.json, secrets: false };
    match record_from(args, &history)? {
        Some(record) => adder.store(vec![record], ui)?,
        None => adder.add_lines(io::stdin().lock(), ui)?,
    }
    if adder.secrets {
        ui.hint("To record such commands too, on this machine only: caro config set history.secrets keep");
    }
    Ok(())
}

/// The record the flags describe, if they do.
fn record_from(args: Args, history: &History) -> Result<Option<Record>, CliError> {
    let Some(command) = args.command else {
        return Ok(None);
    };
    if command.trim().is_empty() {
        return Err(CliError::usage("the command is empty").hinted("Give the command line after `--command`."));
    }
    let ran_for = args.duration_ns.unwrap_or(0);
    let started_at = args.at.unwrap_or_else(|| UnixNanos(time::now().0.saturating_sub(ran_for)));
    let mut record = Record::with_id(new_id(started_at), command, started_at, history.device_id()?);
    record.prompt = args.prompt;
    record.exit = args.exit;
    record.duration_ns = args.duration_ns;
    // A directory that was deleted under the shell has no name; the command is recorded anyway.
    record.cwd = match args.cwd {
        Some(given) => Some(directory(&given)?),
        None => directory(".").ok(),
    };
    record.session = args.session;
    record.host = host::name();
    record.safety = args.safety;
    record.tags = args.tag;
    record.model = args.model;
    Ok(Some(record))
}

/// Adds records, one after the other.
struct Adder<'a> {
    history: &'a History,
    intake: Intake,
    json: bool,
    /// Whether one was left out because of a secret.
    secrets: bool,
}

impl Adder<'_> {
    fn add_lines(&mut self, input: impl Read, ui: &mut Ui) -> Result<(), CliError> {
        let device = self.history.device_id()?;
        let mut reader = BufReader::with_capacity(256 * 1024, input);
        let mut batch = Vec::new();
        let mut number = 0u64;
        let mut line = Vec::new();
        loop {
            line.clear();
            number += 1;
            let read = (&mut reader)
                .take(MAX_LINE as u64 + 1)
                .read_until(b'\n', &mut line)
                .map_err(|error| CliError::failed("standard input could not be read").caused_by(error))?;
            let parsed = match std::str::from_utf8(&line) {
                _ if line.len() > MAX_LINE => Err("it is too long".to_owned()),
                Err(_) => Err("not valid UTF-8".to_owned()),
                Ok(text) if text.trim().is_empty() => Ok(None),
                Ok(text) => input::parse(text, device, time::now()).map(Some),
            };
            let failed = match parsed {
                Ok(Some(record)) => {
                    batch.push(record);
                    None
                }
                Ok(None) => None,
                Err(reason) => Some(reason),
            };
            let more_is_here = reader.buffer().contains(&b'\n');
            if read == 0 || failed.is_some() || batch.len() >= BATCH || !more_is_here {
                self.store(std::mem::take(&mut batch), ui)?;
            }
            if let Some(reason) = failed {
                return Err(CliError::usage(format!("line {number} is not a record: {reason}")).hinted(
                    "The lines before it are stored, nothing from it on is; correct it and send \
                         the rest.",
                ));
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Stores what is let in durably, then prints its ids.
    fn store(&mut self, mut batch: Vec<Record>, ui: &mut Ui) -> Result<(), CliError> {
        let mut left_out = Vec::new();
        batch.retain(|record| match self.intake.refuses(record) {
            Some(why) => {
                left_out.push((record.id, why));
                false
            }
            None => true,
        });
        for (id, why) in left_out {
            match why {
                Why::Rule(rule) => ui.warn(format_args!("{id} is not recorded: {}", visible(&rule.to_string()))),
                Why::Secret(name) => {
                    self.secrets = true;
                    ui.warn(format_args!("{id} is not recorded: it holds what looks like {name}"));
                }
            }
            if self.json {
                ui.json(&AddedJson { schema_version: SCHEMA_VERSION, id: id.to_string(), stored: "left_out" })?;
            }
        }
        if batch.is_empty() {
            return ui.flush();
        }
        let outcomes = self.history.add_batch(&batch)?;
        let printed = print_ids(&batch, &outcomes, self.json, ui);
        printed.map_err(|error| match error.kind {
            // Unlike a listing, this did not do what was asked for: later lines are not stored.
            Kind::BrokenPipe => CliError::failed("the ids could not be printed: their reader went away")
                .hinted("The records were stored; adding the same ids again does no harm."),
            _ => error,
        })
    }
}

fn print_ids(batch: &[Record], outcomes: &[Stored], json: bool, ui: &mut Ui) -> Result<(), CliError> {
    for (record, outcome) in batch.iter().zip(outcomes) {
        let stored = match outcome {
            Stored::Added => "added",
            Stored::Updated => "updated",
            Stored::AlreadyThere => "already_there",
            Stored::Deleted => {
                ui.warn(format_args!("{} was deleted earlier and is not stored again", record.id));
                continue;
            }
        };
        if json {
            ui.json(&AddedJson { schema_version: SCHEMA_VERSION, id: record.id.to_string(), stored })?;
        } else {
            ui.line(record.id)?;
        }
    }
    ui.flush()
}
