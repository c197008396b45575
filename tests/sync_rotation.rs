//! Rotation of the data key: every device gets it by itself, old data stays readable, interruptions leave it whole.

use std::time::{Duration, Instant};

use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::common::wire::{Fate, Way, Wire};

fn two_devices() -> (Relay, SyncHome, SyncHome) {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("before the rotation");
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    a.now();
    (relay, a, b)
}

fn rotate(home: &SyncHome) -> (String, u64) {
    let run = home.ok(["sync", "rotate-keys", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    (value["key_id"].as_str().unwrap().to_owned(), value["generation"].as_u64().unwrap())
}

#[test]
fn a_new_key_reaches_every_device_by_itself_and_old_data_stays_readable() {
    let (relay, a, b) = two_devices();
    assert_eq!(rotate(&a).1, 2);
    a.add_one("after the rotation, on the laptop");
    a.now();
    let got = b.now();
    assert_eq!((got.received, got.unreadable), (1, 0));
    b.add_one("after the rotation, on the desktop");
    b.now();
    a.now();
    // One that comes later gets all keys.
    let c = SyncHome::new("server");
    c.restored(&relay.url(), &a.home.path().join("phrase"));
    assert_eq!(assert_equal_histories(&[&a, &b, &c]), 3);
    assert_eq!(rotate(&c).1, 3, "every device counts on");
}

#[test]
fn two_rotations_at_once_end_with_one_key_for_all() {
    let (_relay, a, b) = two_devices();
    std::thread::scope(|scope| {
        for home in [&a, &b] {
            scope.spawn(|| rotate(home));
        }
    });
    for home in [&a, &b] {
        home.add_one(home.name);
        home.now();
    }
    for home in [&a, &b] {
        assert_eq!(home.now().unreadable, 0);
    }
    assert_eq!(assert_equal_histories(&[&a, &b]), 3);
    let (first, second) = (rotate(&a), rotate(&b));
    assert_eq!(second.1, first.1 + 1, "they agree on where they are");
}

/// The store has the key and the relay never heard of it: the next exchange takes it there.
#[test]
fn a_rotation_that_did_not_reach_the_relay_arrives_with_the_next_exchange() {
    let (relay, a, b) = two_devices();
    let silent = Wire::tampering(
        &relay.url(),
        Box::new(|way, message| if way == Way::Up && message["action"] == "content" { Fate::Drop } else { Fate::Pass }),
    );
    a.ok(["sync", "relay", "set", &silent.url(), "--yes"]);
    // The wire lets nothing up, so this ends when the relay's silence has lasted too long, or by the kill.
    let before = transactions(&a);
    let child = a.command(["sync", "rotate-keys"]).spawn().unwrap();
    let begun = Instant::now();
    while transactions(&a) == before {
        assert!(begun.elapsed() < Duration::from_secs(30), "the key is never made");
        std::thread::yield_now();
    }
    crate::sync_kill::kill(child);
    a.ok(["sync", "relay", "set", &relay.url(), "--yes"]);
    a.add_one("sealed with the new key");
    a.now();
    assert_eq!(b.now().unreadable, 0);
    assert_eq!(assert_equal_histories(&[&a, &b]), 2);
    assert_eq!(rotate(&b).1, 3);
}

/// How much has been written to the store: the number of its transactions.
fn transactions(home: &SyncHome) -> i64 {
    let db = rusqlite::Connection::open(home.data("sync.db")).unwrap();
    db.query_row("SELECT count(*) FROM transactions", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_rotation_that_was_killed_anywhere_leaves_the_key_whole_or_not_there() {
    let (_relay, a, b) = two_devices();
    let mut random = crate::common::random::Random::from_environment();
    let begun = Instant::now();
    rotate(&a);
    let usual = begun.elapsed();
    for round in 0..5 {
        let child = a.command(["sync", "rotate-keys"]).spawn().unwrap();
        crate::sync_kill::pass(Duration::from_micros(random.below(u64::try_from(usual.as_micros()).unwrap())));
        crate::sync_kill::kill(child);
        for home in [&a, &b] {
            home.add_one(&format!("{} {round}", home.name));
            let report = home.now();
            assert_eq!((report.pending, report.unreadable), (0, 0));
        }
        a.now();
        assert_eq!(assert_equal_histories(&[&a, &b]), 1 + 2 * (round + 1));
    }
    let (first, second) = (rotate(&a), rotate(&b));
    assert_eq!(second.1, first.1 + 1);
}
