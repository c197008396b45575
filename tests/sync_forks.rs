//! Copies of a home are devices of their own; a home that came back from a backup is the one it was.

use std::path::Path;

use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::sync_session_guard::copy_folder;

fn two_devices() -> (Relay, SyncHome, SyncHome) {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&(0..10).map(|i| format!("first {i}")).collect::<Vec<_>>());
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    a.now();
    (relay, a, b)
}

pub fn copy_home(from: &SyncHome, to: &Path) {
    for folder in ["config", "data"] {
        copy_folder(&from.home.path().join(folder), &to.join(folder));
    }
}

fn device(home: &SyncHome) -> String {
    home.status()["device_id"].as_str().unwrap().to_owned()
}

/// Runs the program as on another machine.
fn on(machine: &str, home: &SyncHome, args: &[&str]) -> String {
    let mut command = home.command(args);
    command.env("CARO_TEST_MACHINE", machine);
    let run = home.finish(command, b"");
    assert_eq!(run.code, Some(0), "on {machine}: {run:?}");
    run.stdout
}

#[test]
fn a_copied_home_is_a_device_of_its_own_from_its_first_command_on() {
    let (relay, a, b) = two_devices();
    // Captured before the copy was made, and known to no relay.
    let both = a.add_one("before the copy, not sent");
    let copy = SyncHome::new("copy");
    copy_home(&a, copy.home.path());
    let on_copy = copy.add_one("on the copy");
    let on_original = a.add_one("on the original");
    assert_ne!(device(&a), device(&copy), "recognised at capture");
    assert_eq!(copy.records()[&on_copy]["device_id"], device(&copy));
    assert_eq!(a.records()[&on_original]["device_id"], device(&a));

    let told = copy.ok(["sync", "now"]);
    assert!(told.stderr.contains("copy of another device's"), "{told:?}");
    assert!(!copy.ok(["sync", "now"]).stderr.contains("copy of"), "once is enough");
    for home in [&a, &b, &copy, &a] {
        home.now();
    }
    assert_ne!(a.session(), copy.session());
    assert_eq!(assert_equal_histories(&[&a, &b, &copy]), 13);
    assert!(a.records().contains_key(&both));
    let listed = b.ok(["sync", "devices", "list"]).stdout;
    assert!(listed.contains("laptop (copy)"), "{listed}");
    assert!(!relay.log().contains("signature"), "{}", relay.log());
    let again = copy.now();
    assert_eq!((again.sent, again.received, again.pending), (0, 0, 0));
}

/// Only the copy survives with what both had captured.
#[test]
fn what_only_the_copy_still_has_goes_up_from_there() {
    let (_relay, a, b) = two_devices();
    let both = a.add_one("before the copy, not sent");
    let copy = SyncHome::new("copy");
    copy_home(&a, copy.home.path());
    copy.now();
    b.now();
    assert!(b.records().contains_key(&both));
    assert_eq!(assert_equal_histories(&[&b, &copy]), 11);
}

#[test]
fn a_cloned_machine_is_a_device_of_its_own_and_the_original_stays() {
    let (relay, a, b) = two_devices();
    on("one", &a, &["sync", "now"]);
    let id = device_on("one", &a);
    let clone = SyncHome::new("clone");
    copy_home(&a, clone.home.path());
    // Both work before either syncs.
    on("two", &clone, &["history", "add", "--command", "on the clone"]);
    on("one", &a, &["history", "add", "--command", "on the original"]);
    for _ in 0..2 {
        on("two", &clone, &["sync", "now"]);
        on("one", &a, &["sync", "now"]);
    }
    b.now();
    assert_eq!(device_on("one", &a), id);
    assert_ne!(device_on("two", &clone), id);
    assert_eq!(assert_equal_histories(&[&b]), 12);
    let of = |machine, home| on(machine, home, &["history", "list", "--cmd-only"]).lines().count();
    assert_eq!((of("one", &a), of("two", &clone)), (12, 12));
    assert!(!relay.log().contains("signature"), "{}", relay.log());
}

/// A network home, or a disk that travels: a device on each machine, whose session goes on when the home is there again.
#[test]
fn a_home_that_machines_share_keeps_a_session_and_a_name_for_each() {
    let (relay, a, b) = two_devices();
    on("one", &a, &["sync", "now"]);
    let mut seen: [Vec<(String, String)>; 2] = [Vec::new(), Vec::new()];
    for round in 0..3 {
        for (number, machine) in ["one", "two"].into_iter().enumerate() {
            on(machine, &a, &["history", "add", "--command", &format!("on {machine} in round {round}")]);
            let told: serde_json::Value = serde_json::from_str(&on(machine, &a, &["sync", "now", "--json"])).unwrap();
            assert!(round == 0 || (told["sent"] == 1 && told["received"] == 0), "nothing is exchanged again: {told}");
            seen[number].push((device_on(machine, &a), a.session()));
        }
    }
    for of_one in &seen {
        assert!(of_one.iter().all(|again| *again == of_one[0]), "{seen:?}");
    }
    assert!(seen[0][0].0 != seen[1][0].0 && seen[0][0].1 != seen[1][0].1, "{seen:?}");
    b.now();
    assert_eq!(b.commands().len(), 10 + 6);
    let listed = b.ok(["sync", "devices", "list"]).stdout;
    // Where it was set up, and on the two.
    assert_eq!((listed.matches("laptop").count(), listed.matches("laptop (copy)").count()), (3, 2), "{listed}");
    assert!(!relay.log().contains("signature"), "{}", relay.log());
}

fn device_on(machine: &str, home: &SyncHome) -> String {
    let status = on(machine, home, &["sync", "status", "--offline", "--json"]);
    serde_json::from_str::<serde_json::Value>(&status).unwrap()["device_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_home_that_was_moved_is_the_device_it_was() {
    let (_relay, a, b) = two_devices();
    let id = device(&a);
    let moved = SyncHome::new("laptop");
    copy_home(&a, moved.home.path());
    for folder in ["config", "data"] {
        std::fs::remove_dir_all(a.home.path().join(folder)).unwrap();
    }
    moved.add_one("after the move");
    assert_eq!(device(&moved), id);
    moved.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&moved, &b]), 11);
}

/// A whole home from an old backup, at its old place: the same device, in a session of its own, that loses nothing.
#[test]
fn a_home_from_an_old_backup_is_the_device_it_was_in_a_new_session() {
    let (relay, a, b) = two_devices();
    let (id, session) = (device(&a), a.session());
    let backup = tempfile::tempdir().unwrap();
    copy_home(&a, backup.path());
    for round in 0..3 {
        a.add_one(&format!("after the backup {round}"));
        a.now();
    }
    for folder in ["config", "data"] {
        std::fs::remove_dir_all(a.home.path().join(folder)).unwrap();
        copy_folder(&backup.path().join(folder), &a.home.path().join(folder));
    }
    a.add_one("after the restore");
    assert_eq!(device(&a), id);
    for home in [&a, &b, &a] {
        home.now();
    }
    assert_eq!(device(&a), id);
    assert_ne!(a.session(), session);
    assert_eq!(assert_equal_histories(&[&a, &b]), 14);
    assert!(!relay.log().contains("signature"), "{}", relay.log());
}

/// A home whose keys did not come along joins again with the phrase, in place.
#[test]
fn a_copy_without_its_keys_joins_again_as_it_is_told() {
    let (relay, a, b) = two_devices();
    let copy = SyncHome::new("copy");
    copy_home(&a, copy.home.path());
    std::fs::remove_file(copy.data("keys")).unwrap();
    let id = copy.add_one("on the copy");
    let run = copy.run(["sync", "now"]).failure(3);
    assert!(run.stderr.contains("caro sync restore"), "{run:?}");
    copy.restored(&relay.url(), &a.home.path().join("phrase"));
    b.now();
    a.now();
    assert!(b.records().contains_key(&id));
    assert_eq!(assert_equal_histories(&[&a, &b, &copy]), 11);
    assert_ne!(device(&a), device(&copy));
}

/// A rule on its name, which the copy no longer has.
#[test]
fn what_is_kept_on_a_device_is_kept_on_its_copy() {
    let (_relay, a, b) = two_devices();
    a.ok(["sync", "filter", "add", "exclude", "device", "laptop"]);
    a.add_one("kept on the laptop");
    a.now();
    let copy = SyncHome::new("copy");
    copy_home(&a, copy.home.path());
    copy.add_one("kept on the copy");
    copy.now();
    assert_ne!(device(&a), device(&copy));
    copy.now();
    a.now();
    b.now();
    let commands = b.commands();
    assert!(!commands.iter().any(|command| command.contains("kept")), "{commands:?}");
}
