//! `sync revoke`: a new phrase with everything, the old account erased, other devices told; and again after kill -9.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::random::Random;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::sync_closing::{ciphertexts, erased_from};
use crate::sync_kill::{kill, pass};

fn two_devices(records: usize) -> (Relay, SyncHome, SyncHome) {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&(0..records).map(|i| format!("from the laptop {i}")).collect::<Vec<_>>());
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    b.add_one("from the desktop");
    b.now();
    a.now();
    (relay, a, b)
}

fn old_phrase(home: &SyncHome) -> PathBuf {
    home.home.path().join("phrase")
}

fn revocation(home: &SyncHome, phrase: &Path) -> std::process::Command {
    let args = ["sync", "revoke", "--yes", "--phrase-out"].map(std::ffi::OsStr::new);
    home.command(args.into_iter().chain([phrase.as_os_str()]))
}

fn revoked(home: &SyncHome, phrase: &Path) {
    let run = home.finish(revocation(home, phrase), b"");
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn everything_moves_to_the_new_phrase_and_the_old_one_opens_nothing() {
    let (relay, a, b) = two_devices(150);
    let id = b.add_one("not sent yet");
    let before = ciphertexts(&a);
    let new = a.home.path().join("new");
    revoked(&a, &new);
    assert!(!a.data("keys.next").exists() && !a.data("sync.next.db").exists());
    erased_from(&relay, &before, 2);
    assert_eq!(a.commands().len(), 151);

    // Whoever has the old phrase finds the mark and nothing else.
    let thief = SyncHome::new("thief");
    let run = thief.restore(&relay.url(), &old_phrase(&a));
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("replaced by a new one"), "{run:?}");
    assert!(thief.commands().is_empty());
    assert!(!thief.data("sync.json").exists());

    // The other device keeps its history, stops, and is told.
    let told = b.run(["sync", "now"]).failure(1);
    for part in ["this recovery phrase was replaced by a new one from laptop", "caro sync restore"] {
        assert!(told.stderr.contains(part), "{told:?}");
    }
    assert_eq!(b.commands().len(), 152);
    assert!(!b.data("sync.db").exists());
    b.run(["sync", "now"]).failure(1);

    b.restored(&relay.url(), &new);
    a.now();
    assert!(a.records().contains_key(&id), "what it had not sent goes up with the new phrase");
    let c = SyncHome::new("server");
    c.restored(&relay.url(), &new);
    assert_eq!(assert_equal_histories(&[&a, &b, &c]), 152);
    // Devices moved as well, and are themselves again.
    let listed = c.ok(["sync", "devices", "list"]).stdout;
    assert!(["laptop", "desktop", "server"].iter().all(|name| listed.contains(name)), "{listed}");
    // And the phrase is what `phrase show` gives from now on.
    a.ok(["sync", "phrase", "verify", "--phrase-file", new.to_str().unwrap()]);
}

#[test]
fn a_device_that_never_comes_back_is_still_in_the_list() {
    let (relay, a, _b) = two_devices(3);
    let new = a.home.path().join("new");
    revoked(&a, &new);
    a.now();
    let c = SyncHome::new("server");
    c.restored(&relay.url(), &new);
    assert!(c.ok(["sync", "devices", "list"]).stdout.contains("desktop"));
}

#[test]
fn without_its_relay_nothing_is_revoked_and_later_it_goes_on_with_the_same_phrase() {
    let (mut relay, a, b) = two_devices(3);
    relay.kill();
    let new = a.home.path().join("new");
    let run = a.finish(revocation(&a, &new), b"").failure(5);
    assert!(run.stderr.contains("cannot reach"), "{run:?}");
    let refused = a.run(["sync", "now"]).failure(1);
    assert!(refused.stderr.contains("caro sync revoke"), "{refused:?}");
    relay.start_again();
    a.ok(["sync", "revoke", "--yes"]);
    b.run(["sync", "now"]).failure(1);
    b.restored(&relay.url(), &new);
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 4);
}

#[test]
fn without_a_terminal_it_names_the_flags() {
    let (_relay, a, _b) = two_devices(1);
    assert!(a.run(["sync", "revoke", "--yes"]).failure(2).stderr.contains("--phrase-out"));
    let new = a.home.path().join("new");
    let run = a.run(["sync", "revoke", "--phrase-out", new.to_str().unwrap()]).failure(2);
    assert!(run.stderr.contains("--yes"), "{run:?}");
    assert!(!new.exists());
    a.now();
}

#[test]
fn a_revocation_that_was_killed_anywhere_goes_on() {
    let mut random = Random::from_environment();
    let mut usual = Duration::from_secs(3);
    for round in 0..7 {
        let (relay, a, b) = two_devices(120);
        let id = b.add_one("not sent yet");
        let before = ciphertexts(&a);
        let mut new = a.home.path().join("new");
        let begun = Instant::now();
        if round == 0 {
            revoked(&a, &new);
            usual = begun.elapsed();
        } else {
            // More than once, so that what goes on is interrupted too.
            for _ in 0..2 {
                let child = revocation(&a, &new).spawn().unwrap();
                pass(Duration::from_micros(random.below(u64::try_from(usual.as_micros()).unwrap())));
                kill(child);
                if a.state()["revoking"].is_null() {
                    break;
                }
                // Captured meanwhile.
                a.add_one("meanwhile");
            }
            let account = a.state()["account"].clone();
            if !a.state()["revoking"].is_null() {
                a.ok(["sync", "revoke", "--yes"]);
                assert_ne!(a.state()["account"], account, "round {round}");
            } else if new.exists()
                && a.run(["sync", "phrase", "verify", "--phrase-file", new.to_str().unwrap()]).code != Some(0)
            {
                // Killed before it had begun: the file it had written opens nothing.
                new = a.home.path().join("newer");
                revoked(&a, &new);
            } else if !new.exists() {
                revoked(&a, &new);
            }
        }
        erased_from(&relay, &before, 2);
        a.now();
        b.run(["sync", "now"]).failure(1);
        b.restored(&relay.url(), &new);
        a.now();
        let c = SyncHome::new("server");
        c.restored(&relay.url(), &new);
        assert!(a.records().contains_key(&id), "round {round}");
        assert!(assert_equal_histories(&[&a, &b, &c]) >= 122, "round {round}");
        assert!(!relay.log().contains("signature"), "{}", relay.log());
    }
}
