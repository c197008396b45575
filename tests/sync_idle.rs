//! What a daemon costs that has nothing to do, and that its memory does not grow over a month.

use std::time::{Duration, Instant};

use crate::common::daemon::Daemon;
use crate::common::home::{is_slow_run, wait_until};
use crate::common::sync::{Relay, SyncHome};

/// How long an idle daemon is looked at.
const IDLE: Duration = Duration::from_secs(60);

/// A number in `/proc/PID/status`, of all its threads together.
fn of_threads(daemon: &Daemon, name: &str) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    threads.map(|thread| field(&std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap(), name)).sum()
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn memory_kib(daemon: &Daemon) -> u64 {
    field(&std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap(), "VmRSS")
}

/// Hundredths of a second of processor time.
fn ticks(daemon: &Daemon) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn slow_an_idle_daemon_costs_next_to_nothing() {
    if !is_slow_run() {
        return;
    }
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    device.exchanges("realtime");
    let daemon = device.daemon();
    daemon.wait_for("listening");
    let (begun, before, wakes) = (Instant::now(), ticks(&daemon), of_threads(&daemon, "voluntary_ctxt_switches"));
    // What is measured is time passing.
    while begun.elapsed() < IDLE {
        std::thread::park_timeout(IDLE);
    }
    let (spent, wakes) = (ticks(&daemon) - before, of_threads(&daemon, "voluntary_ctxt_switches") - wakes);
    let memory = memory_kib(&daemon);
    println!("idle for {} s: {} ms of processor time, {wakes} wake-ups, {memory} KiB", IDLE.as_secs(), spent * 10);
    assert!(spent < 100, "less than a sixtieth of a processor: {spent}");
    assert!(wakes < 10 * IDLE.as_secs(), "the relay's keep-alive, and little else: {wakes}");
}

/// Without it, the free memory of engines that ended adds up in the pools of many threads.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn all_threads_of_a_daemon_share_one_pool_of_memory() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    let daemon = device.daemon();
    // It started itself again, as the same process and with the same arguments: it answers.
    let environment = std::fs::read(format!("/proc/{}/environ", daemon.pid())).unwrap();
    assert!(environment.split(|byte| *byte == 0).any(|variable| variable == b"MALLOC_ARENA_MAX=1"));
}

#[test]
fn slow_memory_does_not_grow_over_a_month() {
    if !is_slow_run() {
        return;
    }
    let relay = Relay::new();
    let (a, b) = crate::sync_daemon::pair(&relay);
    let clock = a.home.file("clock", "0");
    let daemons = [&a, &b].map(|device| {
        device.exchanges("realtime");
        let daemon = Daemon::start(device, &[("CARO_TEST_CLOCK", clock.as_os_str())]);
        daemon.wait_for("listening");
        daemon
    });
    let mut memory = Vec::new();
    for day in 0..30u64 {
        std::fs::write(&clock, (day * 86_400).to_string()).unwrap();
        let mut last = String::new();
        for command in 0..20 {
            let mut add = a.command(["history", "add", "--command", &format!("day {day}, command {command}")]);
            add.env("CARO_TEST_CLOCK", &clock);
            last = a.finish(add, &[]).stdout.trim().to_owned();
        }
        let history = b.home.history();
        wait_until("the day's commands are there", || history.get(last.parse().unwrap()).unwrap().is_some());
        memory.push(daemons.each_ref().map(memory_kib));
    }
    println!("KiB of both daemons on days 1, 10, 20 and 30: {:?}", [0, 9, 19, 29].map(|day| memory[day]));
    for daemon in 0..2 {
        let (early, late) = (memory[5][daemon], memory[29][daemon]);
        assert!(late < early + early / 4, "it grows: {memory:?}");
    }
}
