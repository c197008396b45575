//! A device of a plan: a real home with a clock of its own, and the lines over which it reaches the relays.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::model::{Id, Place, Preference};
use super::plan::Part;
use crate::common::home::{DEADLINE, Run};
use crate::common::line::{Line, Weather};
use crate::common::sync::{Exchanged, Relay, SyncHome};

/// What went wrong.
pub type Verdict = Result<(), String>;

/// A device, and how it is right now.
pub struct Device {
    pub sync: SyncHome,
    pub relay: usize,
    pub apart: bool,
    pub lines: Vec<Line>,
    pub clock: PathBuf,
    backup: Option<Backup>,
}

/// What a backup holds, and what the model says of it.
struct Backup {
    folder: TempDir,
    place: Place,
    relay: usize,
}

/// One exchange.
pub const EXCHANGE: [&str; 5] = ["sync", "now", "--json", "--timeout", "20"];
/// One at which somebody agrees to what other devices have let go.
pub const AGREEING: [&str; 6] = ["sync", "now", "--json", "--timeout", "20", "--accept"];
/// The same where nothing is worth waiting for.
pub const IMPATIENT: [&str; 5] = ["sync", "now", "--json", "--timeout", "1"];

impl Device {
    /// A device on which nothing ever ran.
    pub fn new(name: &'static str, relays: &[Relay]) -> Self {
        let sync = SyncHome::new(name);
        let clock = sync.home.file("clock", "0");
        let lines = relays.iter().map(|relay| Line::to(relay.address())).collect();
        Self { sync, relay: 0, apart: false, lines, clock, backup: None }
    }

    fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = self.sync.command(args);
        command.env("CARO_TEST_CLOCK", &self.clock);
        command
    }

    /// Runs the program to its end.
    pub fn finish(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>, input: &[u8]) -> Run {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        self.sync.finish(command, input)
    }

    /// Starts an exchange.
    pub fn start(&self) -> Child {
        self.command(EXCHANGE).spawn().expect("the program starts")
    }

    /// The whole history, as the program lists it.
    pub fn records(&self) -> Result<BTreeMap<Id, Value>, String> {
        let run = self.finish(["history", "list", "--json"], b"");
        expect(&run, 0)?;
        let records: Vec<Value> = run.json();
        let count = records.len();
        let by_id: BTreeMap<_, _> = records.into_iter().map(|record| (text(&record, "id"), record)).collect();
        if by_id.len() == count { Ok(by_id) } else { Err("a record is listed twice".into()) }
    }

    /// The value of a preference; empty where it is not set.
    pub fn preference(&self, preference: Preference) -> String {
        self.finish(["config", "get", preference.name()], b"").stdout.trim_end().to_owned()
    }

    /// The device's own time, nanoseconds.
    pub fn now(&self) -> i128 {
        let off: i128 = std::fs::read_to_string(&self.clock).expect("a clock").parse().expect("seconds");
        jiff::Timestamp::now().as_nanosecond() + off * 1_000_000_000
    }

    /// The lines as they are when nothing is broken but what the plan broke.
    pub fn fair(&self) {
        let weather = if self.apart { Weather::Refused } else { Weather::Fair };
        for line in &self.lines {
            line.set(weather);
        }
    }

    /// How far its clock is off from now on.
    pub fn set_clock(&self, hours: i64) {
        std::fs::write(&self.clock, (hours * 3600).to_string()).expect("the clock is set");
    }

    /// An hour passes.
    pub fn pass_an_hour(&self) {
        let off: i64 = std::fs::read_to_string(&self.clock).expect("a clock").parse().expect("seconds");
        std::fs::write(&self.clock, (off + 3600).to_string()).expect("the clock is set");
    }

    /// The sync store is gone.
    pub fn lose_store(&self) {
        for name in STORE {
            drop(std::fs::remove_file(self.sync.data(name)));
        }
    }

    /// Keeps everything as it is now, which the model calls this.
    pub fn back_up(&mut self, place: Place) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["data", "config"] {
            let (from, to) = (self.sync.home.path().join(name), folder.path().join(name));
            std::fs::create_dir_all(&to).expect("a folder");
            for file in names(&from) {
                put_back(&from.join(&file), &to.join(&file), true);
            }
        }
        self.backup = Some(Backup { folder, place, relay: self.relay });
    }

    /// Puts a part of the backup back; what the model called it, none if there is no backup.
    pub fn put_back(&mut self, part: Part) -> Option<Place> {
        let Backup { folder, place, relay } = self.backup.as_ref()?;
        if part == Part::Store {
            for name in STORE {
                put_back(&folder.path().join("data").join(name), &self.sync.data(name), false);
            }
            return Some(place.clone());
        }
        for name in ["data", "config"] {
            let (from, to) = (folder.path().join(name), self.sync.home.path().join(name));
            for file in names(&from).into_iter().chain(names(&to)) {
                put_back(&from.join(&file), &to.join(&file), part == Part::Whole);
            }
        }
        self.relay = *relay;
        self.fair();
        Some(place.clone())
    }
}

/// The files of a sync store.
const STORE: [&str; 3] = ["sync.db", "sync.db-wal", "sync.db-shm"];

/// The names of the files in a folder; its folders hold nothing that a backup would keep.
fn names(folder: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("an entry"));
    entries.filter(|entry| entry.path().is_file()).map(|entry| entry.file_name()).collect()
}

/// Makes a file what it was, or removes it where it was not.
fn put_back(kept: &Path, target: &Path, as_new_file: bool) {
    if target.exists() && (as_new_file || !kept.exists()) {
        std::fs::remove_file(target).expect("a file is removed");
    }
    if kept.exists() {
        std::fs::copy(kept, target).expect("a file is copied");
    }
}

/// A text of a record.
pub fn text(record: &Value, field: &str) -> String {
    record[field].as_str().unwrap_or_default().to_owned()
}

/// How far a record has come.
pub fn state(record: &Value) -> u32 {
    u32::from(!record["exit"].is_null()) + u32::from(!record["duration_ns"].is_null())
}

/// Insists on this exit code, and that nothing crashed.
pub fn expect(run: &Run, code: i32) -> Verdict {
    if run.code != Some(code) || run.stderr.contains("panicked") {
        return Err(format!("expected exit code {code}: {run:?}"));
    }
    Ok(())
}

/// Insists that an exchange went well and left nothing waiting.
pub fn exchanged(run: &Run) -> Result<Exchanged, String> {
    expect(run, 0)?;
    let report: Exchanged =
        serde_json::from_str(&run.stdout).map_err(|error| format!("not what `sync now` prints ({error}): {run:?}"))?;
    if report.pending + report.too_large + report.unreadable > 0 {
        return Err(format!("something was left out: {report:?}"));
    }
    Ok(report)
}

/// Waits for an exchange that was started, and gives what it said.
pub fn end(mut child: Child) -> Run {
    let begun = Instant::now();
    while child.try_wait().expect("its state").is_none() {
        assert!(begun.elapsed() < DEADLINE, "an exchange hangs");
        std::thread::park_timeout(crate::common::home::BETWEEN_LOOKS);
    }
    let output = child.wait_with_output().expect("its output");
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    Run { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}
