//! The same faults while daemons run: whatever breaks, a daemon neither ends nor falls silent about it, says in clear
//! words what is wrong, and catches up by itself once the fault is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Scene, points, spread, stale};
use crate::common::daemon::Daemon;
use crate::common::home::{BETWEEN_LOOKS, is_slow_run, wait_until};
use crate::common::line::Weather;
use crate::common::wire::{Fate, Way, Wire};
use crate::sync_disk_full::SmallDisk;

/// By when daemons have caught up after a fault. Their pauses grow with what went wrong before.
const CAUGHT_UP: Duration = Duration::from_secs(240);

/// A scene whose devices both have a daemon.
struct Live {
    scene: Scene,
    on_a: Daemon,
    on_b: Daemon,
}

impl Live {
    fn new(scene: Scene) -> Self {
        let [on_a, on_b] = [&scene.a, &scene.b].map(|device| {
            device.exchanges("realtime");
            device.daemon()
        });
        on_a.wait_for("listening");
        on_b.wait_for("listening");
        Self { scene, on_a, on_b }
    }

    /// Something new on both devices.
    fn write(&mut self, what: &str) {
        for device in [&self.scene.a, &self.scene.b] {
            self.scene.acknowledged.insert(device.add_one(&format!("{what} on {}", device.name)));
        }
    }

    /// Insists that both daemons are there, and that one which cannot go on says why and what helps.
    #[track_caller]
    fn is_clear(&self, fault: &str) {
        for daemon in [&self.on_a, &self.on_b] {
            let status = daemon.status().unwrap_or_else(|| panic!("{fault}: no answer: {}", daemon.log()));
            let known = ["starting", "exchanging", "listening", "retrying", "waiting"];
            assert!(known.contains(&status["doing"].as_str().unwrap()), "{fault}: {status}");
            if status["doing"] == "retrying" && !status["error"].is_null() {
                let error = &status["error"];
                assert!(["message", "remedy"].iter().all(|part| error[part].as_str().is_some_and(|s| s.len() > 10)));
                assert!(status["next_at"].is_string(), "{fault}: {status}");
            }
            assert!(!daemon.log().contains("panicked"), "{fault}: {}", daemon.log());
        }
    }

    /// Whether both devices have everything that was ever acknowledged.
    fn have_all(&self) -> bool {
        let histories = [&self.scene.a, &self.scene.b].map(|device| device.home.history());
        let has = |id: &String| histories.iter().all(|history| history.get(id.parse().unwrap()).unwrap().is_some());
        self.scene.acknowledged.iter().all(has)
    }

    /// The fault is over: without any help both get everything, and what comes next.
    #[track_caller]
    fn catches_up(&mut self, after: &str) {
        for round in ["at once", "and then"] {
            let begun = Instant::now();
            while !self.have_all() {
                self.is_clear(after);
                let states = [&self.on_a, &self.on_b].map(Daemon::status);
                assert!(begun.elapsed() < CAUGHT_UP, "after {after} they never catch up: {states:?}");
                std::thread::park_timeout(BETWEEN_LOOKS);
            }
            if round == "at once" {
                self.write(&format!("after {after}"));
            }
        }
        let counts = [&self.scene.a, &self.scene.b].map(|device| device.records().len());
        assert_eq!(counts, [self.scene.acknowledged.len(); 2], "after {after}: nothing came from nowhere");
    }
}

#[test]
fn a_line_that_breaks_in_any_way_is_survived() {
    let mut live = Live::new(Scene::new());
    let kinds: [fn(u64) -> Weather; 4] = [
        Weather::CutAfter,
        Weather::BreakAfter,
        |at| Weather::FlipAfter(at, Way::Up),
        |at| Weather::FlipAfter(at, Way::Down),
    ];
    for kind in kinds {
        for at in spread(2_500, points(3)) {
            let fault = format!("{:?}", kind(at));
            live.scene.line.set(kind(at));
            live.write(&fault);
            live.is_clear(&fault);
            live.scene.line.set(Weather::Fair);
            live.catches_up(&fault);
        }
    }
}

#[test]
fn a_line_that_is_gone_is_told_and_found_again() {
    let mut live = Live::new(Scene::new());
    live.scene.line.set(Weather::Refused);
    live.on_a.wait_for("retrying");
    live.write("while the line is gone");
    // The reason is known once it was tried again.
    wait_until("the daemon says why", || live.on_a.status().is_some_and(|status| !status["error"].is_null()));
    live.is_clear("no line");
    assert!(!live.have_all());
    live.scene.line.set(Weather::Fair);
    live.catches_up("a line that was gone");
    live.scene.line.set(Weather::Dribble(64));
    live.write("in a dribble");
    live.catches_up("a dribble");
}

#[test]
fn slow_a_line_that_falls_silent_is_given_up_and_found_again() {
    if !is_slow_run() {
        return;
    }
    let mut live = Live::new(Scene::new());
    live.scene.line.set(Weather::Silent);
    live.write("into silence");
    live.on_a.wait_for("retrying");
    live.is_clear("silence");
    live.scene.line.set(Weather::Fair);
    live.catches_up("silence");
}

/// What a relay that is none might send.
fn garbage() -> [Message; 6] {
    [
        Message::text(""),
        Message::text("{\"action\":"),
        Message::text(json!({ "action": "content", "id": 5, "new": [null] }).to_string()),
        Message::text(json!({ "action": "done", "msg": { "deeply": [[[[[[{}]]]]]] } }).to_string()),
        Message::text("x".repeat(1 << 20)),
        Message::binary(vec![0xff; 4096]),
    ]
}

#[test]
fn a_relay_that_answers_garbage_is_survived() {
    let scene = Scene::new();
    let wire = Wire::recording(&scene.relay.url());
    scene.a.ok(["sync", "relay", "set", &wire.url(), "--yes"]);
    let mut live = Live::new(scene);
    for (number, piece) in garbage().into_iter().enumerate() {
        let fault = format!("garbage {number}");
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = sent.clone();
        wire.tamper(Box::new(move |way, _| {
            if way == Way::Up {
                return Fate::Pass;
            }
            counted.fetch_add(1, Ordering::SeqCst);
            Fate::After(piece.clone())
        }));
        live.write(&fault);
        wait_until("garbage has come", || sent.load(Ordering::SeqCst) > 0);
        live.is_clear(&fault);
        wire.tamper(Box::new(|_, _| Fate::Pass));
        live.catches_up(&fault);
    }
}

#[test]
fn a_relay_that_says_nothing_but_garbage_is_left_and_met_again() {
    let scene = Scene::new();
    let wire = Wire::recording(&scene.relay.url());
    scene.a.ok(["sync", "relay", "set", &wire.url(), "--yes"]);
    let mut live = Live::new(scene);
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    wire.tamper(Box::new(move |way, message: &Value| {
        if way == Way::Up {
            return Fate::Pass;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        Fate::Instead(vec![json!({ "action": message["action"], "id": "co_zNothing", "header": true })])
    }));
    live.write("to garbage");
    wait_until("garbage has come", || sent.load(Ordering::SeqCst) > 0);
    live.is_clear("nothing but garbage");
    // Whoever sent it goes away, and the relay is there again.
    let mut cut = false;
    wire.tamper(Box::new(move |_, _| if std::mem::replace(&mut cut, true) { Fate::Pass } else { Fate::Cut }));
    live.scene.acknowledged.insert(live.scene.a.add_one("into the cut"));
    live.catches_up("nothing but garbage");
}

#[test]
fn a_relay_that_shows_the_past_for_a_while_costs_nothing() {
    let mut scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let past = stale::copy(&mut scene.relay, &folder.path().join("past"));
    scene.write("in the present");
    scene.a.now();
    let mut live = Live::new(scene);
    live.scene.line.lead_to(past.address());
    live.scene.line.set(Weather::Refused);
    live.on_a.wait_for("retrying");
    live.scene.line.set(Weather::Fair);
    live.write("while it shows the past");
    wait_until("it has gone to the past", || live.scene.a.status()["pending"] == 0);
    live.is_clear("the past");
    live.scene.line.lead_to(live.scene.relay.address());
    live.scene.line.set(Weather::Refused);
    live.on_a.wait_for("retrying");
    live.scene.line.set(Weather::Fair);
    live.catches_up("the past");
    assert!(!past.log().contains("panicked"), "{}", past.log());
}

#[test]
fn without_room_for_its_log_a_daemon_goes_on() {
    let scene = Scene::new();
    let Some(disk) = SmallDisk::mount(&scene.a.home.path().join("state"), 512) else {
        println!("skipped: mounting needs root");
        return;
    };
    let mut live = Live::new(scene);
    let filler = disk.fill(0);
    live.write("without room for the log");
    live.catches_up("a full disk of the log");
    std::fs::remove_file(filler).unwrap();
    live.scene.line.set(Weather::Refused);
    live.on_a.wait_for("retrying");
    wait_until("the log goes on", || live.scene.a.ok(["sync", "logs"]).stdout.contains("the exchange failed"));
    live.scene.line.set(Weather::Fair);
    live.catches_up("a log that goes on");
}
