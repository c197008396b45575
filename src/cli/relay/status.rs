//! `caro relay status`: how the relay does that runs here, or what is in its store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{HumanBytes, HumanDuration};
use serde::Serialize;

use super::folder::{self, FolderArgs};
use crate::cli::{CliError, Home, Kind, Ui, time, ui};
use crate::relay::{self, Administration, Place, State, Status, Stored};

/// Version of what `--json` prints.
const SCHEMA_VERSION: u32 = 1;

/// Say how the relay on this machine does.
///
/// Asks the relay that is running with its store, or with what it has besides its database, in that folder. Ends with 0 where
/// it serves or is being stopped, and with 1 where it says that it does not: its engine is stuck or has stopped, its disk takes
/// no changes, its database does not answer. Where none runs, it says what is in the store, and ends with 5.
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
    database: Option<String>,
    relay: Option<&'a Status>,
    stored: Option<Stored>,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: StatusArgs) -> Result<(), CliError> {
    let settings = args.folder.settings(home, None)?;
    let (folder, place) = (folder::folder(settings.clone())?, folder::place(settings)?);
    let database = matches!(place, Place::Database { .. }).then(|| place.to_string());
    let status = relay::ask(&folder)?;
    let stored = match &status {
        Some(status) => status.stored,
        None => Administration::at(place)?.stored()?,
    };
    if args.json {
        let (running, relay) = (status.is_some(), status.as_ref());
        let (data_dir, database) = (folder.clone(), database.clone());
        ui.json(&Report { schema_version: SCHEMA_VERSION, running, data_dir, database, relay, stored })?;
    } else {
        let lines = status.as_ref().map(in_words).unwrap_or_default();
        let used = database.as_ref().map(|address| format!("database    {address}"));
        for line in lines.into_iter().chain(used).chain([in_store(stored)]) {
            ui.line(line)?;
        }
        for mishap in status.iter().flat_map(|status| &status.mishaps) {
            ui.line(format_args!("went wrong  {}  {}", time::local_text(&mishap.at), ui::visible(&mishap.what)))?;
        }
    }
    match (status, database) {
        (Some(status), _) if status.state.is_well() => Ok(()),
        (Some(status), _) => {
            Err(CliError::failed(format!("the relay does not do its work: {}", status.state.in_words()))
                .hinted(remedy(status.state)))
        }
        (None, None) => {
            Err(CliError::new(Kind::Unreachable, format!("no relay runs with its store in {}", folder.display()))
                .hinted("`caro relay serve` starts one."))
        }
        (None, Some(_)) => Err(CliError::new(Kind::Unreachable, format!("no relay runs in {}", folder.display()))
            .hinted("`caro relay serve` starts one; on other machines there may be some on the same database.")),
    }
}

/// What to do about a relay that is not well.
const fn remedy(state: State) -> &'static str {
    match state {
        State::Full => "Make room on its disk, or see why that takes no changes; clients keep what was not taken.",
        State::Away => "Look after its database; clients keep what was not taken, and it goes on by itself.",
        State::Stuck => "It goes on once that is over; if it does not, start it again.",
        State::Serving | State::Stopping | State::Ended => "Start it again.",
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
    lines.push(format!("refused     {}", by_reason(&status.refusals)));
    lines.push(format!("sent away   {}", by_reason(&status.sent_away)));
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

fn by_reason(counts: &BTreeMap<String, u64>) -> String {
    let some: Vec<_> =
        counts.iter().filter(|(_, count)| **count > 0).map(|(why, count)| format!("{count} ({why})")).collect();
    if some.is_empty() { "none".to_owned() } else { some.join(", ") }
}

fn in_store(stored: Option<Stored>) -> String {
    let Some(stored) = stored else { return "stored      nothing".to_owned() };
    let database = stored.database_bytes.map(|bytes| format!("; {}", HumanBytes(bytes))).unwrap_or_default();
    let log = stored.log_bytes.map(|bytes| format!(", and {} of log", HumanBytes(bytes))).unwrap_or_default();
    format!(
        "stored      {} of {}, {} of them erased{database}{log}",
        ui::counted(stored.covalues, "CoValue"),
        ui::counted(stored.accounts, "account"),
        stored.erased,
    )
}
