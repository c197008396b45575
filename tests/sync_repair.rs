//! `sync verify --repair` where something was damaged in a file: at the relay, in the sync store, in the history.
//!
//! What a relay has damaged is seen only by a device that fetches it from there; it says so to the others, and whoever has it
//! whole writes it anew.

use std::path::Path;

use serde_json::Value;

use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::common::wire::{Fate, Way, Wire};

const OF_A: usize = 25;
const OF_B: usize = 15;
const ALL: usize = OF_A + OF_B;

/// Two devices with the same history, their relay, and the segment that a's records lie in.
struct Scene {
    relay: Relay,
    a: SyncHome,
    b: SyncHome,
    segment: String,
}

impl Scene {
    fn new() -> Self {
        let relay = Relay::new();
        let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
        let first = a.add(&(0..OF_A).map(|i| format!("laptop {i}")).collect::<Vec<_>>()).remove(0);
        let phrase = a.init(&relay.url());
        b.restored(&relay.url(), &phrase);
        b.add(&(0..OF_B).map(|i| format!("desktop {i}")).collect::<Vec<_>>());
        b.now();
        a.now();
        let id = uuid::Uuid::parse_str(&first).unwrap();
        let segment = a.home.history().segments_of(id).unwrap().remove(0);
        Self { relay, a, b, segment }
    }

    /// Changes the relay's store while it does not run.
    fn at_the_relay(&mut self, change: impl Fn(&Path, &str)) {
        assert!(self.relay.stop().success());
        change(&self.relay.data().join("relay.db"), &self.segment);
        self.relay.start_again();
    }

    /// A device that joins over a line on which a bit of the segment is flipped.
    fn joining_over_a_damaged_copy(&self) -> (SyncHome, Wire) {
        let segment = self.segment.clone();
        let line = Wire::tampering(
            &self.relay.url(),
            Box::new(move |way, message| {
                if way != Way::Down || message["action"] != "content" || message["id"] != segment.as_str() {
                    return Fate::Pass;
                }
                let mut message = message.clone();
                for session in message["new"].as_object_mut().into_iter().flatten() {
                    for transaction in session.1["newTransactions"].as_array_mut().into_iter().flatten() {
                        flip(transaction);
                    }
                }
                Fate::Instead(vec![message])
            }),
        );
        let device = SyncHome::new("server");
        let run = device.restore(&line.url(), &self.a.home.path().join("phrase"));
        assert_eq!(run.code, Some(6), "what it fetches is damaged: {run:?}");
        (device, line)
    }

    #[track_caller]
    fn all_agree(&self, more: &[&SyncHome]) {
        let devices = [&[&self.a, &self.b], more].concat();
        for device in &devices {
            device.now();
        }
        for device in &devices {
            let found = verify(device, &[]);
            assert_eq!((found.code, found.json["agree"].as_bool()), (Some(0), Some(true)), "{found:?}");
        }
        assert_eq!(assert_equal_histories(&devices), ALL);
    }
}

#[derive(Debug)]
struct Found {
    json: Value,
    said: String,
    code: Option<i32>,
}

fn verify(device: &SyncHome, more: &[&str]) -> Found {
    let run = device.run(["sync", "verify", "--json"].iter().chain(more));
    let json = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("it prints its contract ({e}): {run:?}"));
    Found { json, said: run.stderr, code: run.code }
}

fn sum(found: &Found, column: &str) -> u64 {
    found.json["devices"].as_array().unwrap().iter().map(|device| device[column].as_u64().unwrap()).sum()
}

/// Changes one letter in the middle of what a transaction holds.
fn flip(transaction: &mut Value) {
    if let Some(text) = transaction["encryptedChanges"].as_str() {
        let (before, rest) = text.split_at(text.len() / 2);
        let letter = if rest.starts_with('A') { 'B' } else { 'A' };
        transaction["encryptedChanges"] = format!("{before}{letter}{}", &rest[1..]).into();
    }
}

/// Damages what a segment's first transaction holds.
fn flip_a_bit(store: &Path, segment: &str) {
    let db = rusqlite::Connection::open(store).unwrap();
    let (session, index, tx): (i64, i64, String) = db
        .query_row(
            "SELECT ses, idx, tx FROM transactions JOIN sessions ON sessions.rowID = ses \
             JOIN coValues ON coValues.rowID = coValue WHERE coValues.id = ?1 ORDER BY idx LIMIT 1",
            [segment],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    let mut parsed: Value = serde_json::from_str(&tx).unwrap();
    flip(&mut parsed);
    let params = rusqlite::params![parsed.to_string(), session, index];
    let changed = db.execute("UPDATE transactions SET tx = ?1 WHERE ses = ?2 AND idx = ?3", params).unwrap();
    assert_eq!(changed, 1);
}

/// Takes a segment out of a store.
fn cut_out(store: &Path, segment: &str) {
    let db = rusqlite::Connection::open(store).unwrap();
    let of_it = "(SELECT rowID FROM coValues WHERE id = ?1)";
    db.execute(
        &format!("DELETE FROM transactions WHERE ses IN (SELECT rowID FROM sessions WHERE coValue = {of_it})"),
        [segment],
    )
    .unwrap();
    db.execute(&format!("DELETE FROM sessions WHERE coValue = {of_it}"), [segment]).unwrap();
    assert_eq!(db.execute("DELETE FROM coValues WHERE id = ?1", [segment]).unwrap(), 1);
}

/// A relay that checks what it loads does not hand it out.
#[test]
fn a_bit_that_flipped_in_the_relays_store_is_missed_by_who_joins_and_mended_by_who_has_it() {
    let mut scene = Scene::new();
    scene.at_the_relay(flip_a_bit);
    let c = SyncHome::new("server");
    c.restored(&scene.relay.url(), &scene.a.home.path().join("phrase"));
    assert_eq!(c.records().len(), OF_B);
    let found = verify(&c, &["--repair"]);
    let withheld = |found: &Found| found.json["devices"].as_array().unwrap().iter().any(|d| d["withheld"] == true);
    assert!(found.code == Some(1) && withheld(&found), "{found:?}");
    assert!(found.said.contains("run `caro sync verify --repair` on your other devices"), "{found:?}");
    let found = verify(&scene.b, &["--repair"]);
    assert_eq!((found.code, found.json["agree"].as_bool()), (Some(0), Some(true)), "{found:?}");
    scene.all_agree(&[&c]);
}

#[test]
fn what_a_relay_hands_out_damaged_is_told_by_who_fetches_it_and_written_anew_by_who_wrote_it() {
    let scene = Scene::new();
    let (c, _line) = scene.joining_over_a_damaged_copy();
    let found = verify(&c, &[]);
    assert_eq!((found.code, found.json["parts_damaged"].as_u64()), (Some(6), Some(1)), "{found:?}");
    assert!(found.said.contains("1 part of the history is damaged"), "{found:?}");
    assert!(found.said.contains("caro sync verify --repair"), "{found:?}");

    // It does not have what is damaged; it can only say so to the others.
    let found = verify(&c, &["--repair"]);
    assert_eq!(found.code, Some(6), "{found:?}");
    assert!(found.said.contains("run `caro sync now` there, then here"), "{found:?}");
    let found = verify(&scene.a, &[]);
    assert_eq!((found.code, found.json["parts_damaged"].as_u64()), (Some(6), Some(1)), "{found:?}");
    scene.a.now();
    scene.all_agree(&[&c]);
}

#[test]
fn what_a_relay_hands_out_damaged_is_written_anew_by_another_device_that_has_it() {
    let scene = Scene::new();
    let (c, _line) = scene.joining_over_a_damaged_copy();
    assert_eq!(verify(&c, &["--repair"]).code, Some(6));
    let found = verify(&scene.b, &["--repair"]);
    assert_eq!((found.code, found.json["agree"].as_bool()), (Some(0), Some(true)), "{found:?}");
    scene.all_agree(&[&c]);
}

#[test]
fn a_segment_that_the_relay_has_lost_comes_back_from_any_device_that_has_it() {
    let mut scene = Scene::new();
    scene.at_the_relay(cut_out);
    let c = SyncHome::new("server");
    c.restored(&scene.relay.url(), &scene.a.home.path().join("phrase"));
    let found = verify(&c, &[]);
    assert_eq!((found.code, found.json["parts_missing"].as_u64()), (Some(1), Some(1)), "{found:?}");
    let found = verify(&c, &["--repair"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.said.contains("run `caro sync verify --repair` on your other devices"), "{found:?}");
    // What it compares is brought to the relay on the way.
    let found = verify(&scene.b, &["--repair"]);
    assert_eq!((found.code, found.json["agree"].as_bool()), (Some(0), Some(true)), "{found:?}");
    scene.all_agree(&[&c]);
}

#[test]
fn a_segment_that_the_sync_store_has_lost_comes_back_from_the_relay() {
    let scene = Scene::new();
    for device in [&scene.a, &scene.b] {
        cut_out(&device.data("sync.db"), &scene.segment);
        let found = verify(device, &["--repair"]);
        assert_eq!((found.code, found.json["agree"].as_bool()), (Some(0), Some(true)), "{found:?}");
    }
    // Its writer goes on where the relay says that it was.
    cut_out(&scene.a.data("sync.db"), &scene.segment);
    let id = scene.a.add_one("afterwards");
    scene.a.now();
    scene.b.now();
    assert!(scene.b.records().contains_key(&id));
    scene.a.ok(["history", "delete", &id, "--yes"]);
    scene.all_agree(&[]);
}

#[test]
fn a_record_that_was_changed_in_the_file_is_put_back_whichever_way_it_was_changed() {
    let scene = Scene::new();
    let before = scene.a.records();
    for device in [&scene.a, &scene.b] {
        let db = rusqlite::Connection::open(device.data("history.db")).unwrap();
        for (like, text) in [("laptop 3", "zzz"), ("laptop 4", "AAA"), ("desktop 3", "zzz"), ("desktop 4", "AAA")] {
            let changed = db.execute("UPDATE records SET command = ?1 WHERE command = ?2", [text, like]).unwrap();
            assert_eq!(changed, 1);
        }
        drop(db);
        device.now();
        let found = verify(device, &[]);
        assert_eq!(
            (found.code, sum(&found, "missing_here"), sum(&found, "missing_there")),
            (Some(1), 4, 0),
            "{found:?}"
        );
        assert!(found.said.contains("`caro sync verify --repair` brings them together"), "{found:?}");
        let found = verify(device, &["--repair"]);
        assert_eq!((found.code, found.json["agree"].as_bool()), (Some(0), Some(true)), "{found:?}");
        assert_eq!(device.records(), before);
    }
    scene.all_agree(&[]);
}
