//! A device rewrites part of the history and is lost before the relay has what it wrote: nothing else is.
//!
//! The index gets through, which says that the old segment is gone and which one replaces it; the new one never does. What the
//! old one held is read from it for as long as it is there, and goes up again once the lost device is known to be gone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::common::sync::{
    Exchanged, Relay, SyncHome, assert_equal_histories, await_erasure, bytes_of, ciphertexts, contains,
};
use crate::common::wire::{Fate, Way, Wire};

const DAY: i64 = 86_400;
/// Records of the lost device, without the one that it deleted.
const OF_THE_LOST: usize = 12;
/// Records of the other one.
const OF_THE_OTHER: usize = 5;

/// What is left after the loss.
struct Scene {
    relay: Relay,
    b: SyncHome,
    phrase: PathBuf,
    /// Pieces of the segment that the lost device had replaced.
    replaced: Vec<Vec<u8>>,
}

/// What the relay's store knows by name.
fn known(relay: &Relay) -> BTreeSet<String> {
    let db = rusqlite::Connection::open(relay.data().join("relay.db")).unwrap();
    let mut statement = db.prepare("SELECT id FROM coValues").unwrap();
    let ids = statement.query_map([], |row| row.get(0)).unwrap();
    ids.collect::<Result<_, _>>().unwrap()
}

fn now_after(device: &SyncHome, days: i64) -> Exchanged {
    let mut command = device.command(["sync", "now", "--json"]);
    command.env("CARO_TEST_CLOCK", device.home.file("clock", (days * DAY).to_string()));
    let run = device.finish(command, &[]);
    assert_eq!(run.code, Some(0), "after {days} days: {run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

impl Scene {
    fn new() -> Self {
        let relay = Relay::new();
        let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
        a.add(&(0..OF_THE_LOST).map(|i| format!("laptop {i}")).collect::<Vec<_>>());
        let id = a.add_one("to be deleted");
        let phrase = a.init(&relay.url());
        a.now();
        let replaced: Vec<_> = ciphertexts(&a.data("sync.db"))
            .into_iter()
            .filter(|piece| contains(&bytes_of(relay.data()), piece))
            .collect();
        assert!(!replaced.is_empty());
        b.restored(&relay.url(), &phrase);
        b.add(&(0..OF_THE_OTHER).map(|i| format!("desktop {i}")).collect::<Vec<_>>());
        b.now();
        a.now();

        a.ok(["history", "delete", &id, "--yes"]);
        let there = known(&relay);
        let line = Wire::tampering(
            &relay.url(),
            Box::new(move |way, message| {
                let is_new = message["id"].as_str().is_some_and(|id| !there.contains(id));
                if way == Way::Up && message["action"] == "content" && is_new { Fate::Drop } else { Fate::Pass }
            }),
        );
        a.ok(["sync", "relay", "set", &line.url(), "--yes"]);
        let run = a.run(["sync", "now", "--timeout", "2"]);
        assert!(run.code != Some(0), "the relay never has what it wrote: {run:?}");
        let kept = b.home.file("the-phrase", std::fs::read(&phrase).unwrap());
        // Here the laptop goes overboard.
        drop(a);
        let scene = Self { relay, b, phrase: kept, replaced };
        assert_eq!(scene.b.now().missing, 1, "what was announced is missed");
        assert_eq!(scene.b.records().len(), OF_THE_LOST + OF_THE_OTHER);
        scene
    }

    fn joined(&self, name: &'static str, phrase: &Path) -> SyncHome {
        let device = SyncHome::new(name);
        device.restored(&self.relay.url(), phrase);
        device
    }

    /// Everything is in sync again, once, and nothing of the old segment is left.
    #[track_caller]
    fn is_whole(&self) {
        await_erasure(&self.relay, &self.replaced);
        let late = self.joined("late", &self.phrase);
        assert_eq!(late.now().missing, 0);
        assert_eq!(assert_equal_histories(&[&self.b, &late]), OF_THE_LOST + OF_THE_OTHER);
        let history = late.home.history();
        let placed: u64 =
            history.placed_segments().unwrap().iter().map(|segment| history.count_in(segment).unwrap()).sum();
        assert_eq!(placed, (OF_THE_LOST + OF_THE_OTHER) as u64, "each record went up once");
    }
}

#[test]
fn what_a_lost_device_had_begun_to_replace_is_there_until_it_goes_up_again_after_a_week() {
    let scene = Scene::new();
    // A device that joins meanwhile reads what was to be replaced.
    let c = scene.joined("server", &scene.phrase);
    assert_eq!(assert_equal_histories(&[&scene.b, &c]), OF_THE_LOST + OF_THE_OTHER);
    let before = bytes_of(scene.relay.data());
    assert!(scene.replaced.iter().all(|piece| contains(&before, piece)), "nobody has erased it");

    for day in 1..=6 {
        assert_eq!(now_after(&scene.b, day).missing, 1, "after {day} days it may still come");
    }
    let sent: u64 = (7..=9).map(|day| now_after(&scene.b, day)).map(|report| report.sent).sum();
    assert_eq!(sent, OF_THE_LOST as u64);
    scene.is_whole();
}

#[test]
fn what_a_device_had_begun_to_replace_goes_up_again_as_soon_as_it_is_removed() {
    let scene = Scene::new();
    scene.b.ok(["sync", "devices", "remove", "laptop", "--yes"]);
    let report = scene.b.now();
    assert_eq!((report.missing, report.sent), (0, OF_THE_LOST as u64));
    scene.is_whole();
}
