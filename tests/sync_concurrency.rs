//! Several processes of one home at once: two exchanges, and captures while one runs.

use std::process::Child;

use crate::common::home::Run;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

fn wait(child: Child) -> Run {
    let output = child.wait_with_output().expect("it ends");
    Run {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

#[test]
fn of_two_exchanges_at_once_each_succeeds_or_says_why_not() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    for round in 0..5 {
        a.add(&(0..40).map(|i| format!("round {round} {i}")).collect::<Vec<_>>());
        let children: Vec<Child> =
            (0..4).map(|_| a.command(["sync", "now", "--timeout", "20"]).spawn().unwrap()).collect();
        let runs: Vec<Run> = children.into_iter().map(wait).collect();
        assert!(runs.iter().any(|run| run.code == Some(0)), "{runs:?}");
        for run in runs.iter().filter(|run| run.code != Some(0)) {
            assert_eq!(run.code, Some(1), "{run:?}");
            assert!(run.stderr.contains("another sync of this device is still running"), "{run:?}");
        }
    }
    a.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 200);
}

#[test]
fn captures_during_exchanges_are_all_there_in_the_end() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    let mut ids: Vec<String> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..16)
            .map(|writer| {
                let a = &a;
                scope.spawn(move || (0..6).map(|i| a.add_one(&format!("writer {writer} {i}"))).collect::<Vec<_>>())
            })
            .collect();
        let (a, b) = (&a, &b);
        let syncing = scope.spawn(move || {
            for _ in 0..6 {
                a.now();
                b.now();
            }
        });
        let ids = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        syncing.join().unwrap();
        ids
    });
    a.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 96);
    let there: Vec<String> = b.records().into_keys().collect();
    ids.sort();
    assert_eq!(there, ids);
}

#[test]
fn devices_that_exchange_at_the_same_time_agree_in_the_end() {
    let relay = Relay::new();
    let devices = [SyncHome::new("laptop"), SyncHome::new("desktop"), SyncHome::new("server")];
    let phrase = devices[0].init(&relay.url());
    devices[1].restored(&relay.url(), &phrase);
    devices[2].restored(&relay.url(), &phrase);
    std::thread::scope(|scope| {
        for device in &devices {
            scope.spawn(move || {
                for round in 0..5 {
                    device.add_one(&format!("{} {round}", device.name));
                    device.now();
                }
            });
        }
    });
    for device in &devices {
        device.now();
    }
    assert_eq!(assert_equal_histories(&[&devices[0], &devices[1], &devices[2]]), 15);
}
