//! What tells a user that something is wrong, and what to do: `doctor`, `relay test`, `logs`, `status --watch`.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;

use serde_json::Value;

use crate::common::home::Run;
use crate::common::sync::{Relay, SyncHome};

fn doctor(device: &SyncHome) -> (Run, Vec<Value>) {
    let run = device.run(["sync", "doctor", "--json"]);
    let json = run.json().remove(0);
    assert_eq!((json["schema_version"].as_u64(), json["version"].as_str()), (Some(1), Some(env!("CARGO_PKG_VERSION"))));
    let findings = json["findings"].as_array().unwrap().clone();
    for finding in &findings {
        assert!(["ok", "warning", "problem"].contains(&finding["verdict"].as_str().unwrap()), "{finding}");
        assert_eq!(finding["verdict"] == "ok", finding["remedy"].is_null(), "what is wrong has a remedy: {finding}");
    }
    let problems = findings.iter().any(|finding| finding["verdict"] == "problem");
    assert_eq!((run.code, json["ok"].as_bool()), (Some(i32::from(problems)), Some(!problems)), "{run:?}");
    (run, findings)
}

/// What was found to be wrong with something.
fn wrong<'a>(findings: &'a [Value], check: &str) -> Vec<&'a str> {
    let of = findings.iter().filter(|finding| finding["check"] == check && finding["verdict"] == "problem");
    of.map(|finding| finding["message"].as_str().unwrap()).collect()
}

#[test]
fn the_doctor_finds_what_is_wrong_and_only_that() {
    let mut relay = Relay::new();
    let device = SyncHome::new("laptop");
    assert_eq!(doctor(&device).0.code, Some(0), "nothing set up, nothing wrong");
    device.init(&format!("{}/t0ken", relay.url()));
    device.add_one("a secret command");
    let (well, findings) = doctor(&device);
    assert_eq!(well.code, Some(0), "{well:?}");
    let checks: Vec<&str> = findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    for check in
        ["history", "store", "room", "access", "sync", "keys", "relay", "clock", "daemon", "service", "exchange"]
    {
        assert!(checks.contains(&check), "{check} is missing in {checks:?}");
    }
    assert!(!well.stdout.contains("t0ken") && !well.stdout.contains("a secret command"), "{well:?}");
    let plain = device.ok(["doctor", "--online"]);
    assert!(device.ok(["doctor"]).stdout.contains(", not tried"), "no network unless it is asked to");
    assert!(plain.stdout.contains("it speaks as a relay does"), "{plain:?}");

    relay.kill();
    let (_, findings) = doctor(&device);
    assert_eq!(wrong(&findings, "relay"), [format!("{}: nothing listens there", relay.url())]);
    device.run(["sync", "now"]).failure(5);
    assert_eq!(wrong(&doctor(&device).1, "exchange").len(), 1);
    relay.start_again();
    device.now();

    std::fs::write(device.data("sync.db"), "no database at all").unwrap();
    std::fs::remove_file(device.data("sync.db-wal")).unwrap_or_default();
    assert_eq!(wrong(&doctor(&device).1, "store").len(), 1);
    std::fs::remove_file(device.data("sync.db")).unwrap();
    std::fs::remove_file(device.data("keys")).unwrap();
    assert_eq!(wrong(&doctor(&device).1, "keys"), ["the keys of this identity are not in the key store"]);
}

#[test]
fn a_relay_is_tried_step_by_step() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    let test = |url: &str| device.run(["sync", "relay", "test", url, "--json"]);
    let well = test(&relay.url());
    let json = well.json().remove(0);
    assert_eq!((well.code, json["ok"].as_bool()), (Some(0), Some(true)), "{well:?}");
    let steps: Vec<&str> = json["steps"].as_array().unwrap().iter().map(|s| s["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["name", "host", "relay", "greeting"]);
    assert!(json["clock_ahead_ms"].as_i64().unwrap().abs() < 60_000, "{json}");

    let failing = |url: &str, step: &str| {
        let run = test(url);
        let json = run.json().remove(0);
        let last = json["steps"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(
            (run.code, last["step"].as_str(), last["ok"].as_bool()),
            (Some(5), Some(step), Some(false)),
            "{run:?}"
        );
        assert!(last["remedy"].is_string(), "{last}");
    };
    failing("ws://nowhere.invalid", "name");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    // It accepts, and says nothing.
    failing(&format!("ws://{address}"), "relay");
    drop(taken);
    failing(&format!("ws://{address}"), "host");
    assert_eq!(device.run(["sync", "relay", "test"]).code, Some(3), "and without one it needs a setup");
}

#[test]
fn the_log_tells_what_happened_and_nothing_of_what_was_exchanged() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    let phrase = device.init(&format!("{}/t0ken", relay.url()));
    device.add_one("a secret command");
    let mut follow = device.command(["sync", "logs", "--follow", "--json"]);
    let mut child = follow.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    device.now();
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    // `setsid --wait` waits for the program, which ends with its reader.
    drop(lines);
    device.now();
    device.now();
    child.wait().unwrap();
    assert_eq!(
        (line["schema_version"].as_u64(), line["by"].as_str(), line["level"].as_str()),
        (Some(1), Some("now"), Some("info"))
    );
    assert!(line["message"].as_str().unwrap().contains("sent 1, received 0"), "{line}");
    let plain = device.ok(["sync", "logs", "-n", "1"]);
    assert_eq!(plain.stdout.lines().count(), 1, "{plain:?}");
    let written = std::fs::read_to_string(device.home.path().join("state/sync.log")).unwrap();
    let words = std::fs::read_to_string(phrase).unwrap();
    for secret in ["secret command", "t0ken", words.trim()] {
        assert!(!written.contains(secret), "{written}");
    }
}

#[test]
fn a_daemon_that_waits_says_one_time_for_when_it_goes_on() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    device.exchanges("hourly");
    let daemon = device.daemon();
    daemon.wait_for("waiting");
    let next = || device.status()["next_exchange"]["at"].as_str().unwrap().to_owned();
    let first = next();
    for _ in 0..3 {
        device.ok(["sync", "relay", "show"]);
        assert!(daemon.ask("captured").is_some());
        assert_eq!(next(), first);
    }
}

#[test]
fn watching_the_status_prints_each_change_once() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    let mut watch = device.command(["sync", "status", "--watch", "--offline", "--json"]);
    let mut child = watch.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["pending"], 0);
    device.add_one("ls");
    assert_eq!(next()["pending"], 1);
    device.ok(["sync", "pause"]);
    assert_eq!(next()["state"], "paused");
    drop(lines);
    device.ok(["sync", "resume"]);
    child.wait().unwrap();
}
