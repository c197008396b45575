//! `caro history import`: takes over the history of a shell.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use etcetera::BaseStrategy;
use serde::Serialize;

use super::super::{CliError, Home, Ui, host, time};
use super::output::SCHEMA_VERSION;
use crate::history::UnixNanos;
use crate::history::import::{Report, bash};

/// Whose history to take over.
#[derive(Debug, Subcommand)]
pub enum Source {
    /// Bash's history file
    #[command(after_long_help = "\
Commands keep their times where bash recorded them (HISTTIMEFORMAT). Run it as often as you like:
what is there already is not added again.

Examples:
  caro history import bash
  caro history import bash --file /mnt/backup/.bash_history
")]
    Bash(Args),
}

/// Where the history is and how to report.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to read [default: ~/.bash_history]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// The report as JSON.
#[derive(Debug, Serialize)]
struct ReportJson<'a> {
    schema_version: u32,
    source: &'static str,
    file: &'a str,
    added: u64,
    already_there: u64,
    deleted_earlier: u64,
    repaired: u64,
    skipped: u64,
    notes: Vec<NoteJson>,
}

/// A peculiar line as JSON.
#[derive(Debug, Serialize)]
struct NoteJson {
    line: u64,
    reason: &'static str,
}

/// Runs `caro history import`.
pub(super) fn run(source: &Source, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let Source::Bash(args) = source;
    let path = match &args.file {
        Some(path) => path.clone(),
        None => default_file()?,
    };
    let (file, modified_at) = open(&path)?;
    let size = file.metadata().map(|metadata| metadata.len()).unwrap_or(0);
    let history = home.open_history()?;
    let device = history.device_id()?;
    let report = {
        let mut progress = ui.progress(size, "Importing");
        bash::import_file(&history, device, host::name(), file, modified_at, |bytes| {
            progress.set(bytes);
        })?
    };
    let name = path.display().to_string();
    if args.json {
        return ui.json(&ReportJson {
            schema_version: SCHEMA_VERSION,
            source: bash::KIND,
            file: &name,
            added: report.added,
            already_there: report.already_there,
            deleted_earlier: report.deleted_earlier,
            repaired: report.repaired,
            skipped: report.skipped,
            notes: report.notes.iter().map(|note| NoteJson { line: note.line, reason: note.reason.as_str() }).collect(),
        });
    }
    tell(ui, &name, &report);
    Ok(())
}

/// Bash's history file: HISTFILE where that is one of bash's, else the usual place.
fn default_file() -> Result<PathBuf, CliError> {
    let named = env::var_os("HISTFILE")
        .map(PathBuf::from)
        .filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.contains("bash")));
    if let Some(path) = named {
        return Ok(path);
    }
    let base = etcetera::base_strategy::choose_native_strategy().map_err(|error| {
        CliError::usage("the home directory is unknown")
            .hinted("Name the history file with `--file FILE`.")
            .caused_by(error)
    })?;
    Ok(base.home_dir().join(".bash_history"))
}

/// Opens the file and says when it was last changed.
fn open(path: &Path) -> Result<(File, UnixNanos), CliError> {
    let unreadable = |error: std::io::Error| {
        CliError::failed(format!("cannot read {}: {error}", path.display()))
            .hinted("Name another history file with `--file FILE`.")
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(CliError::usage(format!("{} is not a regular file", path.display()))
            .hinted("The file is read twice; save what comes from a pipe to a file first."));
    }
    let modified_at = metadata.modified().ok().and_then(time::from_system).unwrap_or_else(time::now);
    Ok((file, modified_at))
}

fn tell(ui: &Ui, name: &str, report: &Report) {
    let more = [
        (report.already_there, "already there"),
        (report.deleted_earlier, "deleted earlier"),
        (report.repaired, "repaired"),
        (report.skipped, "skipped"),
    ];
    let more: Vec<String> =
        more.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    let noun = if report.added == 1 { "command" } else { "commands" };
    ui.status(format_args!("Added {} {noun} from {name}{more}", report.added));
    for note in &report.notes {
        ui.warn(format_args!("line {}: {}", note.line, note.reason.as_str()));
    }
    let unnamed = (report.repaired + report.skipped).saturating_sub(report.notes.len() as u64);
    if unnamed > 0 {
        ui.warn(format_args!("and {unnamed} more such lines"));
    }
}
