//! The acceptance scenarios of the specification, one test each, with the real program and a real relay.
//!
//! Three of them are tests elsewhere, word for word: that a compromised relay holds only encrypted blobs
//! (`sync_secrecy::stores_and_traffic_hold_nothing_readable`), and that without an opt-in nothing reaches anybody
//! (`sync_local_only::history_commands_open_no_socket_and_start_no_thread`); and that the terminal asks for the phrase
//! (`sync_terminal::a_phrase_is_typed_at_the_terminal_until_it_is_right`).

use std::time::{Duration, Instant};

use crate::common::home::wait_until;
use crate::common::line::{Line, Weather};
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

/// Two devices of one user, each with a line of its own to the relay.
struct Pair {
    relay: Relay,
    a: SyncHome,
    b: SyncHome,
    to_a: Line,
    to_b: Line,
}

fn pair() -> Pair {
    let relay = Relay::new();
    let (to_a, to_b) = (Line::to(relay.address()), Line::to(relay.address()));
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&to_a.url());
    b.restored(&to_b.url(), &phrase);
    Pair { relay, a, b, to_a, to_b }
}

#[test]
fn initialization_1_init_makes_an_identity_with_a_recovery_phrase() {
    use std::os::unix::fs::PermissionsExt;
    let relay = Relay::new();
    for words in [24, 12] {
        let a = SyncHome::new("laptop");
        let phrase = a.home.path().join("phrase");
        let count = words.to_string();
        let (url, file) = (relay.url(), phrase.to_str().unwrap());
        let args = ["sync", "init", "--new", "--words", &count, "--relay", &url, "--phrase-out", file, "--yes"];
        a.ok(args);
        let text = std::fs::read_to_string(&phrase).unwrap();
        assert_eq!(text.split_whitespace().count(), words);
        bip0039::Mnemonic::<bip0039::English>::from_phrase(text.trim()).expect("a phrase of BIP39 with its checksum");
        assert_eq!(std::fs::metadata(&phrase).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(a.status()["set_up"], true);
    }
}

#[test]
fn initialization_2_init_with_an_existing_identity_wants_its_phrase() {
    let pair = pair();
    let (relay, a) = (&pair.relay, &pair.a);
    a.add_one("there before");
    a.now();
    let late = SyncHome::new("server");
    let url = relay.url();
    // It asks; where nobody can be asked it names what answers.
    let asked = late.run(["sync", "init", "--relay", &url, "--yes"]);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.stderr.contains("--phrase-file") && asked.stderr.contains("--new"), "{asked:?}");
    let phrase = a.home.path().join("phrase");
    late.ok(["sync", "init", "--relay", &url, "--phrase-file", phrase.to_str().unwrap(), "--yes"]);
    late.now();
    assert_eq!(late.commands(), ["there before"]);
}

#[test]
fn initialization_3_a_wrong_phrase_is_a_clear_error_that_tells_nothing() {
    let relay = Relay::new();
    let line = Line::to(relay.address());
    let words = ["zebra"; 24].join(" ");
    for (phrase, why) in [
        (format!("{}x", words), "no word of the list"),
        (words.clone(), "a wrong checksum"),
        (["abandon"; 11].join(" ") + " about", "nobody's phrase"),
    ] {
        let a = SyncHome::new("laptop");
        let file = a.home.file("typed", &phrase);
        let run = a.restore(&line.url(), &file).failure(4);
        for word in ["zebra", "abandon", "about", "zebrax"] {
            let said = run.stderr.split(|c: char| !c.is_alphanumeric()).any(|said| said == word);
            assert!(!said || (word == "about" && why == "nobody's phrase"), "{why}: {run:?}");
        }
        assert!(run.stderr.contains("Hint: "), "{why}: {run:?}");
        assert!(!a.data("sync.json").exists() && !a.data("keys").exists(), "{why}: nothing is set up");
    }
}

#[test]
fn across_devices_1_a_command_is_on_a_device_that_comes_online_within_30_seconds() {
    let pair = pair();
    let (a, b) = (&pair.a, &pair.b);
    a.exchanges("realtime");
    b.exchanges("realtime");
    let _on_a = a.daemon();
    let id = a.add_one("while b is off").parse().unwrap();
    wait_until("a has sent it", || a.status()["pending"] == 0);
    let begun = Instant::now();
    let _on_b = b.daemon();
    let history = b.home.history();
    wait_until("b has it", || history.get(id).unwrap().is_some());
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn across_devices_2_a_preference_that_was_changed_is_changed_on_the_other_device() {
    let pair = pair();
    let (a, b) = (&pair.a, &pair.b);
    a.ok(["config", "set", "default_shell", "zsh"]);
    a.now();
    b.now();
    assert_eq!(b.ok(["config", "get", "default_shell"]).stdout, "zsh\n");
}

#[test]
fn across_devices_3_what_both_did_offline_merges() {
    let pair = pair();
    let (a, b, to_a, to_b) = (&pair.a, &pair.b, &pair.to_a, &pair.to_b);
    for line in [to_a, to_b] {
        line.set(Weather::Refused);
    }
    for (device, name) in [(a, "a"), (b, "b")] {
        device.add(&(0..20).map(|i| format!("offline on {name} {i}")).collect::<Vec<_>>());
        device.run(["sync", "now"]).failure(5);
    }
    for line in [to_a, to_b] {
        line.set(Weather::Fair);
    }
    a.now();
    b.now();
    a.now();
    assert_eq!(assert_equal_histories(&[a, b]), 40);
}

#[test]
fn across_devices_4_a_command_that_was_deleted_is_removed_from_the_other_device() {
    let pair = pair();
    let (a, b) = (&pair.a, &pair.b);
    let id = a.add_one("deleted soon");
    a.add_one("stays");
    a.now();
    b.now();
    assert!(b.records().contains_key(&id));
    a.ok(["history", "delete", &id, "--yes"]);
    a.now();
    b.now();
    assert_eq!(b.commands(), ["stays"]);
}

#[test]
fn privacy_3_with_sync_disabled_nothing_is_asked_of_the_network() {
    let pair = pair();
    let (a, to_a) = (&pair.a, &pair.to_a);
    a.add_one("while it was on");
    a.now();
    a.exchanges("realtime");
    let daemon = a.daemon();
    daemon.wait_for("listening");
    a.ok(["sync", "disable"]);
    daemon.wait_for("disabled");
    let before = to_a.connections();
    a.add_one("while it is off");
    let refused = a.run(["sync", "now"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("caro sync enable"), "{refused:?}");
    for args in [
        &["sync", "status"][..],
        &["sync", "doctor"],
        &["sync", "verify"],
        &["sync", "devices", "list"],
        &["sync", "daemon"],
        &["sync", "rotate-keys"],
        &["config", "set", "default_shell", "fish"],
        &["history", "list"],
        &["history", "delete", "--query", "while it is off", "--yes"],
        &["sync", "logs"],
    ] {
        let run = a.run(args);
        assert!(run.code.is_some(), "{run:?}");
        assert_eq!(to_a.connections(), before, "the relay heard from {args:?}");
    }
    assert!(daemon.stop().success());
    assert_eq!(to_a.connections(), before, "the relay heard from the daemon as it ended");
    a.ok(["sync", "enable", "--yes"]);
    a.now();
    assert!(to_a.connections() > before, "what counts connections counts");
}

#[test]
fn offline_1_what_runs_offline_is_kept_for_later() {
    let pair = pair();
    let (a, b, to_a) = (&pair.a, &pair.b, &pair.to_a);
    to_a.set(Weather::Refused);
    let ids = a.add(&(0..10).map(|i| format!("offline {i}")).collect::<Vec<_>>());
    a.run(["sync", "now"]).failure(5);
    assert_eq!(a.status()["pending"], 10);
    to_a.set(Weather::Fair);
    assert_eq!(a.now().sent, 10);
    b.now();
    let there = b.records();
    assert!(ids.iter().all(|id| there.contains_key(id)));
}

#[test]
fn offline_2_the_whole_history_can_be_asked_offline() {
    let pair = pair();
    let (a, b, to_b) = (&pair.a, &pair.b, &pair.to_b);
    a.add(&(0..30).map(|i| format!("make target_{i}")).collect::<Vec<_>>());
    a.now();
    b.now();
    let online = b.records();
    to_b.set(Weather::Refused);
    assert_eq!(b.records(), online);
    assert_eq!(b.ok(["history", "search", "target_7", "--cmd-only"]).stdout, "make target_7\n");
    assert_eq!(b.ok(["history", "last", "--json"]).json().len(), 1);
}

#[test]
fn offline_3_after_30_days_nothing_is_lost() {
    let pair = pair();
    let (a, b, to_b) = (&pair.a, &pair.b, &pair.to_b);
    let clock = b.home.file("clock", "0");
    let with_clock = |args: &[&str]| {
        let mut command = b.command(args);
        command.env("CARO_TEST_CLOCK", &clock);
        b.finish(command, b"")
    };
    to_b.set(Weather::Refused);
    for day in 0..=30u64 {
        std::fs::write(&clock, (day * 86_400).to_string()).unwrap();
        let run = with_clock(&["history", "add", "--cwd", "/src", "--command", &format!("on day {day}")]);
        assert_eq!(run.code, Some(0), "{run:?}");
        a.add_one(&format!("meanwhile {day}"));
        if day % 10 == 0 {
            a.now();
        }
    }
    to_b.set(Weather::Fair);
    let run = with_clock(&["sync", "now"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    a.now();
    assert_eq!(assert_equal_histories(&[a, b]), 62);
}
