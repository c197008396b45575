//! Devices: listed with what they say of themselves, renamed and removed from elsewhere.

use serde_json::Value;

use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

fn two_devices() -> (Relay, SyncHome, SyncHome) {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("on the laptop");
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    a.now();
    (relay, a, b)
}

fn devices(home: &SyncHome) -> Vec<Value> {
    let run = home.ok(["sync", "devices", "list", "--json"]);
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(value["schema_version"], 1);
    value["devices"].as_array().unwrap().clone()
}

fn names(home: &SyncHome) -> Vec<String> {
    let mut names: Vec<_> = devices(home).iter().map(|d| d["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn every_device_knows_all_devices() {
    let (_relay, a, b) = two_devices();
    for home in [&a, &b] {
        assert_eq!(names(home), ["desktop", "laptop"]);
        let this: Vec<_> = devices(home).into_iter().filter(|d| d["this_device"] == true).collect();
        assert_eq!(this.len(), 1);
        assert_eq!(this[0]["name"], home.name);
        assert_eq!(this[0]["device_id"], home.status()["device_id"]);
        assert_eq!(this[0]["platform"], std::env::consts::OS);
        assert_eq!(this[0]["app_version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(this[0]["removed"], false);
        assert!(this[0]["last_sync"].is_string() && this[0]["joined_at"].is_string());
    }
    let laptop = devices(&b).into_iter().find(|d| d["name"] == "laptop").unwrap();
    assert_eq!(laptop["commands"], 1);
    let shown = a.ok(["sync", "devices", "list"]).stdout;
    assert!(shown.contains("laptop") && shown.contains("(this device)"), "{shown}");
}

/// What was written of the devices, as the store has it: the number of transactions in it.
fn transactions(home: &SyncHome) -> u64 {
    let db = rusqlite::Connection::open(home.data("sync.db")).unwrap();
    db.query_row("SELECT count(*) FROM transactions", [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
}

#[test]
fn an_exchange_with_nothing_to_say_writes_nothing_and_time_is_told_once_a_day() {
    let (_relay, a, _b) = two_devices();
    let clock = a.home.file("clock", "0");
    let now = || {
        let mut command = a.command(["sync", "now"]);
        command.env("CARO_TEST_CLOCK", &clock);
        assert_eq!(a.finish(command, b"").code, Some(0));
        // What it says to the others; the list that it prints of itself is newer.
        let told: Value = serde_json::from_slice(&std::fs::read(a.data("devices.json")).unwrap()).unwrap();
        let told = told.as_array().unwrap().iter().find(|device| device["id"] == a.state()["device"]).unwrap().clone();
        (transactions(&a), told["last_sync"].as_i64().unwrap())
    };
    let before = now();
    assert_eq!(now(), before, "a silent exchange");
    std::fs::write(&clock, "86000").unwrap();
    assert_eq!(now(), before, "not yet");
    std::fs::write(&clock, "87000").unwrap();
    let later = now();
    assert_eq!(later.0, before.0 + 1);
    assert!(later.1 > before.1);
    // A clock that was put back does not silence the device until it has caught up.
    std::fs::write(&clock, "-864000").unwrap();
    let back = now();
    assert_eq!(back.0, later.0 + 1);
    assert!(back.1 < before.1);
}

#[test]
fn a_name_given_elsewhere_is_taken_over_and_a_later_one_wins() {
    let (_relay, a, b) = two_devices();
    a.ok(["sync", "devices", "rename", "desktop", "tower"]);
    assert_eq!(names(&a), ["laptop", "tower"]);
    b.now();
    assert_eq!(names(&b), ["laptop", "tower"]);
    assert_eq!(b.status()["device_name"], "tower", "it calls itself so too");

    // Its owner calls it something else again, by its own configuration.
    let config = b.home.path().join("config/sync.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("tower", "under the desk")).unwrap();
    b.now();
    a.now();
    b.now();
    for home in [&a, &b] {
        assert_eq!(names(home), ["laptop", "under the desk"]);
    }
    assert_eq!(b.status()["device_name"], "under the desk");

    // Its own name, by the command.
    a.ok(["sync", "devices", "rename", "laptop", "notebook"]);
    assert_eq!(a.status()["device_name"], "notebook");
    b.now();
    assert_eq!(names(&b), ["notebook", "under the desk"]);
}

#[test]
fn a_removed_device_stops_loses_nothing_and_can_come_back() {
    let (relay, a, b) = two_devices();
    b.add_one("sent before");
    b.now();
    a.now();
    let removed = a.ok(["sync", "devices", "remove", "desktop", "--yes"]);
    for part in ["still holds your recovery phrase", "caro sync revoke"] {
        assert!(removed.stderr.contains(part), "{removed:?}");
    }
    let id = b.add_one("not sent yet");
    let run = b.run(["sync", "now"]).failure(1);
    assert!(run.stderr.contains("this device was removed"), "{run:?}");
    assert!(run.stderr.contains("caro sync restore"), "{run:?}");
    assert_eq!(b.status()["pending"], 1, "it stopped before it sent anything");
    // It does not ask the relay again, and goes on capturing.
    drop(relay);
    let relay = Relay::new();
    b.run(["sync", "now"]).failure(1);
    b.add_one("captured meanwhile");
    assert_eq!(b.commands().len(), 4);

    // Everybody keeps what it wrote, and sees that it is out.
    a.ok(["sync", "relay", "set", &relay.url(), "--yes"]);
    a.now();
    assert!(a.commands().contains(&"sent before".to_owned()));
    let out = devices(&a).into_iter().find(|d| d["name"] == "desktop").unwrap();
    assert_eq!(out["removed"], true);

    b.restored(&relay.url(), &a.home.path().join("phrase"));
    a.now();
    assert!(a.records().contains_key(&id));
    assert_eq!(assert_equal_histories(&[&a, &b]), 4);
    assert!(devices(&a).iter().all(|d| d["removed"] == false));
    b.now();
}

#[test]
fn a_device_is_named_without_doubt_and_never_the_one_at_hand() {
    let (_relay, a, b) = two_devices();
    let unknown = a.run(["sync", "devices", "remove", "fridge", "--yes"]).failure(2);
    assert!(unknown.stderr.contains("caro sync devices list"), "{unknown:?}");
    let own = a.run(["sync", "devices", "remove", "laptop", "--yes"]).failure(2);
    assert!(own.stderr.contains("the device you are at"), "{own:?}");
    let asked = a.run(["sync", "devices", "remove", "desktop"]).failure(2);
    assert!(asked.stderr.contains("--yes"), "{asked:?}");
    a.ok(["sync", "devices", "rename", "desktop", "laptop"]);
    let twice = a.run(["sync", "devices", "rename", "laptop", "x"]).failure(2);
    assert!(twice.stderr.contains("beginning of its id"), "{twice:?}");
    let id = b.status()["device_id"].as_str().unwrap().to_owned();
    a.ok(["sync", "devices", "rename", &id[..6], "by id"]);
    assert_eq!(names(&a), ["by id", "laptop"]);
}
