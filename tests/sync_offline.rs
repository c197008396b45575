//! Devices that were away for months: when they meet again, one exchange each and nothing is lost.
//!
//! Time passes for the real program by the clock of tests. Each device records while it is away, as far back as
//! it was away; then all meet. The short form runs always, the full one with the slow tests and prints its times.

use std::time::{Duration, Instant};

use crate::common::home::is_slow_run;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, finish_within};

const DAY: i64 = 86_400;

/// Makes a device record `count` commands, spread over the days that it was away.
fn record(device: &SyncHome, count: i64, days: i64) {
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(days * DAY);
    let lines: String = (0..count)
        .map(|i| {
            let at = now - jiff::SignedDuration::from_secs(1 + i * (days * DAY - 60) / count);
            serde_json::json!({ "command": format!("{} {i}", device.name), "at": at.to_string() }).to_string() + "\n"
        })
        .collect();
    let added = device.run_with_input(["history", "add"], lines);
    assert_eq!(added.code, Some(0), "{added:?}");
}

/// One exchange, on the day when they meet; how long it took.
fn meet(device: &SyncHome, days: i64) -> Duration {
    let clock = device.home.file("clock", (days * DAY).to_string());
    let mut command = device.command(["sync", "now", "--json"]);
    command.env("CARO_TEST_CLOCK", clock);
    let begun = Instant::now();
    let run = finish_within(command, &[], Duration::from_secs(300));
    assert_eq!(run.code, Some(0), "on {}: {run:?}", device.name);
    begun.elapsed()
}

/// Three devices go apart, record so many commands each in so many days, and meet. What each had recorded before is
/// on all of them. Returns the time that the first round and the second took together.
fn apart(count: i64, days: i64, device: fn(&'static str) -> SyncHome) -> ([SyncHome; 3], Duration) {
    let relay = Relay::new();
    let devices = [device("laptop"), device("desktop"), device("server")];
    let [a, b, c] = &devices;
    a.add_one("when all were together");
    let phrase = a.init(&relay.url());
    for other in [b, c] {
        other.restored(&relay.url(), &phrase);
    }
    // One clock that is far ahead is not believed: two have to say the same.
    for device in [a, b, a] {
        meet(device, days);
    }
    for device in &devices {
        record(device, count, days);
    }
    // Whoever comes first has not seen what the later ones bring: he gets it when he comes again.
    let took = [a, b, c, a, b].into_iter().map(|device| meet(device, days)).sum();
    (devices, took)
}

fn nothing_is_lost(count: i64, days: i64) {
    let ([a, b, c], took) = apart(count, days, SyncHome::new);
    let expected = usize::try_from(3 * count).unwrap() + 1;
    assert_eq!(assert_equal_histories(&[&a, &b, &c]), expected);
    println!("three devices, {count} commands each over {days} days: met in {took:.1?}");
}

fn limits_take_nothing_from_any_device(count: i64, days: i64) {
    let ([a, b, c], took) = apart(count, days, SyncHome::with_limits);
    for device in [&a, &b, &c] {
        let records = device.records();
        let own = |name: &str| records.values().filter(|r| r["command"].as_str().unwrap().starts_with(name)).count();
        assert_eq!(own(device.name), usize::try_from(count).unwrap(), "{} keeps what it has", device.name);
        assert_eq!(own("when all were together"), 1, "{} keeps what it had received", device.name);
        // And it got what lies inside the window, of the others.
        let others = records.len() - usize::try_from(count).unwrap() - 1;
        let inside = usize::try_from(2 * count * 90.min(days) / days).unwrap();
        let (least, most) = if 3 * count > 10_000 { (1, inside + 2) } else { (inside.saturating_sub(4), inside + 4) };
        assert!(
            (least..=most).contains(&others),
            "{}: {others} from the others, {least} to {most} expected",
            device.name
        );
    }
    println!("with the default limits, {count} commands each over {days} days: met in {took:.1?}");
}

#[test]
fn after_thirty_days_nothing_is_lost() {
    nothing_is_lost(300, 30);
}

#[test]
fn after_ninety_days_nothing_is_lost() {
    nothing_is_lost(300, 90);
}

#[test]
fn after_four_hundred_days_nothing_is_lost_and_limits_keep_what_every_device_has() {
    nothing_is_lost(300, 400);
    limits_take_nothing_from_any_device(300, 400);
}

#[test]
fn slow_three_devices_with_ten_thousand_commands_each_meet_after_months() {
    if !is_slow_run() {
        return;
    }
    for days in [30, 90, 400] {
        nothing_is_lost(10_000, days);
        limits_take_nothing_from_any_device(10_000, days);
    }
}
