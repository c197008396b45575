//! The connection is cut, garbled, silent or slow, at any byte of an exchange.

use std::time::{Duration, Instant};

use super::{Scene, clear, points, spread};
use crate::common::line::{Line, Weather};
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::common::wire::Way;

/// How many bytes an exchange of what [`Scene::write`] writes moves.
fn usual(scene: &mut Scene) -> u64 {
    let before = scene.line.carried();
    scene.write("measured");
    scene.a.now();
    scene.line.carried() - before
}

/// Exchanges under each of these kinds of weather, with its parameter spread over all bytes of an exchange.
fn any_byte(kinds: &[fn(u64) -> Weather], some: u64, patience: &str, codes: &[i32]) {
    std::thread::scope(|scope| {
        for kind in kinds {
            scope.spawn(move || {
                let mut scene = Scene::new();
                let bytes = usual(&mut scene);
                for at in spread(bytes, points(some)) {
                    scene.write(&format!("at {at}"));
                    scene.line.set(kind(at));
                    let run = scene.a.run(["sync", "now", "--timeout", patience]);
                    scene.line.set(Weather::Fair);
                    let fault = format!("{:?} of {bytes}", kind(at));
                    clear(&run, codes, &fault);
                    scene.converges(&fault);
                }
            });
        }
    });
}

#[test]
fn cut_after_any_byte() {
    any_byte(&[Weather::CutAfter, Weather::BreakAfter], 12, "1", &[0, 5]);
}

#[test]
fn a_bit_flipped_in_any_byte() {
    any_byte(&[|at| Weather::FlipAfter(at, Way::Up), |at| Weather::FlipAfter(at, Way::Down)], 12, "1", &[0, 1, 5, 6]);
}

/// Does something at points spread over these bytes, all at the same time: who is cut waits for long.
fn at_once(bytes: u64, some: u64, what: impl Fn(u64, String) + Sync) {
    std::thread::scope(|scope| {
        for at in spread(bytes, some) {
            let what = &what;
            scope.spawn(move || what(at, format!("cut after {at} of {bytes} bytes")));
        }
    });
}

#[test]
fn a_setup_that_is_cut_after_any_byte_is_whole_or_not_there() {
    let mut scene = Scene::new();
    let bytes = usual(&mut scene) * 2;
    let (relay, phrase, acknowledged) = (scene.relay.address(), &scene.phrase, &scene.acknowledged);
    at_once(bytes, 8, |at, fault| {
        let line = Line::to(relay);
        let late = SyncHome::new("server");
        let own = late.add_one("its own");
        line.set(Weather::CutAfter(at));
        let run = late.restore(&line.url(), phrase);
        line.set(Weather::Fair);
        clear(&run, &[0, 5], &fault);
        if late.data("sync.json").exists() {
            late.now();
        } else {
            late.restored(&line.url(), phrase);
        }
        let there = late.records();
        assert!(there.contains_key(&own), "{fault}");
        let lost: Vec<_> = acknowledged.iter().filter(|id| !there.contains_key(*id)).collect();
        assert!(lost.is_empty(), "{fault}: {lost:?}");
    });
}

#[test]
fn a_new_identity_that_is_cut_after_any_byte_is_whole_or_not_there() {
    let relay = Relay::new();
    let line = Line::to(relay.address());
    SyncHome::new("measured").init(&line.url());
    let (bytes, url, address) = (line.carried(), relay.url(), relay.address());
    at_once(bytes, 8, |at, fault| {
        let line = Line::to(address);
        let a = SyncHome::new("laptop");
        a.add_one("before");
        let phrase = a.home.path().join("phrase");
        let args = ["sync", "init", "--new", "--yes", "--relay", &line.url(), "--phrase-out", phrase.to_str().unwrap()];
        line.set(Weather::CutAfter(at));
        let run = a.run(args);
        line.set(Weather::Fair);
        clear(&run, &[0, 5], &fault);
        if !a.data("sync.json").exists() {
            assert_eq!(run.code, Some(5), "{fault}: {run:?}");
            drop(std::fs::remove_file(&phrase));
            a.ok(args);
        }
        a.now();
        let b = SyncHome::new("desktop");
        b.restored(&url, &phrase);
        assert_eq!(assert_equal_histories(&[&a, &b]), 1, "{fault}");
    });
}

#[test]
fn a_line_that_falls_silent_is_given_up_in_time() {
    let mut scene = Scene::new();
    let begun = Instant::now();
    scene.write("into silence");
    scene.line.set(Weather::Silent);
    let run = scene.a.run(["sync", "now", "--timeout", "2"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    clear(&run, &[5], "silence");
    assert!(run.stderr.contains("does not answer") || run.stderr.contains("did not answer"), "{run:?}");
    scene.line.set(Weather::Fair);
    scene.converges("silence");
}

#[test]
fn a_line_that_carries_a_few_bytes_at_a_time_is_only_slow() {
    let mut scene = Scene::new();
    scene.write("in dribs and drabs");
    // A greeting that comes in single bytes is taken for an attack by the WebSocket library.
    scene.line.set(Weather::Dribble(8));
    let report = scene.a.now();
    assert_eq!((report.sent, report.received, report.pending), (3, 3, 0));
    scene.converges("a dribble");
}
