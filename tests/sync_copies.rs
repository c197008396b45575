//! Several devices that delete at once all rewrite the same parts of the history; the copies that this makes are united.

use std::thread;

use crate::common::random::Random;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

/// Records that each device begins with.
const EACH: usize = 40;
/// Records that each device deletes at a time.
const AT_A_TIME: usize = 3;

fn all_at_once(devices: &[&SyncHome]) {
    thread::scope(|scope| {
        for device in devices {
            scope.spawn(|| device.ok(["sync", "now", "--verbose"]));
        }
    });
}

/// How many records lie in the account's segments, and in how many of them: what a device finds that reads all of it.
fn lying(relay: &Relay, phrase: &std::path::Path, devices: &[&SyncHome]) -> (u64, usize) {
    let late = SyncHome::new("late");
    late.restored(&relay.url(), phrase);
    assert_equal_histories(&[devices, &[&late]].concat());
    let history = late.home.history();
    let segments = history.placed_segments().unwrap();
    (segments.iter().map(|segment| history.count_in(segment).unwrap()).sum(), segments.len())
}

/// As if they had rewritten the same at the same moment; whether a copy stays that a device has just sent depends on the ids.
#[test]
fn what_every_device_has_sent_is_kept_once() {
    let relay = Relay::new();
    let homes = ["laptop", "desktop", "server", "tablet"].map(SyncHome::new);
    let devices: Vec<&SyncHome> = homes.iter().collect();
    homes[0].add(&(0..EACH).map(|i| format!("laptop {i}")).collect::<Vec<_>>());
    let phrase = homes[0].init(&relay.url());
    homes[0].now();
    for device in &devices[1..] {
        device.restored(&relay.url(), &phrase);
    }
    let mut sent = 0;
    for device in &devices[1..] {
        let history = device.home.history();
        let ids: Vec<_> = history.list(&Default::default()).unwrap().into_iter().map(|record| record.id).collect();
        history.queue_again(&ids).unwrap();
        sent += device.now().sent;
    }
    assert!(sent >= EACH as u64, "it went up a second time at least");
    for _ in 0..2 {
        for device in &devices {
            device.now();
        }
    }
    assert_eq!(lying(&relay, &phrase, &devices), (EACH as u64, 1));
}

#[test]
fn however_many_devices_delete_at_once_the_copies_are_united() {
    let relay = Relay::new();
    let homes = ["laptop", "desktop", "server", "tablet"].map(SyncHome::new);
    let devices: Vec<&SyncHome> = homes.iter().collect();
    let mut phrase = None;
    for device in &devices {
        device.add(&(0..EACH).map(|i| format!("{} {i}", device.name)).collect::<Vec<_>>());
        match &phrase {
            None => phrase = Some(device.init(&relay.url())),
            Some(phrase) => device.restored(&relay.url(), phrase),
        }
        device.now();
    }
    all_at_once(&devices);
    let phrase = phrase.unwrap();
    let mut left: Vec<String> = devices[0].records().into_keys().collect();
    assert_eq!(left.len(), EACH * devices.len());
    let mut random = Random::new(7);
    for _ in 0..6 {
        for device in &devices {
            for _ in 0..AT_A_TIME {
                let id = left.swap_remove(random.index(left.len()));
                device.ok(["history", "delete", &id, "--yes"]);
            }
        }
        all_at_once(&devices);
    }
    // Until nothing is left to do.
    for _ in 0..3 {
        for device in &devices {
            device.now();
        }
    }
    let (records, segments) = lying(&relay, &phrase, &devices);
    println!("{} records lie {records} times in {segments} segments", left.len());
    assert_eq!(devices[0].records().len(), left.len());
    assert!(records <= 2 * left.len() as u64, "{} records lie {records} times in segments", left.len());
    assert!(segments <= 2 * devices.len(), "they lie in {segments} segments");
    for device in &devices {
        let report = device.now();
        assert_eq!((report.sent, report.received, report.missing), (0, 0, 0), "nothing is left to do");
    }
    assert_eq!(lying(&relay, &phrase, &devices), (records, segments));
}
