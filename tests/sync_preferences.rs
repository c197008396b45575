//! Preferences follow the user: the later change wins on every device, whatever the relay's order, and can be undone.

use std::path::PathBuf;

use crate::common::home::Run;
use crate::common::sync::{Relay, SyncHome, bytes_of, contains};

fn devices(names: [&'static str; 3]) -> (Relay, [SyncHome; 3]) {
    let relay = Relay::new();
    let homes = names.map(SyncHome::new);
    let phrase = homes[0].init(&relay.url());
    for home in &homes[1..] {
        home.restored(&relay.url(), &phrase);
    }
    (relay, homes)
}

fn three() -> (Relay, [SyncHome; 3]) {
    devices(["laptop", "desktop", "server"])
}

fn get(home: &SyncHome, name: &str) -> String {
    let run = home.run(["config", "get", name]);
    assert!(run.code == Some(0) || run.stdout.is_empty(), "{run:?}");
    run.stdout.trim_end().to_owned()
}

/// Runs the program with its clock shifted by so many seconds.
fn shifted(home: &SyncHome, seconds: i64, args: &[&str]) -> Run {
    let clock: PathBuf = home.home.file("clock", seconds.to_string());
    let mut command = home.command(args);
    command.env("CARO_TEST_CLOCK", clock);
    let run = home.finish(command, b"");
    assert_eq!(run.code, Some(0), "{run:?}");
    run
}

/// Everybody exchanges until nothing can be left.
fn settle(homes: &[SyncHome]) {
    for _ in 0..2 {
        for home in homes {
            home.now();
        }
    }
}

#[test]
fn what_one_sets_all_have_and_the_relay_learns_nothing_of_it() {
    let (relay, homes) = three();
    let [a, b, c] = &homes;
    a.ok(["config", "set", "default_model", "canary-model-7391"]);
    a.now();
    b.now();
    c.now();
    for home in [a, b, c] {
        assert_eq!(get(home, "default_model"), "canary-model-7391");
    }
    c.ok(["config", "unset", "default_model"]);
    settle(&homes);
    for home in [a, b, c] {
        assert_eq!(get(home, "default_model"), "");
    }
    let stored = [bytes_of(relay.data()), bytes_of(&a.data("sync.db"))].concat();
    for secret in ["canary-model-7391", "default_model"] {
        assert!(!contains(&stored, secret.as_bytes()), "{secret} left in plain text");
    }
}

#[test]
fn of_two_changes_made_offline_the_later_wins_everywhere_and_the_other_can_be_taken_back() {
    let (_relay, homes) = three();
    let [a, b, c] = &homes;
    b.ok(["config", "set", "default_shell", "fish"]);
    a.ok(["config", "set", "default_shell", "zsh"]);
    // The one that was set earlier reaches the relay later, so the relay's own order says otherwise.
    a.now();
    b.now();
    settle(&homes);
    for home in [a, b, c] {
        assert_eq!(get(home, "default_shell"), "zsh", "on {}", home.name);
    }
    b.ok(["config", "undo", "default_shell"]);
    assert_eq!(get(b, "default_shell"), "fish");
    settle(&homes);
    for home in [a, b, c] {
        assert_eq!(get(home, "default_shell"), "fish", "taking back is a change like any other");
    }
}

#[test]
fn clocks_that_jump_leave_all_with_one_value() {
    let (_relay, homes) = three();
    let [a, b, c] = &homes;
    // A clock a day ahead sets first; whoever has seen that sets later, by its own clock that is right.
    shifted(a, 86_400, &["config", "set", "default_model", "from tomorrow"]);
    shifted(a, 86_400, &["sync", "now"]);
    b.now();
    b.ok(["config", "set", "default_model", "after it"]);
    settle(&homes);
    for home in [a, b, c] {
        assert_eq!(get(home, "default_model"), "after it", "on {}", home.name);
    }
    // And one that was put back by a week does not lose to what it knew.
    shifted(c, -604_800, &["config", "set", "default_model", "from last week"]);
    shifted(c, -604_800, &["sync", "now"]);
    settle(&homes);
    for home in [a, b, c] {
        assert_eq!(get(home, "default_model"), "from last week", "on {}", home.name);
    }
}

#[test]
fn a_change_by_hand_follows_too() {
    let (_relay, homes) = three();
    let [a, b, _] = &homes;
    a.ok(["config", "set", "default_model", "first"]);
    settle(&homes);
    let file = b.home.path().join("config/config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("first", "by hand")).unwrap();
    settle(&homes);
    assert_eq!(get(a, "default_model"), "by hand");
}

#[test]
fn what_changes_what_may_be_executed_is_shown_before_it_takes_effect() {
    let (_relay, homes) = three();
    let [a, b, _] = &homes;
    a.ok(["config", "set", "safety_level", "permissive"]);
    a.now();
    let shown = b.ok(["sync", "now"]);
    assert!(shown.stderr.contains("safety_level is to change from"), "{shown:?}");
    for unread in [["sync", "status", "--offline"], ["config", "get", "safety_level"]] {
        b.ok(unread);
    }
    assert_eq!(get(b, "safety_level"), "moderate", "nobody at a terminal has read it");
    let shown = b.ok(["config", "show", "--accept"]);
    assert!(shown.stderr.contains("safety_level changes from"), "{shown:?}");
    assert_eq!(get(b, "safety_level"), "permissive");
    b.ok(["config", "undo", "safety_level"]);
    settle(&homes);
    a.ok(["config", "show", "--accept"]);
    assert_ne!(get(a, "safety_level"), "permissive");
}

#[test]
fn an_exchange_with_nothing_new_writes_nothing() {
    let (_relay, homes) = three();
    homes[0].ok(["config", "set", "default_model", "m"]);
    settle(&homes);
    let count = |home: &SyncHome| {
        let db = rusqlite::Connection::open(home.data("sync.db")).unwrap();
        db.query_row("SELECT count(*) FROM transactions", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = count(&homes[0]);
    settle(&homes);
    assert_eq!(count(&homes[0]), before);
}

#[test]
fn preferences_move_with_a_revocation() {
    let (relay, homes) = three();
    let [a, b, _] = &homes;
    a.ok(["config", "set", "default_model", "kept"]);
    settle(&homes);
    let new = a.home.path().join("new");
    a.ok(["sync", "revoke", "--yes", "--phrase-out", new.to_str().unwrap()]);
    a.now();
    let fresh = SyncHome::new("fresh");
    fresh.restored(&relay.url(), &new);
    assert_eq!(get(&fresh, "default_model"), "kept");
    b.run(["sync", "now"]).failure(1);
    b.restored(&relay.url(), &new);
    assert_eq!(get(b, "default_model"), "kept");
}
