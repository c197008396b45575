//! Faults at every seam: the line, the messages on it, the relay's store, the disk.
//!
//! Whatever breaks, the program neither crashes nor hangs nor loses anything silently: each run ends with one of the
//! documented exit codes and, where that is not 0, with words; and once the fault is gone everything converges. What a
//! relay can forge is in `sync_lying_relay`, kills are in `sync_kill` and `convergence`.

mod daemon;
mod disk;
mod frames;
mod io_errors;
mod line;
mod stale;
mod torn;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::common::home::Run;
use crate::common::line::Line;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

/// Two devices of one account, their relay, and the line between it and the first of them.
struct Scene {
    relay: Relay,
    line: Line,
    a: SyncHome,
    b: SyncHome,
    phrase: PathBuf,
    acknowledged: BTreeSet<String>,
}

impl Scene {
    fn new() -> Self {
        let relay = Relay::new();
        let line = Line::to(relay.address());
        let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
        let phrase = a.init(&line.url());
        b.restored(&relay.url(), &phrase);
        let mut scene = Self { relay, line, a, b, phrase, acknowledged: BTreeSet::new() };
        scene.write("before");
        scene.a.now();
        scene.b.now();
        scene
    }

    /// Something new on both devices, which the other one lacks; what b has of it is on the relay.
    fn write(&mut self, what: &str) {
        let commands = |on: &str| (0..3).map(|i| format!("{what} {i} on {on}")).collect::<Vec<_>>();
        self.acknowledged.extend(self.a.add(&commands("a")));
        self.acknowledged.extend(self.b.add(&commands("b")));
        self.b.now();
    }

    /// Everything works again: nothing is lost, and all agree.
    #[track_caller]
    fn converges(&self, after: &str) {
        for device in [&self.a, &self.b, &self.a] {
            let report = device.now();
            assert_eq!((report.pending, report.missing, report.unreadable), (0, 0, 0), "after {after}: {report:?}");
        }
        assert_equal_histories(&[&self.a, &self.b]);
        let there = self.b.records();
        let lost: Vec<_> = self.acknowledged.iter().filter(|id| !there.contains_key(*id)).collect();
        assert!(lost.is_empty(), "after {after}, acknowledged and lost: {lost:?}");
        assert_eq!(there.len(), self.acknowledged.len(), "after {after}: nothing came from nowhere");
        assert!(!self.relay.log().contains("panicked"), "after {after}: {}", self.relay.log());
    }
}

/// Insists that a run ended with one of these codes, and said something where it did not go well.
#[track_caller]
fn clear(run: &Run, codes: &[i32], fault: &str) {
    let code = run.code.unwrap_or_else(|| panic!("{fault}: a signal ended it: {run:?}"));
    assert!(codes.contains(&code), "{fault}: {run:?}");
    assert!(!run.stderr.contains("panicked"), "{fault}: {run:?}");
    assert!(code == 0 || run.stderr.lines().any(|line| line.starts_with("Error: ")), "{fault}: {run:?}");
}

/// A run of the program that another one starts, as `env` would.
fn within(device: &SyncHome, starter: &[&str], args: &[&str]) -> Run {
    let plain = device.command(args);
    let mut command = Command::new("setsid");
    command.arg("--wait").args(starter).env_clear();
    // What follows `setsid --wait`: the program and its arguments.
    command.args(plain.get_args().skip(1));
    for (key, value) in plain.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    command.current_dir(device.home.work_dir()).stdout(Stdio::piped()).stderr(Stdio::piped());
    device.finish(command, &[])
}

/// Numbers spread evenly over `0..end`, both ends among them.
fn spread(end: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |i| end * i / (count - 1))
}

/// How many points a test takes: some, or in the slow run many.
fn points(some: u64) -> u64 {
    if std::env::var_os("CARO_TEST_SLOW").is_some_and(|value| value == "1") { some * 25 } else { some }
}
