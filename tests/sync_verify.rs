//! `sync verify` compares by content what history, sync store and relay hold, and repair brings them together.

use serde_json::{Value, json};

use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

/// Runs the comparison; its JSON and its exit code.
fn verify(device: &SyncHome, more: &[&str]) -> (Value, Option<i32>) {
    let run = device.run(["sync", "verify", "--json"].iter().chain(more));
    let json = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("it prints its contract ({e}): {run:?}"));
    (json, run.code)
}

#[track_caller]
fn agrees(device: &SyncHome) -> Value {
    let (json, code) = verify(device, &[]);
    assert_eq!((code, json["agree"].as_bool()), (Some(0), Some(true)), "{json}");
    json
}

/// What one column says, summed over all devices.
fn sum(json: &Value, column: &str) -> u64 {
    json["devices"].as_array().unwrap().iter().map(|device| device[column].as_u64().unwrap()).sum()
}

/// Two devices with some history each.
fn two_devices(relay: &Relay) -> (SyncHome, SyncHome) {
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&(0..40).map(|i| format!("laptop {i}")).collect::<Vec<_>>());
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    b.add(&(0..30).map(|i| format!("desktop {i}")).collect::<Vec<_>>());
    b.now();
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 70);
    (a, b)
}

#[test]
fn devices_that_have_exchanged_agree_and_what_waits_is_not_missing() {
    let relay = Relay::new();
    let (a, b) = two_devices(&relay);
    for device in [&a, &b] {
        let json = agrees(device);
        assert_eq!((sum(&json, "history"), sum(&json, "synced"), sum(&json, "pending")), (70, 70, 0), "{json}");
        let name = |name: &str| json["devices"].as_array().unwrap().iter().any(|d| d["device_name"] == name);
        assert!(name("laptop") && name("desktop"), "{json}");
    }
    a.add_one("not sent yet");
    assert_eq!(sum(&agrees(&a), "pending"), 1);
    let words = a.ok(["sync", "verify"]);
    assert!(words.stdout.contains("laptop: 41 here, 40 on the relay, 1 pending"), "{words:?}");
}

#[test]
fn what_only_has_not_been_received_yet_is_no_damage() {
    let relay = Relay::new();
    let (a, b) = two_devices(&relay);
    a.add(&(0..5).map(|i| format!("later {i}")).collect::<Vec<_>>());
    a.now();
    let run = b.run(["sync", "verify"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.contains("has been received here") && run.stderr.contains("`caro sync now` receives"),
        "{run:?}"
    );
    b.now();
    agrees(&b);
}

#[test]
fn a_history_that_came_back_from_a_backup_lacks_what_it_lacks_until_it_is_repaired() {
    let relay = Relay::new();
    let (a, b) = two_devices(&relay);
    // The backup knows where it had read to, so that an ordinary exchange finds nothing new.
    let lost: Vec<_> = b.home.history().list(&caro::history::Filter::default()).unwrap();
    let removed: Vec<_> = lost.iter().filter(|record| record.command.ends_with('7')).map(|record| record.id).collect();
    let db = rusqlite::Connection::open(b.data("history.db")).unwrap();
    for id in &removed {
        db.execute("DELETE FROM records WHERE id = ?1", [id.as_bytes()]).unwrap();
    }
    drop(db);
    b.now();
    let (json, code) = verify(&b, &[]);
    assert_eq!((code, sum(&json, "missing_here")), (Some(1), removed.len() as u64), "{json}");
    let (json, code) = verify(&b, &["--repair"]);
    assert_eq!((code, json["agree"].as_bool()), (Some(0), Some(true)), "{json}");
    assert_eq!(assert_equal_histories(&[&a, &b]), 70);
}

#[test]
fn what_should_be_on_the_relay_and_is_not_goes_up_again() {
    let relay = Relay::new();
    let (a, b) = two_devices(&relay);
    // As if it had left the outbox without ever getting anywhere.
    a.add_one("lost on its way");
    let db = rusqlite::Connection::open(a.data("history.db")).unwrap();
    db.execute("DELETE FROM outbox", []).unwrap();
    drop(db);
    a.now();
    b.now();
    assert_eq!(b.records().len(), 70);
    let (json, code) = verify(&a, &[]);
    assert_eq!((code, sum(&json, "missing_there")), (Some(1), 1), "{json}");
    let (json, code) = verify(&a, &["--repair"]);
    assert_eq!((code, json["agree"].as_bool()), (Some(0), Some(true)), "{json}");
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 71);
}

#[test]
fn a_sync_store_that_was_emptied_and_a_relay_that_lost_everything_are_filled_again() {
    let mut relay = Relay::new();
    let (a, b) = two_devices(&relay);
    for suffix in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(b.data(&format!("sync.db{suffix}"))));
    }
    agrees(&b);
    b.now();
    agrees(&b);

    relay.kill();
    for entry in std::fs::read_dir(relay.data()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    relay.start_again();
    let (json, _) = verify(&a, &["--repair"]);
    assert_eq!(json["agree"], true, "{json}");
    b.now();
    agrees(&b);
    assert_eq!(assert_equal_histories(&[&a, &b]), 70);
}

#[test]
fn a_relay_store_that_was_cut_lacks_a_part_and_its_writer_writes_it_anew() {
    let mut relay = Relay::new();
    let (a, b) = two_devices(&relay);
    assert!(relay.stop().success());
    // One segment is cut out of the relay's store, and out of its writer's.
    let of_a = a.home.history().placed_segments().unwrap();
    let own: Vec<_> = a.home.history().list(&caro::history::Filter::default()).unwrap();
    let first = own.iter().find(|record| record.command == "laptop 3").unwrap().id;
    let segment = a.home.history().segments_of(first).unwrap().remove(0);
    assert!(of_a.contains(&segment));
    for store in [relay.data().join("relay.db"), a.data("sync.db"), b.data("sync.db")] {
        let db = rusqlite::Connection::open(store).unwrap();
        db.execute_batch(&format!(
            "DELETE FROM transactions WHERE ses IN (SELECT rowID FROM sessions WHERE coValue = (SELECT rowID FROM coValues WHERE id = '{segment}'));
             DELETE FROM sessions WHERE coValue = (SELECT rowID FROM coValues WHERE id = '{segment}');
             DELETE FROM coValues WHERE id = '{segment}';"
        ))
        .unwrap();
    }
    relay.start_again();
    let (json, code) = verify(&a, &[]);
    assert_eq!((code, json["parts_missing"].as_u64()), (Some(1), Some(1)), "{json}");
    assert_eq!(sum(&json, "missing_there"), 40, "{json}");
    let (json, code) = verify(&a, &["--repair"]);
    assert_eq!((code, json["agree"].as_bool()), (Some(0), Some(true)), "{json}");
    b.now();
    agrees(&b);
    assert_eq!(assert_equal_histories(&[&a, &b]), 70);
}

/// The relay lies: it shows everything but the end of the other device's segment.
#[test]
fn a_relay_that_holds_back_the_end_of_a_devices_commands_is_noticed() {
    use std::sync::{Arc, Mutex};

    use crate::common::wire::{Fate, Way, Wire};

    let relay = Relay::new();
    let (a, b) = two_devices(&relay);
    let own: Vec<_> = a.home.history().list(&caro::history::Filter::default()).unwrap();
    let first = own.iter().find(|record| record.command == "laptop 3").unwrap().id;
    let segment = a.home.history().segments_of(first).unwrap().remove(0);
    // From now on the liar answers for that segment as it was.
    let known: Arc<Mutex<Option<Value>>> = Arc::default();
    let liar = Wire::tampering(
        &relay.url(),
        Box::new(move |way, message| {
            if message["id"] != segment.as_str() {
                return Fate::Pass;
            }
            let mut known = known.lock().unwrap();
            if way == Way::Up {
                // What the device has says what it is to believe.
                let (header, sessions) = (message["header"].clone(), message["sessions"].clone());
                known
                    .get_or_insert(json!({ "action": "known", "id": segment, "header": header, "sessions": sessions }));
                return Fate::Pass;
            }
            match known.as_ref() {
                Some(known) => Fate::Instead(vec![known.clone()]),
                None => Fate::Drop,
            }
        }),
    );
    b.ok(["sync", "relay", "set", &liar.url(), "--yes"]);
    assert_eq!(b.now().withheld, 0);
    a.add(&["the end 1".to_owned(), "the end 2".to_owned()]);
    a.home.file("clock", "7200");
    let mut later = a.command(["sync", "now"]);
    later.env("CARO_TEST_CLOCK", a.home.path().join("clock"));
    assert_eq!(a.finish(later, &[]).code, Some(0));

    let shown = b.now();
    assert_eq!((shown.received, shown.withheld), (0, 1));
    let said = b.ok(["sync", "now"]);
    assert!(said.stderr.contains("the relay holds back commands"), "{said:?}");
    let (json, code) = verify(&b, &[]);
    assert_eq!(code, Some(1), "{json}");
    let withheld: Vec<_> = json["devices"].as_array().unwrap().iter().filter(|d| d["withheld"] == true).collect();
    assert_eq!(withheld.len(), 1);
    assert_eq!(withheld[0]["device_name"], "laptop");

    b.ok(["sync", "relay", "set", &relay.url(), "--yes"]);
    assert_eq!(b.now().withheld, 0);
    assert_eq!(assert_equal_histories(&[&a, &b]), 72);
}

#[test]
fn what_only_a_newer_version_can_read_is_not_held_back_by_the_relay() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("for both");
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    a.add_one("of a newer version");
    let mut newer = a.command(["sync", "now"]);
    newer.env("CARO_TEST_SCHEMA", "2");
    assert_eq!(a.finish(newer, &[]).code, Some(0));
    // Says how far it has written in words that both understand.
    let mut later = a.command(["sync", "now"]);
    later.env("CARO_TEST_CLOCK", a.home.file("clock", "7200"));
    assert_eq!(a.finish(later, &[]).code, Some(0));
    let shown = b.now();
    assert_eq!((shown.unreadable > 0, shown.withheld), (true, 0));
}
