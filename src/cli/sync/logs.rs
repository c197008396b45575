//! `caro sync logs`: what sync did, and what went wrong.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{note, paths};
use crate::cli::{CliError, Home, Ui};
use crate::sync::log::{self, Entry};

/// How often a log that is followed is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// The sync log: exchanges and failures, without a word of what was exchanged.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync logs
  caro sync logs --follow
  caro sync logs --lines 200 --json
")]
pub(in crate::cli) struct LogsArgs {
    /// Go on with what happens, until interrupted
    #[arg(long, short)]
    follow: bool,

    /// How many of the last lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    lines: usize,

    /// Print as JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// A line as JSON, version 1.
#[derive(Serialize)]
struct EntryJson<'a> {
    schema_version: u32,
    #[serde(flatten)]
    entry: &'a Entry,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &LogsArgs) -> Result<(), CliError> {
    let path = paths(home).log;
    let failed = |error: io::Error| {
        CliError::failed(format!("the log {} cannot be read", path.display()))
            .hinted("Make the file and its folder readable for you.")
            .caused_by(error)
    };
    let from = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let entries = log::last(&path, args.lines).map_err(failed)?;
    if entries.is_empty() && !args.follow {
        ui.hint("Nothing was exchanged yet; `caro sync now` does.");
    }
    for entry in &entries {
        print(ui, args.json, entry)?;
    }
    if args.follow {
        ui.flush()?;
        follow(ui, args.json, &path, from).map_err(|error| match error {
            Follow::Output(error) => error,
            Follow::Log(error) => failed(error),
        })?;
    }
    Ok(())
}

enum Follow {
    Output(CliError),
    Log(io::Error),
}

/// Prints what is added, also after the file was set aside, until the reader of the output goes away.
fn follow(ui: &mut Ui, json: bool, path: &Path, mut from: u64) -> Result<(), Follow> {
    let mut rest = String::new();
    loop {
        let length = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(Follow::Log(e)),
        };
        if length < from {
            // A new file; the last words of the old one are in the one set aside.
            (from, rest) = (0, String::new());
        }
        if length > from {
            let mut file = std::fs::File::open(path).map_err(Follow::Log)?;
            file.seek(SeekFrom::Start(from)).map_err(Follow::Log)?;
            from += file.read_to_string(&mut rest).map_err(Follow::Log)? as u64;
            let whole = rest.rfind('\n').map_or(0, |end| end + 1);
            for entry in rest[..whole].lines().filter_map(log::read) {
                print(ui, json, &entry).map_err(Follow::Output)?;
            }
            ui.flush().map_err(Follow::Output)?;
            rest.drain(..whole);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn print(ui: &mut Ui, json: bool, entry: &Entry) -> Result<(), CliError> {
    if json {
        return ui.json(&EntryJson { schema_version: 1, entry });
    }
    ui.line(note::line(entry))
}
