//! What is kept in sync: the newest commands for so many days, long ones cut; and devices keep what they have.

use std::path::PathBuf;

use crate::common::sync::{LocalOnly, Relay, SyncHome, assert_equal_histories};

const DAY: i64 = 86_400;

/// A device with this in its `sync.toml`.
fn device(name: &'static str, config: &str) -> SyncHome {
    let device = SyncHome::with_limits(name);
    device.configure(&[config]);
    device
}

/// Records a command that began so many seconds ago.
fn add_ago(device: &SyncHome, command: &str, seconds: i64) {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds);
    let line = serde_json::json!({ "command": command, "at": at.to_string(), "exit": 0 }).to_string();
    assert_eq!(device.run_with_input(["history", "add"], line).code, Some(0));
}

/// Sets a file up as the clock of a device's processes, moved on by so many days.
fn clock(device: &SyncHome, days: i64) -> PathBuf {
    device.home.file("clock", (days * DAY).to_string())
}

fn now_at(device: &SyncHome, clock: &std::path::Path) {
    let mut command = device.command(["sync", "now", "--json"]);
    command.env("CARO_TEST_CLOCK", clock);
    let run = device.finish(command, &[]);
    assert_eq!(run.code, Some(0), "on {}: {run:?}", device.name);
}

#[test]
fn commands_older_than_the_window_stay_here_and_are_counted() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::with_limits("laptop"), SyncHome::with_limits("desktop"));
    add_ago(&a, "long ago", 91 * DAY);
    add_ago(&a, "very long ago", 400 * DAY);
    add_ago(&a, "lately", 89 * DAY);
    a.add_one("just now");
    let phrase = a.init(&relay.url());
    let first = a.now();
    assert_eq!(first.local_only, LocalOnly { too_old: 2, beyond_limit: 0, too_large: 0, filtered: 0 });
    let said = a.ok(["sync", "now"]);
    assert!(
        said.stderr.contains("2 commands stay on this machine only: 2 older than sync.retention_days."),
        "{said:?}"
    );
    b.restored(&relay.url(), &phrase);
    assert_eq!(b.commands(), ["just now", "lately"]);
    assert_eq!(a.records().len(), 4);

    // With a wider window the rest follows.
    a.configure(&["retention_days = 365"]);
    assert_eq!(a.now().sent, 1);
    a.configure(&["retention_days = \"unlimited\""]);
    assert_eq!(a.now().sent, 1);
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 4);
}

#[test]
fn only_the_newest_go_up_where_their_number_is_limited() {
    let relay = Relay::new();
    let (a, b) = (device("laptop", "max_records = 10"), device("desktop", "max_records = 10"));
    for i in 0..15 {
        add_ago(&a, &format!("command {i:02}"), (20 - i) * 60);
    }
    let phrase = a.init(&relay.url());
    assert_eq!(a.now().local_only, LocalOnly { too_old: 0, beyond_limit: 5, too_large: 0, filtered: 0 });
    b.restored(&relay.url(), &phrase);
    assert_eq!(b.records().len(), 10);
    assert_eq!(b.commands().first().map(String::as_str), Some("command 05"));
}

#[test]
fn a_segment_that_falls_out_of_the_window_retires_and_every_device_keeps_its_records() {
    let relay = Relay::new();
    let (a, b, c) =
        (SyncHome::with_limits("laptop"), SyncHome::with_limits("desktop"), SyncHome::with_limits("server"));
    a.add(&(0..30).map(|i| format!("command {i}")).collect::<Vec<_>>());
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    let before = crate::common::sync::ciphertexts(&a.data("sync.db"));
    assert!(!before.is_empty());

    let (at_a, at_b) = (clock(&a, 120), clock(&b, 120));
    now_at(&b, &at_b);
    // A clock alone is not believed; two that say the same are.
    now_at(&a, &at_a);
    now_at(&b, &at_b);
    assert_eq!(assert_equal_histories(&[&a, &b]), 30, "nobody lost anything");
    crate::common::sync::await_erasure(&relay, &before);
    for device in [&a, &b] {
        assert!(!crate::common::sync::holds(&device.home.data_dir(), &before), "{} has erased it", device.name);
    }
    // It is not sent again, by nobody.
    now_at(&a, &at_a);
    now_at(&b, &at_b);
    c.restored(&relay.url(), &phrase);
    assert_eq!(c.records().len(), 0);
}

#[test]
fn what_its_own_device_lost_others_bring_when_the_window_begins_earlier_again() {
    let relay = Relay::new();
    let (a, b, c) = (SyncHome::new("laptop"), SyncHome::new("desktop"), SyncHome::new("server"));
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    add_ago(&a, "long ago", 60 * DAY);
    a.now();
    b.now();
    for device in [&a, &b] {
        device.ok(["config", "set", "sync.retention_days", "30"]);
        device.now();
    }
    // Its own device never comes back.
    b.ok(["config", "set", "sync.retention_days", "unlimited"]);
    assert_eq!(b.now().sent, 0, "its own device comes first");
    let later = b.home.file("clock", "700");
    now_at(&b, &later);
    c.restored(&relay.url(), &phrase);
    assert_eq!(c.commands(), ["long ago"]);
    now_at(&b, &later);
    assert_eq!(b.now().sent, 0, "once");
}

#[test]
fn long_commands_go_up_cut_and_stay_whole_where_they_ran() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let long = format!("echo {}", "ä".repeat(10_000));
    let id = a.add_one(&long);
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    let there = b.records().remove(&id).expect("it came over");
    assert_eq!(there["truncated"], true);
    let text = there["command"].as_str().unwrap();
    assert!(text.len() <= 10_240 && text.len() > 10_230 && long.starts_with(text));

    // It comes back, also to a device that reads everything again, and takes nothing away.
    std::fs::remove_file(a.data("sync.db")).unwrap();
    a.now();
    a.now();
    let here = a.records().remove(&id).expect("it is here");
    assert_eq!((here["command"].as_str(), here["truncated"].as_bool()), (Some(long.as_str()), Some(false)));
    assert_eq!(a.now().pending, 0);
}

#[test]
fn long_commands_stay_here_where_that_was_chosen() {
    let relay = Relay::new();
    let (a, b) = (device("laptop", "large_records = \"exclude\""), SyncHome::new("desktop"));
    a.add_one(&"x".repeat(10_241));
    a.add_one("short");
    let phrase = a.init(&relay.url());
    assert_eq!(a.now().local_only, LocalOnly { too_old: 0, beyond_limit: 0, too_large: 1, filtered: 0 });
    b.restored(&relay.url(), &phrase);
    assert_eq!(b.commands(), ["short"]);
}

#[test]
fn a_clock_that_is_ahead_takes_nothing_out_of_sync() {
    let relay = Relay::new();
    let (a, b, c) =
        (SyncHome::with_limits("laptop"), SyncHome::with_limits("desktop"), SyncHome::with_limits("server"));
    a.add(&(0..30).map(|i| format!("command {i}")).collect::<Vec<_>>());
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    b.add_one("captured offline, before the clock was wrong");
    let ahead = clock(&b, 400);
    for _ in 0..3 {
        now_at(&b, &ahead);
    }
    a.now();
    b.now();
    a.now();
    c.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b, &c]), 31);
}

#[test]
fn what_a_wrong_clock_has_retired_comes_back_when_the_clock_does() {
    let relay = Relay::new();
    let (a, b, c) =
        (SyncHome::with_limits("laptop"), SyncHome::with_limits("desktop"), SyncHome::with_limits("server"));
    b.add(&(0..9).map(|i| format!("of the other {i}")).collect::<Vec<_>>());
    let phrase = b.init(&relay.url());
    a.restored(&relay.url(), &phrase);
    a.add(&(0..20).map(|i| format!("command {i}")).collect::<Vec<_>>());
    a.now();
    // The other one is gone, and nobody is left to say what time it is.
    a.ok(["sync", "devices", "remove", "desktop", "--yes"]);
    let at = |days| now_at(&a, &clock(&a, days));
    at(400);
    at(402);
    at(402);
    c.restored(&relay.url(), &phrase);
    assert_eq!(c.records().len(), 0, "it was retired");
    a.now();
    a.now();
    c.now();
    assert_eq!(assert_equal_histories(&[&a, &c]), 29);
}

#[test]
fn what_stays_here_takes_no_place_in_the_number() {
    let relay = Relay::new();
    let (a, b) = (device("laptop", "max_records = 10"), device("desktop", "max_records = 10"));
    for i in 0..10 {
        add_ago(&a, &format!("command {i}"), (40 - i) * 60);
    }
    let phrase = a.init(&relay.url());
    b.ok(["sync", "filter", "add", "exclude", "command", "private *", "--keep-synced"]);
    b.restored(&relay.url(), &phrase);
    for i in 0..15 {
        add_ago(&b, &format!("private {i}"), 20 * 60 - i);
    }
    b.now();
    b.now();
    let c = SyncHome::with_limits("server");
    c.restored(&relay.url(), &phrase);
    assert_eq!(c.records().len(), 10);
}
