//! `sync delete --everywhere`: what was synced is gone from the relay and every device, what never left one stays, and
//! an interruption anywhere is taken up again.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::random::Random;
use crate::common::sync::{Relay, SyncHome, bytes_of, contains};
use crate::sync_kill::{kill, pass};

fn two_devices(records: usize) -> (Relay, SyncHome, SyncHome) {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&(0..records).map(|i| format!("synced {i}")).collect::<Vec<_>>());
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    b.add_one("synced from the desktop");
    b.now();
    a.now();
    (relay, a, b)
}

/// Every encrypted transaction in a store that is not the account's own or its group's.
pub fn ciphertexts(home: &SyncHome) -> Vec<String> {
    let db = rusqlite::Connection::open(home.data("sync.db")).unwrap();
    let mut rows = db
        .prepare(
            "SELECT tx FROM transactions JOIN sessions ON ses = sessions.rowID JOIN coValues ON coValue = coValues.rowID \
             WHERE header NOT LIKE '%\"type\":\"group\"%'",
        )
        .unwrap();
    let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.filter_map(|tx| {
        serde_json::from_str::<Value>(&tx.unwrap()).unwrap()["encryptedChanges"].as_str().map(str::to_owned)
    })
    .collect()
}

/// Waits until a relay's files hold none of these any more but `kept` at most: the root's few changes.
pub fn erased_from(relay: &Relay, ciphertexts: &[String], kept: usize) {
    let begun = Instant::now();
    loop {
        let bytes = bytes_of(relay.data());
        let left = ciphertexts.iter().filter(|text| contains(&bytes, text.as_bytes())).count();
        if left <= kept {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{left} of {} are still there", ciphertexts.len());
        std::thread::park_timeout(crate::common::home::BETWEEN_LOOKS);
    }
}

fn left(run: &crate::common::home::Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn everything_that_was_synced_goes_everywhere_and_what_never_left_stays() {
    let (relay, a, b) = two_devices(150);
    a.add_one("only on the laptop");
    b.add_one("only on the desktop");
    let before = ciphertexts(&a);
    assert!(before.len() > 5);
    let run = a.ok(["sync", "delete", "--everywhere", "--yes", "--json"]);
    let proof = left(&run);
    assert_eq!((proof["with_content"].as_u64(), proof["unknown"].as_u64()), (Some(0), Some(0)), "{proof}");
    // Six registries and two segments at least.
    assert!(proof["headers"].as_u64().unwrap() >= 8, "{proof}");
    assert_eq!(proof["marked"], true);
    assert_eq!(a.commands(), ["only on the laptop"]);
    assert!(!a.data("sync.db").exists() && !a.data("keys").exists() && !a.data("devices.json").exists());
    // The root's entries, which name the registries that are gone and carry the mark, cannot be deleted.
    erased_from(&relay, &before, 2);

    let here = a.run(["sync", "now"]).failure(1);
    assert!(here.stderr.contains("everything that was synced was erased"), "{here:?}");
    let status = a.ok(["sync", "status", "--offline"]);
    for told in [&here.stderr, &status.stderr] {
        assert!(told.contains("caro sync init") && !told.contains("caro sync restore"), "{told}");
        assert!(!told.contains("permissions alone"), "there are no keys any more: {told}");
    }

    let told = b.run(["sync", "now"]).failure(1);
    assert!(told.stderr.contains("everything that was synced was erased on all devices from laptop"), "{told:?}");
    assert!(told.stderr.contains("caro sync init"), "{told:?}");
    assert_eq!(b.commands(), ["only on the desktop"]);
    assert!(!b.data("sync.db").exists());
    // Again, and without a relay to ask.
    drop(relay);
    b.run(["sync", "now"]).failure(1);
    assert!(b.ok(["sync", "status", "--offline"]).stderr.contains("erased on all devices"));

    // Both can begin anew.
    let relay = Relay::new();
    let phrase = b.home.path().join("new phrase");
    b.ok([
        "sync".as_ref(),
        "init".as_ref(),
        "--new".as_ref(),
        "--relay".as_ref(),
        relay.url().as_ref(),
        "--phrase-out".as_ref(),
        phrase.as_os_str(),
        "--yes".as_ref(),
    ]);
    a.restored(&relay.url(), &phrase);
    assert_eq!(a.commands(), ["only on the desktop", "only on the laptop"]);
}

/// What a device had in its store and not yet at the relay must not come to the relay for good afterwards.
#[test]
fn what_a_device_brings_late_is_erased_too() {
    use crate::common::wire::{Fate, Way, Wire};
    let (relay, a, b) = two_devices(5);
    let silent = Wire::tampering(
        &relay.url(),
        Box::new(|way, message| if way == Way::Up && message["action"] == "content" { Fate::Drop } else { Fate::Pass }),
    );
    b.ok(["sync", "relay", "set", &silent.url(), "--yes"]);
    b.add_one("in the store, not at the relay");
    b.run(["sync", "now", "--timeout", "1"]).failure(5);
    b.ok(["sync", "relay", "set", &relay.url(), "--yes"]);
    let late = ciphertexts(&b);
    a.ok(["sync", "delete", "--everywhere", "--yes"]);
    b.run(["sync", "now"]).failure(1);
    erased_from(&relay, &late, 2);
}

#[test]
fn nothing_is_erased_without_the_words_or_the_flag() {
    let (_relay, a, _b) = two_devices(3);
    let run = a.run(["sync", "delete", "--everywhere"]).failure(2);
    assert!(run.stderr.contains("--yes"), "{run:?}");
    a.run(["sync", "delete", "--yes"]).failure(2);
    a.now();
    assert_eq!(a.commands().len(), 4);
}

#[test]
fn without_its_relay_nothing_is_erased_and_later_it_goes_on() {
    let (mut relay, a, b) = two_devices(3);
    relay.kill();
    a.run(["sync", "delete", "--everywhere", "--yes"]).failure(5);
    assert_eq!(a.commands().len(), 4);
    relay.start_again();
    a.ok(["sync", "delete", "--everywhere", "--yes"]);
    assert!(a.commands().is_empty());
    b.run(["sync", "now"]).failure(1);
    assert!(b.commands().is_empty());
}

#[test]
fn an_erasure_that_was_killed_anywhere_goes_on() {
    let mut random = Random::from_environment();
    let mut usual = Duration::from_millis(800);
    for round in 0..6 {
        let (relay, a, b) = two_devices(120);
        a.add_one("own");
        let before = ciphertexts(&a);
        let begun = Instant::now();
        if round == 0 {
            a.ok(["sync", "delete", "--everywhere", "--yes"]);
            usual = begun.elapsed();
        } else {
            let child = a.command(["sync", "delete", "--everywhere", "--yes"]).spawn().unwrap();
            pass(Duration::from_micros(random.below(u64::try_from(usual.as_micros()).unwrap())));
            kill(child);
            if a.state()["closed"].is_null() {
                if !a.state()["closing"].is_null() {
                    let refused = a.run(["sync", "now"]).failure(1);
                    assert!(refused.stderr.contains("was interrupted"), "{refused:?}");
                }
                let proof = left(&a.ok(["sync", "delete", "--everywhere", "--yes", "--json"]));
                assert_eq!((proof["with_content"].as_u64(), proof["marked"].as_bool()), (Some(0), Some(true)));
            }
        }
        assert_eq!(a.commands(), ["own"], "round {round}");
        erased_from(&relay, &before, 2);
        b.run(["sync", "now"]).failure(1);
        assert!(b.commands().is_empty(), "round {round}");
    }
}

/// The other device is killed while it does what the mark asks for.
#[test]
fn a_device_that_was_killed_while_it_erased_goes_on() {
    let mut random = Random::from_environment();
    for _ in 0..4 {
        let (relay, a, b) = two_devices(120);
        b.add_one("own");
        let before = ciphertexts(&b);
        a.ok(["sync", "delete", "--everywhere", "--yes"]);
        let child = b.command(["sync", "now"]).spawn().unwrap();
        pass(Duration::from_micros(random.below(600_000)));
        kill(child);
        b.run(["sync", "now"]).failure(1);
        assert_eq!(b.commands(), ["own"]);
        assert!(!b.data("sync.db").exists());
        erased_from(&relay, &before, 2);
    }
}

/// A device that was set back knows of nothing where it lies, and has queued what it has; but that it was synced it knows.
#[test]
fn what_was_synced_goes_also_where_a_device_has_forgotten_where_it_lies() {
    let (_relay, a, b) = two_devices(20);
    b.add_one("only on the desktop");
    let history = b.home.history();
    history.forget_places().unwrap();
    history.requeue_all(history.device_id().unwrap()).unwrap();
    drop(history);
    a.ok(["sync", "delete", "--everywhere", "--yes"]);
    drop(b.run(["sync", "now"]).failure(1));
    assert_eq!(b.commands(), ["only on the desktop"]);
}
