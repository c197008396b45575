//! Deleted means gone: hidden on every device at once, and its ciphertext in no file of any device or the relay.
//!
//! The ciphertext of a record is found by its sealed blob: what the relay holds before a deletion and must not hold
//! afterwards are the transactions of the record's segment, as they lie in the stores.

use crate::common::sync::{
    Relay, SyncHome, assert_equal_histories, await_erasure, bytes_of, ciphertexts, contains, holds,
};

fn delete(device: &SyncHome, id: &str) {
    device.ok(["history", "delete", id, "--yes"]);
}

/// Two devices with the same history, of which one record is to go, and what every store holds of its segment.
struct Scene {
    relay: Relay,
    a: SyncHome,
    b: SyncHome,
    secret: String,
    pieces: Vec<Vec<u8>>,
}

const SECRET: &str = "tell nobody kanarie-deleted-4711";

impl Scene {
    fn new() -> Self {
        let relay = Relay::new();
        let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
        a.add(&(0..20).map(|i| format!("before {i}")).collect::<Vec<_>>());
        let secret = a.add_one(SECRET);
        let phrase = a.init(&relay.url());
        b.restored(&relay.url(), &phrase);
        b.add_one("from the desktop");
        b.now();
        a.now();
        assert_eq!(assert_equal_histories(&[&a, &b]), 22);
        let own = ciphertexts(&a.data("sync.db"));
        let there = bytes_of(relay.data());
        let pieces: Vec<_> = own.into_iter().filter(|piece| contains(&there, piece)).collect();
        assert!(!pieces.is_empty(), "the search finds what is there");
        Self { relay, a, b, secret, pieces }
    }

    /// The transactions that hold the secret, by elimination: they are gone once it is deleted.
    #[track_caller]
    fn nowhere(&self, homes: &[&SyncHome], pieces: &[Vec<u8>]) {
        await_erasure(&self.relay, pieces);
        for home in homes {
            assert!(!holds(&home.home.data_dir(), pieces), "{} still holds what was deleted", home.name);
            let history = bytes_of(&home.data("history.db"));
            assert!(!contains(&history, b"kanarie-deleted"), "{} still holds its text", home.name);
        }
    }
}

/// Of these pieces those that were in the segment that was erased: what the deleting device's store has no more.
fn erased(home: &SyncHome, before: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let after = ciphertexts(&home.data("sync.db"));
    before.iter().filter(|piece| !after.contains(piece)).cloned().collect()
}

#[test]
fn what_is_deleted_leaves_every_store_and_the_rest_stays() {
    let scene = Scene::new();
    for home in [&scene.a, &scene.b] {
        assert!(contains(&bytes_of(&home.data("history.db")), b"kanarie-deleted"), "the search finds it");
        assert!(scene.pieces.iter().all(|piece| contains(&bytes_of(&home.data("sync.db")), piece)));
    }
    delete(&scene.a, &scene.secret);
    assert_eq!(scene.a.records().len(), 21, "hidden here at once");
    scene.a.now();
    let gone = erased(&scene.a, &scene.pieces);
    assert!(!gone.is_empty(), "its segment was rewritten");
    assert!(gone.len() < scene.pieces.len(), "the other device's segment was not");
    scene.b.now();
    scene.nowhere(&[&scene.a, &scene.b], &gone);
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b]), 21);

    // Whoever comes later gets the rest, and nothing of it.
    let late = SyncHome::new("server");
    let phrase = scene.a.home.path().join("phrase");
    late.restored(&scene.relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b, &late]), 21);
    scene.nowhere(&[&late], &gone);
    for device in [&scene.a, &scene.b] {
        let again = device.now();
        assert_eq!((again.sent, again.received, again.pending, again.missing), (0, 0, 0, 0), "nothing is left to do");
    }
}

#[test]
fn another_devices_record_can_be_deleted_and_its_writer_goes_on() {
    let scene = Scene::new();
    delete(&scene.b, &scene.secret);
    scene.b.now();
    let gone = erased(&scene.b, &scene.pieces);
    assert!(!gone.is_empty());
    // The writer's segment is gone; what it adds goes elsewhere.
    scene.a.add_one("after the deletion");
    scene.a.now();
    scene.b.now();
    scene.nowhere(&[&scene.a, &scene.b], &gone);
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b]), 22);
}

/// A relay that takes what a device sends and is then set back has lost what the device believes it has sent.
#[test]
fn what_a_writer_had_added_to_a_segment_that_was_erased_meanwhile_survives() {
    let mut scene = Scene::new();
    assert!(scene.relay.stop().success());
    let backup = scene.a.home.file("relay.db", std::fs::read(scene.relay.data().join("relay.db")).unwrap());
    scene.relay.start_again();
    scene.a.add(&["late 1".to_owned(), "late 2".to_owned()]);
    assert_eq!(scene.a.now().sent, 2);
    assert!(scene.relay.stop().success());
    std::fs::copy(backup, scene.relay.data().join("relay.db")).unwrap();
    scene.relay.start_again();

    // B rewrites the segment without those two.
    delete(&scene.b, &scene.secret);
    scene.b.now();
    let gone = erased(&scene.b, &scene.pieces);
    assert!(!gone.is_empty());
    scene.a.add_one("late 3");
    scene.a.now();
    scene.b.now();
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b]), 24);
    scene.nowhere(&[&scene.a, &scene.b], &gone);
}

#[test]
fn two_devices_that_rewrite_at_once_agree() {
    let scene = Scene::new();
    let other = scene.a.records().into_iter().find(|(_, r)| r["command"] == "before 7").unwrap().0;
    delete(&scene.a, &scene.secret);
    delete(&scene.b, &other);
    std::thread::scope(|scope| {
        for device in [&scene.a, &scene.b] {
            scope.spawn(|| device.now());
        }
    });
    for _ in 0..2 {
        scene.a.now();
        scene.b.now();
    }
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b]), 20);
    let gone = erased(&scene.a, &scene.pieces);
    scene.nowhere(&[&scene.a, &scene.b], &gone);
}

#[test]
fn a_deletion_wins_over_whatever_the_others_still_do_with_the_record() {
    let scene = Scene::new();
    delete(&scene.a, &scene.secret);
    scene.a.now();
    // B had not heard of it and holds the record still; its next exchange does not bring it back.
    assert_eq!(scene.b.records().len(), 22);
    scene.b.add_one("meanwhile");
    scene.b.now();
    scene.a.now();
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b]), 22);
    assert!(!scene.b.commands().contains(&SECRET.to_owned()));
}

#[test]
fn a_record_that_never_went_up_never_does() {
    let scene = Scene::new();
    let never = scene.a.add_one("echo kanarie-never");
    delete(&scene.a, &never);
    assert_eq!(scene.a.now().sent, 0);
    scene.b.now();
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b]), 22);
}

#[test]
fn without_a_relay_a_deletion_waits_and_is_done_when_there_is_one() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let id = a.add_one(SECRET);
    a.add_one("kept");
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    a.ok(["sync", "relay", "set", "none"]);
    delete(&a, &id);
    assert_eq!(assert_equal_histories(&[&b]), 2);
    a.ok(["sync", "relay", "set", &relay.url(), "--yes"]);
    a.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 1);
}

#[test]
fn what_a_query_finds_is_shown_or_deleted_everywhere() {
    let scene = Scene::new();
    let with = |flag| {
        let run = scene.b.ok(["history", "delete", "--query", "before 1", flag, "--json"]);
        run.json()[0]["deleted"].as_array().unwrap().len()
    };
    assert_eq!(with("--dry-run"), 11);
    assert_eq!(scene.b.records().len(), 22, "nothing was deleted");
    let refused = scene.b.run(["history", "delete", "--query", "before 1"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(with("--yes"), 11);
    scene.b.now();
    scene.a.now();
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b]), 11);
    assert!(!scene.a.commands().iter().any(|command| command.starts_with("before 1")));
}

#[test]
fn whoever_forgets_the_history_here_hears_what_may_be_nowhere_else() {
    let scene = Scene::new();
    scene.b.add_one("on this machine only");
    let run = scene.b.ok(["history", "clear", "--yes"]);
    assert_eq!(run.stdout, "forgot 23 commands\n");
    assert!(run.stderr.contains("Not synced was 1 command."), "{run:?}");
}
