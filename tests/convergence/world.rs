//! A plan carried out: real devices, real relays, and after each step what the model says.
//!
//! Each device reaches each relay over a line of its own, which can be cut. Their clocks are files of seconds.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::model::{Certainty, Fact, Id, Model, Place};
use super::plan::{Kind, Op, Part, Plan};
use crate::common::home::{DEADLINE, Run};
use crate::common::line::{Line, Weather};
use crate::common::sync::{Exchanged, Relay, SyncHome};

const NAMES: [&str; 5] = ["laptop", "desktop", "server", "tower", "netbook"];
/// Rounds in which all devices exchange, after which nothing may move any more.
const ROUNDS: usize = 5;
/// When the records were made; two and more months, so that there are several segments.
const DAYS: i64 = 50;

/// What went wrong, and in which step.
pub type Verdict = Result<(), String>;

/// A device, and how it is right now.
struct Device {
    sync: SyncHome,
    relay: usize,
    apart: bool,
    lines: Vec<Line>,
    clock: PathBuf,
    backup: Option<Backup>,
}

/// What a backup holds, and what the model says of it.
struct Backup {
    folder: TempDir,
    place: Place,
    relay: usize,
}

/// Everything.
pub struct World {
    devices: Vec<Device>,
    relays: Vec<Relay>,
    up: Vec<bool>,
    model: Model,
    commands: BTreeMap<Id, String>,
    made: u64,
}

impl World {
    /// Carries a plan out and says what the model has to object.
    pub fn run(plan: &Plan) -> Verdict {
        let mut world = Self::set_up(plan);
        for (step, op) in plan.ops.iter().enumerate() {
            world.apply(op).map_err(|problem| format!("in step {step}, {op:?}: {problem}"))?;
        }
        world.settle().map_err(|problem| format!("in the end: {problem}"))
    }

    fn set_up(plan: &Plan) -> Self {
        let relays: Vec<Relay> = (0..plan.relays).map(|_| Relay::new()).collect();
        let devices: Vec<Device> = NAMES[..plan.homes]
            .iter()
            .map(|name| {
                let sync = SyncHome::new(name);
                let clock = sync.home.file("clock", "0");
                let lines = relays.iter().map(|relay| Line::to(relay.address())).collect();
                Device { sync, relay: 0, apart: false, lines, clock, backup: None }
            })
            .collect();
        let phrase = devices[0].sync.init(&devices[0].lines[0].url());
        std::thread::scope(|scope| {
            for device in &devices[1..] {
                scope.spawn(|| device.sync.restored(&device.lines[0].url(), &phrase));
            }
        });
        Self {
            up: vec![true; relays.len()],
            model: Model::new(devices.len(), relays.len()),
            devices,
            relays,
            commands: BTreeMap::new(),
            made: 0,
        }
    }

    fn apply(&mut self, op: &Op) -> Verdict {
        match *op {
            Op::Add { home, count, kind } => self.add(home, count, kind),
            Op::Import { home, file } => self.import(home, file),
            Op::Finish { home, pick } => self.finish(home, pick),
            Op::Exchange { home } => self.exchange(home),
            Op::Together { ref homes } => self.together(homes),
            Op::Kill { home, micros } => self.kill(home, micros),
            Op::CutAfter { home, bytes } => self.break_line(home, Weather::CutAfter(bytes)),
            Op::BreakAfter { home, bytes } => self.break_line(home, Weather::BreakAfter(bytes)),
            Op::KillRelay { home, micros } => self.kill_relay(home, micros),
            Op::Partition { home, apart } => {
                self.devices[home].apart = apart;
                self.devices[home].fair();
                Ok(())
            }
            Op::Relay { relay, up } => self.switch(relay, up),
            Op::Move { home, relay } => self.move_to(home, relay),
            Op::Backup { home } => {
                let place = self.model.homes[home].clone();
                self.devices[home].back_up(place);
                Ok(())
            }
            Op::Restore { home, part } => {
                self.restore(home, part);
                Ok(())
            }
            Op::LoseStore { home } => {
                for name in ["sync.db", "sync.db-wal", "sync.db-shm"] {
                    drop(std::fs::remove_file(self.devices[home].sync.data(name)));
                }
                Ok(())
            }
            Op::Clock { home, hours } => {
                std::fs::write(&self.devices[home].clock, (hours * 3600).to_string()).expect("the clock is set");
                Ok(())
            }
        }
    }

    fn add(&mut self, home: usize, count: u64, kind: Kind) -> Verdict {
        let mut lines = String::new();
        let mut commands = vec![];
        for _ in 0..count {
            self.made += 1;
            let command = kind.command(self.made);
            let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * (self.made as i64 * 7 % DAYS) + 30);
            lines += &format!("{}\n", json!({ "command": command, "at": at.to_string(), "cwd": "/src" }));
            commands.push(command);
        }
        let run = self.devices[home].finish(["history", "add"], lines.as_bytes());
        expect(&run, 0)?;
        let ids: Vec<Id> = run.stdout.lines().map(str::to_owned).collect();
        if ids.len() != commands.len() {
            return Err(format!("not every record was acknowledged: {run:?}"));
        }
        for (id, command) in ids.into_iter().zip(commands) {
            self.learn(home, id, command, 0);
        }
        self.look(home)
    }

    fn import(&mut self, home: usize, file: u64) -> Verdict {
        let content: String =
            (0..5).map(|i| format!("#{}\nmake target-{file}-{i}\n", recently() + 60 * i + 3600 * file)).collect();
        let path = self.devices[home].sync.home.file("bash_history", content);
        let before = self.devices[home].records()?;
        expect(&self.devices[home].finish(["history", "import", "bash", "--file", path.to_str().unwrap()], b""), 0)?;
        for (id, record) in self.devices[home].records()? {
            // An entry that was there is not added again, in whatever state it is.
            if !before.contains_key(&id) {
                self.learn(home, id, text(&record, "command"), state(&record));
            }
        }
        self.look(home)
    }

    fn learn(&mut self, home: usize, id: Id, command: String, state: u32) {
        self.commands.insert(id.clone(), command);
        self.model.homes[home].learn(Fact::Content(id, state), Certainty::Sure);
    }

    /// Takes a record that is there a state further: first it gets an exit code, then a duration.
    fn finish(&mut self, home: usize, pick: u64) -> Verdict {
        let records = self.devices[home].records()?;
        let open: Vec<_> = records.into_iter().filter(|(_, record)| state(record) < 2).collect();
        if open.is_empty() {
            return Ok(());
        }
        let (id, mut record) = open[usize::try_from(pick).unwrap() % open.len()].clone();
        let next = state(&record) + 1;
        record[if next == 1 { "exit" } else { "duration_ns" }] = json!(next);
        let run = self.devices[home].finish(["history", "add"], format!("{record}\n").as_bytes());
        expect(&run, 0)?;
        self.model.homes[home].learn(Fact::Content(id, next), Certainty::Sure);
        self.look(home)
    }

    fn reachable(&self, home: usize) -> bool {
        !self.devices[home].apart && self.up[self.devices[home].relay]
    }

    fn exchange(&mut self, home: usize) -> Verdict {
        let run = self.devices[home].finish(EXCHANGE, b"");
        if !self.reachable(home) {
            return expect(&run, 5);
        }
        exchanged(&run)?;
        self.model.exchanged(home, self.devices[home].relay);
        self.look(home)
    }

    fn together(&mut self, homes: &[usize]) -> Verdict {
        let devices = &self.devices;
        let runs: Vec<Run> = std::thread::scope(|scope| {
            let running: Vec<_> =
                homes.iter().map(|home| scope.spawn(move || devices[*home].finish(EXCHANGE, b""))).collect();
            running.into_iter().map(|thread| thread.join().expect("it runs to its end")).collect()
        });
        let mut pairs = vec![];
        for (&home, run) in homes.iter().zip(&runs) {
            if self.reachable(home) {
                exchanged(run)?;
                pairs.push((home, self.devices[home].relay));
            } else {
                expect(run, 5)?;
            }
        }
        self.model.exchanged_together(&pairs);
        homes.iter().try_for_each(|home| self.look(*home))
    }

    fn kill(&mut self, home: usize, micros: u64) -> Verdict {
        let mut child = self.devices[home].start();
        crate::sync_kill::pass(Duration::from_micros(micros));
        drop(child.kill());
        child.wait().expect("it ends");
        if self.reachable(home) {
            self.model.interrupted(home, self.devices[home].relay);
        }
        self.look(home)
    }

    fn break_line(&mut self, home: usize, weather: Weather) -> Verdict {
        if !self.reachable(home) {
            return self.exchange(home);
        }
        let relay = self.devices[home].relay;
        self.devices[home].lines[relay].set(weather);
        let run = self.devices[home].finish(IMPATIENT, b"");
        self.devices[home].fair();
        self.settle_one(home, &run)
    }

    fn kill_relay(&mut self, home: usize, micros: u64) -> Verdict {
        if !self.reachable(home) {
            return self.exchange(home);
        }
        let relay = self.devices[home].relay;
        let child = self.devices[home].start();
        crate::sync_kill::pass(Duration::from_micros(micros));
        self.relays[relay].kill();
        self.relays[relay].start_again();
        let run = end(child);
        self.settle_one(home, &run)
    }

    /// An exchange that something happened to: it went well, or it could not reach the relay any more.
    fn settle_one(&mut self, home: usize, run: &Run) -> Verdict {
        let relay = self.devices[home].relay;
        if run.code == Some(0) {
            exchanged(run)?;
            self.model.exchanged(home, relay);
        } else {
            expect(run, 5)?;
            self.model.interrupted(home, relay);
        }
        self.look(home)
    }

    fn switch(&mut self, relay: usize, up: bool) -> Verdict {
        match (self.up[relay], up) {
            (true, false) => {
                let status = self.relays[relay].stop();
                if !status.success() {
                    return Err(format!("the relay ended with {status}: {}", self.relays[relay].log()));
                }
            }
            (false, true) => self.relays[relay].start_again(),
            _ => {}
        }
        self.up[relay] = up;
        Ok(())
    }

    fn move_to(&mut self, home: usize, relay: usize) -> Verdict {
        self.devices[home].relay = relay;
        self.devices[home].fair();
        let url = self.devices[home].lines[relay].url();
        expect(&self.devices[home].finish(["sync", "relay", "set", &url, "--yes"], b""), 0)
    }

    fn restore(&mut self, home: usize, part: Part) {
        let device = &mut self.devices[home];
        let Some(backup) = &device.backup else { return };
        if part == Part::Store {
            for name in ["sync.db", "sync.db-wal", "sync.db-shm"] {
                put_back(&backup.folder.path().join("data").join(name), &device.sync.data(name), false);
            }
            return;
        }
        for folder in ["data", "config"] {
            let (from, to) = (backup.folder.path().join(folder), device.sync.home.path().join(folder));
            for name in names(&from).into_iter().chain(names(&to)) {
                put_back(&from.join(&name), &to.join(&name), part == Part::Whole);
            }
        }
        device.relay = backup.relay;
        self.model.homes[home] = backup.place.clone();
        device.fair();
    }

    /// Everything works again, all meet on one relay, and go on until nothing moves.
    fn settle(&mut self) -> Verdict {
        let relay = self.relays.len() - 1;
        for number in 0..self.relays.len() {
            self.switch(number, true)?;
        }
        for home in 0..self.devices.len() {
            self.devices[home].apart = false;
            if self.devices[home].relay == relay {
                self.devices[home].fair();
            } else {
                self.move_to(home, relay)?;
            }
        }
        let expected = self.model.in_the_end(relay).expected();
        let mut moved = vec![];
        for round in 0.. {
            moved.clear();
            for device in &self.devices {
                let report = exchanged(&device.finish(EXCHANGE, b""))?;
                if report.sent + report.received + report.missing > 0 {
                    moved.push((device.sync.name, report));
                }
            }
            if moved.is_empty() {
                break;
            }
            if round == ROUNDS {
                return Err(format!("something still moves: {moved:?}"));
            }
        }
        let first = self.devices[0].records()?;
        self.compare(&expected, &first)?;
        for device in &self.devices[1..] {
            let records = device.records()?;
            let differing: Vec<_> =
                first.keys().chain(records.keys()).filter(|id| first.get(*id) != records.get(*id)).collect();
            if !differing.is_empty() {
                return Err(format!("{} and {} differ in {differing:?}", self.devices[0].sync.name, device.sync.name));
            }
        }
        for relay in &self.relays {
            let log = relay.log();
            if ["signature", "panicked"].iter().any(|bad| log.contains(bad)) {
                return Err(format!("the relay complains: {log}"));
            }
        }
        Ok(())
    }

    /// What a device shows now is what the model says of it.
    fn look(&self, home: usize) -> Verdict {
        let records = self.devices[home].records()?;
        self.compare(&self.model.homes[home].expected(), &records)
            .map_err(|problem| format!("on {}: {problem}", self.devices[home].sync.name))
    }

    fn compare(&self, expected: &super::model::Expected, records: &BTreeMap<Id, Value>) -> Verdict {
        let there = records.iter().map(|(id, record)| (id.clone(), state(record))).collect();
        if let Some(complaint) = expected.complaint(&there) {
            return Err(complaint);
        }
        for (id, record) in records {
            if Some(&text(record, "command")) != self.commands.get(id) {
                return Err(format!("{id} is not what was recorded: {record}"));
            }
        }
        Ok(())
    }
}

const EXCHANGE: [&str; 5] = ["sync", "now", "--json", "--timeout", "20"];
/// The same where nothing is worth waiting for.
const IMPATIENT: [&str; 5] = ["sync", "now", "--json", "--timeout", "1"];

impl Device {
    fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = self.sync.command(args);
        command.env("CARO_TEST_CLOCK", &self.clock);
        command
    }

    fn finish(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>, input: &[u8]) -> Run {
        let mut command = self.command(args);
        command.stdin(std::process::Stdio::piped());
        self.sync.finish(command, input)
    }

    fn start(&self) -> Child {
        self.command(EXCHANGE).spawn().expect("the program starts")
    }

    fn records(&self) -> Result<BTreeMap<Id, Value>, String> {
        let run = self.finish(["history", "list", "--json"], b"");
        expect(&run, 0)?;
        let records: Vec<Value> = run.json();
        let count = records.len();
        let by_id: BTreeMap<_, _> = records.into_iter().map(|record| (text(&record, "id"), record)).collect();
        if by_id.len() == count { Ok(by_id) } else { Err("a record is listed twice".into()) }
    }

    /// The lines as they are when nothing is broken but what the plan broke.
    fn fair(&self) {
        let weather = if self.apart { Weather::Refused } else { Weather::Fair };
        for line in &self.lines {
            line.set(weather);
        }
    }

    fn back_up(&mut self, place: Place) {
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
}

/// The names of the files in a folder; its folders hold nothing that a backup would keep.
fn names(folder: &Path) -> Vec<std::ffi::OsString> {
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

impl Kind {
    fn command(self, number: u64) -> String {
        match self {
            Self::Plain => format!("cargo test --package caro -- number_{number}"),
            Self::Unicode => format!("echo 'Größe — 大きさ 🦀 \u{202e}\u{1}' \\\n  --n {number}"),
            Self::Bulky => format!("{number} {}", crate::sync_session_guard::noise(&number.to_string()).repeat(3)),
        }
    }
}

fn text(record: &Value, field: &str) -> String {
    record[field].as_str().unwrap_or_default().to_owned()
}

/// How far a record has come.
fn state(record: &Value) -> u32 {
    u32::from(!record["exit"].is_null()) + u32::from(!record["duration_ns"].is_null())
}

/// A moment some days ago, the same one for the whole run of the tests.
fn recently() -> u64 {
    static AT: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *AT.get_or_init(|| u64::try_from(jiff::Timestamp::now().as_second()).expect("after 1970") - 5 * 86_400)
}

/// Insists on this exit code, and that nothing crashed.
fn expect(run: &Run, code: i32) -> Verdict {
    if run.code != Some(code) || run.stderr.contains("panicked") {
        return Err(format!("expected exit code {code}: {run:?}"));
    }
    Ok(())
}

/// Insists that an exchange went well and left nothing waiting.
fn exchanged(run: &Run) -> Result<Exchanged, String> {
    expect(run, 0)?;
    let report: Exchanged =
        serde_json::from_str(&run.stdout).map_err(|error| format!("not what `sync now` prints ({error}): {run:?}"))?;
    if report.pending + report.too_large + report.unreadable > 0 {
        return Err(format!("something was left out: {report:?}"));
    }
    Ok(report)
}

/// Waits for an exchange that was started, and gives what it said.
fn end(mut child: Child) -> Run {
    let begun = Instant::now();
    while child.try_wait().expect("its state").is_none() {
        assert!(begun.elapsed() < DEADLINE, "an exchange hangs");
        std::thread::yield_now();
    }
    let output = child.wait_with_output().expect("its output");
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    Run { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}
