//! A relay that shows some devices an older state than others: it replays a copy of its store.
//!
//! Whoever is shown the past must neither take it for the present nor lose anything to it.

use std::path::Path;

use super::Scene;
use crate::common::line::Weather;
use crate::common::sync::{Relay, assert_equal_histories};

/// A relay with a copy of this one's store as it is now.
pub fn copy(relay: &mut Relay, folder: &Path) -> Relay {
    assert!(relay.stop().success());
    std::fs::create_dir_all(folder).unwrap();
    std::fs::copy(relay.data().join("relay.db"), folder.join("relay.db")).unwrap();
    relay.start_again();
    Relay::start(folder)
}

#[test]
fn one_device_that_is_shown_the_past_loses_nothing() {
    let mut scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let past = copy(&mut scene.relay, &folder.path().join("past"));
    for round in 0..3 {
        scene.write(&format!("in the present {round}"));
        scene.a.now();
        scene.b.now();
    }
    // The address is the same; what answers there is not.
    scene.line.lead_to(past.address());
    for round in 0..2 {
        scene.write(&format!("meanwhile {round}"));
        let run = scene.a.run(["sync", "now", "--timeout", "5"]);
        super::clear(&run, &[0, 5, 6], "the past");
        assert_eq!(scene.a.status()["pending"], 0, "it went to the past");
    }
    scene.line.lead_to(scene.relay.address());
    scene.line.set(Weather::Fair);
    scene.converges("the past");
    assert!(!past.log().contains("panicked"), "{}", past.log());
}

#[test]
fn a_deletion_is_not_undone_by_the_past() {
    let mut scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let past = copy(&mut scene.relay, &folder.path().join("past"));
    let deleted = scene.acknowledged.iter().next().unwrap().clone();
    scene.b.ok(["history", "delete", &deleted, "--yes"]);
    scene.acknowledged.remove(&deleted);
    scene.b.now();
    scene.a.now();
    assert!(!scene.a.records().contains_key(&deleted));
    scene.line.lead_to(past.address());
    scene.a.now();
    assert!(!scene.a.records().contains_key(&deleted), "the past brought it back");
    scene.line.lead_to(scene.relay.address());
    scene.converges("the past");
}

/// Two relays with one past go apart, and every device sees both: in the end all have all of it.
#[test]
fn two_presents_with_one_past_become_one() {
    let mut scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let other = copy(&mut scene.relay, &folder.path().join("other"));
    scene.line.lead_to(other.address());
    for round in 0..2 {
        scene.acknowledged.insert(scene.a.add_one(&format!("on the other side {round}")));
        scene.a.now();
        scene.acknowledged.insert(scene.b.add_one(&format!("on this side {round}")));
        scene.b.now();
    }
    scene.line.lead_to(scene.relay.address());
    scene.converges("two presents");
    scene.line.lead_to(other.address());
    scene.a.now();
    scene.b.ok(["sync", "relay", "set", &scene.line.url(), "--yes"]);
    scene.b.now();
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b]), scene.acknowledged.len());
}
