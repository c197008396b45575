//! The edge cases of the specification, one test each, with the real program and a real relay.
//!
//! Those that a test elsewhere already is are not repeated; `docs/spec-coverage.md` names them all.

use serde_json::Value;

use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

fn two_devices() -> (Relay, SyncHome, SyncHome) {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    (relay, a, b)
}

#[test]
fn identity_without_the_phrase_nothing_is_recovered_and_with_a_device_left_it_is_not_lost() {
    let (relay, a, b) = two_devices();
    a.add_one("kept");
    a.now();
    std::fs::remove_file(a.home.path().join("phrase")).unwrap();
    drop(a);
    // A device that is left has it still.
    let written = b.home.path().join("shown");
    b.ok(["sync", "phrase", "show", "--phrase-out", written.to_str().unwrap()]);
    let c = SyncHome::new("server");
    c.restored(&relay.url(), &written);
    assert_eq!(c.commands(), ["kept"]);
    // Without one, another phrase opens nothing, and the relay has none to give.
    drop((b, c));
    let stranger = SyncHome::new("stranger");
    let other = stranger.home.file("other", ["abandon"; 11].join(" ") + " about");
    let run = stranger.restore(&relay.url(), &other).failure(4);
    assert!(run.stderr.contains("opens nothing"), "{run:?}");
}

#[test]
fn identity_all_devices_are_equal() {
    let (relay, a, b) = two_devices();
    let phrase = a.home.path().join("phrase");
    let first = a.add_one("of the first device");
    a.now();
    let late = SyncHome::new("server");
    late.restored(&relay.url(), &phrase);
    // The one that came last may all that the first one may: delete, rename, rotate, show the phrase.
    late.ok(["history", "delete", &first, "--yes"]);
    late.ok(["sync", "devices", "rename", "laptop", "old laptop"]);
    late.ok(["sync", "rotate-keys"]);
    late.now();
    for device in [&a, &b] {
        device.now();
        assert!(!device.records().contains_key(&first));
        assert!(device.ok(["sync", "devices", "list"]).stdout.contains("old laptop"));
    }
    let shown = late.home.path().join("shown");
    late.ok(["sync", "phrase", "show", "--phrase-out", shown.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(shown).unwrap(), std::fs::read_to_string(phrase).unwrap());
}

#[test]
fn identity_the_phrase_alone_admits_a_device() {
    let (relay, a, b) = two_devices();
    a.add_one("from before");
    a.now();
    let phrase = a.home.file("copied", std::fs::read(a.home.path().join("phrase")).unwrap());
    // No other device is on, asked or even there any more.
    let late = SyncHome::new("server");
    late.restored(&relay.url(), &phrase);
    assert_eq!(late.commands(), ["from before"]);
    late.add_one("from the new one");
    late.now();
    for device in [&a, &b] {
        device.now();
    }
    assert_eq!(assert_equal_histories(&[&a, &b, &late]), 2);
}

#[test]
fn conflicts_of_two_values_set_offline_the_later_wins_and_the_other_can_be_taken_back() {
    let (_relay, a, b) = two_devices();
    a.ok(["config", "set", "default_model", "first"]);
    b.ok(["config", "set", "default_model", "second"]);
    for device in [&b, &a, &b, &a] {
        device.now();
    }
    for device in [&a, &b] {
        assert_eq!(device.ok(["config", "get", "default_model"]).stdout, "second\n", "on {}", device.name);
    }
    a.ok(["config", "undo", "default_model"]);
    assert_eq!(a.ok(["config", "get", "default_model"]).stdout, "first\n");
    a.now();
    b.now();
    assert_eq!(b.ok(["config", "get", "default_model"]).stdout, "first\n");
}

#[test]
fn conflicts_a_command_that_is_deleted_while_it_runs_elsewhere_is_gone() {
    let (_relay, a, b) = two_devices();
    let id = b.add_one("make release");
    b.now();
    a.now();
    let mut record = b.records()[&id].clone();
    a.ok(["history", "delete", &id, "--yes"]);
    a.now();
    // It ends only now, on a device that has not heard of the deletion.
    record["exit"] = 0.into();
    assert_eq!(b.run_with_input(["history", "add"], format!("{record}\n")).code, Some(0));
    assert_eq!(b.records()[&id]["exit"], 0);
    assert_eq!(b.status()["pending"], 1);
    for device in [&b, &a, &b] {
        device.now();
    }
    assert_eq!(assert_equal_histories(&[&a, &b]), 0);
}

#[test]
fn privacy_a_sensitive_command_that_went_up_is_deleted_from_all_devices_and_the_relay() {
    let (relay, a, b) = two_devices();
    let phrase = a.home.path().join("phrase");
    let id = a.add_one("curl https://intern.example/correct-horse-battery");
    a.add_one("harmless");
    a.now();
    b.now();
    b.ok(["history", "delete", &id, "--yes"]);
    b.now();
    a.now();
    b.now();
    let late = SyncHome::new("server");
    late.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b, &late]), 1);
    for device in [&a, &b, &late] {
        let bytes = crate::common::sync::bytes_of(&device.home.data_dir());
        let there = crate::common::sync::contains(&bytes, b"correct-horse-battery");
        assert!(!there, "it is still in a file of {}", device.name);
    }
}

/// What a relay can see: ids, the month a value was made in, hours, sizes; never more.
#[test]
fn privacy_a_relay_sees_ids_times_and_sizes_and_nothing_else() {
    let (relay, a, b) = two_devices();
    for (device, count) in [(&a, 3), (&b, 40)] {
        device.add(&(0..count).map(|i| format!("kanarie number {i}")).collect::<Vec<_>>());
        device.now();
    }
    a.now();
    let db = rusqlite::Connection::open_with_flags(
        relay.data().join("relay.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    let rows = |sql: &str| -> Vec<(String, String)> {
        let mut statement = db.prepare(sql).unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    for (_, header) in rows("SELECT id, header FROM coValues") {
        let header: Value = serde_json::from_str(&header).unwrap();
        for (field, value) in header.as_object().unwrap() {
            let harmless = match field.as_str() {
                "type" | "uniqueness" | "ruleset" => true,
                "meta" => value.is_null() || *value == serde_json::json!({ "type": "account" }),
                "createdAt" => value.is_null() || value.as_str().unwrap().ends_with("-01T00:00:00.000Z"),
                _ => false,
            };
            assert!(harmless, "{field}: {header}");
        }
    }
    let mut sizes = std::collections::BTreeSet::new();
    for (header, transaction) in rows(
        "SELECT header, tx FROM transactions JOIN sessions ON ses = sessions.rowID JOIN coValues ON coValue = coValues.rowID",
    ) {
        let transaction: Value = serde_json::from_str(&transaction).unwrap();
        if header.contains("\"ownedByGroup\"") && transaction["privacy"] == "trusting" {
            panic!("readable outside the account and its group: {transaction}");
        }
        for field in transaction.as_object().unwrap().keys() {
            let known = ["privacy", "madeAt", "keyUsed", "encryptedChanges", "changes", "meta"];
            assert!(known.contains(&field.as_str()), "{transaction}");
        }
        if header.contains("\"costream\"") {
            assert_eq!(transaction["madeAt"].as_u64().unwrap() % 3_600_000, 0, "more than the hour: {transaction}");
            sizes.insert(transaction["encryptedChanges"].as_str().unwrap().len());
        }
    }
    assert!(!sizes.is_empty());
}

#[test]
fn data_90_days_and_10_000_commands_are_synced_by_default() {
    let relay = Relay::new();
    let a = SyncHome::with_limits("laptop");
    let day = |days: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days)).to_string();
    let lines: String = (0..10_020)
        .map(|i| format!("{}\n", serde_json::json!({ "command": format!("recent {i}"), "at": day(1) })))
        .chain([89, 91].map(|days| format!("{}\n", serde_json::json!({ "command": "old", "at": day(days) }))))
        .collect();
    assert_eq!(a.run_with_input(["history", "add"], lines).code, Some(0));
    assert_eq!(a.ok(["config", "get", "sync.retention_days"]).stdout, "90\n");
    assert_eq!(a.ok(["config", "get", "sync.max_records"]).stdout, "10000\n");
    let phrase = a.init(&relay.url());
    a.now();
    let b = SyncHome::with_limits("desktop");
    b.restored(&relay.url(), &phrase);
    assert_eq!(b.records().len(), 10_000, "the newest; the two old ones are behind them");
    assert!(!b.commands().contains(&"old".to_owned()));
    // More are let through: then the 90 days alone decide.
    a.ok(["config", "set", "sync.max_records", "unlimited"]);
    a.now();
    b.now();
    assert_eq!((a.records().len(), b.records().len()), (10_022, 10_021));
    // Both limits are settings.
    a.ok(["config", "set", "sync.retention_days", "unlimited"]);
    a.now();
    b.now();
    assert_eq!(b.records().len(), 10_022);
}

#[test]
fn data_a_command_can_be_kept_from_sync_by_a_pattern_and_by_hand() {
    let (_relay, a, b) = two_devices();
    a.ok(["sync", "filter", "add", "exclude", "command", "internal-*"]);
    a.add_one("internal-deploy --all");
    let by_hand = a.add_one("taken back by hand");
    a.add_one("ordinary");
    a.ok(["history", "delete", &by_hand, "--yes"]);
    a.now();
    b.now();
    assert_eq!(b.commands(), ["ordinary"]);
    assert_eq!(a.commands(), ["internal-deploy --all", "ordinary"]);
}

#[test]
fn data_a_large_command_is_cut_or_left_out_as_chosen() {
    let (_relay, a, b) = two_devices();
    let large = format!("echo {}", "large ".repeat(3_000));
    a.add_one(&large);
    a.now();
    b.now();
    let there = b.commands();
    assert!(there[0].len() <= 10_240 && large.starts_with(&there[0][..5_000]), "cut: {} bytes", there[0].len());
    assert_eq!(a.commands(), std::slice::from_ref(&large), "whole where it ran");
    a.ok(["config", "set", "sync.large_records", "exclude"]);
    a.add_one(&format!("second {large}"));
    a.now();
    b.now();
    assert_eq!(b.records().len(), 1);
    assert_eq!(a.records().len(), 2);
}
