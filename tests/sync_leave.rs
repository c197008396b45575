//! An account that a device is in by mistake is left for another: the history stays, and goes to the other one.

use crate::common::pty::Terminal;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::sync_terminal::words_shown;

/// Two devices, each of which has made an account of its own; with the phrase of the first.
fn strangers(relay: &Relay) -> (SyncHome, SyncHome, std::path::PathBuf) {
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    a.add_one("on a");
    a.now();
    b.init(&relay.url());
    b.add_one("on b, sent");
    b.now();
    b.add_one("on b, not sent");
    (a, b, phrase)
}

fn leave(device: &SyncHome, relay: &str, phrase: &std::path::Path) -> crate::common::home::Run {
    let phrase = phrase.to_str().unwrap();
    device.run(["sync", "restore", "--leave", "--phrase-file", phrase, "--relay", relay, "--yes"])
}

#[test]
fn a_device_that_made_an_account_by_mistake_joins_the_right_one_with_its_history() {
    let relay = Relay::new();
    let (a, b, phrase) = strangers(&relay);
    let refused = b.restore(&relay.url(), &phrase).failure(1);
    assert!(refused.stderr.contains("caro sync restore --leave"), "{refused:?}");
    let left = leave(&b, &relay.url(), &phrase);
    assert_eq!(left.code, Some(0), "{left:?}");
    b.now();
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 3);
    assert_eq!(a.state()["account"], b.state()["account"]);
    b.add_one("later");
    b.now();
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 4);
}

/// As a kill leaves it: the store lies aside, and another one was begun.
#[test]
fn an_attempt_that_was_killed_does_not_cost_the_store() {
    use std::os::unix::fs::MetadataExt;
    let relay = Relay::new();
    let (_, b, _) = strangers(&relay);
    let account = b.state()["account"].clone();
    let unknown = b.home.file("unknown", "legal winner thank year wave sausage worth useful legal winner thank yellow");
    let store = || b.data("sync.db").metadata().unwrap().ino();
    let before = store();
    std::fs::rename(b.data("sync.db"), b.data("sync.left.db")).unwrap();
    std::fs::write(b.data("sync.db"), "").unwrap();
    let refused = leave(&b, &relay.url(), &unknown);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert_eq!((store(), b.data("sync.left.db").exists()), (before, false));
    assert_eq!((b.now().sent, &b.state()["account"]), (1, &account));
}

#[test]
fn who_cannot_join_the_other_account_keeps_the_one_they_have() {
    let relay = Relay::new();
    let (_, b, _) = strangers(&relay);
    let before = (b.state()["account"].clone(), b.session());
    let unknown = b.home.file("unknown", "legal winner thank year wave sausage worth useful legal winner thank yellow");
    let refused = leave(&b, &relay.url(), &unknown);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert_eq!((b.state()["account"].clone(), b.session()), before);
    assert_eq!(b.now().sent, 1);
    assert_eq!(b.session(), before.1, "it goes on where it was");
    let own = b.home.path().join("phrase");
    let same = leave(&b, &relay.url(), &own);
    assert!(same.code == Some(1) && same.stderr.contains("already set up"), "{same:?}");
    b.now();
}

#[test]
fn at_a_terminal_it_is_offered_and_the_phrase_may_be_pasted_as_it_was_shown() {
    let relay = Relay::new();
    let (a, b, _) = strangers(&relay);
    let mut terminal = Terminal::run(&a, &["sync", "phrase", "show"]);
    terminal.sees("[y/N] ").types("y");
    let shown = terminal.ends().stderr;
    assert_eq!(words_shown(&shown).len(), 24);
    let lines: Vec<&str> = shown.rsplit("[y/N] ").next().unwrap().lines().filter(|line| line.contains(". ")).collect();
    assert_eq!(lines.len(), 6, "{shown}");

    let mut terminal = Terminal::run(&b, &["sync", "restore"]);
    terminal.sees("takes part in an account already").sees("Leave it? [y/N] ").types("n");
    let kept = terminal.ends();
    assert!(kept.code == Some(1) && kept.stderr.contains("Nothing was changed."), "{kept:?}");
    let mut terminal = Terminal::run(&b, &["sync", "restore"]);
    terminal.sees("Leave it? [y/N] ").types("y").sees("Recovery phrase");
    terminal.types(&lines.join("\n")).sees(&format!("Relay (Enter for {}", relay.url())).types("");
    terminal.sees("Your commands stay on this machine until you agree").sees("[y/N] ").types("y");
    let passphrase = "Passphrase of the key file (Enter for none): ";
    terminal.sees(passphrase).types("");
    let joined = terminal.ends();
    assert_eq!(joined.code, Some(0), "{joined:?}");
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 3);
}

#[test]
fn an_account_that_no_relay_ever_had_is_erased_without_one() {
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init("none");
    let erased = device.ok(["sync", "delete", "--everywhere", "--yes"]);
    assert!(erased.stderr.contains("your commands are still on this machine"), "{erased:?}");
    assert_eq!(device.commands(), ["ls"]);
    assert!(!device.data("keys").exists());
    let status = device.ok(["sync", "status"]);
    assert!(status.stderr.contains("`caro sync init` begins anew") && !status.stdout.contains("Next"), "{status:?}");
    let relay = Relay::new();
    std::fs::remove_file(device.home.path().join("phrase")).unwrap();
    device.init(&relay.url());
    assert_eq!(device.now().pending, 0);
}

#[test]
fn where_a_relay_was_in_use_it_is_needed_to_erase_what_it_has() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    device.ok(["sync", "relay", "set", "none"]);
    let refused = device.run(["sync", "delete", "--everywhere", "--yes"]).failure(2);
    assert!(refused.stderr.contains("caro sync relay set"), "{refused:?}");
    assert!(device.data("keys").exists());
}

#[test]
fn what_is_agreed_to_is_true_on_a_device_that_has_synced_for_long() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    let other = Relay::new();
    let set = device.ok(["sync", "relay", "set", &other.url(), "--yes"]);
    assert!(set.stderr.contains("From now on your history goes to this relay."), "{set:?}");
    assert!(!set.stderr.contains("never") && !set.stderr.contains("until you agree"), "{set:?}");
}

#[test]
fn devices_of_one_name_are_told_apart_and_names_fit_a_list() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("laptop"));
    let phrase = a.init(&relay.url());
    let joined = b.restore(&relay.url(), &phrase);
    assert!(joined.stderr.contains("caro sync devices rename ID NAME"), "{joined:?}");
    for wrong in ["", " ", "two\nlines", "\u{1b}[31mred", &"x".repeat(65)] {
        b.run(["sync", "devices", "rename", "laptop", wrong]).failure(2);
        b.run(["sync", "init", "--new", "--device-name", wrong, "--yes"]).failure(2);
    }
    let id = b.status()["device_id"].as_str().unwrap().to_owned();
    b.ok(["sync", "devices", "rename", &id, &"ü".repeat(64)]);
}
