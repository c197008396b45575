//! Versions that differ: data that a real older build left, and data of a build one version ahead.
//!
//! `tests/vectors/home-v1` was written by build 532c2c1, the first that could sync: the home of one of two devices and the
//! store of their relay, databases compressed. It may never change.

use std::path::{Path, PathBuf};

use caro::history::{RECORD_VERSION, Record, UnixNanos};

use crate::common::home::Run;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

fn frozen(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/home-v1").join(name)
}

/// Puts the frozen relay and home in place, as an upgrade of the program finds them.
fn old_home() -> (tempfile::TempDir, Relay, SyncHome) {
    let unpack = |from: &str, to: &Path| {
        std::fs::write(to, zstd::decode_all(std::fs::read(frozen(from)).unwrap().as_slice()).unwrap()).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    unpack("relay.db.zst", &folder.path().join("relay.db"));
    let relay = Relay::start(folder.path());
    let home = SyncHome::new("old-laptop");
    let config = home.home.path().join("config");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::create_dir_all(home.home.data_dir()).unwrap();
    let text = std::fs::read_to_string(frozen("config/sync.toml")).unwrap();
    std::fs::write(config.join("sync.toml"), text.replace("ws://relay.invalid/", &relay.url())).unwrap();
    for name in ["keys", "sync.json"] {
        std::fs::copy(frozen("data").join(name), home.data(name)).unwrap();
    }
    for name in ["history.db", "sync.db"] {
        unpack(&format!("data/{name}.zst"), &home.data(name));
    }
    (folder, relay, home)
}

#[test]
fn a_home_and_a_relay_of_the_first_build_are_opened_exchanged_with_and_extended() {
    let (_folder, relay, a) = old_home();
    assert_eq!(a.commands().len(), 4);
    let report = a.now();
    assert_eq!((report.sent, report.pending, report.missing, report.unreadable), (1, 0, 0, 0));
    // A new device gets everything, field by field, with the phrase of then.
    let b = SyncHome::new("desktop");
    b.restored(&relay.url(), &frozen("phrase"));
    assert_eq!(assert_equal_histories(&[&a, &b]), 4);
    let rich = b.records().into_values().find(|record| record["command"] == "git status").unwrap();
    assert_eq!((&rich["cwd"], &rich["prompt"]), (&"/srv/été".into(), &"what changed".into()));
    assert_eq!(rich["tags"], serde_json::json!(["x", "ünï"]));

    // The devices of then are known, the one that never came back too.
    let devices = b.ok(["sync", "devices", "list"]).stdout;
    assert!(["old-laptop", "old-desktop", "desktop"].iter().all(|name| devices.contains(name)), "{devices}");
    // Everything that came later works with it.
    a.ok(["sync", "devices", "rename", "old-desktop", "attic"]);
    a.ok(["sync", "rotate-keys"]);
    a.add_one("after the upgrade");
    a.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 5);
    assert!(b.ok(["sync", "devices", "list"]).stdout.contains("attic"));
    assert!(b.ok(["sync", "now"]).stderr.is_empty(), "the same version throughout");
}

/// Runs the program as the build of the next version would.
fn ahead(home: &SyncHome, args: &[&str]) -> Run {
    let mut command = home.command(args);
    command.env("CARO_TEST_SCHEMA", "2");
    let run = home.finish(command, b"");
    assert_eq!(run.code, Some(0), "{run:?}");
    run
}

#[test]
fn a_device_one_version_behind_keeps_what_it_cannot_read_and_says_what_to_do() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("in the version of both");
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    a.now();

    a.add_one("in a version that the other does not know");
    ahead(&a, &["sync", "now"]);
    b.add_one("from the one behind");
    let told = b.ok(["sync", "now"]);
    assert!(told.stderr.contains("newer version of caro (data version 2, this one knows 1)"), "{told:?}");
    assert!(told.stderr.contains("upgrade"), "{told:?}");
    assert_eq!(b.commands().len(), 2);
    let status = b.ok(["sync", "status", "--offline"]);
    assert!(status.stderr.contains("data version 2"), "{status:?}");
    // It still knows the other by what it had heard of it.
    assert!(b.ok(["sync", "devices", "list"]).stdout.contains("laptop"));

    // The one ahead reads both, and sees no warning.
    let own = ahead(&a, &["sync", "now"]);
    assert!(!own.stderr.contains("data version"), "{own:?}");
    assert_eq!(a.commands().len(), 3);

    // Upgraded, the one behind has everything: nothing was dropped or overwritten.
    ahead(&b, &["sync", "now"]);
    assert_eq!(assert_equal_histories(&[&a, &b]), 3);
    let upgraded = ahead(&b, &["sync", "status", "--offline"]);
    assert!(!upgraded.stderr.contains("data version"), "{upgraded:?}");
}

/// A field that nobody knows yet passes through a device of today unchanged, also where that device writes the record
/// again because another one beside it was deleted.
#[test]
fn fields_of_a_newer_version_survive_a_round_through_this_one() {
    let relay = Relay::new();
    let (a, b, c) = (SyncHome::new("laptop"), SyncHome::new("desktop"), SyncHome::new("server"));
    let gone = a.add_one("to be deleted");
    let device = a.home.history().device_id().unwrap();
    let mut record = Record::new("of the future", UnixNanos(1_790_000_000_000_000_000), device);
    record.version = RECORD_VERSION + 1;
    record.unknown.insert("mood".into(), ciborium::Value::Array(vec![1.into(), "fine".into()]));
    a.home.history().add(&record).unwrap();
    let phrase = b.home.path().join("phrase");
    std::fs::copy(a.init(&relay.url()), &phrase).unwrap();
    b.restored(&relay.url(), &phrase);
    b.ok(["history", "delete", &gone, "--yes"]);
    b.now();
    drop(a);
    c.restored(&relay.url(), &phrase);
    assert_eq!(c.home.history().get(record.id).unwrap(), Some(record));
    assert_eq!(c.commands(), ["of the future"]);
}
