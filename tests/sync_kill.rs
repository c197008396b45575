//! kill -9 at random moments: of either device and of the relay, in the middle of an exchange.
//!
//! Afterwards both histories are equal, and every record whose id `caro history add` had printed is in both. The
//! moments are drawn between nothing and the time an exchange usually takes; the seed is printed, and `CARO_TEST_SEED`
//! repeats it.

use std::collections::BTreeSet;
use std::process::Child;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::common::home::is_slow_run;
use crate::common::random::Random;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    A,
    B,
    Relay,
}

/// Waits this long, and no condition ends it earlier: the moment of the kill is what is random.
pub fn pass(time: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    assert!(receiver.recv_timeout(time).is_err());
}

fn start(device: &SyncHome) -> Child {
    device.command(["sync", "now", "--timeout", "5"]).spawn().expect("the program starts")
}

pub fn kill(mut child: Child) {
    drop(child.kill());
    child.wait().expect("it ends");
}

/// Waits for a process that was not killed. What it says does not matter: its relay may have died.
fn end(mut child: Child) {
    let begun = Instant::now();
    loop {
        if child.try_wait().expect("its state").is_some() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "an exchange hangs");
        std::thread::yield_now();
    }
}

struct Scene {
    relay: Relay,
    a: SyncHome,
    b: SyncHome,
    acknowledged: BTreeSet<String>,
    usual: Duration,
    random: Random,
}

impl Scene {
    fn new() -> Self {
        let relay = Relay::new();
        let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
        let mut acknowledged = BTreeSet::from_iter(a.add(&commands("before", 0, 50)));
        let phrase = a.init(&relay.url());
        b.restored(&relay.url(), &phrase);
        acknowledged.extend(a.add(&commands("measured", 0, 120)));
        let begun = Instant::now();
        a.now();
        let usual = begun.elapsed();
        b.now();
        Self { relay, a, b, acknowledged, usual, random: Random::from_environment() }
    }

    /// New records on both devices, both exchange, and in the middle of it one is killed.
    fn round(&mut self, victim: Victim, number: u64) {
        let count = 1 + self.random.below(120);
        self.acknowledged.extend(self.a.add(&commands("a", number, count)));
        self.acknowledged.extend(self.b.add(&commands("b", number, 1 + count / 3)));
        let (a, b) = (start(&self.a), start(&self.b));
        let moment = self.random.below(u64::try_from(self.usual.as_micros()).unwrap() * 3 / 2);
        pass(Duration::from_micros(moment));
        match victim {
            Victim::A => {
                kill(a);
                end(b);
            }
            Victim::B => {
                kill(b);
                end(a);
            }
            Victim::Relay => {
                self.relay.kill();
                self.relay.start_again();
                end(a);
                end(b);
            }
        }
    }

    /// All is well again, with nothing repaired by hand.
    fn check(&self, what: &str) {
        for device in [&self.a, &self.b, &self.a] {
            let report = device.now();
            assert_eq!((report.pending, report.missing, report.unreadable), (0, 0, 0), "{what}");
        }
        let count = assert_equal_histories(&[&self.a, &self.b]);
        let there: BTreeSet<String> = self.a.records().into_keys().collect();
        let lost: Vec<_> = self.acknowledged.difference(&there).collect();
        assert!(lost.is_empty(), "{what}: acknowledged and lost: {lost:?}");
        assert_eq!(count, self.acknowledged.len(), "{what}: nothing is there twice");
        assert!(!self.relay.log().contains("signature"), "{what}: {}", self.relay.log());
    }
}

fn commands(on: &str, round: u64, count: u64) -> Vec<String> {
    (0..count).map(|i| format!("{on} round {round} command {i} --with some --arguments")).collect()
}

fn kill_in_rounds(victim: Victim, rounds: u64) {
    let mut scene = Scene::new();
    for number in 0..rounds {
        scene.round(victim, number);
        scene.check(&format!("{victim:?}, round {number}"));
    }
}

#[test]
fn a_killed_sender_loses_nothing() {
    kill_in_rounds(Victim::A, 3);
}

#[test]
fn a_killed_receiver_loses_nothing() {
    kill_in_rounds(Victim::B, 3);
}

#[test]
fn a_killed_relay_loses_nothing_that_it_confirmed() {
    kill_in_rounds(Victim::Relay, 3);
}

#[test]
fn a_setup_that_was_killed_is_done_again_from_the_beginning() {
    let relay = Relay::new();
    let a = SyncHome::new("laptop");
    a.add(&commands("before", 0, 300));
    let phrase = a.init(&relay.url());
    let mut random = Random::from_environment();
    let begun = Instant::now();
    let b = SyncHome::new("desktop");
    b.restored(&relay.url(), &phrase);
    let usual = begun.elapsed();
    for _ in 0..4 {
        let late = SyncHome::new("server");
        let own = late.add_one("its own");
        let restore = ["sync", "restore", "--yes", "--relay", &relay.url(), "--phrase-file", phrase.to_str().unwrap()];
        let child = late.command(restore).spawn().unwrap();
        pass(Duration::from_micros(random.below(u64::try_from(usual.as_micros()).unwrap())));
        kill(child);
        if late.data("sync.json").exists() {
            late.now();
        } else {
            late.restored(&relay.url(), &phrase);
        }
        let records = late.records();
        assert!(records.contains_key(&own));
        assert!(a.records().keys().all(|id| records.contains_key(id)));
    }
}

#[test]
fn a_new_identity_whose_making_was_killed_is_whole_or_not_there() {
    let relay = Relay::new();
    let mut random = Random::from_environment();
    let mut usual = Duration::from_millis(500);
    for round in 0..5 {
        let a = SyncHome::new("laptop");
        a.add(&commands("before", 0, 300));
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let init = |phrase: &str| {
            a.command(["sync", "init", "--new", "--yes", "--relay", &relay.url(), "--phrase-out", phrase])
        };
        let begun = Instant::now();
        let child = init(&file("first")).spawn().unwrap();
        if round == 0 {
            end(child);
            usual = begun.elapsed();
        } else {
            pass(Duration::from_micros(random.below(u64::try_from(usual.as_micros()).unwrap())));
            kill(child);
        }
        if !a.data("sync.json").exists() {
            let run = a.finish(init(&file("second")), b"");
            assert_eq!(run.code, Some(0), "{run:?}");
        }
        a.now();
        a.ok(["sync", "phrase", "show", "--phrase-out", &file("shown")]);
        let b = SyncHome::new("desktop");
        b.restored(&relay.url(), std::path::Path::new(&file("shown")));
        assert_eq!(assert_equal_histories(&[&a, &b]), 300);
    }
}

#[test]
fn slow_a_hundred_kills_of_each_lose_nothing() {
    if !is_slow_run() {
        return;
    }
    let mut scene = Scene::new();
    for number in 0..105 {
        for victim in [Victim::A, Victim::B, Victim::Relay] {
            scene.round(victim, number);
            if number % 5 == 4 {
                scene.check(&format!("{victim:?}, round {number}"));
            }
        }
    }
    scene.check("at the end");
}
