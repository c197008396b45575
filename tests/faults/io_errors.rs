//! The disk fails to read, write or sync one of the databases, once or from then on, in any moment of an exchange or a capture.
//!
//! `strace` makes the faults: it lets a system call of one kind, and on these files only, end with an error.

use super::{Scene, clear, points, spread, within};
use crate::common::home::Run;
use crate::common::sync::SyncHome;

const CALLS: [&str; 5] = ["pread64", "pwrite64", "fsync", "fdatasync", "ftruncate"];

/// A run in which calls of this kind fail where `when` says (`5`: the fifth; `5+`: all from then on); how many there were.
fn failing(device: &SyncHome, call: &str, when: Option<&str>, args: &[&str]) -> (Run, u64) {
    let log = device.home.path().join("calls");
    let files = ["sync.db", "sync.db-wal", "history.db", "history.db-wal"].map(|name| device.data(name));
    let (log_name, trace) = (log.display().to_string(), format!("trace={call}"));
    let mut starter = vec!["strace", "-f", "-qq", "-o", &log_name, "-e", &trace];
    let inject = when.map(|when| format!("inject={call}:error=EIO:when={when}"));
    starter.extend(inject.iter().flat_map(|inject| ["-e", inject]));
    let shown = files.map(|file| file.display().to_string());
    starter.extend(shown.iter().flat_map(|file| ["-P", file]));
    let run = within(device, &starter, args);
    let calls = std::fs::read_to_string(log).unwrap().lines().filter(|line| line.contains(call)).count();
    (run, calls as u64)
}

/// Where calls of one kind fail: at the first, in between, at the last, now once and now for good.
fn moments(calls: u64) -> Vec<String> {
    let at = spread(calls.saturating_sub(1), points(3)).enumerate();
    at.map(|(n, at)| format!("{}{}", at + 1, if n % 2 == 0 { "" } else { "+" })).collect()
}

#[test]
fn an_exchange_says_so_and_loses_nothing() {
    const NOW: [&str; 4] = ["sync", "now", "--timeout", "15"];
    let mut scene = Scene::new();
    let mut faults = 0;
    for call in CALLS {
        scene.write(call);
        let (run, calls) = failing(&scene.a, call, None, &NOW);
        assert_eq!(run.code, Some(0), "{run:?}");
        for when in moments(calls).into_iter().filter(|_| calls > 0) {
            let fault = format!("{call} fails at {when} of {calls}");
            scene.write(&fault);
            let (run, _) = failing(&scene.a, call, Some(&when), &NOW);
            clear(&run, &[0, 1, 6], &fault);
            faults += u64::from(run.code != Some(0));
            scene.converges(&fault);
        }
    }
    assert!(faults > 3, "some of them were met: {faults}");
}

#[test]
fn a_capture_that_is_not_stored_prints_no_id() {
    const ADD: [&str; 4] = ["history", "add", "--command", "captured"];
    let mut scene = Scene::new();
    for call in CALLS {
        let (run, calls) = failing(&scene.a, call, None, &ADD);
        scene.acknowledged.extend(run.lines().iter().map(|line| (*line).to_owned()));
        for when in moments(calls).into_iter().filter(|_| calls > 0) {
            let fault = format!("{call} fails at {when} of {calls}");
            let (run, _) = failing(&scene.a, call, Some(&when), &ADD);
            clear(&run, &[0, 1, 6], &fault);
            assert_eq!(run.code == Some(0), !run.stdout.is_empty(), "{fault}: {run:?}");
            scene.acknowledged.extend(run.lines().iter().map(|line| (*line).to_owned()));
            let there = scene.a.records();
            let lost: Vec<_> = scene.acknowledged.iter().filter(|id| !there.contains_key(*id)).collect();
            assert!(lost.is_empty(), "{fault}, acknowledged and lost: {lost:?}");
        }
    }
}
