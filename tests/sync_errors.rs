//! What goes wrong with sync, in words and exit codes; and the shapes of its JSON.
//!
//! A failed setup leaves nothing behind: neither state nor keys nor a file with a phrase that opens nothing.

use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::common::home::Run;
use crate::common::sync::{Exchanged, LocalOnly, Relay, SyncHome};

/// 24 words with a right checksum that no relay has ever heard of.
const UNKNOWN: &str = "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title\n";

/// An address where nothing listens.
fn nowhere() -> String {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    format!("ws://{address}")
}

fn nothing_is_set_up(device: &SyncHome) {
    for file in ["sync.json", "sync.db", "sync.db-wal", "keys", "phrase"] {
        assert!(!device.data(file).exists(), "{file} is left behind");
    }
    assert!(!device.home.path().join("phrase").exists(), "the phrase of no identity is left behind");
    let config = std::fs::read_to_string(device.home.path().join("config/sync.toml")).unwrap_or_default();
    assert!(!config.contains("relay"), "a configuration is left behind: {config}");
    device.run(["sync", "now"]).failure(3);
}

fn new_identity(device: &SyncHome, relay: &str) -> Run {
    let phrase = device.home.path().join("phrase");
    device.run(["sync", "init", "--new", "--relay", relay, "--phrase-out", phrase.to_str().unwrap(), "--yes"])
}

#[test]
fn before_a_setup_every_sync_command_says_how_to_begin() {
    let device = SyncHome::with_limits("laptop");
    device.add_one("ls");
    for args in [
        &["sync", "now"][..],
        &["sync", "now", "--json"],
        &["sync", "phrase", "show"],
        &["sync", "phrase", "verify"],
        &["sync", "relay", "show"],
        &["sync", "relay", "set", "wss://relay.example"],
    ] {
        let run = device.run(args).failure(3);
        assert!(run.stderr.contains("sync is not set up"), "{args:?}: {run:?}");
        assert!(run.stderr.contains("caro sync init") && run.stderr.contains("caro sync restore"), "{args:?}: {run:?}");
    }
    let status = device.ok(["sync", "status"]);
    assert!(status.stdout.contains("nothing is synced"), "{status:?}");
    assert!(status.stderr.contains("caro sync init"), "{status:?}");
    assert_eq!(device.commands(), ["ls"], "everything local works");
}

#[test]
fn a_phrase_with_a_mistake_is_refused_before_any_network() {
    let device = SyncHome::with_limits("laptop");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let relay = format!("ws://{}", listener.local_addr().unwrap());
    for (what, phrase, says) in [
        ("checksum", UNKNOWN.replace("title", "winner"), "together they are not a recovery phrase"),
        ("unknown word", UNKNOWN.replacen("winner", "winnner", 1), "2"),
        ("too short", "legal winner thank\n".to_owned(), "12 or 24"),
        ("empty", String::new(), "12 or 24"),
    ] {
        let file = device.home.file("given", &phrase);
        for command in [&["sync", "restore"][..], &["sync", "init"]] {
            let mut args = command.to_vec();
            args.extend(["--phrase-file", file.to_str().unwrap(), "--relay", &relay, "--yes"]);
            let run = device.run(&args).failure(4);
            assert!(run.stderr.contains(says), "{what}: {run:?}");
            assert!(!run.stderr.contains("winner"), "the words are not repeated: {run:?}");
        }
    }
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody called the relay");
    nothing_is_set_up(&device);
}

#[test]
fn a_phrase_that_the_relay_does_not_know_is_the_wrong_phrase() {
    let relay = Relay::new();
    let device = SyncHome::with_limits("laptop");
    device.add_one("ls");
    let file = device.home.file("given", UNKNOWN);
    let begun = Instant::now();
    let run = device.restore(&relay.url(), &file).failure(4);
    assert!(run.stderr.contains("opens nothing on ws://127.0.0.1"), "{run:?}");
    assert!(run.stderr.contains("Check the words"), "{run:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
    nothing_is_set_up(&device);
    assert_eq!(device.commands(), ["ls"]);
}

#[test]
fn a_relay_that_cannot_be_reached_is_an_error_of_its_own_and_leaves_nothing() {
    let device = SyncHome::with_limits("laptop");
    let file = device.home.file("given", UNKNOWN);
    let begun = Instant::now();
    for run in [new_identity(&device, &nowhere()), device.restore(&nowhere(), &file)] {
        let run = run.failure(5);
        assert!(run.stderr.contains("cannot reach ws://127.0.0.1"), "{run:?}");
        assert!(run.stderr.contains("nothing listens there"), "{run:?}");
        nothing_is_set_up(&device);
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "both together took {:?}", begun.elapsed());
}

#[test]
fn a_name_that_does_not_exist_cannot_be_reached() {
    let device = SyncHome::with_limits("laptop");
    new_identity(&device, "ws://relay.invalid").failure(5);
    nothing_is_set_up(&device);
}

/// A server that answers every connection with these bytes, and reads on.
fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = stream;
                drop(std::io::Write::write_all(&mut stream, answer));
                let mut ignored = [0; 1024];
                while stream.read(&mut ignored).is_ok_and(|count| count > 0) {}
            });
        }
    });
    url
}

#[test]
fn a_server_that_is_no_relay_is_not_taken_for_one() {
    for (answer, says) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"[..], "not as a relay"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "no relay at that path"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "token"),
        (b"220 smtp.example ESMTP\r\n", "not as a relay"),
    ] {
        let device = SyncHome::with_limits("laptop");
        let run = new_identity(&device, &server(answer)).failure(5);
        assert!(run.stderr.contains(says), "{run:?}");
        nothing_is_set_up(&device);
    }
}

#[test]
fn a_server_that_accepts_and_never_answers_is_given_up() {
    let device = SyncHome::with_limits("laptop");
    let begun = Instant::now();
    let run = new_identity(&device, &server(b"")).failure(5);
    assert!(run.stderr.contains("did not answer in time"), "{run:?}");
    assert!(begun.elapsed() < Duration::from_secs(40), "it took {:?}", begun.elapsed());
    nothing_is_set_up(&device);
}

#[test]
fn a_relay_that_goes_away_is_unreachable_until_it_is_back() {
    let mut relay = Relay::new();
    let device = SyncHome::with_limits("laptop");
    device.init(&relay.url());
    let id = device.add_one("while it was away");
    relay.kill();
    let begun = Instant::now();
    let run = device.run(["sync", "now"]).failure(5);
    assert!(run.stderr.contains("nothing is lost"), "{run:?}");
    assert!(begun.elapsed() < Duration::from_secs(25), "it took {:?}", begun.elapsed());
    let status = device.status();
    assert_eq!(status["pending"], 1);
    assert!(device.records().contains_key(&id));
    relay.start_again();
    assert_eq!(device.now().sent, 1);
    assert_eq!(device.status()["last_exchange"]["error"], serde_json::Value::Null);
}

#[test]
fn a_second_setup_is_refused() {
    let relay = Relay::new();
    let device = SyncHome::with_limits("laptop");
    let phrase = device.init(&relay.url());
    let before = device.state();
    let again = device.home.path().join("again");
    let again = again.to_str().unwrap();
    for run in [
        device.run(["sync", "init", "--new", "--relay", &relay.url(), "--phrase-out", again, "--yes"]),
        device.restore(&relay.url(), &phrase),
    ] {
        let run = run.failure(1);
        assert!(run.stderr.contains("already set up"), "{run:?}");
    }
    assert!(!std::path::Path::new(again).exists());
    assert_eq!(device.state(), before);
}

#[test]
fn a_phrase_file_is_private_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let relay = Relay::new();
    let device = SyncHome::with_limits("laptop");
    let taken = device.home.file("phrase", "my diary");
    let run = new_identity(&device, &relay.url()).failure(2);
    assert!(run.stderr.contains("exists already"), "{run:?}");
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "my diary");
    std::fs::remove_file(&taken).unwrap();
    nothing_is_set_up(&device);

    let phrase = device.init(&relay.url());
    let words = std::fs::read_to_string(&phrase).unwrap();
    assert_eq!(words.split_whitespace().count(), 24);
    for path in
        [phrase, device.data("keys"), device.data("sync.db"), device.data("sync.json"), device.data("history.db")]
    {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn without_a_terminal_a_missing_answer_fails_at_once_and_names_its_flag() {
    let relay = Relay::new();
    let device = SyncHome::with_limits("laptop");
    let file = device.home.file("given", UNKNOWN);
    let (url, file) = (relay.url(), file.to_str().unwrap().to_owned());
    let out = device.home.path().join("phrase");
    let out = out.to_str().unwrap();
    for (args, flag) in [
        (vec!["sync", "init"], "--new or --phrase-file"),
        (vec!["sync", "init", "--new", "--relay", &url, "--yes"], "--phrase-out"),
        (vec!["sync", "init", "--new", "--phrase-out", out, "--yes"], "--relay"),
        (vec!["sync", "init", "--new", "--phrase-out", out, "--relay", &url], "--yes"),
        (vec!["sync", "restore", "--relay", &url, "--yes"], "--phrase-file"),
        (vec!["sync", "restore", "--phrase-file", &file, "--yes"], "--relay"),
        (vec!["sync", "restore", "--phrase-file", &file, "--relay", &url], "--yes"),
    ] {
        let begun = Instant::now();
        let run = device.run(&args).failure(2);
        assert!(run.stderr.contains("needs a terminal"), "{args:?}: {run:?}");
        assert!(run.stderr.contains(flag), "{args:?}: {run:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{args:?} took {:?}", begun.elapsed());
    }
    nothing_is_set_up(&device);
    device.init(&url);
    let run = device.run(["sync", "phrase", "show"]).failure(2);
    assert!(run.stderr.contains("--phrase-out"), "{run:?}");
    let run = device.run(["sync", "phrase", "verify"]).failure(2);
    assert!(run.stderr.contains("--phrase-file"), "{run:?}");
}

#[test]
fn an_address_that_is_none_is_wrong_usage() {
    let device = SyncHome::with_limits("laptop");
    for address in ["relay.example", "https://relay.example", "ws://", "", "ftp://x"] {
        let run = new_identity(&device, address).failure(2);
        assert!(run.stderr.contains("wss://"), "{address}: {run:?}");
    }
    nothing_is_set_up(&device);
}

#[test]
fn the_phrase_appears_on_no_output() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::with_limits("laptop"), SyncHome::with_limits("desktop"));
    let phrase = a.home.path().join("phrase");
    let mut outputs = vec![new_identity(&a, &relay.url())];
    let words = std::fs::read_to_string(&phrase).unwrap();
    outputs.push(b.run_with_input(["sync", "restore", "--phrase-file", "-", "--relay", &relay.url(), "--yes"], &words));
    let shown = a.home.path().join("shown");
    outputs.push(a.run(["sync", "phrase", "show", "--phrase-out", shown.to_str().unwrap()]));
    outputs.push(a.run(["sync", "phrase", "verify", "--phrase-file", shown.to_str().unwrap()]));
    outputs.push(a.run(["sync", "now", "--verbose"]));
    outputs.push(a.run(["sync", "status"]));
    let mut traced = b.command(["sync", "now"]);
    traced.env("CARO_LOG", "trace");
    outputs.push(b.finish(traced, &[]));
    assert_eq!(std::fs::read_to_string(&shown).unwrap(), words);
    let words: Vec<&str> = words.split_whitespace().collect();
    for output in &outputs {
        assert_eq!(output.code, Some(0), "{output:?}");
        for text in [&output.stdout, &output.stderr] {
            for pair in words.windows(3) {
                assert!(!text.contains(&pair.join(" ")), "the phrase is on an output: {}", output.stdout.len());
            }
        }
    }
}

#[test]
fn another_identitys_phrase_does_not_verify() {
    let device = SyncHome::with_limits("laptop");
    device.init("none");
    let file = device.home.file("given", UNKNOWN);
    let run = device.run(["sync", "phrase", "verify", "--phrase-file", file.to_str().unwrap()]).failure(4);
    assert!(run.stderr.contains("not the one of this identity"), "{run:?}");
}

#[test]
fn the_keys_can_be_sealed_with_a_passphrase() {
    let relay = Relay::new();
    let device = SyncHome::with_limits("laptop");
    let pass = device.home.file("pass", "correct horse\n");
    let pass = pass.to_str().unwrap();
    let phrase = device.home.path().join("phrase");
    let url = relay.url();
    device.ok([
        "sync",
        "init",
        "--new",
        "--relay",
        &url,
        "--phrase-out",
        phrase.to_str().unwrap(),
        "--yes",
        "--passphrase-file",
        pass,
    ]);
    device.add_one("sealed");
    let run = device.run(["sync", "now"]).failure(2);
    assert!(run.stderr.contains("--passphrase-file"), "{run:?}");
    let wrong = device.home.file("wrong", "battery staple\n");
    device.run(["sync", "now", "--passphrase-file", wrong.to_str().unwrap()]).failure(1);
    device.ok(["sync", "now", "--passphrase-file", pass]);
    assert_eq!(device.status()["keys"], "sealed_file");
}

/// `caro sync status --json`, version 1.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    schema_version: u32,
    set_up: bool,
    state: String,
    account: Option<String>,
    device_id: String,
    device_name: Option<String>,
    relay: Option<String>,
    relay_reachable: Option<bool>,
    relay_problem: Option<String>,
    pending: u64,
    held: u64,
    pending_down: u64,
    commands: u64,
    devices: Vec<Device>,
    keys: Option<String>,
    last_exchange: Option<LastExchange>,
    next_exchange: Option<NextExchange>,
    daemon: Option<OfDaemon>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NextExchange {
    at: Option<String>,
    trigger: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfDaemon {
    pid: u32,
    version: String,
    doing: String,
    since: String,
    next_at: Option<String>,
    next_trigger: Option<String>,
    failures: u32,
    error: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    device_id: String,
    name: Option<String>,
    commands: u64,
    this_device: bool,
    withheld: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastExchange {
    at: String,
    trigger: String,
    sent: u64,
    received: u64,
    error: Option<String>,
    remedy: Option<String>,
}

fn status(device: &SyncHome, more: &[&str]) -> Status {
    let mut args = vec!["sync", "status", "--json"];
    args.extend(more);
    let run = device.ok(&args);
    assert_eq!(run.stdout.lines().count(), 1, "one JSON value: {run:?}");
    serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("the status is its contract ({e}): {run:?}"))
}

#[test]
fn the_status_as_json_is_its_contract() {
    let mut relay = Relay::new();
    let device = SyncHome::with_limits("laptop");
    device.add_one("ls");
    let before = status(&device, &[]);
    assert_eq!((before.schema_version, before.set_up, before.pending, before.commands), (1, false, 0, 1));
    assert!(before.account.is_none() && before.device_name.is_none() && before.relay.is_none());
    assert!(before.relay_reachable.is_none() && before.keys.is_none() && before.last_exchange.is_none());
    assert_eq!(before.device_id.len(), 36);
    assert_eq!((before.state.as_str(), before.pending_down), ("not_set_up", 0));
    assert!(before.next_exchange.is_none() && before.daemon.is_none());

    device.init(&format!("{}/t0ken?key=secret", relay.url()));
    device.add_one("pwd");
    let set_up = status(&device, &[]);
    assert!(set_up.set_up && set_up.account.unwrap().starts_with("co_z"));
    assert_eq!(set_up.relay.as_deref(), Some(relay.url().as_str()), "without the token");
    assert_eq!((set_up.relay_reachable, set_up.relay_problem), (Some(true), None));
    assert_eq!(set_up.held, 0);
    assert_eq!((set_up.pending, set_up.commands), (1, 2));
    assert_eq!(set_up.keys.as_deref(), Some("plain_file"));
    assert_eq!(set_up.device_name.as_deref(), Some("laptop"));
    assert_eq!(set_up.state, "on");
    assert!(set_up.next_exchange.is_none(), "the user's own business, as the settings say");
    let [this] = &set_up.devices[..] else { panic!("one device: {:?}", set_up.devices) };
    assert_eq!((this.device_id.as_str(), this.commands, this.this_device), (before.device_id.as_str(), 2, true));
    assert!(!this.withheld);
    let last = set_up.last_exchange.unwrap();
    assert_eq!((last.trigger.as_str(), last.sent, last.received, last.error), ("init", 1, 0, None));
    assert_eq!((this.name.as_deref(), last.remedy), (Some("laptop"), None));
    assert!(last.at.ends_with('Z') && last.at.parse::<jiff::Timestamp>().is_ok(), "{}", last.at);
    assert_eq!(status(&device, &["--offline"]).relay_reachable, None);

    device.exchanges("hourly");
    let next = status(&device, &["--offline"]).next_exchange.unwrap();
    assert_eq!(next.trigger, "hourly");
    let wait = next.at.unwrap().parse::<jiff::Timestamp>().unwrap().duration_since(last.at.parse().unwrap());
    assert_eq!(wait.as_secs(), 3600);
    device.exchanges("realtime");
    let daemon = device.daemon();
    daemon.wait_for("listening");
    let live = status(&device, &[]).daemon.unwrap();
    assert_eq!(
        (live.doing.as_str(), live.version.as_str(), live.failures),
        ("listening", env!("CARGO_PKG_VERSION"), 0)
    );
    assert!(live.pid > 0 && live.since.ends_with('Z') && live.error.is_none());
    assert!(live.next_at.is_some() && live.next_trigger.as_deref() == Some("regular"));
    assert!(daemon.stop().success());
    device.exchanges("manual");
    device.ok(["sync", "pause"]);
    assert_eq!(status(&device, &["--offline"]).state, "paused");
    device.ok(["sync", "disable"]);
    let disabled = status(&device, &[]);
    assert_eq!((disabled.state.as_str(), disabled.relay_reachable), ("disabled", None), "and nobody is dialled");
    device.ok(["sync", "enable", "--yes"]);
    device.ok(["sync", "resume"]);

    relay.kill();
    let gone = status(&device, &[]);
    assert_eq!(gone.relay_reachable, Some(false));
    assert_eq!(gone.relay_problem.as_deref(), Some("nothing listens there"));
    device.run(["sync", "now"]).failure(5);
    let failed = status(&device, &["--offline"]).last_exchange.unwrap();
    assert!(failed.error.is_some_and(|error| error.contains("cannot reach")), "a failed exchange is remembered");
}

#[test]
fn an_exchange_as_json_is_its_contract() {
    let relay = Relay::new();
    let device = SyncHome::with_limits("laptop");
    device.init(&relay.url());
    device.add_one("ls");
    let Exchanged {
        schema_version,
        sent,
        received,
        pending,
        too_large,
        missing,
        unreadable,
        withheld,
        local_only,
        duration_ns,
    } = device.now();
    assert_eq!((schema_version, sent, received, pending), (1, 1, 0, 0));
    assert_eq!((too_large, missing, unreadable, withheld), (0, 0, 0, 0));
    assert_eq!(local_only, LocalOnly::default());
    assert!(duration_ns > 0);
    let words = device.ok(["sync", "now"]);
    assert_eq!(words.stdout, "sent 0, received 0, pending 0\n");
    assert_eq!(words.stderr, "", "nothing is said in a pipe where all is well");
}

#[test]
fn a_record_that_is_too_large_stays_and_is_told() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::with_limits("laptop"), SyncHome::with_limits("desktop"));
    let phrase = a.init(&relay.url());
    let line = serde_json::json!({ "command": "y", "cwd": format!("/{}", "x".repeat(700 << 10)) }).to_string();
    let added = a.run_with_input(["history", "add"], line);
    if added.code == Some(2) {
        // The history itself refuses what sync could not carry: then there is nothing to tell.
        assert_eq!(a.records().len(), 0);
        return;
    }
    assert_eq!(added.code, Some(0), "{added:?}");
    a.add_one("small");
    let report = a.now();
    assert_eq!((report.sent, report.too_large, report.pending), (1, 1, 0));
    b.restored(&relay.url(), &phrase);
    assert_eq!(b.commands(), ["small"]);
    assert_eq!(a.records().len(), 2);
}
