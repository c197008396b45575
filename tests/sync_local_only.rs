//! Commands of the local history open no socket, start no isolate and no thread, set up or not.
//!
//! Twice over: every system call of the network is traced, and the same commands work in a namespace without any
//! interface. `caro sync now` under the same trace shows that the trace sees sockets.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::home::Run;
use crate::common::sync::{Relay, SyncHome};

fn traced(device: &SyncHome, log: &PathBuf, args: &[&str]) -> (Run, String) {
    let plain = device.command(args);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=network,clone,clone3", "-o"]).arg(log).arg("--");
    let run = device.finish(wrapped(command, &plain), &[]);
    (run, std::fs::read_to_string(log).expect("strace has written its log"))
}

/// This command before that one, in its environment.
fn wrapped(mut outer: Command, inner: &Command) -> Command {
    outer.arg(inner.get_program()).args(inner.get_args()).env_clear();
    for (key, value) in inner.get_envs() {
        if let Some(value) = value {
            outer.env(key, value);
        }
    }
    if let Some(folder) = inner.get_current_dir() {
        outer.current_dir(folder);
    }
    outer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    outer
}

/// Every command of the local history, in an order in which each has something to do.
fn history_commands(device: &SyncHome) -> Vec<Vec<String>> {
    let bash = device.home.file("bash_history", "ls\ngit status\n");
    let id = device.add_one("echo shown");
    let words = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    vec![
        words(&["history", "add", "--command", "make all"]),
        words(&["history", "import", "bash", "--file", bash.to_str().unwrap()]),
        words(&["history", "list"]),
        words(&["history", "list", "--json"]),
        words(&["history", "search", "make"]),
        words(&["history", "show", &id]),
        words(&["history", "last"]),
        words(&["--version"]),
    ]
}

fn no_sockets_and_no_threads(device: &SyncHome) {
    let log = device.home.path().join("strace.log");
    for args in history_commands(device) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (run, calls) = traced(device, &log, &args);
        assert_eq!(run.code, Some(0), "{args:?}: {run:?}");
        assert_eq!(calls, "", "{args:?} opens no socket and starts no thread or process");
    }
}

#[test]
fn history_commands_open_no_socket_and_start_no_thread() {
    no_sockets_and_no_threads(&SyncHome::new("laptop"));
}

#[test]
fn nor_do_they_where_sync_is_set_up() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    no_sockets_and_no_threads(&device);
    let log = device.home.path().join("strace.log");
    let (run, calls) = traced(&device, &log, &["sync", "now"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(calls.contains("connect(") && calls.contains("AF_INET"), "the trace sees sockets: {calls}");
    assert!(calls.contains("clone"), "and threads");
    let (run, calls) = traced(&device, &log, &["sync", "status", "--offline"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(!calls.contains("AF_INET"), "an offline status asks nobody: {calls}");
}

/// What local commands say, with what differs from home to home by nature put aside.
fn a_local_life(device: &SyncHome) -> Vec<String> {
    let id = |number: usize| format!("018bcfe5-68cc-7ac5-b5ff-00000000000{number}");
    let line = |number: usize, command: &str| {
        let (at, id) = (format!("2026-01-01T00:00:0{number}Z"), id(number));
        serde_json::json!({ "id": id, "command": command, "at": at, "cwd": "/src", "exit": number % 2 }).to_string()
    };
    let commands = ["make all", "git status", "make all", "ls -l", "cargo test"];
    let lines: Vec<String> = commands.iter().enumerate().map(|(number, command)| line(number, command)).collect();
    let (one, two) = (id(1), id(2));
    let steps: [&[&str]; 22] = [
        &["history", "add"],
        &["history", "list"],
        &["history", "list", "--json"],
        &["history", "search", "make"],
        &["history", "search", "--failed", "--json"],
        &["history", "show", &one],
        &["history", "last"],
        &["history", "stats", "--json"],
        &["history", "dedup", "--dry-run"],
        &["history", "filter", "add", "exclude command \"ls *\""],
        &["history", "prune", "--yes"],
        &["history", "undo"],
        &["history", "delete", &two, "--yes"],
        &["history", "delete", &two, "--yes"],
        &["history", "undo"],
        &["config", "set", "default_model", "a-model"],
        &["config", "get", "default_model"],
        &["config", "set", "default_modell", "a-model"],
        &["config", "unset", "default_model"],
        &["export", "--format", "csv"],
        &["history", "show", "ffffffff"],
        &["history", "clear", "--yes"],
    ];
    let ids: Value = serde_json::from_str(&device.ok(["sync", "status", "--json", "--offline"]).stdout).unwrap();
    let own = ids["device_id"].as_str().unwrap();
    let here = device.home.path().to_str().unwrap();
    let mut said = vec![];
    for args in steps {
        let input = if args == steps[0] { lines.join("\n") } else { String::new() };
        let mut command = device.command(args);
        command.stdin(Stdio::piped());
        let mut run = device.finish(command, input.as_bytes());
        // Only with sync there is something to say of other devices.
        run.stderr = run.stderr.lines().filter(|line| !line.starts_with("Hint: ")).collect();
        said.push(format!("{args:?}: {run:?}").replace(own, "DEVICE").replace(here, "HOME"));
    }
    said
}

#[test]
fn local_commands_say_the_same_with_sync_and_without() {
    let mut relay = Relay::new();
    let [without, with] = ["laptop", "laptop"].map(SyncHome::new);
    with.init(&relay.url());
    relay.stop();
    let said = a_local_life(&without);
    let refused: Vec<_> = said.iter().filter(|run| !run.contains("code: Some(0)")).collect();
    assert_eq!(refused.len(), 3, "what was deleted, misspelt or never there: {refused:#?}");
    for (one, other) in said.iter().zip(a_local_life(&with)) {
        assert_eq!(*one, other);
    }
}

#[test]
fn a_namespace_without_a_network_is_enough_for_everything_local() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    let alone = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "--"]);
        device.finish(wrapped(command, &device.command(args)), &[])
    };
    for args in history_commands(&device) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let run = alone(&args);
        if run.stderr.contains("unshare") {
            println!("skipped: this machine allows no namespaces: {}", run.stderr);
            return;
        }
        assert_eq!(run.code, Some(0), "{args:?}: {run:?}");
    }
    let run = alone(&["sync", "now"]);
    assert_eq!(run.code, Some(5), "without a network the relay is out of reach: {run:?}");
    assert_eq!(alone(&["sync", "status"]).code, Some(0));
}
