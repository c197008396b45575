//! `caro export`: everything the user has, in a form that other programs or people read.
//!
//! JSON and NDJSON hold everything and are versioned; Markdown is for reading; CSV has one table, the history.

mod csv;
mod json;
mod markdown;

use std::fs;
use std::io::{BufWriter, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use uuid::Uuid;

use super::history::{Page, Selection};
use super::ui::counted;
use super::{CliError, Home, Kind, Ui, time};
use crate::history::{Filter, History, Record, UnixNanos, UsageRow};
use crate::prefs::{self, PrefsPaths};
use crate::private_file;
use crate::sync::{self, known_devices};

/// The version of what is exported.
const SCHEMA_VERSION: u32 = 1;

/// Write out everything you have: history, preferences, usage, devices.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caro export -o caro.json                      everything, in one file
  caro export --format ndjson | jq -r .command  line by line, for other programs
  caro export --format markdown -o history.md   to read
  caro export --suggested --format csv          what was suggested and never ran, as a table
  caro export | ssh other caro history add      the history, on another machine
")]
pub(super) struct Args {
    /// The form
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write to this file, readable by you alone, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    selection: Selection,
}

/// The forms there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON value with everything
    #[default]
    Json,
    /// A JSON value a line, each with its `type`
    Ndjson,
    /// The history as a table
    Csv,
    /// Text to read
    Markdown,
}

/// What surrounds the records.
struct Frame {
    exported_at: String,
    device_id: String,
    preferences: Vec<Preference>,
    usage: Vec<Usage>,
    devices: Vec<Device>,
}

/// A preference that is set.
#[derive(Serialize)]
struct Preference {
    name: &'static str,
    value: String,
}

/// A device of the account.
#[derive(Serialize)]
struct Device {
    device_id: String,
    name: String,
    platform: String,
    joined_at: String,
    last_sync: Option<String>,
    removed: bool,
}

impl From<sync::Device> for Device {
    fn from(device: sync::Device) -> Self {
        let rfc3339 = |nanos| time::rfc3339(UnixNanos(nanos));
        Self {
            device_id: device.id.to_string(),
            name: device.name,
            platform: device.platform,
            joined_at: rfc3339(device.joined_at),
            last_sync: device.last_sync.map(rfc3339),
            removed: device.removed,
        }
    }
}

/// How many commands of one kind a device ran on one day.
#[derive(Serialize)]
struct Usage {
    device_id: String,
    day: String,
    model: Option<String>,
    safety: Option<String>,
    commands: u64,
    succeeded: u64,
    failed: u64,
}

impl Usage {
    fn of(device: Uuid, row: UsageRow) -> Self {
        let midnight = UnixNanos(row.day.saturating_mul(24 * 3600 * 1_000_000_000));
        Self {
            device_id: device.to_string(),
            day: time::rfc3339(midnight).chars().take("2026-01-31".len()).collect(),
            model: Some(row.model).filter(|model| !model.is_empty()),
            safety: Some(row.safety).filter(|safety| !safety.is_empty()),
            commands: row.counts.commands,
            succeeded: row.counts.succeeded,
            failed: row.counts.failed,
        }
    }
}

/// What one form does with it all: the frame around the records, and each record.
trait Form {
    fn begin(&mut self, frame: &Frame, out: &mut dyn Write) -> Result<(), CliError>;
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> Result<(), CliError>;
    fn end(&mut self, frame: &Frame, out: &mut dyn Write) -> Result<(), CliError>;
}

/// Runs `caro export`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let history = home.open_history()?;
    let filter = args.selection.filter(&Page::default(), &history)?;
    let frame = frame(home, &history)?;
    let mut form: Box<dyn Form> = match args.format {
        Format::Json => Box::new(json::Whole::default()),
        Format::Ndjson => Box::new(json::Lines),
        Format::Csv => Box::new(csv::Table),
        Format::Markdown => Box::new(markdown::Text::new(time::local_zone())),
    };
    let file = args.output.as_deref().filter(|path| *path != Path::new("-"));
    let count = match file {
        None => write(&history, &filter, &frame, form.as_mut(), ui.out())?,
        Some(path) => to_file(path, "-o", |out| write(&history, &filter, &frame, form.as_mut(), out))?,
    };
    if args.format == Format::Csv {
        ui.hint("CSV has the history alone; --format json has everything.");
    }
    if let Some(path) = file {
        ui.status(format_args!("{} exported to {}", counted(count, "command"), path.display()));
    }
    Ok(())
}

fn write(
    history: &History,
    filter: &Filter,
    frame: &Frame,
    form: &mut dyn Form,
    out: &mut dyn Write,
) -> Result<u64, CliError> {
    form.begin(frame, out)?;
    let (mut count, mut written) = (0, Ok(()));
    history.list_each(filter, |record| {
        written = form.record(&record, out);
        count += 1;
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written?;
    form.end(frame, out)?;
    Ok(count)
}

/// Writes the file that the user named with `option`: private, and there whole or not at all.
pub(super) fn to_file<T>(
    path: &Path,
    option: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let failed = |error: std::io::Error| {
        let (why, first) = match error.kind() {
            ErrorKind::NotFound => (": its folder is not there", "Make the folder, or choose"),
            ErrorKind::PermissionDenied => (": you may not write there", "Choose"),
            ErrorKind::StorageFull => (": the disk is full", "Make room, or choose"),
            _ => ("", "Choose"),
        };
        CliError::failed(format!("{} cannot be written{why}", path.display()))
            .hinted(format!("{first} another file with {option}."))
            .caused_by(error)
    };
    if path.is_dir() {
        return Err(CliError::failed(format!("{} is a directory", path.display()))
            .hinted(format!("Name a file after {option}.")));
    }
    // A link stays one, too.
    let target = fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink()).then(|| fs::canonicalize(path));
    let target = target.and_then(Result::ok);
    let path = target.as_deref().unwrap_or(path);
    // What is a device or a pipe must stay one: a file in its place would be in the way of others.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let mut out = BufWriter::new(fs::File::options().write(true).open(path).map_err(failed)?);
        let value = write(&mut out).map_err(|error| match error.kind {
            // Of standard output that would be no failure.
            Kind::BrokenPipe => failed(std::io::ErrorKind::BrokenPipe.into()),
            _ => error,
        })?;
        out.flush().map_err(failed)?;
        return Ok(value);
    }
    let mut name = path.file_name().map(ToOwned::to_owned).ok_or_else(|| {
        CliError::usage(format!("{} is not the name of a file", path.display()))
            .hinted(format!("Name a file after {option}."))
    })?;
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let mut file = BufWriter::new(private_file::create_new(&beside).map_err(failed)?);
    let written = write(&mut file)
        .and_then(|value| file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed).map(|()| value))
        .and_then(|value| fs::rename(&beside, path).map_err(failed).map(|()| value));
    if written.is_err() {
        drop(fs::remove_file(&beside));
    }
    written
}

fn frame(home: &Home, history: &History) -> Result<Frame, CliError> {
    let paths = PrefsPaths::new(&home.config_dir, &home.data_dir);
    let mut preferences = vec![];
    for preference in prefs::ALL {
        if let Some(value) = prefs::get(&paths, preference)? {
            preferences.push(Preference { name: preference.name, value });
        }
    }
    let mut usage = vec![];
    for device in history.usage_total(None)?.by_device.into_keys() {
        usage.extend(history.usage_of(device)?.into_iter().map(|row| Usage::of(device, row)));
    }
    Ok(Frame {
        exported_at: time::rfc3339(time::now()),
        device_id: history.device_id()?.to_string(),
        preferences,
        usage,
        devices: known_devices(&super::sync::paths(home).devices)?.into_iter().map(Device::from).collect(),
    })
}
