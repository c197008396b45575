//! Homes that sync, and the relay they sync through: the real program, each process with a deadline.
//!
//! [`SyncHome`] is a device with a plain key file; what its history holds is compared as JSON, whole. [`Relay`] is
//! `caro relay serve` on loopback, which can be stopped, killed and started again at the same address.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::daemon::Daemon;
use super::home::{DEADLINE, Run, TestHome};

/// What `caro sync now --json` prints. A field that is missing or new breaks every script that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchanged {
    /// Version of this shape.
    pub schema_version: u32,
    /// Records that went up.
    pub sent: u64,
    /// Records that came down.
    pub received: u64,
    /// Records that still wait to go up.
    pub pending: u64,
    /// Records that never will.
    pub too_large: u64,
    /// Segments that the index names and the relay does not have.
    pub missing: u64,
    /// Segments that need a newer version.
    pub unreadable: u64,
    /// Devices of which the relay holds something back.
    pub withheld: u64,
    /// Records that sync leaves on this device.
    pub local_only: LocalOnly,
    /// How long it took.
    pub duration_ns: u64,
}

/// How many records stay on a device, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalOnly {
    /// Older than the days that are kept.
    pub too_old: u64,
    /// Beyond their greatest number.
    pub beyond_limit: u64,
    /// Too large.
    pub too_large: u64,
    /// Kept by a rule, or for a secret in them.
    pub filtered: u64,
}

/// A device: a home of its own whose keys are in a plain file.
#[must_use]
pub struct SyncHome {
    /// The home itself.
    pub home: TestHome,
    /// What the user's other devices call it.
    pub name: &'static str,
}

impl SyncHome {
    /// A device on which nothing ever ran, on which no exchange happens by itself, and whose history is kept in sync
    /// whole, however old and long.
    pub fn new(name: &'static str) -> Self {
        let device = Self::with_limits(name);
        device.configure(&["retention_days = \"unlimited\"", "max_records = \"unlimited\""]);
        device
    }

    /// A device on which nothing ever ran and no exchange happens by itself, with the limits that every user has.
    pub fn with_limits(name: &'static str) -> Self {
        let device = Self { home: TestHome::new(), name };
        device.exchanges("manual");
        device
    }

    /// Says when exchanges happen by themselves.
    pub fn exchanges(&self, frequency: &str) {
        self.configure(&[&format!("frequency = \"{frequency}\"")]);
    }

    /// Sets lines of `sync.toml`, in place of those of the same keys.
    pub fn configure(&self, lines: &[&str]) {
        let path = self.home.path().join("config/sync.toml");
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        let set: Vec<String> = lines.iter().map(|line| key(line)).collect();
        let others = before.lines().filter(|line| !set.contains(&key(line)));
        let text: String = lines.iter().copied().chain(others).map(|line| format!("{line}\n")).collect();
        std::fs::write(&path, text).expect("the settings are written");
    }

    /// Starts the daemon, and waits until it answers.
    pub fn daemon(&self) -> Daemon {
        Daemon::start(self, &[])
    }

    /// The program with these arguments, without a controlling terminal.
    pub fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let plain = self.home.command(args);
        without_terminal(&plain)
    }

    /// Runs the program to its end.
    #[must_use = "say whether it should succeed"]
    pub fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        self.finish(self.command(args), &[])
    }

    /// Runs the program with this on standard input.
    #[must_use = "say whether it should succeed"]
    pub fn run_with_input(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>, input: impl AsRef<[u8]>) -> Run {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        self.finish(command, input.as_ref())
    }

    /// Runs a prepared command to its end; the home's path is shown as `$HOME`.
    #[must_use = "say whether it should succeed"]
    pub fn finish(&self, command: Command, input: &[u8]) -> Run {
        let mut run = finish_within(command, input, DEADLINE);
        let path = self.home.path().display().to_string();
        run.stdout = run.stdout.replace(&path, "$HOME");
        run.stderr = run.stderr.replace(&path, "$HOME");
        run
    }

    /// Runs the program and insists on exit code 0; warnings and hints are welcome.
    pub fn ok(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "on {}: {run:?}", self.name);
        run
    }

    /// Records finished commands and returns their ids.
    pub fn add(&self, commands: &[String]) -> Vec<String> {
        let lines: String = commands.iter().map(|c| serde_json::json!({ "command": c }).to_string() + "\n").collect();
        let run = self.run_with_input(["history", "add"], lines);
        assert_eq!(run.code, Some(0), "{run:?}");
        let ids: Vec<String> = run.stdout.lines().map(str::to_owned).collect();
        assert_eq!(ids.len(), commands.len(), "{run:?}");
        ids
    }

    /// Records one finished command and returns its id.
    pub fn add_one(&self, command: &str) -> String {
        self.add(&[command.to_owned()]).remove(0)
    }

    /// Makes a new identity on this device; the file with its phrase.
    pub fn init(&self, relay: &str) -> PathBuf {
        let phrase = self.home.path().join("phrase");
        self.ok([
            OsStr::new("sync"),
            "init".as_ref(),
            "--new".as_ref(),
            "--relay".as_ref(),
            relay.as_ref(),
            "--phrase-out".as_ref(),
            phrase.as_os_str(),
            "--device-name".as_ref(),
            self.name.as_ref(),
            "--yes".as_ref(),
        ]);
        phrase
    }

    /// Joins the identity of a phrase.
    #[must_use = "say whether it should succeed"]
    pub fn restore(&self, relay: &str, phrase: &Path) -> Run {
        self.run([
            OsStr::new("sync"),
            "restore".as_ref(),
            "--phrase-file".as_ref(),
            phrase.as_os_str(),
            "--relay".as_ref(),
            relay.as_ref(),
            "--device-name".as_ref(),
            self.name.as_ref(),
            "--yes".as_ref(),
        ])
    }

    /// Joins the identity of a phrase, and insists that it went well.
    pub fn restored(&self, relay: &str, phrase: &Path) {
        let run = self.restore(relay, phrase);
        assert_eq!(run.code, Some(0), "on {}: {run:?}", self.name);
    }

    /// One exchange, which has to go well.
    pub fn now(&self) -> Exchanged {
        let run = self.ok(["sync", "now", "--json"]);
        serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("sync now prints its contract ({e}): {run:?}"))
    }

    /// The status as JSON, without trying the relay.
    pub fn status(&self) -> Value {
        let run = self.ok(["sync", "status", "--offline", "--json"]);
        serde_json::from_str(&run.stdout).expect("sync status prints JSON")
    }

    /// The whole history: every field of every record, by id.
    pub fn records(&self) -> BTreeMap<String, Value> {
        let run = self.ok(["history", "list", "--json"]);
        let mut records = BTreeMap::new();
        for value in run.json() {
            let id = value["id"].as_str().expect("a record has an id").to_owned();
            assert!(records.insert(id, value).is_none(), "a record is listed once");
        }
        records
    }

    /// The commands of the whole history, sorted.
    pub fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> =
            self.records().values().map(|r| r["command"].as_str().expect("a command").to_owned()).collect();
        commands.sort();
        commands
    }

    /// `sync.json` as it is.
    pub fn state(&self) -> Value {
        let bytes = std::fs::read(self.home.data_dir().join("sync.json")).expect("sync.json is there");
        serde_json::from_slice(&bytes).expect("sync.json is JSON")
    }

    /// The session this device writes in.
    pub fn session(&self) -> String {
        self.state()["session"]["id"].as_str().expect("a session").to_owned()
    }

    /// A file in the data directory.
    pub fn data(&self, name: &str) -> PathBuf {
        self.home.data_dir().join(name)
    }
}

/// The same command in a session of its own: whoever runs the tests in a terminal is not asked.
fn without_terminal(plain: &Command) -> Command {
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(plain.get_program()).args(plain.get_args()).env_clear();
    for (key, value) in plain.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    command.env("CARO_KEYSTORE", "file");
    if let Some(folder) = plain.get_current_dir() {
        command.current_dir(folder);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Insists that every device has the same records, field by field; the number of them.
pub fn assert_equal_histories(homes: &[&SyncHome]) -> usize {
    let first = homes[0].records();
    for other in &homes[1..] {
        let records = other.records();
        let differing: Vec<_> =
            first.keys().chain(records.keys()).filter(|id| first.get(*id) != records.get(*id)).collect();
        assert!(
            differing.is_empty(),
            "{} has {} records and {} has {}; these differ: {differing:?}",
            homes[0].name,
            first.len(),
            other.name,
            records.len()
        );
    }
    first.len()
}

/// Runs a command to its end, or kills it and fails the test after `deadline`.
#[track_caller]
pub fn finish_within(mut command: Command, input: &[u8], deadline: Duration) -> Run {
    let begun = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?} starts: {e}"));
    let stdin = child.stdin.take();
    let (out, err) = (collect(child.stdout.take()), collect(child.stderr.take()));
    thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // The program may end before it has read everything.
                drop(stdin.write_all(input));
            }
        });
        let left = || deadline.saturating_sub(begun.elapsed());
        let (Ok(stdout), Ok(stderr)) = (out.recv_timeout(left()), err.recv_timeout(left())) else {
            drop(child.kill());
            drop(child.wait());
            panic!("{command:?} is still running after {deadline:?}");
        };
        let status = child.wait().expect("the program ends");
        Run { stdout: text(stdout), stderr: text(stderr), code: status.code() }
    })
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the program prints UTF-8")
}

/// Reads a pipe to its end on a thread of its own.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            drop(pipe.read_to_end(&mut bytes));
        }
        drop(sender.send(bytes));
    });
    receiver
}

/// `caro relay serve` on loopback; killed when it goes away.
pub struct Relay {
    child: Child,
    address: SocketAddr,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    folder: Option<TempDir>,
    data: PathBuf,
}

impl Relay {
    /// A relay with a store of its own.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("relay");
        let mut relay = Self::start(&data);
        relay.folder = Some(folder);
        relay
    }

    /// A relay with this store, at any free port.
    pub fn start(data: &Path) -> Self {
        Self::start_at(data, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// A relay with a store of its own that is told these arguments too.
    pub fn with(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("relay");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut command = serve(&data, address);
        command.args(args);
        let mut relay = Self::spawn(&data, address, command);
        relay.folder = Some(folder);
        relay
    }

    /// A relay with this store, at this address.
    pub fn start_at(data: &Path, address: SocketAddr) -> Self {
        Self::spawn(data, address, serve(data, address))
    }

    /// A relay that this command starts; its first address is that of the network.
    pub fn spawn(data: &Path, address: SocketAddr, mut command: Command) -> Self {
        let mut child = command.spawn().expect("the relay starts");
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().expect("its output is piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let (pipe, kept) = (child.stderr.take().expect("its log is piped"), stderr.clone());
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let mut relay = Self { child, address, lines, stderr, folder: None, data: data.to_owned() };
        match relay.lines.recv_timeout(DEADLINE) {
            Ok(line) => {
                let announced = line.split_once("://").expect("it says where it listens").1;
                relay.address = announced.parse().expect("an address");
            }
            Err(_) => panic!("the relay does not start: {}", relay.log()),
        }
        relay
    }

    /// Its address, `ws://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of its store.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The next line that it writes to standard output.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("it says nothing more: {}", self.log()))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        signal("TERM", self.child.id());
        self.stop_quietly()
    }

    /// Waits until it has stopped by itself.
    pub fn stop_quietly(&mut self) -> ExitStatus {
        let pid = self.child.id();
        // Its output ends with it.
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("the relay ({pid}) does not stop: {}", self.log()),
            }
        }
        self.child.wait().expect("it ends")
    }

    /// Kills it in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Starts it again, at the same address and with the same store.
    pub fn start_again(&mut self) {
        let mut again = Self::start_at(&self.data, self.address);
        again.folder = self.folder.take();
        *self = again;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The command that serves a relay.
pub fn serve(data: &Path, address: SocketAddr) -> Command {
    server(["relay", "serve"], data, address)
}

/// A command of the program that serves others until it is stopped.
pub fn server(words: [&str; 2], data: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_caro"));
    command
        .args(words)
        .args(["--listen", &address.to_string(), "--data-dir"])
        .arg(data)
        .env_clear()
        .env("HOME", data.parent().unwrap_or(data))
        .env("CARO_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Sends a signal to a process that this test started.
pub fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().expect("sh runs");
    assert!(sent.success(), "the process {pid} is there");
}

/// All bytes of a file and its write-ahead log, or of all files in a folder.
pub fn bytes_of(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a readable folder") {
            bytes.extend(bytes_of(&entry.expect("an entry").path()));
        }
        return bytes;
    }
    for suffix in ["", "-wal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        // A log may have gone meanwhile; then it holds nothing.
        if let Ok(more) = std::fs::read(PathBuf::from(name)) {
            bytes.extend(more);
        }
    }
    bytes
}

/// Whether these bytes contain those.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    assert!(!needle.is_empty());
    let Some((first, rest)) = needle.split_first() else { return false };
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        from += at + 1;
        if bytes[from..].starts_with(rest) {
            return true;
        }
    }
    false
}

/// By when what was deleted has left a relay's files.
const ERASURE: Duration = Duration::from_secs(60);

/// Pieces of every ciphertext that a store holds in streams: 60 characters from the middle of each, too short to be
/// split between pages.
pub fn ciphertexts(database: &Path) -> Vec<Vec<u8>> {
    let db = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = db
        .prepare(
            "SELECT tx FROM transactions JOIN sessions ON sessions.rowID = ses JOIN coValues ON coValues.rowID = coValue \
             WHERE header LIKE '%\"costream\"%'",
        )
        .unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut found = Vec::new();
    for tx in rows {
        let tx: serde_json::Value = serde_json::from_str(&tx.unwrap()).unwrap();
        if let Some(text) = tx["encryptedChanges"].as_str() {
            let from = (text.len() - 60) / 2;
            found.push(text.as_bytes()[from..from + 60].to_vec());
        }
    }
    found
}

/// Whether any of these is in any file of a folder. Looks twice: between two files the database may move them from
/// the one to the other.
pub fn holds(folder: &Path, pieces: &[Vec<u8>]) -> bool {
    (0..2).any(|_| {
        let bytes = bytes_of(folder);
        pieces.iter().any(|piece| contains(&bytes, piece))
    })
}

/// Waits until a relay's files hold none of these.
#[track_caller]
pub fn await_erasure(relay: &Relay, pieces: &[Vec<u8>]) {
    let begun = Instant::now();
    while holds(relay.data(), pieces) {
        assert!(begun.elapsed() < ERASURE, "the relay still holds what was deleted: {}", relay.log());
        std::thread::park_timeout(crate::common::home::BETWEEN_LOOKS);
    }
}
