//! A plan carried out: real devices, real relays, and after each step what the model says.
//!
//! Each device reaches each relay over a line of its own, which can be cut. Their clocks are files of seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::device::{AGREEING, Device, EXCHANGE, IMPATIENT, Verdict, end, exchanged, expect, state, text};
use super::model::Certainty::Sure;
use super::model::{Expected, Fact, Id, Model, Place, Preference};
use super::plan::{Kind, Op, Part, Plan};
use crate::common::home::Run;
use crate::common::line::Weather;
use crate::common::sync::Relay;
use crate::sync_kill::pass;

const NAMES: [&str; 5] = ["laptop", "desktop", "server", "tower", "netbook"];
/// Rounds in which all devices exchange, after which nothing may move any more.
const ROUNDS: usize = 5;
/// When the records were made; two and more months, so that there are several segments.
const DAYS: i64 = 50;

/// How many hours a clock may be off and days still count, and how many days that can make.
const NEAR: i64 = 24;
const LEEWAY: i64 = 4;

/// Whether an exchange moved anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    /// It said so.
    Something,
    /// It said that there was nothing.
    Nothing,
    /// It did not come to its end.
    Unknown,
}

/// What may have kept records out of sync, ever.
#[derive(Debug, Default, PartialEq, Eq)]
struct Limits {
    /// The fewest days that were kept in sync.
    days: Option<u32>,
    /// What rules excluded.
    excluded: BTreeSet<Kind>,
    /// Whether a clock was so far off that days count for nothing.
    far: bool,
}

impl Limits {
    fn window(&mut self, days: Option<u32>) {
        self.days = self.days.into_iter().chain(days).min();
    }

    /// Whether a command that began then may stay where it is.
    fn may_hold(&self, command: &str, at: i64) -> bool {
        let age = (jiff::Timestamp::now().as_second() - at) / 86_400;
        self.days.is_some_and(|days| self.far || age + LEEWAY >= i64::from(days))
            || self.excluded.iter().any(|kind| command.starts_with(kind.beginning()))
    }
}

/// Everything.
pub struct World {
    devices: Vec<Device>,
    relays: Vec<Relay>,
    up: Vec<bool>,
    model: Model,
    /// What every record says, and when it began, in seconds since 1970.
    commands: BTreeMap<Id, (String, i64)>,
    made: u64,
    limits: Limits,
}

impl World {
    /// Carries a plan out and says what the model has to object.
    pub fn run(plan: &Plan) -> Verdict {
        let mut world = Self::set_up(plan);
        for (step, op) in plan.ops.iter().enumerate() {
            world.model.apart |= op.may_break_off();
            world.apply(op).map_err(|problem| format!("in step {step}, {op:?}: {problem}"))?;
        }
        world.settle().map_err(|problem| format!("in the end: {problem}"))
    }

    fn set_up(plan: &Plan) -> Self {
        let relays: Vec<Relay> = (0..plan.relays).map(|_| Relay::new()).collect();
        let devices: Vec<Device> = NAMES[..plan.homes].iter().map(|name| Device::new(name, &relays)).collect();
        let phrase = devices[0].sync.init(&devices[0].lines[0].url());
        std::thread::scope(|scope| {
            for device in &devices[1..] {
                scope.spawn(|| device.sync.restored(&device.lines[0].url(), &phrase));
            }
        });
        let mut model = Model::new(devices.len(), relays.len());
        model.apart = relays.len() > 1;
        for place in model.homes.iter_mut().chain(model.relays.first_mut()) {
            place.learn(Fact::Account, Sure);
        }
        Self {
            up: vec![true; relays.len()],
            model,
            devices,
            relays,
            commands: BTreeMap::new(),
            made: 0,
            limits: Limits::default(),
        }
    }

    fn apply(&mut self, op: &Op) -> Verdict {
        match *op {
            Op::Add { home, count, kind } => self.add(home, count, kind),
            Op::Import { home, file } => self.import(home, file),
            Op::Finish { home, pick } => self.finish(home, pick),
            Op::Delete { home, pick, count } => self.delete(home, pick, count),
            Op::Prune { home, kind } => self.prune(home, kind),
            Op::Pause { home, paused } => {
                let what = if paused { "pause" } else { "resume" };
                expect(&self.devices[home].finish(["sync", what], b""), 0)
            }
            Op::Set { home } => {
                let value = format!("model-{}", self.made);
                self.set(home, Preference::Model, &value)
            }
            Op::Window { home, days } => {
                self.limits.window(days);
                self.set(home, Preference::Window, &days.map_or("unlimited".into(), |days| days.to_string()))
            }
            Op::Rules { home, exclude } => {
                self.limits.excluded.extend(exclude);
                let rule = exclude.map(|kind| format!("exclude command \"{}*\"", kind.beginning()));
                self.set(home, Preference::Rules, &rule.unwrap_or_default())
            }
            Op::Rotate { home } => self.rotate(home),
            Op::Exchange { home } => self.exchange(home).map(drop),
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
                self.devices[home].lose_store();
                self.model.homes[home].forget(&Fact::Account);
                Ok(())
            }
            Op::Clock { home, hours } => {
                self.limits.far |= hours.abs() > NEAR;
                self.doubt();
                self.devices[home].set_clock(hours);
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
            commands.push((command, at.as_second()));
        }
        let run = self.devices[home].finish(["history", "add"], lines.as_bytes());
        expect(&run, 0)?;
        let ids: Vec<Id> = run.stdout.lines().map(str::to_owned).collect();
        if ids.len() != commands.len() {
            return Err(format!("not every record was acknowledged: {run:?}"));
        }
        for (id, (command, at)) in ids.into_iter().zip(commands) {
            self.learn(home, id, command, at, 0);
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
                let at: jiff::Timestamp =
                    text(&record, "started_at").parse().map_err(|error| format!("{error}: {record}"))?;
                self.learn(home, id, text(&record, "command"), at.as_second(), state(&record));
            }
        }
        self.look(home)
    }

    fn learn(&mut self, home: usize, id: Id, command: String, at: i64, state: u32) {
        if self.limits.may_hold(&command, at) {
            self.model.doubtful.insert(id.clone());
        }
        self.commands.insert(id.clone(), (command, at));
        self.model.homes[home].learn(Fact::Content(id, state), Sure);
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
        self.model.homes[home].learn(Fact::Content(id, next), Sure);
        self.look(home)
    }

    fn delete(&mut self, home: usize, pick: u64, count: usize) -> Verdict {
        let mut ids: Vec<Id> = self.devices[home].records()?.into_keys().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let first = usize::try_from(pick).unwrap() % ids.len();
        ids.rotate_left(first);
        ids.truncate(count);
        let args = ["history", "delete", "--yes"].into_iter().chain(ids.iter().map(String::as_str));
        expect(&self.devices[home].finish(args, b""), 0)?;
        for id in ids {
            self.model.homes[home].learn(Fact::Deleted(id), Sure);
        }
        self.look(home)
    }

    fn prune(&mut self, home: usize, kind: Kind) -> Verdict {
        let begins = |record: &Value| text(record, "command").starts_with(kind.beginning());
        let pruned: Vec<Id> =
            self.devices[home].records()?.into_iter().filter(|(_, record)| begins(record)).map(|(id, _)| id).collect();
        let rule = format!("exclude command \"{}*\"", kind.beginning());
        expect(&self.devices[home].finish(["config", "set", "history.filter", &rule], b""), 0)?;
        expect(&self.devices[home].finish(["history", "prune", "--yes"], b""), 0)?;
        expect(&self.devices[home].finish(["config", "unset", "history.filter"], b""), 0)?;
        for id in pruned {
            self.model.homes[home].learn(Fact::Deleted(id), Sure);
        }
        self.look(home)
    }

    /// Marks what the limits that were ever set may keep out of sync.
    fn doubt(&mut self) {
        let held = self.commands.iter().filter(|(_, (command, at))| self.limits.may_hold(command, *at));
        self.model.doubtful.extend(held.map(|(id, _)| id.clone()));
    }

    /// Sets a preference. Where it is not known what this device has seen, it is not known who comes after whom.
    fn set(&mut self, home: usize, preference: Preference, value: &str) -> Verdict {
        self.doubt();
        let now = self.devices[home].now();
        let [certain, possible] = self.model.homes[home].last_set(preference);
        if possible > certain.max(now) {
            return Ok(());
        }
        self.made += 1;
        self.tell(home, preference, value)?;
        self.model.homes[home].learn(Fact::Set(preference, now.max(certain + 1), value.to_owned()), Sure);
        self.look(home)
    }

    /// Has a device set a preference, or unset it.
    fn tell(&self, home: usize, preference: Preference, value: &str) -> Verdict {
        let set = ["config", "set", preference.name(), value];
        let run = match value {
            "" => self.devices[home].finish(["config", "unset", preference.name()], b""),
            _ => self.devices[home].finish(set, b""),
        };
        expect(&run, 0)
    }

    fn reachable(&self, home: usize) -> bool {
        !self.devices[home].apart && self.up[self.devices[home].relay]
    }

    /// What an exchange has to say for itself. One that something happened to may have lost its relay on the way.
    fn judge(&mut self, home: usize, run: &Run, disturbed: bool) -> Result<Moved, String> {
        if !self.reachable(home) {
            expect(run, 5)?;
            return Ok(Moved::Nothing);
        }
        let relay = self.devices[home].relay;
        let [here, there] = [&self.model.homes[home], &self.model.relays[relay]].map(|at| at.certainty(&Fact::Account));
        match run.code {
            // Where neither has the account, its phrase opens nothing.
            Some(4) if here != Some(Sure) && there != Some(Sure) => {
                expect(run, 4)?;
                return Ok(Moved::Unknown);
            }
            Some(5) if disturbed => {
                expect(run, 5)?;
                self.model.interrupted(home, relay);
                return Ok(Moved::Unknown);
            }
            _ => {}
        }
        let report = exchanged(run)?;
        if here.or(there).is_none() {
            return Err(format!("an account came from nowhere: {run:?}"));
        }
        Ok(if report.sent + report.received + report.missing > 0 { Moved::Something } else { Moved::Nothing })
    }

    fn exchange(&mut self, home: usize) -> Result<Moved, String> {
        self.exchange_as(home, &EXCHANGE)
    }

    fn exchange_as(&mut self, home: usize, how: &[&str]) -> Result<Moved, String> {
        let run = self.devices[home].finish(how, b"");
        self.after(home, &run, false)
    }

    fn after(&mut self, home: usize, run: &Run, disturbed: bool) -> Result<Moved, String> {
        let moved = self.judge(home, run, disturbed)?;
        if run.code == Some(0) {
            self.model.exchanged(home, self.devices[home].relay);
        }
        self.look(home).map_err(|problem| format!("{problem}; the exchange had said: {run:?}"))?;
        Ok(moved)
    }

    fn rotate(&mut self, home: usize) -> Verdict {
        let run = self.devices[home].finish(["sync", "rotate-keys"], b"");
        if !self.reachable(home) {
            return expect(&run, 5);
        }
        let relay = self.devices[home].relay;
        let account = [&self.model.homes[home], &self.model.relays[relay]].map(|at| at.certainty(&Fact::Account));
        // It brings the account up to date and nothing else; but what it opens the SDK may send.
        self.model.interrupted(home, relay);
        if account.contains(&Some(Sure)) || run.code != Some(4) { expect(&run, 0) } else { expect(&run, 4) }
    }

    fn together(&mut self, homes: &[usize]) -> Verdict {
        let devices = &self.devices;
        let runs: Vec<Run> = std::thread::scope(|scope| {
            let running: Vec<_> =
                homes.iter().map(|home| scope.spawn(move || devices[*home].finish(EXCHANGE, b""))).collect();
            running.into_iter().map(|thread| thread.join().expect("it runs to its end")).collect()
        });
        // Before the first of them counts, since none waited for another.
        let pairs: Vec<_> = homes.iter().map(|home| (*home, self.devices[*home].relay)).collect();
        let mut went_well = vec![];
        for (pair, run) in pairs.into_iter().zip(&runs) {
            self.judge(pair.0, run, false)?;
            if run.code == Some(0) {
                went_well.push(pair);
            }
        }
        self.model.exchanged_together(&went_well);
        homes.iter().try_for_each(|home| self.look(*home))
    }

    fn kill(&mut self, home: usize, micros: u64) -> Verdict {
        let mut child = self.devices[home].start();
        pass(Duration::from_micros(micros));
        drop(child.kill());
        child.wait().expect("it ends");
        if self.reachable(home) {
            self.model.interrupted(home, self.devices[home].relay);
        }
        self.look(home)
    }

    fn break_line(&mut self, home: usize, weather: Weather) -> Verdict {
        if self.reachable(home) {
            self.devices[home].lines[self.devices[home].relay].set(weather);
        }
        let run = self.devices[home].finish(IMPATIENT, b"");
        self.devices[home].fair();
        self.after(home, &run, true).map(drop)
    }

    fn kill_relay(&mut self, home: usize, micros: u64) -> Verdict {
        if !self.reachable(home) {
            return self.exchange(home).map(drop);
        }
        let relay = self.devices[home].relay;
        let child = self.devices[home].start();
        pass(Duration::from_micros(micros));
        self.relays[relay].kill();
        self.relays[relay].start_again();
        let run = end(child);
        self.after(home, &run, true).map(drop)
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
        let Some(then) = self.devices[home].put_back(part) else { return };
        if part != Part::Store {
            self.model.homes[home] = then;
        } else if let Some(certainty) = then.certainty(&Fact::Account) {
            self.model.homes[home].forget(&Fact::Account);
            self.model.homes[home].learn(Fact::Account, certainty);
        } else {
            self.model.homes[home].forget(&Fact::Account);
        }
    }

    /// The last relay, if the account is there or somebody can bring it; the first one has it from the beginning.
    fn meeting_place(&self) -> usize {
        let last = self.relays.len() - 1;
        let places = self.model.homes.iter().chain([&self.model.relays[last]]);
        let known = places.map(|place| place.certainty(&Fact::Account)).any(|certainty| certainty == Some(Sure));
        if known { last } else { 0 }
    }

    /// Everything works again, all meet on one relay, and go on until nothing moves.
    fn settle(&mut self) -> Verdict {
        let relay = self.meeting_place();
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
        let last = self.model.in_the_end(relay);
        if self.limits != Limits::default() {
            self.lift(&last)?;
        }
        let (expected, values) = (last.expected(), last.preference(Preference::Model));
        for round in 0.. {
            let mut moved = vec![];
            for home in 0..self.devices.len() {
                moved.push(self.exchange(home)?);
            }
            // In the first round everybody brings what a new relay lacks, which no report counts.
            if round > 0 && moved.iter().all(|moved| *moved == Moved::Nothing) {
                break;
            }
            if round == ROUNDS {
                return Err(format!("something still moves: {moved:?}"));
            }
        }
        if let Some(device) = self.devices.iter().find(|device| caro::runtime::is_damaged(&device.sync.data("sync.db")))
        {
            return Err(format!("the store of {} is damaged", device.sync.name));
        }
        let first = self.devices[0].records()?;
        self.compare(&expected, &first)?;
        // The same one on all of them, where several may be.
        self.agree_on(Preference::Model, &values)?;
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
            .and_then(|()| self.prefers(home, Preference::Model, &self.model.homes[home].preference(Preference::Model)))
            .map_err(|problem| format!("on {}: {problem}", self.devices[home].sync.name))
    }

    fn prefers(&self, home: usize, preference: Preference, values: &BTreeSet<String>) -> Verdict {
        let value = self.devices[home].preference(preference);
        if values.contains(&value) { Ok(()) } else { Err(format!("{preference:?} is {value:?} and not of {values:?}")) }
    }

    /// All devices have the same value of a preference, where several may be.
    fn agree_on(&self, preference: Preference, values: &BTreeSet<String>) -> Verdict {
        self.prefers(0, preference, values)?;
        let value = BTreeSet::from([self.devices[0].preference(preference)]);
        (1..self.devices.len()).try_for_each(|home| self.prefers(home, preference, &value))
    }

    /// All meet under the limits that won and agree on them; then nothing is kept out of sync any more.
    fn lift(&mut self, last: &Place) -> Verdict {
        for how in [&EXCHANGE[..], &AGREEING, &AGREEING] {
            for home in 0..self.devices.len() {
                self.exchange_as(home, how)?;
            }
        }
        for preference in [Preference::Window, Preference::Rules] {
            // Rules that were set apart unite: it is enough that all have the same.
            let united = BTreeSet::from([self.devices[0].preference(preference)]);
            let values = if preference == Preference::Rules { united } else { last.preference(preference) };
            self.agree_on(preference, &values)?;
            for home in 0..self.devices.len() {
                self.tell(home, preference, preference.initial())?;
            }
        }
        // Each brings its own first; what it may have lost, others bring after a while.
        for home in 0..self.devices.len() {
            self.exchange(home)?;
            self.devices[home].pass_an_hour();
        }
        Ok(())
    }

    fn compare(&self, expected: &Expected, records: &BTreeMap<Id, Value>) -> Verdict {
        let there = records.iter().map(|(id, record)| (id.clone(), state(record))).collect();
        if let Some(complaint) = expected.complaint(&there) {
            return Err(complaint);
        }
        for (id, record) in records {
            if self.commands.get(id).map(|(command, _)| command) != Some(&text(record, "command")) {
                return Err(format!("{id} is not what was recorded: {record}"));
            }
        }
        Ok(())
    }
}

/// A moment some days ago, the same one for the whole run of the tests.
fn recently() -> u64 {
    static AT: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *AT.get_or_init(|| u64::try_from(jiff::Timestamp::now().as_second()).expect("after 1970") - 5 * 86_400)
}
