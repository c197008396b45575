//! Without a daemon a detached exchange follows what was recorded: soon, seldom more than one, and at no cost to the
//! command that recorded it. None at all where the user does not want it.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::home::{Run, wait_until};
use crate::common::sync::{Relay, SyncHome, contains};

/// The system calls of one process for sockets, processes and programs; those of its children are not traced.
fn traced(device: &SyncHome, args: &[&str]) -> (Run, String) {
    let log = device.home.path().join("strace.log");
    let plain = device.command(args);
    let mut command = Command::new("strace");
    command.args(["-qq", "-e", "trace=network,clone,clone3,vfork,fork", "-o"]).arg(&log).arg("--");
    // Past `setsid --wait`, whose own child it is.
    command.args(plain.get_args().skip(1)).env_clear();
    for (key, value) in plain.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    command.current_dir(device.home.work_dir()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = device.finish(command, &[]);
    (run, std::fs::read_to_string(log).expect("strace has written its log"))
}

/// Exchanges that the log has of background processes.
fn in_background(device: &SyncHome) -> usize {
    let logs = device.ok(["sync", "logs", "--json", "-n", "1000"]);
    logs.json().iter().filter(|entry| entry["by"] == "background").count()
}

#[test]
fn what_is_recorded_goes_up_by_itself_in_few_exchanges() {
    let relay = Relay::new();
    let (a, b) = crate::sync_daemon::pair(&relay);
    a.exchanges("realtime");
    for i in 0..30 {
        a.add_one(&format!("command {i}"));
    }
    wait_until("everything has gone up", || a.status()["pending"] == 0);
    // The log is written after that.
    wait_until("the log says so", || in_background(&a) > 0);
    let exchanges = in_background(&a);
    println!("30 commands went up in {exchanges} exchanges");
    assert!((1..=10).contains(&exchanges), "{exchanges}");
    assert_eq!(b.now().received, 30);
}

#[test]
fn recording_waits_for_nothing() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    let median = |device: &SyncHome| {
        let mut times: Vec<_> = (0..15)
            .map(|_| {
                let begun = Instant::now();
                device.add_one("ls");
                begun.elapsed()
            })
            .collect();
        times.sort();
        times[7]
    };
    let without = median(&device);
    device.exchanges("realtime");
    let with = median(&device);
    println!("recording takes {without:?} without and {with:?} with a background exchange");
    wait_until("everything has gone up", || device.status()["pending"] == 0);
    let (run, calls) = traced(&device, &["history", "add", "--command", "pwd"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(!calls.contains("AF_INET"), "no network in this process: {calls}");
    let started = calls.lines().filter(|call| call.contains("clone") || call.contains("fork")).count();
    assert!(started <= 1, "one process, and no thread: {calls}");
    wait_until("it has gone up", || device.status()["pending"] == 0);
}

#[test]
fn nothing_happens_where_it_is_not_wanted() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.exchanges("realtime");
    let quiet = |when: &str| {
        let (run, calls) = traced(&device, &["history", "add", "--command", "ls"]);
        assert_eq!((run.code, calls.as_str()), (Some(0), ""), "{when}: {run:?}");
    };
    quiet("not set up");
    device.init(&relay.url());
    device.ok(["sync", "pause"]);
    quiet("paused");
    device.ok(["sync", "disable"]);
    quiet("disabled and paused");
    device.exchanges("manual");
    device.ok(["sync", "enable", "--yes"]);
    device.ok(["sync", "resume"]);
    quiet("manual");
    device.exchanges("hourly");
    device.now();
    quiet("not due");
    device.exchanges("realtime");
    device.ok(["sync", "relay", "set", "none"]);
    quiet("no relay");
}

#[test]
fn an_unreachable_relay_is_tried_ever_more_rarely() {
    let mut relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    relay.kill();
    device.exchanges("realtime");
    device.add_one("ls");
    wait_until("it was tried", || in_background(&device) == 1);
    wait_until("the failure is noted", || device.state()["background"]["failures"] == 1);
    let (run, calls) = traced(&device, &["history", "add", "--command", "pwd"]);
    assert_eq!((run.code, calls.as_str()), (Some(0), ""), "not before a while: {run:?}");
    let status = device.ok(["sync", "status", "--offline", "--json"]).json().remove(0);
    assert_eq!(status["next_exchange"]["trigger"], "capture");
    assert!(status["next_exchange"]["at"].is_string(), "{status}");
    assert!(status["last_exchange"]["remedy"].as_str().unwrap().contains("Check the address"), "{status}");
    relay.start_again();
    assert_eq!(device.now().sent, 2);
}

/// The background exchanges of a device that run now.
fn running(device: &SyncHome) -> usize {
    let home = device.home.path().display().to_string();
    let is_one = |process: &std::fs::DirEntry| {
        let read = |name: &str| std::fs::read(process.path().join(name)).unwrap_or_default();
        contains(&read("cmdline"), b"now\0--background") && contains(&read("environ"), home.as_bytes())
    };
    std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(is_one).count()
}

#[test]
fn a_relay_that_takes_connections_and_says_nothing_keeps_one_busy_and_one_waiting() {
    let mut relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    relay.stop();
    let silent = TcpListener::bind(relay.address()).unwrap();
    std::thread::spawn(move || silent.incoming().collect::<Vec<_>>());
    device.exchanges("realtime");
    // Longer than several of them take until they wait for their turn.
    let (begun, mut most) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(8) {
        device.add_one("ls");
        most = most.max(running(&device));
    }
    println!("at most {most} background exchanges at a time");
    // One may have started only to find that another waits already.
    assert!((1..=3).contains(&most), "{most}");
}
