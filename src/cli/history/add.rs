//! `caro history add`: one record from flags, or many from standard input.
//!
//! An id is printed only after its record is durable, so whoever reads the ids knows what is
//! stored even if either side dies. Records are stored in batches, but never wait for input that is
//! yet to come: a program that writes one line and waits for the id gets it.

use std::io::{self, BufReader, IsTerminal, Read};

use clap::ValueEnum;
use serde::Serialize;
use uuid::Uuid;

use super::super::ui::visible;
use super::super::{CliError, Home, Kind, Ui, host, rescue, time};
use super::exported::{Others, Piece};
use super::input::Line;
use super::lines::Lines;
use super::output::SCHEMA_VERSION;
use super::select::{directory, moment, safety_parser};
use super::{exported, generator, hidden, input, intake, removing};
use crate::history::filter::Why;
use crate::history::{History, Intake, Record, RiskLevel, Stored, UnixNanos, new_id};

/// Most records in one transaction.
const BATCH: usize = 500;
/// Longest line of JSON, in bytes: three texts of full length with every character escaped.
const MAX_LINE: usize = 24 * 1024 * 1024;

/// Records finished commands: one by flags, or many from standard input
///
/// Commands that hold a secret are left out, those that the rules in history.filter exclude, and those of a shell session
/// that `caro history pause` hides.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("made_of").args(["command", "from"]), after_long_help = "\
Prints the ids of the records, one a line. On standard input, each line is a JSON object with the
fields that `caro history list --json` prints; only `command` is required. A whole export is taken
too, as JSON or NDJSON; what in it is no command is passed over. A record whose id is known
completes it: a suggestion that ran after all.

With --from caro it is what the Caro generator prints as JSON (its `-o json`), one answer or
several; flags add what it does not say. What the commands printed is not stored. An answer
without an exit code was only suggested.

Examples:
  caro history add --command 'make test' --exit 0 --duration-ns 8000000000
  caro history add --command 'du -sh *' --prompt 'how big is everything' --safety safe --suggested
  echo '{\"command\": \"make test\", \"exit\": 0}' | caro history add
  caro export | ssh other caro history add
  caro history add --from caro --model some-model < answer.json
")]
pub struct Args {
    /// The command line; without it, JSON lines are read from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    command: Option<String>,
    /// What the generator was asked for
    #[arg(long, value_name = "TEXT", requires = "command", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// What the generator says about it
    #[arg(long, value_name = "TEXT", requires = "command", allow_hyphen_values = true)]
    explanation: Option<String>,
    /// Its exit status
    #[arg(long, value_name = "N", requires = "command", allow_negative_numbers = true)]
    exit: Option<i32>,
    /// How long it ran, in nanoseconds
    #[arg(long, value_name = "N", requires = "command", value_parser = clap::value_parser!(i64).range(0..))]
    duration_ns: Option<i64>,
    /// It was only suggested and did not run
    #[arg(long, requires = "command", conflicts_with_all = ["exit", "duration_ns"])]
    suggested: bool,
    /// Take what another program prints, from standard input
    #[arg(long, value_name = "PROGRAM", value_enum, conflicts_with = "command")]
    from: Option<Program>,
    /// Print each id as a line of JSON that also says whether the record is new
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    more: More,
}

/// Programs whose own records are understood.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Program {
    /// The Caro generator
    Caro,
}

/// What is known of a record beside its command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What else is known")]
struct More {
    /// Where it ran [default: the current directory]
    #[arg(long, value_name = "DIR", requires = "made_of")]
    cwd: Option<String>,
    /// When it began [default: now, less its duration]
    #[arg(long, value_name = "TIME", requires = "made_of", value_parser = moment)]
    at: Option<UnixNanos>,
    /// The shell session it ran in [default: the one this runs in]
    #[arg(long, value_name = "ID", requires = "made_of")]
    session: Option<String>,
    /// How dangerous it is
    #[arg(long, value_name = "LEVEL", requires = "made_of", value_parser = safety_parser())]
    safety: Option<RiskLevel>,
    /// A label; may be given several times
    #[arg(long, value_name = "TAG", requires = "made_of")]
    tag: Vec<String>,
    /// The model that generated it
    #[arg(long, value_name = "NAME", requires = "made_of")]
    model: Option<String>,
    /// What kind of work it is, such as file_management or git_version_control
    #[arg(long, value_name = "NAME", requires = "made_of")]
    category: Option<String>,
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
    let mut adder = Adder {
        home,
        history,
        intake: intake::load(home)?,
        here: hidden::current_session(),
        json: args.json,
        secrets: false,
        paused: 0,
        others: Others::default(),
    };
    match (&args.command, args.from) {
        (Some(_), _) => {
            let record = record_from(args, &adder.history)?;
            adder.store(vec![record], ui)?;
        }
        (None, Some(Program::Caro)) => adder.add_answers(io::stdin().lock(), &args.more, ui)?,
        (None, None) => adder.add_lines(io::stdin().lock(), ui)?,
    }
    if adder.secrets {
        ui.hint("To record such commands too, on this machine only: caro config set history.secrets keep");
    }
    if adder.paused > 0 {
        let count = removing::commands(adder.paused);
        ui.warn(format_args!("{count} not recorded: the shell session is paused"));
        ui.hint("`caro history resume` has its commands recorded again.");
    }
    adder.others.tell(ui);
    Ok(())
}

/// The record the flags describe.
fn record_from(args: Args, history: &History) -> Result<Record, CliError> {
    let command = args.command.unwrap_or_default();
    if command.trim().is_empty() {
        return Err(CliError::usage("the command is empty").hinted("Give the command line after `--command`."));
    }
    let started_at = UnixNanos(time::now().0.saturating_sub(args.duration_ns.unwrap_or(0)));
    let mut record = Record::with_id(new_id(started_at), command, started_at, history.device_id()?);
    record.prompt = args.prompt;
    record.explanation = args.explanation;
    record.exit = args.exit;
    record.duration_ns = args.duration_ns;
    record.executed = args.suggested.then_some(false);
    args.more.complete(&mut record)?;
    Ok(record)
}

impl More {
    /// Notes what is known.
    fn complete(&self, record: &mut Record) -> Result<(), CliError> {
        if let Some(at) = self.at {
            record.id = new_id(at);
            record.started_at = at;
        }
        // A directory that was deleted under the shell has no name; the command is recorded anyway.
        record.cwd = match &self.cwd {
            Some(given) => Some(directory(given)?),
            None => directory(".").ok(),
        };
        record.session = self.session.clone().or_else(hidden::current_session);
        record.host = host::name();
        record.safety = self.safety;
        record.tags.clone_from(&self.tag);
        record.model.clone_from(&self.model);
        record.category.clone_from(&self.category);
        Ok(())
    }
}

/// Why a record is not stored.
enum LeftOut {
    /// Its session is paused.
    Paused,
    Refused(Why),
}

/// Adds records, one after the other.
struct Adder<'a> {
    home: &'a Home,
    history: History,
    intake: Intake,
    /// The session that this runs in, for what names none.
    here: Option<String>,
    json: bool,
    /// Whether one was left out because of a secret.
    secrets: bool,
    /// How many were left out because their session is paused.
    paused: usize,
    others: Others,
}

impl Adder<'_> {
    fn add_lines(&mut self, input: impl Read, ui: &mut Ui) -> Result<(), CliError> {
        let device = self.history.device_id()?;
        let mut lines = Lines::new(input);
        let mut batch = Vec::new();
        let mut line = Vec::new();
        loop {
            let number = lines.number();
            let is_there = lines
                .next(&mut line, MAX_LINE + 1)
                .map_err(|error| CliError::failed("standard input could not be read").caused_by(error))?;
            if exported::begins(&line) {
                self.store(std::mem::take(&mut batch), ui)?;
                lines.give_back(std::mem::take(&mut line));
                self.add_export(&mut lines, device, ui)?;
                continue;
            }
            let parsed = match std::str::from_utf8(&line) {
                _ if line.len() > MAX_LINE => Err("it is too long".to_owned()),
                Err(_) => Err("not valid UTF-8".to_owned()),
                Ok(text) if text.trim().is_empty() => Ok(None),
                Ok(text) => input::parse(text, device, time::now()).map(|line| match line {
                    Line::Record(record) => Some(*record),
                    Line::Other(kind) => {
                        self.others.count(&kind);
                        None
                    }
                }),
            };
            let failed = match parsed {
                Ok(Some(record)) => {
                    batch.push(record);
                    None
                }
                Ok(None) => None,
                Err(reason) => Some(reason),
            };
            if !is_there || failed.is_some() || batch.len() >= BATCH || !lines.has_more() {
                self.store(std::mem::take(&mut batch), ui)?;
            }
            if let Some(reason) = failed {
                return Err(CliError::usage(format!("line {number} is not a record: {reason}")).hinted(
                    "The lines before it are stored, nothing from it on is; correct it and send \
                         the rest.",
                ));
            }
            if !is_there {
                return Ok(());
            }
        }
    }

    /// Adds the commands of an export that is one value, and reads no further.
    fn add_export(&mut self, input: &mut Lines<impl Read>, device: Uuid, ui: &mut Ui) -> Result<(), CliError> {
        let mut batch = Vec::new();
        let mut number = 0u64;
        let read = exported::read(input, &mut |piece| {
            match piece {
                Piece::Other(kind) => self.others.count(kind),
                Piece::Command(json) => {
                    number += 1;
                    let record = input::parse_record(json, device, time::now()).map_err(|reason| {
                        CliError::usage(format!("command {number} of the export is not a record: {reason}")).hinted(
                            "The commands before it are stored, nothing from it on is; correct it and send the export \
                             again: nothing is stored twice.",
                        )
                    })?;
                    batch.push(record);
                }
            }
            if batch.len() < BATCH { Ok(()) } else { self.store(std::mem::take(&mut batch), ui) }
        });
        // What came before the end, or the mistake, is stored before that is told.
        self.store(batch, ui).and(read)
    }

    fn add_answers(&mut self, input: impl Read, more: &More, ui: &mut Ui) -> Result<(), CliError> {
        let device = self.history.device_id()?;
        for (number, answer) in (1u64..).zip(generator::read(BufReader::new(input), device, time::now())) {
            let mut record = answer.map_err(|reason| {
                CliError::usage(format!("answer {number} is not one of the Caro generator: {reason}")).hinted(
                    "The answers before it are stored, nothing from it on is. `caro history add` without --from takes \
                     JSON lines.",
                )
            })?;
            more.complete(&mut record)?;
            self.store(vec![record], ui)?;
        }
        Ok(())
    }

    /// Stores what is let in durably, then prints its ids.
    fn store(&mut self, mut batch: Vec<Record>, ui: &mut Ui) -> Result<(), CliError> {
        let mut left_out = Vec::new();
        batch.retain(|record| {
            let session = record.session.as_ref().or(self.here.as_ref());
            let is_paused = session.is_some_and(|session| hidden::is_hidden(self.home, session));
            let why = if is_paused { Some(LeftOut::Paused) } else { self.intake.refuses(record).map(LeftOut::Refused) };
            let is_let_in = why.is_none();
            left_out.extend(why.map(|why| (record.id, why)));
            is_let_in
        });
        for (id, why) in left_out {
            match why {
                LeftOut::Paused => self.paused += 1,
                LeftOut::Refused(Why::Rule(rule)) => {
                    ui.warn(format_args!("{id} is not recorded: {}", visible(&rule.to_string())))
                }
                LeftOut::Refused(Why::Secret(name)) => {
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
        let outcomes = match self.history.add_batch(&batch) {
            // Nothing of the batch is stored. To be run again would store twice what came before it and has no id.
            Err(error) if error.may_be_damage() => {
                rescue::rebuild(self.home)?;
                self.history = self.home.open_history()?;
                self.history.add_batch(&batch)?
            }
            outcomes => outcomes?,
        };
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
