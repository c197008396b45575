//! A machine that was copied whole, with its machine id, its paths and its files' numbers: nothing tells the two apart but
//! what each finds written in its own name. They become two devices; a machine that was set back to a snapshot stays one.

use std::process::Command;

use crate::common::daemon::Daemon;
use crate::common::home::wait_until;
use crate::common::sync::{Exchanged, Relay, SyncHome, assert_equal_histories};
use crate::common::wire::{Fate, Way, Wire};
use crate::sync_forks::copy_home;
use crate::sync_session_guard::copy_folder;

/// What both copies say of the machine and the place.
const SAME: [(&str, &str); 2] = [("CARO_TEST_MACHINE", "the one"), ("CARO_TEST_PLACE", "/home/you/history.db")];
/// So much later, in seconds, each says again how far it has written.
const TWO_HOURS: u64 = 7200;

/// One of the copies, at a time.
struct Twin {
    home: SyncHome,
}

impl Twin {
    fn command(&self, args: &[&str], seconds: u64) -> Command {
        let mut command = self.home.command(args);
        command.envs(SAME).env("CARO_TEST_CLOCK", self.home.home.file("clock", seconds.to_string()));
        command
    }

    fn run(&self, args: &[&str], seconds: u64) -> String {
        let run = self.home.finish(self.command(args, seconds), b"");
        assert_eq!(run.code, Some(0), "{args:?}: {run:?}");
        run.stdout
    }

    fn add(&self, command: &str, seconds: u64) {
        self.run(&["history", "add", "--command", command], seconds);
    }

    fn now(&self, seconds: u64) -> Exchanged {
        serde_json::from_str(&self.run(&["sync", "now", "--json"], seconds)).unwrap()
    }

    fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> =
            self.run(&["history", "list", "--cmd-only"], 0).lines().map(str::to_owned).collect();
        commands.sort();
        commands
    }

    fn device(&self) -> String {
        self.home.state()["device"].as_str().unwrap().to_owned()
    }
}

/// A machine that has synced, its copy, another device, and their relay.
fn copied() -> (Relay, Twin, Twin, SyncHome) {
    let relay = Relay::new();
    let (one, other) = (Twin { home: SyncHome::new("vm") }, Twin { home: SyncHome::new("vm") });
    let b = SyncHome::new("desktop");
    one.add("before", 0);
    let phrase = one.home.home.path().join("phrase");
    let phrase_out = phrase.display().to_string();
    let init = ["sync", "init", "--new", "--relay", &relay.url(), "--phrase-out", &phrase_out, "--yes"];
    one.run(&[&init[..], &["--device-name", "vm"]].concat(), 0);
    b.restored(&relay.url(), &phrase);
    one.now(0);
    copy_home(&one.home, other.home.home.path());
    (relay, one, other, b)
}

/// All have the same commands, and the copies are two devices with a session each.
fn assert_two_devices(one: &Twin, other: &Twin, b: &SyncHome, expected: usize) {
    assert_ne!(one.device(), other.device(), "two devices");
    assert_ne!(one.home.session(), other.home.session(), "two sessions");
    b.now();
    let all = b.commands();
    assert_eq!(all.len(), expected, "{all:?}");
    assert_eq!((one.commands(), other.commands()), (all.clone(), all));
}

#[test]
fn copies_that_take_turns_become_two_devices() {
    let (relay, one, other, b) = copied();
    for round in 0..3u64 {
        let clock = (round + 1) * 2 * TWO_HOURS;
        for (name, twin, clock) in [("one", &one, clock), ("other", &other, clock + TWO_HOURS)] {
            twin.add(&format!("on {name} in round {round}"), clock);
            twin.now(clock);
        }
    }
    let clock = 9 * TWO_HOURS;
    for twin in [&one, &other, &one] {
        twin.now(clock);
    }
    assert_two_devices(&one, &other, &b, 7);
    assert!(!relay.log().contains("signature"), "the relay refused nothing: {}", relay.log());
    let listed = b.ok(["sync", "devices", "list"]).stdout;
    assert!(listed.contains("vm (copy)"), "{listed}");
    let (was_one, was_other) = (one.device(), other.device());
    for twin in [&one, &other] {
        assert_eq!((twin.now(clock + 60).sent, twin.now(clock + 60).pending), (0, 0));
    }
    assert_eq!((one.device(), other.device()), (was_one, was_other), "and so they stay");
}

/// Both wrote the same place of the session, and the relay took the one's.
#[test]
fn a_copy_whose_writing_the_relay_refused_loses_nothing() {
    let (relay, one, other, b) = copied();
    // It writes into its store, and the relay hears nothing of it.
    let wire = Wire::tampering(
        &relay.url(),
        Box::new(|way, message| if way == Way::Up && message["action"] == "content" { Fate::Drop } else { Fate::Pass }),
    );
    other.home.configure(&[&format!("relay = \"{}\"", wire.url())]);
    other.add("on the other, unheard", 0);
    let run = other.home.finish(other.command(&["sync", "now", "--timeout", "1"], 0), b"");
    assert_eq!(run.code, Some(5), "{run:?}");
    one.add("on the one", 0);
    one.now(0);

    other.home.configure(&[&format!("relay = \"{}\"", relay.url())]);
    for round in 1..=4u64 {
        for (name, twin) in [("other", &other), ("one", &one)] {
            twin.add(&format!("on the {name} in round {round}"), round * TWO_HOURS);
            twin.now(round * TWO_HOURS);
        }
    }
    for twin in [&other, &one] {
        twin.now(9 * TWO_HOURS);
    }
    assert_two_devices(&one, &other, &b, 1 + 2 + 8);
}

#[test]
fn copies_with_daemons_that_write_at_once_become_two_devices() {
    let (_relay, one, other, b) = copied();
    let daemons = [&one, &other].map(|twin| {
        twin.home.exchanges("realtime");
        let mut command = twin.command(&["sync", "daemon"], TWO_HOURS);
        command.env("CARO_KEYSTORE", "file");
        Daemon::spawn(&twin.home, command)
    });
    for round in 0..6u64 {
        std::thread::scope(|scope| {
            for (name, twin) in [("one", &one), ("other", &other)] {
                scope.spawn(move || twin.add(&format!("on {name} in round {round}"), (round + 1) * TWO_HOURS));
            }
        });
        for twin in [&one, &other] {
            // Through the daemon.
            drop(twin.home.finish(twin.command(&["sync", "now"], (round + 1) * TWO_HOURS), b""));
        }
    }
    wait_until("all is everywhere", || {
        b.now();
        b.commands().len() == 13 && one.commands().len() == 13 && other.commands().len() == 13
    });
    wait_until("they are two devices", || one.device() != other.device());
    drop(daemons);
    assert_two_devices(&one, &other, &b, 13);
}

/// What was written in between was its own, from a time that it does not remember.
#[test]
fn a_machine_that_is_set_back_to_a_snapshot_stays_the_device_it_was() {
    let (relay, one, kept, b) = copied();
    let device = one.device();
    for round in 1..=2u64 {
        one.add(&format!("after the snapshot {round}"), round * TWO_HOURS);
        one.now(round * TWO_HOURS);
    }
    for folder in ["config", "data"] {
        std::fs::remove_dir_all(one.home.home.path().join(folder)).unwrap();
        copy_folder(&kept.home.home.path().join(folder), &one.home.home.path().join(folder));
    }
    for round in 3..=5u64 {
        one.add(&format!("after it was set back {round}"), round * TWO_HOURS);
        one.now(round * TWO_HOURS);
    }
    assert_eq!(one.device(), device);
    b.now();
    assert_eq!((b.commands(), b.commands().len()), (one.commands(), 6));
    assert!(!relay.log().contains("signature"), "the relay refused nothing: {}", relay.log());
    assert_equal_histories(&[&b]);
}

#[test]
fn a_machine_that_is_busy_for_days_does_not_take_itself_for_a_copy() {
    let (_relay, one, _, _) = copied();
    let device = one.device();
    for hour in 1..=44 {
        one.add(&format!("hour {hour}"), hour * 3700);
        assert_eq!(one.now(hour * 3700).sent, 1);
    }
    assert_eq!(one.device(), device);
}
