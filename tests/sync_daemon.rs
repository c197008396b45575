//! Two devices with daemons: every change is there within a second, and whatever happens to relay, machine or
//! process, they meet again by themselves.

use std::time::{Duration, Instant};

use caro::history::{Record, UnixNanos};

use crate::common::daemon::Daemon;
use crate::common::home::wait_until;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::sync_disk_full::SmallDisk;

/// How long a command is waited for. A quarter of it is the worst case that is allowed; a machine that is busy with other
/// tests gets the rest.
const WORST: Duration = Duration::from_secs(120);

/// Two devices of one user.
pub fn pair(relay: &Relay) -> (SyncHome, SyncHome) {
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    (a, b)
}

/// Waits until a device has a record, and says how long it took since `begun`.
fn arrives(device: &SyncHome, id: &str, begun: Instant, within: Duration) -> Duration {
    let id = id.parse().unwrap();
    let history = device.home.history();
    while history.get(id).unwrap().is_none() {
        if begun.elapsed() > within {
            let (log, status) = (device.ok(["sync", "logs"]).stdout, device.status());
            panic!("it has not arrived on {} within {within:?}\n{log}\n{status}", device.name);
        }
        std::thread::park_timeout(crate::common::home::BETWEEN_LOOKS);
    }
    begun.elapsed()
}

/// A command added on one device is on the other in time; how long it took.
fn travels(from: &SyncHome, to: &SyncHome, command: &str) -> Duration {
    let begun = Instant::now();
    let id = from.add_one(command);
    arrives(to, &id, begun, WORST)
}

fn live(devices: [&SyncHome; 2]) -> [Daemon; 2] {
    devices.map(|device| {
        device.exchanges("realtime");
        let daemon = device.daemon();
        daemon.wait_for("listening");
        daemon
    })
}

#[test]
fn a_command_is_on_the_other_device_within_a_second() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    let [on_a, on_b] = live([&a, &b]);
    let mut times: Vec<Duration> = (0..10)
        .flat_map(|i| [travels(&a, &b, &format!("from a {i}")), travels(&b, &a, &format!("from b {i}"))])
        .collect();
    times.sort();
    println!("a command travels in {:?} (median), {:?} (longest of {})", times[10], times[19], times.len());
    assert!(times[10] < Duration::from_secs(1), "{times:?}");
    assert_eq!(assert_equal_histories(&[&a, &b]), 20);
    assert!(on_a.stop().success() && on_b.stop().success());
    assert_eq!(a.status()["pending"], 0);
}

#[test]
fn a_write_that_nobody_told_of_is_noticed() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    let [_on_a, _on_b] = live([&a, &b]);
    let history = a.home.history();
    let record = Record::new("by another program", UnixNanos(1_790_000_000_000_000_000), history.device_id().unwrap());
    let begun = Instant::now();
    history.add(&record).unwrap();
    println!("a write nobody told of travels in {:?}", arrives(&b, &record.id.to_string(), begun, WORST));
}

#[test]
fn a_relay_that_dies_and_comes_back_is_found_again() {
    let mut relay = Relay::new();
    let (a, b) = pair(&relay);
    let [on_a, on_b] = live([&a, &b]);
    travels(&a, &b, "before");
    relay.kill();
    on_a.wait_for("retrying");
    on_b.wait_for("retrying");
    let id = a.add_one("meanwhile");
    let status = on_a.status().unwrap();
    assert!(status["next_at"].is_string() && status["failures"].as_u64() > Some(0), "{status}");
    relay.start_again();
    println!("after a restart of the relay: {:?}", arrives(&b, &id, Instant::now(), WORST));
    travels(&b, &a, "after");
}

#[test]
fn a_daemon_that_was_stopped_like_a_sleeping_machine_catches_up() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    let [_on_a, on_b] = live([&a, &b]);
    on_b.signal("STOP");
    let id = a.add_one("while b sleeps");
    // The command line does not wait for a daemon that sleeps.
    let begun = Instant::now();
    b.add_one("recorded beside a sleeping daemon");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    on_b.signal("CONT");
    println!("after waking up: {:?}", arrives(&b, &id, Instant::now(), WORST));
    wait_until("both are equal", || a.records().len() == 2);
}

#[test]
fn a_killed_daemon_leaves_nothing_that_stops_the_next() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    let [on_a, _on_b] = live([&a, &b]);
    travels(&a, &b, "before");
    on_a.kill();
    let id = a.add_one("while none runs");
    let on_a = a.daemon();
    println!("with a new daemon: {:?}", arrives(&b, &id, Instant::now(), WORST));
    let second = a.run(["sync", "daemon"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("runs already"), "{second:?}");
    assert!(on_a.stop().success());
}

#[test]
fn a_clock_that_jumps_by_hours_stops_nothing() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    b.exchanges("realtime");
    a.exchanges("realtime");
    let clock = a.home.file("clock", "0");
    let on_a = Daemon::start(&a, &[("CARO_TEST_CLOCK", clock.as_os_str())]);
    let _on_b = b.daemon();
    on_a.wait_for("listening");
    for hours in [5, -7, 24 * 40, 0] {
        std::fs::write(&clock, (hours * 3600).to_string()).unwrap();
        println!("clock {hours} hours off: {:?}", travels(&a, &b, &format!("at {hours} hours")));
        travels(&b, &a, &format!("answer at {hours} hours"));
    }
    assert_equal_histories(&[&a, &b]);
}

#[test]
fn sync_now_asks_the_daemon_and_others_borrow_the_lock() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    let [_on_a, on_b] = live([&a, &b]);
    a.add_one("one");
    assert_eq!(a.now().pending, 0);
    // With a patience of its own it does its own work.
    let run = b.ok(["sync", "now", "--timeout", "20", "--json"]);
    assert!(run.stdout.contains("\"pending\":0"), "{run:?}");
    on_b.wait_for("listening");
    assert_eq!(assert_equal_histories(&[&a, &b]), 1);
}

#[test]
fn what_takes_connections_and_never_answers_is_no_daemon() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    // Whoever listens there has no lock: a daemon of another version, or one that is stuck in its last moments.
    let socket = a.home.path().join("state/daemon.sock");
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let hanging = std::os::unix::net::UnixListener::bind(socket).unwrap();
    a.add_one("one");
    assert_eq!((a.now().pending, b.now().received), (0, 1));
    assert_eq!(a.status()["daemon"], serde_json::Value::Null, "it is not called one");
    drop(hanging);
    // A file without anybody behind it does not keep the next from answering.
    let _on_a = a.daemon();
    assert_eq!(a.status()["daemon"]["doing"], "waiting");
}

#[test]
fn settings_take_effect_while_it_runs() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    let [on_a, on_b] = live([&a, &b]);
    a.exchanges("manual");
    on_a.wait_for("waiting");
    a.add_one("kept back");
    a.ok(["sync", "pause"]);
    on_a.wait_for("paused");
    assert_eq!(a.status()["pending"], 1);
    assert_eq!(a.now().sent, 1, "what the user asks for is done");
    // The frequency is one for all devices.
    on_b.wait_for("waiting");
    a.exchanges("realtime");
    a.ok(["sync", "resume"]);
    on_a.wait_for("listening");
    b.now();
    on_b.wait_for("listening");
    a.ok(["sync", "relay", "set", "none"]);
    on_a.wait_for("no_relay");
    a.ok(["sync", "relay", "set", &relay.url(), "--yes"]);
    on_a.wait_for("listening");
    a.add_one("again");
    wait_until("it has gone up", || a.status()["pending"] == 0);
    // The frequency follows the user, so the other device may be waiting to be asked.
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 2);
}

#[test]
fn a_full_disk_is_waited_out() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let Some(disk) = SmallDisk::mount(&b.home.data_dir(), 16_384) else {
        println!("skipped: mounting needs root");
        return;
    };
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    let [_on_a, on_b] = live([&a, &b]);
    let filler = disk.fill(4096);
    let ids = a.add(&(0..200).map(|i| format!("{i} {}", "x".repeat(300))).collect::<Vec<_>>());
    on_b.wait_for("retrying");
    assert!(!on_b.status().unwrap()["error"]["remedy"].is_null(), "{:?}", on_b.status());
    std::fs::remove_file(filler).unwrap();
    println!("after there was room again: {:?}", arrives(&b, &ids[199], Instant::now(), WORST));
    assert_eq!(assert_equal_histories(&[&a, &b]), 200);
}

/// A network of its own with one link to this one; gone when it goes away.
struct Link {
    name: String,
    address: std::net::IpAddr,
}

impl Link {
    /// None where this user may not make one.
    fn new() -> Option<Self> {
        let number = std::process::id() % 250;
        let link = Self { name: format!("caro-{number}"), address: [10, 213, u8::try_from(number).ok()?, 1].into() };
        let (name, inside) = (&link.name, format!("10.213.{number}.2/30"));
        let steps = [
            format!("netns add {name}"),
            format!("link add {name} type veth peer name eth0 netns {name}"),
            format!("addr add {}/30 dev {name}", link.address),
            format!("link set {name} up"),
            format!("-n {name} addr add {inside} dev eth0"),
            format!("-n {name} link set lo up"),
            format!("-n {name} link set eth0 up"),
        ];
        steps.iter().all(|step| ip(step)).then_some(link)
    }

    fn set(&self, state: &str) {
        assert!(ip(&format!("link set {} {state}", self.name)));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        ip(&format!("link del {}", self.name));
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> bool {
    let mut command = std::process::Command::new("ip");
    command.args(arguments.split(' ')).stderr(std::process::Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn a_network_that_goes_and_comes_back_is_noticed() {
    let Some(link) = Link::new() else {
        println!("skipped: a network of one's own needs root");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start_at(&folder.path().join("relay"), (link.address, 0).into());
    let (a, b) = pair(&relay);
    a.exchanges("realtime");
    b.exchanges("realtime");
    let _on_a = a.daemon();
    let plain = b.home.command(["sync", "daemon"]);
    let mut inside = std::process::Command::new("ip");
    inside.args(["netns", "exec", &link.name]).arg(plain.get_program()).args(plain.get_args()).env_clear();
    inside.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?)))).env("CARO_KEYSTORE", "file");
    let on_b = Daemon::spawn(&b, inside);
    on_b.wait_for("listening");
    travels(&a, &b, "before");
    link.set("down");
    on_b.wait_for("retrying");
    let id = a.add_one("meanwhile");
    link.set("up");
    println!("after the network came back: {:?}", arrives(&b, &id, Instant::now(), WORST));
}

#[test]
fn a_daemon_whose_keys_were_replaced_ends_and_the_next_has_the_new_ones() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    let [mut on_a, _on_b] = live([&a, &b]);
    travels(&a, &b, "before");
    let phrase = a.home.path().join("new");
    a.ok(["sync", "revoke", "--yes", "--phrase-out", phrase.to_str().unwrap()]);
    assert_eq!(on_a.wait().code(), Some(1), "{}", on_a.log());
    assert!(on_a.log().contains("has new keys"), "{}", on_a.log());
    assert!(a.ok(["sync", "logs"]).stdout.contains("has new keys"));
    let on_a = a.daemon();
    on_a.wait_for("listening");
    a.add_one("after");
    wait_until("it has gone up", || a.status()["pending"] == 0);
}

#[test]
fn what_is_asked_for_waits_while_the_lock_is_lent() {
    let relay = Relay::new();
    let (a, b) = pair(&relay);
    let [on_a, _on_b] = live([&a, &b]);
    let (borrowed, answered) = on_a.talk("borrow");
    assert_eq!(answered, serde_json::json!({}));
    on_a.wait_for("lent");
    let (mut asked, answered) = on_a.talk("exchange");
    assert_eq!(answered, serde_json::json!({}));
    on_a.wait_for("lent");
    drop(borrowed);
    let outcome = asked.next_answer();
    assert!(outcome["report"].is_object(), "it is done once the lock is back: {outcome}");
}
