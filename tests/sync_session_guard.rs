//! A session has one writer: a copied home, a restored backup and a lost store never fork it.
//!
//! If two stores wrote in one session, the relay would refuse one of them for good, and both would have used one
//! nonce twice. And whatever a store no longer holds is sent again, or comes back.

use std::path::Path;

use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

/// Copies a folder with everything in it into new files.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// A device that is set up, another one, and their relay.
fn two_devices() -> (Relay, SyncHome, SyncHome) {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&(0..20).map(|i| format!("first {i}")).collect::<Vec<_>>());
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    (relay, a, b)
}

#[test]
fn a_copied_home_gets_a_session_of_its_own_and_loses_nothing() {
    let (relay, a, b) = two_devices();
    let copy = SyncHome::new("copy");
    for folder in ["config", "data"] {
        copy_folder(&a.home.path().join(folder), &copy.home.path().join(folder));
    }
    for round in 0..4 {
        a.add_one(&format!("on the original {round}"));
        copy.add_one(&format!("on the copy {round}"));
        a.now();
        copy.now();
    }
    a.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &copy, &b]), 28);
    assert_ne!(a.session(), copy.session());
    assert!(!relay.log().contains("signature"), "the relay refused nothing: {}", relay.log());
    let again = copy.now();
    assert_eq!((again.sent, again.received, again.pending), (0, 0, 0));
}

#[test]
fn copies_that_write_at_the_same_time_lose_nothing() {
    let (relay, a, b) = two_devices();
    let copy = SyncHome::new("copy");
    for folder in ["config", "data"] {
        copy_folder(&a.home.path().join(folder), &copy.home.path().join(folder));
    }
    // Enough to fill segments while the other one writes to them.
    let bulky = |on: &str, round: u32| (0..150).map(|i| noise(&format!("{on} {round} {i}"))).collect::<Vec<_>>();
    for round in 0..3 {
        std::thread::scope(|scope| {
            for device in [&a, &copy] {
                scope.spawn(move || {
                    device.add(&bulky(device.name, round));
                    device.now();
                });
            }
        });
    }
    for device in [&a, &copy, &b, &a, &copy] {
        device.now();
    }
    assert_eq!(assert_equal_histories(&[&a, &copy, &b]), 20 + 2 * 3 * 150);
    assert!(!relay.log().contains("signature"), "{}", relay.log());
}

/// A kilobyte that compression makes little smaller.
pub fn noise(seed: &str) -> String {
    let mut text = format!("{seed} ");
    let mut hash = blake3::hash(seed.as_bytes());
    while text.len() < 1024 {
        text.push_str(&hash.to_hex());
        hash = blake3::hash(hash.as_bytes());
    }
    text
}

/// Keeps the two databases as they are now.
fn backup(device: &SyncHome, folder: &Path) {
    for name in ["sync.db", "sync.db-wal", "history.db", "history.db-wal"] {
        if device.data(name).exists() {
            std::fs::copy(device.data(name), folder.join(name)).unwrap();
        }
    }
}

/// Puts these of them back: over the same files, or as new ones.
fn restore_backup(device: &SyncHome, folder: &Path, databases: &[&str], new_files: bool) {
    for database in databases {
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("{database}{suffix}");
            let (kept, target) = (folder.join(&name), device.data(&name));
            if target.exists() && (new_files || !kept.exists()) {
                std::fs::remove_file(&target).unwrap();
            }
            if kept.exists() {
                std::fs::copy(&kept, &target).unwrap();
            }
        }
    }
}

/// After a backup was restored, nothing that was ever exchanged is lost, and what comes after it arrives.
fn an_old_backup_is_harmless(databases: &[&str], new_files: bool) {
    let (relay, a, b) = two_devices();
    let folder = tempfile::tempdir().unwrap();
    backup(&a, folder.path());
    for round in 0..3 {
        a.add(&(0..5).map(|i| format!("after the backup {round} {i}")).collect::<Vec<_>>());
        a.now();
    }
    restore_backup(&a, folder.path(), databases, new_files);
    a.add_one("after the restore");
    a.now();
    a.add_one("and once more");
    a.now();
    b.now();
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 20 + 15 + 2);
    assert!(!relay.log().contains("signature"), "the relay refused nothing: {}", relay.log());
}

#[test]
fn a_backup_over_the_same_files_is_harmless() {
    an_old_backup_is_harmless(&["sync.db", "history.db"], false);
}

#[test]
fn a_backup_in_new_files_is_harmless() {
    an_old_backup_is_harmless(&["sync.db", "history.db"], true);
}

#[test]
fn a_backup_of_the_sync_store_alone_is_harmless() {
    an_old_backup_is_harmless(&["sync.db"], false);
    an_old_backup_is_harmless(&["sync.db"], true);
}

#[test]
fn a_backup_of_the_history_alone_is_harmless() {
    an_old_backup_is_harmless(&["history.db"], false);
}

/// Records that the sync store held and the relay never got are sent again when the store is set back.
fn what_was_never_sent_is_sent(lose: impl Fn(&SyncHome, &Path)) {
    let (mut relay, a, b) = two_devices();
    // What b wrote of itself has arrived, so that a has nothing to say but its new record.
    a.now();
    let folder = tempfile::tempdir().unwrap();
    backup(&a, folder.path());
    // An exchange that gets as far as the store: the relay falls silent after the registries.
    let liar = silent_upwards(&relay.url());
    a.ok(["sync", "relay", "set", &liar.url(), "--yes"]);
    let id = a.add_one("never sent");
    a.run(["sync", "now", "--timeout", "1"]).failure(5);
    assert_eq!(a.status()["pending"], 1, "the store has taken it, and nobody has confirmed it");
    a.ok(["sync", "relay", "set", &relay.url(), "--yes"]);
    lose(&a, folder.path());
    a.add_one("something else");
    a.now();
    b.now();
    assert!(b.records().contains_key(&id), "nothing that was acknowledged is lost");
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 22);
    assert!(relay.stop().success());
}

/// The same with records of different months, which lie in different segments.
#[test]
fn what_only_a_later_store_held_in_another_month_is_sent_again() {
    let (relay, a, b) = two_devices();
    a.now();
    let of_month = |month: &str, command: &str| {
        let run =
            a.ok(["history", "add", "--command", command, "--cwd", "/src", "--at", &format!("{month}-15T12:00:00Z")]);
        run.stdout.trim().to_owned()
    };
    of_month("2026-09", "begins the segment of a month");
    a.now();
    let folder = tempfile::tempdir().unwrap();
    backup(&a, folder.path());
    let liar = silent_upwards(&relay.url());
    a.ok(["sync", "relay", "set", &liar.url(), "--yes"]);
    let id = of_month("2026-09", "taken by the store, never sent");
    a.run(["sync", "now", "--timeout", "1"]).failure(5);
    assert_eq!(a.status()["pending"], 1, "the store has taken it, and nobody has confirmed it");
    a.ok(["sync", "relay", "set", &relay.url(), "--yes"]);
    restore_backup(&a, folder.path(), &["sync.db"], false);
    of_month("2026-10", "of another month");
    a.now();
    b.now();
    assert!(b.records().contains_key(&id), "nothing that was acknowledged is lost");
    a.now();
    assert_equal_histories(&[&a, &b]);
}

/// A relay that takes nothing: every content on the way up is dropped.
fn silent_upwards(relay: &str) -> crate::common::wire::Wire {
    use crate::common::wire::{Fate, Way, Wire};
    Wire::tampering(
        relay,
        Box::new(|way, message| if way == Way::Up && message["action"] == "content" { Fate::Drop } else { Fate::Pass }),
    )
}

#[test]
fn what_only_a_lost_store_held_is_sent_again() {
    what_was_never_sent_is_sent(|a, _| std::fs::remove_file(a.data("sync.db")).unwrap());
}

#[test]
fn what_only_a_later_store_held_is_sent_again() {
    what_was_never_sent_is_sent(|a, backup| restore_backup(a, backup, &["sync.db"], false));
    what_was_never_sent_is_sent(|a, backup| restore_backup(a, backup, &["sync.db"], true));
}

#[test]
fn without_its_store_a_device_begins_a_new_session_and_goes_on() {
    let (_relay, a, b) = two_devices();
    let before = a.session();
    std::fs::remove_file(a.data("sync.db")).unwrap();
    a.add_one("without a store");
    assert_eq!(a.now().sent, 1, "what the relay has is not sent again");
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 21);
    assert_ne!(a.session(), before);
}

#[test]
fn without_its_state_a_device_is_not_set_up_and_can_join_again() {
    let (relay, a, b) = two_devices();
    std::fs::remove_file(a.data("sync.json")).unwrap();
    let run = a.run(["sync", "now"]).failure(3);
    assert!(run.stderr.contains("caro sync restore"), "{run:?}");
    a.add_one("while it was out");
    let phrase = a.home.path().join("phrase");
    a.restored(&relay.url(), &phrase);
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 21);
    let report = a.now();
    assert_eq!((report.sent, report.received), (0, 0));
}

#[test]
fn without_its_keys_a_device_says_how_to_get_them_back() {
    let (_relay, a, _b) = two_devices();
    std::fs::remove_file(a.data("keys")).unwrap();
    let run = a.run(["sync", "now"]).failure(3);
    assert!(run.stderr.contains("the keys of this identity are not in the key store"), "{run:?}");
    assert!(run.stderr.contains("caro sync restore"), "{run:?}");
}

#[test]
fn a_damaged_state_file_is_named_and_left_alone() {
    let (_relay, a, _b) = two_devices();
    std::fs::write(a.data("sync.json"), "{").unwrap();
    let run = a.run(["sync", "now"]).failure(2);
    assert!(run.stderr.contains("sync.json"), "{run:?}");
    assert_eq!(std::fs::read_to_string(a.data("sync.json")).unwrap(), "{");
}

#[test]
fn a_sync_store_that_is_no_database_is_an_error_and_left_alone() {
    let (_relay, a, b) = two_devices();
    std::fs::write(a.data("sync.db"), "this is not a database, but long enough to be looked at".repeat(20)).unwrap();
    let run = a.run(["sync", "now"]);
    assert_eq!(run.code, Some(6), "{run:?}");
    assert!(run.stderr.contains("sync.db"), "{run:?}");

    // What it says to do helps.
    std::fs::remove_file(a.data("sync.db")).unwrap();
    a.add_one("afterwards");
    a.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 21);
}

/// The index names a segment whose content neither reached the relay nor survived on the device that wrote it.
#[test]
fn a_lost_segment_is_written_again_and_nobody_waits_for_it() {
    use crate::common::wire::{Fate, Way, Wire};
    let (relay, a, b) = two_devices();
    a.now();
    let mut withheld = std::collections::BTreeSet::new();
    let liar = Wire::tampering(
        &relay.url(),
        Box::new(move |way, message| {
            if way != Way::Up || message["action"] != "content" {
                return Fate::Pass;
            }
            let id = message["id"].as_str().unwrap().to_owned();
            if message["header"]["type"] == "costream" {
                withheld.insert(id.clone());
            }
            if withheld.contains(&id) { Fate::Drop } else { Fate::Pass }
        }),
    );
    a.ok(["sync", "relay", "set", &liar.url(), "--yes"]);
    let id = a.add_one("in a segment that gets lost");
    a.run(["sync", "now", "--timeout", "1"]).failure(5);
    assert_eq!(a.status()["pending"], 1, "the store has taken it, and nobody has confirmed it");
    assert_eq!(b.now().missing, 1, "the index got through");

    std::fs::remove_file(a.data("sync.db")).unwrap();
    a.ok(["sync", "relay", "set", &relay.url(), "--yes"]);
    a.now();
    assert_eq!(b.now().missing, 0);
    assert!(b.records().contains_key(&id), "nothing that was acknowledged is lost");
    a.now();
    assert_equal_histories(&[&a, &b]);
}
