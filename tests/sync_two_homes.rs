//! Two devices, one history: whatever relay is between them, and whatever each had before.
//!
//! The scenarios run through three relays, two of which nobody here wrote: ours, the official SDK's under Node, and
//! the released `jazz-run sync`.

use crate::common::node::{JazzRun, NodeRelay};
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

/// A bash history of `count` commands, an hour apart from 2023 on, so that it spans several months.
fn bash_history(prefix: &str, count: usize) -> String {
    (0..count).map(|i| format!("#{}\n{prefix} {i} | tee 'out {i}.txt'\n", 1_700_000_000 + i * 3600)).collect()
}

fn import(device: &SyncHome, prefix: &str, count: usize) {
    let file = device.home.file("bash_history", bash_history(prefix, count));
    device.ok(["history", "import", "bash", "--file", file.to_str().unwrap()]);
    assert_eq!(device.records().len(), count);
}

/// What one device imported is on the other after a restore, field by field, and what either adds afterwards too.
fn one_history(relay: &str) {
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    import(&a, "make", 350);
    let phrase = a.init(relay);
    b.restored(relay, &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 350);

    b.add_one("from the desktop");
    a.add_one("from the laptop");
    let sent = b.now();
    assert_eq!((sent.sent, sent.received, sent.pending), (1, 0, 0));
    let both = a.now();
    assert_eq!((both.sent, both.received, both.pending), (1, 1, 0));
    let received = b.now();
    assert_eq!((received.sent, received.received, received.pending), (0, 1, 0));
    assert_eq!(assert_equal_histories(&[&a, &b]), 352);
    for device in [&a, &b] {
        let again = device.now();
        assert_eq!((again.sent, again.received, again.pending, again.missing), (0, 0, 0, 0), "nothing is left to do");
    }
}

/// Devices with histories of their own end with the union of all, a third one that comes late included.
fn union(relay: &str) {
    let (a, b, c) = (SyncHome::new("laptop"), SyncHome::new("desktop"), SyncHome::new("server"));
    import(&a, "laptop", 120);
    import(&b, "desktop", 130);
    import(&c, "server", 40);
    let phrase = a.init(relay);
    b.restored(relay, &phrase);
    c.restored(relay, &phrase);
    a.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b, &c]), 290);
    let devices = a.status()["devices"].as_array().unwrap().len();
    assert_eq!(devices, 3);
}

/// All that a record can carry comes over unchanged, whatever bytes a command is made of.
fn every_field(relay: &str) {
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let records = [
        r#"{"command":"printf 'é\n\ttab \"quoted\" \\ 日本 🦀'","prompt":"say it","exit":7,"duration_ns":123456789,"cwd":"/srv/été","session":"s-1","safety":"critical","tags":["x","ünï"],"model":"m","at":"2024-02-29T23:59:59.999999999Z"}"#,
        r#"{"command":"for i in 1 2\ndo echo $i\ndone","exit":0}"#,
    ];
    let added = a.run_with_input(["history", "add"], records.join("\n"));
    assert_eq!(added.code, Some(0), "{added:?}");
    let long = "x".repeat(10 * 1024);
    a.add_one(&long);
    let phrase = a.init(relay);
    b.restored(relay, &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 3);
    assert!(b.commands().contains(&long));
    let first = b.records().into_values().find(|r| r["exit"] == 7).expect("it came over");
    assert_eq!(first["cwd"], "/srv/été");
    assert_eq!(first["prompt"], "say it");
}

macro_rules! scenarios {
    ($through:ident, $relay:expr) => {
        mod $through {
            use super::*;
            #[test]
            fn two_homes_have_one_history() {
                let relay = $relay;
                one_history(relay.url().as_ref());
            }
            #[test]
            fn different_histories_become_their_union() {
                let relay = $relay;
                union(relay.url().as_ref());
            }
            #[test]
            fn every_field_of_a_record_comes_over() {
                let relay = $relay;
                every_field(relay.url().as_ref());
            }
        }
    };
}

scenarios!(through_caro_relay, Relay::new());
scenarios!(through_official_relay, NodeRelay::start(None));
scenarios!(through_jazz_run, JazzRun::start(None));

#[test]
fn an_identity_without_a_relay_gets_one_later() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("before any relay");
    let phrase = a.init("none");
    let nowhere = a.run(["sync", "now"]).failure(2);
    assert!(nowhere.stderr.contains("no relay is configured"), "{nowhere:?}");
    assert!(nowhere.stderr.contains("caro sync relay set"), "{nowhere:?}");
    assert_eq!(a.status()["pending"], 1);

    a.ok(["sync", "relay", "set", &relay.url(), "--yes"]);
    assert_eq!(a.now().sent, 1);
    b.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 1);
}

#[test]
fn a_new_relay_gets_everything_from_the_devices() {
    let (old, new) = (Relay::new(), Relay::new());
    let (a, b, late) = (SyncHome::new("laptop"), SyncHome::new("desktop"), SyncHome::new("server"));
    // More than one segment takes.
    a.add(&(0..750).map(|i| crate::sync_session_guard::noise(&format!("old {i}"))).collect::<Vec<_>>());
    let phrase = a.init(&old.url());
    b.restored(&old.url(), &phrase);
    drop(old);
    for device in [&a, &b] {
        device.ok(["sync", "relay", "set", &new.url(), "--yes"]);
        device.add_one(device.name);
        device.now();
    }
    a.now();
    late.restored(&new.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b, &late]), 752);
}

#[test]
fn a_device_that_was_away_for_months_catches_up() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    // Ten exchanges of a, none of b; records of several months and many small entries.
    for round in 0..10 {
        let lines: String = (0..30)
            .map(|i| {
                format!(
                    "{{\"command\":\"round {round} {i}\",\"at\":\"2025-{:02}-11T10:00:{i:02}Z\"}}\n",
                    round % 12 + 1
                )
            })
            .collect();
        assert_eq!(a.run_with_input(["history", "add"], lines).code, Some(0));
        a.now();
    }
    b.add(&(0..30).map(|i| format!("offline {i}")).collect::<Vec<_>>());
    let caught_up = b.now();
    assert_eq!((caught_up.received, caught_up.sent), (300, 30));
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 330);
}

/// A relay that lost its store, full segments and all, is filled again by whoever comes.
#[test]
fn a_relay_that_lost_everything_is_filled_again() {
    let mut relay = Relay::new();
    let a = SyncHome::new("laptop");
    import(&a, "kept by the device", 6_000);
    let phrase = a.init(&relay.url());
    let address = relay.address();
    assert!(relay.stop().success());
    let empty = tempfile::tempdir().unwrap();
    let again = Relay::start_at(empty.path(), address);
    a.now();
    let b = SyncHome::new("desktop");
    b.restored(&again.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 6_000);
}

/// Commands that do not compress, some of them large, never make a transaction that the protocol refuses.
#[test]
fn large_records_of_noise_go_up_and_come_down() {
    let relay = Relay::new();
    let a = SyncHome::new("laptop");
    let noise = |kilobytes: usize| -> String {
        (0..kilobytes * 1024 / 32).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect()
    };
    // Long texts are cut; directories never are.
    let lines = [65, 65, 65, 65, 550, 60, 200, 1, 300]
        .map(|kilobytes| serde_json::json!({ "command": "ls", "cwd": format!("/{}", noise(kilobytes)) }).to_string());
    assert_eq!(a.run_with_input(["history", "add"], lines.join("\n")).code, Some(0));
    let phrase = a.init(&relay.url());
    let b = SyncHome::new("desktop");
    b.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), lines.len());
}

/// A device that lost its old identity takes everything it has into a new one, also what came from others.
#[test]
fn a_new_identity_gets_the_records_of_all_devices() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("written on the first");
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    b.add_one("written on the second");
    for file in ["sync.json", "sync.db"] {
        std::fs::remove_file(b.data(file)).unwrap();
    }
    let new_phrase = b.init(&relay.url());
    let c = SyncHome::new("server");
    c.restored(&relay.url(), &new_phrase);
    assert_eq!(assert_equal_histories(&[&b, &c]), 2);
}
