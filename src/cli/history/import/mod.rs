//! `caro history import`: takes over the history of a shell, or of Atuin.

mod places;

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::super::ui::counted;
use super::super::{CliError, Home, Ui, host, time};
use super::intake;
use super::output::SCHEMA_VERSION;
use crate::history::UnixNanos;
use crate::history::import::{Kind, Report, Source as Origin};

/// Whose history to take over.
#[derive(Debug, Subcommand)]
#[command(after_long_help = "\
Run it as often as you like: what is there already is not added again. Commands that hold a secret are left out, and
those that the rules in history.filter exclude.

Examples:
  caro history import auto
  caro history import zsh --file /mnt/backup/.zsh_history
")]
pub enum Source {
    /// Whatever is found at the usual places; shows it and asks
    #[command(after_long_help = "\
Examples:
  caro history import auto
  caro history import auto --yes
")]
    Auto(AutoArgs),
    /// Bash's history file
    #[command(after_long_help = "\
Commands keep their times where bash recorded them (HISTTIMEFORMAT). Run it as often as you like:
what is there already is not added again.

Examples:
  caro history import bash
  caro history import bash --file /mnt/backup/.bash_history
")]
    Bash(Args),
    /// Zsh's history file; with times and durations where EXTENDED_HISTORY was set
    #[command(after_long_help = "\
Examples:
  caro history import zsh
  caro history import zsh --file /mnt/backup/.zsh_history
")]
    Zsh(Args),
    /// Fish's history file
    #[command(after_long_help = "\
Examples:
  caro history import fish
  caro history import fish --file /mnt/backup/fish_history
")]
    Fish(Args),
    /// Nushell's history, history.txt or history.sqlite3
    #[command(alias = "nushell")]
    #[command(after_long_help = "\
Examples:
  caro history import nu
  caro history import nu --file history.sqlite3
")]
    Nu(Args),
    /// PowerShell's history file, ConsoleHost_history.txt
    #[command(alias = "pwsh")]
    #[command(after_long_help = "\
Examples:
  caro history import powershell
  caro history import powershell --file ConsoleHost_history.txt
")]
    Powershell(Args),
    /// Atuin's database, which is only read
    #[command(after_long_help = "\
Examples:
  caro history import atuin
  caro history import atuin --file /mnt/backup/history.db
")]
    Atuin(Args),
}

impl Source {
    /// Whose history, and where it is; none means whatever is found.
    fn named(&self) -> Option<(Kind, &Args)> {
        match self {
            Self::Auto(_) => None,
            Self::Bash(args) => Some((Kind::Bash, args)),
            Self::Zsh(args) => Some((Kind::Zsh, args)),
            Self::Fish(args) => Some((Kind::Fish, args)),
            Self::Nu(args) => Some((Kind::Nu, args)),
            Self::Powershell(args) => Some((Kind::PowerShell, args)),
            Self::Atuin(args) => Some((Kind::Atuin, args)),
        }
    }
}

/// Where the history is and how to report.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to read [default: where it usually is]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take over a file that does not look like such a history
    #[arg(long)]
    force: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// How to go about what is found.
#[derive(Debug, clap::Args)]
pub struct AutoArgs {
    /// Take over all that is found without asking
    #[arg(long, short)]
    yes: bool,
    /// Print a report for each history as JSON, one a line
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
    /// Left out because they hold a secret.
    secrets: u64,
    /// Left out because the rules in history.filter exclude them.
    excluded: u64,
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
    match (source, source.named()) {
        (_, Some((kind, args))) => {
            let path = match &args.file {
                Some(path) => path.clone(),
                None => places::usual(kind)?,
            };
            if !args.force && !may_be(kind, &path)? {
                return Err(not_one(kind, &path));
            }
            let added = take_over(kind, &path, args.json, ui, home)?;
            say_recorded_twice(added, ui, home)
        }
        (Source::Auto(args), _) => auto(args, ui, home),
        (_, None) => Ok(()),
    }
}

/// Takes over whatever is found.
fn auto(args: &AutoArgs, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    // Fails at once where nobody could answer.
    let terminal = if args.yes { None } else { Some(ui.terminal("--yes")?) };
    let mut plan = Vec::new();
    for (kind, path) in places::found()? {
        match Origin::count(kind, &path) {
            Ok(0) => {}
            Ok(_) if !may_be(kind, &path)? => {
                ui.warn(format_args!("{} is left out: most of it is no text", path.display()));
            }
            Ok(count) => plan.push((kind, path, count)),
            Err(error) => ui.warn(format_args!("{} is left out: {error}", path.display())),
        }
    }
    if plan.is_empty() {
        return Err(CliError::failed("no history was found at the usual places")
            .hinted("Name the file: `caro history import zsh --file FILE`, and so for the other shells."));
    }
    let wide = plan.iter().map(|(_, _, count)| count.to_string().len()).max().unwrap_or(0);
    ui.status("Found:");
    for (kind, path, count) in &plan {
        let noun = if *count == 1 { "command" } else { "commands" };
        ui.status(format_args!("  {:10}  {count:>wide$} {noun:8}  {}", kind.name(), path.display()));
    }
    if plan.len() > 1 && plan.iter().any(|(kind, ..)| *kind == Kind::Atuin) {
        ui.hint("Atuin may hold the same commands as the shells; `caro history import atuin` takes only its own.");
    }
    if let Some(mut terminal) = terminal
        && !terminal.confirm("Take over all of it?")?
    {
        return Err(CliError::declined("nothing was taken over"));
    }
    // One that fails does not keep the others from being taken over.
    let (mut added, mut failed) = (0, None);
    for (kind, path, _) in plan {
        match take_over(kind, &path, args.json, ui, home) {
            Ok(more) => added += more,
            Err(error) => {
                if let Some(before) = failed.replace(error) {
                    ui.error(&before);
                }
            }
        }
    }
    say_recorded_twice(added, ui, home)?;
    failed.map_or(Ok(()), Err)
}

/// A file that is no history of this program.
fn not_one(kind: Kind, path: &Path) -> CliError {
    let path = path.display();
    if kind == Kind::Atuin {
        return CliError::usage(format!("{path} is no database of Atuin"))
            .hinted("Name the right file with --file FILE. Nothing was added.");
    }
    CliError::usage(format!("{path} is no history of {}: most of it is no text", kind.name()))
        .hinted("Name the right file with --file FILE; --force takes it over all the same. Nothing was added.")
}

/// Says what helps where this machine's hooks, or another program, had recorded some of what was added.
fn say_recorded_twice(added: u64, ui: &Ui, home: &Home) -> Result<(), CliError> {
    if added == 0 {
        return Ok(());
    }
    let history = home.open_history()?;
    // In a history that was empty there is nothing to compare with.
    if history.count()? > added && !history.recorded_twice(None)?.is_empty() {
        ui.hint("Some of it was recorded as it ran, too: `caro history dedup --recorded-twice` leaves one of each.");
    }
    Ok(())
}

/// Takes over one history, and says how many commands that added.
fn take_over(kind: Kind, path: &Path, json: bool, ui: &mut Ui, home: &Home) -> Result<u64, CliError> {
    let modified_at = examine(path)?;
    let history = home.open_history()?;
    let source =
        Origin { kind, device_id: history.device_id()?, host: host::name(), modified_at, intake: intake::load(home)? };
    let report = {
        let mut progress = ui.progress(0, "Importing");
        source.import_file(&history, path, |done, total| progress.set_of(done, total))?
    };
    let name = path.display().to_string();
    if !json {
        tell(ui, &name, &report);
        return Ok(report.added);
    }
    ui.json(&ReportJson {
        schema_version: SCHEMA_VERSION,
        source: kind.as_str(),
        file: &name,
        added: report.added,
        already_there: report.already_there,
        deleted_earlier: report.deleted_earlier,
        repaired: report.repaired,
        skipped: report.skipped,
        secrets: report.secrets,
        excluded: report.excluded,
        notes: report.notes.iter().map(|note| NoteJson { line: note.line, reason: note.reason.as_str() }).collect(),
    })?;
    Ok(report.added)
}

fn may_be(kind: Kind, path: &Path) -> Result<bool, CliError> {
    examine(path)?;
    Origin::may_be(kind, path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::failed(format!("cannot read {}: {error}", path.display()))
        .hinted("Name another history file with `--file FILE`.")
}

/// Sees to it that the file can be read, and says when it was last changed.
fn examine(path: &Path) -> Result<UnixNanos, CliError> {
    let metadata = File::open(path).and_then(|file| file.metadata()).map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        return Err(CliError::usage(format!("{} is a directory", path.display()))
            .hinted("Name the history file in it with --file FILE."));
    }
    if !metadata.is_file() {
        return Err(CliError::usage(format!("{} is not a regular file", path.display()))
            .hinted("The file is read twice; save what comes from a pipe to a file first."));
    }
    Ok(metadata.modified().ok().and_then(time::from_system).unwrap_or_else(time::now))
}

fn tell(ui: &Ui, name: &str, report: &Report) {
    let more = [
        (report.already_there, "already there"),
        (report.deleted_earlier, "deleted earlier"),
        (report.repaired, "repaired"),
        (report.skipped, "skipped"),
        (report.excluded, "excluded"),
        (report.secrets, "with a secret left out"),
    ];
    let more: Vec<String> =
        more.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    ui.status(format_args!("Added {} from {name}{more}", counted(report.added, "command")));
    if report.secrets > 0 {
        ui.hint("To take commands with secrets over too, on this machine only: caro config set history.secrets keep");
    }
    for note in &report.notes {
        ui.warn(format_args!("line {}: {}", note.line, note.reason.as_str()));
    }
    let unnamed = (report.repaired + report.skipped).saturating_sub(report.notes.len() as u64);
    if unnamed > 0 {
        ui.warn(format_args!("and {unnamed} more such lines"));
    }
}
