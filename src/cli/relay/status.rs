//! `caro relay status`: how the relay does that runs here, or what is in its store.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{HumanBytes, HumanDuration};
use serde::Serialize;

use super::folder::FolderArgs;
use crate::cli::{CliError, Home, Kind, Ui, time, ui};
use crate::relay::{self, RelayError, Status, Stored};

/// Version of what `--json` prints.
const SCHEMA_VERSION: u32 = 1;

/// Say how the relay on this machine does.
///
/// Asks the relay that is running with its store in that folder. Where none runs, it says what is in the store, and ends
/// with 5.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro relay status
  caro relay status --data-dir /var/lib/caro-relay --json
")]
pub(in crate::cli) struct StatusArgs {
    #[command(flatten)]
    folder: FolderArgs,

    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    schema_version: u32,
    running: bool,
    data_dir: PathBuf,
    relay: Option<&'a Status>,
    stored: Option<Stored>,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: StatusArgs) -> Result<(), CliError> {
    let folder = args.folder.folder(home)?;
    let status = relay::ask(&folder)?;
    let stored = match &status {
        Some(status) => status.stored,
        None => relay::stored(&folder)
            .map_err(|error| RelayError::Store { folder: folder.clone(), reason: error.to_string() })?,
    };
    if args.json {
        let (running, relay) = (status.is_some(), status.as_ref());
        ui.json(&Report { schema_version: SCHEMA_VERSION, running, data_dir: folder.clone(), relay, stored })?;
    } else {
        let lines = status.as_ref().map(in_words).unwrap_or_default();
        for line in lines.into_iter().chain([in_store(stored)]) {
            ui.line(line)?;
        }
        for mishap in status.iter().flat_map(|status| &status.mishaps) {
            ui.line(format_args!("went wrong  {}  {}", time::local_text(&mishap.at), ui::visible(&mishap.what)))?;
        }
    }
    match status {
        Some(_) => Ok(()),
        None => Err(CliError::new(Kind::Unreachable, format!("no relay runs with its store in {}", folder.display()))
            .hinted("`caro relay serve` starts one.")),
    }
}

fn in_words(status: &Status) -> Vec<String> {
    let connections = &status.connections;
    let mut lines = vec![
        format!("state       {}", status.state.in_words()),
        format!("process     {}, caro {} ({})", status.pid, status.version, status.engine),
        format!(
            "started     {}, {} ago",
            time::local_text(&status.started_at),
            HumanDuration(Duration::from_nanos(status.running_ns))
        ),
    ];
    lines.extend(status.listening.iter().map(|address| format!("listening   {address}")));
    lines.extend(status.upstream.iter().map(|above| {
        let since = time::local_text(&above.since);
        format!("upstream    {}, since {since}: {}", above.address, above.in_words())
    }));
    lines.push(format!(
        "clients     {} of {} at most; {} since it started",
        connections.now, connections.limit, connections.opened
    ));
    let refused: Vec<_> = status
        .refusals
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(why, count)| format!("{count} ({why})"))
        .collect();
    lines.push(format!("refused     {}", if refused.is_empty() { "none".to_owned() } else { refused.join(", ") }));
    lines.push(format!(
        "traffic     {} in, {} out; {} waiting for the engine",
        HumanBytes(status.incoming.bytes),
        HumanBytes(status.outgoing.bytes),
        ui::counted(status.waiting.frames, "frame"),
    ));
    let memory = status.memory_bytes.map(|memory| format!(", {} with everything", HumanBytes(memory)));
    lines.push(format!("memory      {} of heap{}", HumanBytes(status.work.heap_bytes), memory.unwrap_or_default()));
    lines
}

fn in_store(stored: Option<Stored>) -> String {
    match stored {
        Some(stored) => format!(
            "stored      {} of {}, {} of them erased; {}, and {} of log",
            ui::counted(stored.covalues, "CoValue"),
            ui::counted(stored.accounts, "account"),
            stored.erased,
            HumanBytes(stored.database_bytes),
            HumanBytes(stored.log_bytes),
        ),
        None => "stored      nothing".to_owned(),
    }
}
