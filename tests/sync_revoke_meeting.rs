//! `sync revoke` and `delete --everywhere` where other devices go on meanwhile, do the same, or were ahead in version: nothing
//! is lost, everything is erased, and there is a way on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::common::wire::{Fate, Wire};
use crate::sync_closing::{ciphertexts, erased_from};

struct Scene {
    relay: Relay,
    a: SyncHome,
    b: SyncHome,
    phrase: PathBuf,
}

fn two_devices() -> Scene {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add_one("from the laptop");
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    a.now();
    Scene { relay, a, b, phrase }
}

/// Cuts a device's connection as soon as its state is so, until it is let through.
struct Cut {
    _wire: Wire,
    lets_through: Arc<AtomicBool>,
}

impl Cut {
    fn when(home: &SyncHome, relay: &Relay, is_so: fn(&Value) -> bool) -> Self {
        let (state, lets_through) = (home.data("sync.json"), Arc::new(AtomicBool::new(false)));
        let through = lets_through.clone();
        let tamper = move |_, _: &Value| {
            let now: Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
            if !through.load(Ordering::SeqCst) && is_so(&now) { Fate::Cut } else { Fate::Pass }
        };
        let wire = Wire::tampering(&relay.url(), Box::new(tamper));
        home.ok(["sync", "relay", "set", &wire.url(), "--yes"]);
        home.now();
        Self { _wire: wire, lets_through }
    }

    fn let_through(&self) {
        self.lets_through.store(true, Ordering::SeqCst);
    }
}

fn revoke<'a>(new: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["sync", "revoke", "--yes", "--phrase-out", new.to_str().unwrap()];
    args.extend(more);
    args
}

fn new_phrase(home: &SyncHome) -> PathBuf {
    home.home.path().join("new")
}

#[test]
fn what_a_device_sends_while_a_revocation_is_interrupted_moves_too() {
    let Scene { relay, a, b, .. } = two_devices();
    let cut = Cut::when(&a, &relay, |state| state["revoking"]["step"] == "moved");
    let new = new_phrase(&a);
    a.run(revoke(&new, &[])).failure(5);
    assert_eq!(a.state()["revoking"]["step"], "moved");
    let id = b.add_one("sent meanwhile, and then its disk broke");
    b.ok(["config", "set", "model_name", "chosen meanwhile"]);
    b.ok(["sync", "filter", "add", "exclude", "tag", "private"]);
    b.now();
    let before = ciphertexts(&b);
    drop(b);
    cut.let_through();
    a.ok(["sync", "revoke", "--yes"]);
    assert!(a.records().contains_key(&id));
    assert_eq!(a.ok(["config", "get", "model_name"]).stdout, "chosen meanwhile\n");
    erased_from(&relay, &before, 2);
    let c = SyncHome::new("server");
    c.restored(&relay.url(), &new);
    assert!(c.records().contains_key(&id));
    assert_eq!(c.ok(["config", "get", "model_name"]).stdout, "chosen meanwhile\n");
    assert_eq!(c.ok(["sync", "filter", "list"]).stdout, "  1  exclude tag \"private\"\n");
    assert!(c.ok(["sync", "devices", "list"]).stdout.contains("desktop"));
    assert_eq!(assert_equal_histories(&[&a, &c]), 2);
}

#[test]
fn what_a_device_sends_before_it_meets_the_mark_is_erased_too() {
    let Scene { relay, a, b, .. } = two_devices();
    let cut = Cut::when(&a, &relay, |state| !state["closing"].is_null());
    a.run(["sync", "delete", "--everywhere", "--yes"]).failure(5);
    // Its first segment, which is in no list that was made before.
    b.add_one("sent meanwhile, and then its disk broke");
    b.now();
    let before = ciphertexts(&b);
    drop(b);
    cut.let_through();
    a.ok(["sync", "delete", "--everywhere", "--yes"]);
    erased_from(&relay, &before, 2);
}

#[test]
fn nothing_is_replaced_over_what_cannot_be_read_unless_it_is_left_behind() {
    let Scene { relay, a, b, .. } = two_devices();
    b.add_one("in a version that the laptop does not know");
    let mut ahead = b.command(["sync", "now"]);
    ahead.env("CARO_TEST_SCHEMA", "2");
    assert_eq!(b.finish(ahead, b"").code, Some(0));
    let new = new_phrase(&a);
    let refused = a.run(revoke(&new, &[])).failure(1);
    for part in ["newer version of caro", "was not erased", "--leave-behind", "--abort"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    // Given up, the old phrase is as good as before.
    a.ok(["sync", "revoke", "--abort"]);
    assert!(!a.data("keys.next").exists());
    a.run(["sync", "revoke", "--abort"]).failure(2);
    a.add_one("with the old phrase");
    a.now();
    b.now();
    assert_eq!(b.commands().len(), 3);

    let newer = a.home.path().join("newer");
    a.ok(revoke(&newer, &["--leave-behind"]));
    let c = SyncHome::new("server");
    c.restored(&relay.url(), &newer);
    assert_eq!(c.commands().len(), 2);
}

#[test]
fn while_sync_is_disabled_nothing_is_erased_or_replaced() {
    let Scene { relay: _relay, a, b, .. } = two_devices();
    a.ok(["sync", "disable"]);
    for args in [vec!["sync", "delete", "--everywhere", "--yes"], revoke(&new_phrase(&a), &[])] {
        let refused = a.run(args).failure(1);
        assert!(refused.stderr.contains("caro sync enable"), "{refused:?}");
    }
    a.ok(["sync", "enable", "--yes"]);
    a.add_one("still synced");
    a.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 2);
}

#[test]
fn a_device_that_has_not_heard_of_it_joins_with_the_new_phrase_at_once() {
    let Scene { relay, a, b, phrase } = two_devices();
    let id = b.add_one("not sent yet");
    let refused = b.restore(&relay.url(), &phrase);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("already set up"), "{refused:?}");
    let new = new_phrase(&a);
    a.ok(revoke(&new, &[]));
    b.restored(&relay.url(), &new);
    a.now();
    assert!(a.records().contains_key(&id));

    // The same where it was taken out.
    a.ok(["sync", "devices", "remove", "desktop", "--yes"]);
    b.restored(&relay.url(), &new);
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 2);
}

#[test]
fn the_second_of_two_revocations_gives_up_where_nothing_was_moved() {
    let Scene { relay, a, b, .. } = two_devices();
    let cut = Cut::when(&b, &relay, |state| state["revoking"]["step"] == "begun");
    b.add_one("from the desktop");
    b.run(revoke(&new_phrase(&b), &[])).failure(5);
    let new = new_phrase(&a);
    a.ok(revoke(&new, &[]));
    cut.let_through();
    let told = b.run(["sync", "revoke", "--yes"]).failure(1);
    for part in ["replaced by a new one from laptop", "caro sync restore"] {
        assert!(told.stderr.contains(part), "{told:?}");
    }
    assert!(b.state()["revoking"].is_null() && !b.data("keys.next").exists());
    b.restored(&relay.url(), &new);
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 2);
}

#[test]
fn of_two_revocations_that_moved_everything_both_are_told_and_both_phrases_work() {
    let Scene { relay, a, b, .. } = two_devices();
    let cut = Cut::when(&b, &relay, |state| state["revoking"]["step"] == "moved");
    b.add_one("from the desktop");
    let (new, other) = (new_phrase(&a), new_phrase(&b));
    b.run(revoke(&other, &[])).failure(5);
    a.ok(revoke(&new, &[]));
    cut.let_through();
    let told = b.ok(["sync", "revoke", "--yes"]);
    assert!(told.stderr.contains("replaced by a new one from laptop"), "{told:?}");
    b.now();
    for phrase in [&new, &other] {
        let c = SyncHome::new("server");
        c.restored(&relay.url(), phrase);
        assert_eq!(c.commands().len(), 2);
    }
}
