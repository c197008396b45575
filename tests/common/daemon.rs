//! `caro sync daemon` of a test's device; killed when it goes away.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::home::wait_until;
use super::sync::{SyncHome, signal};

/// A running daemon.
pub struct Daemon {
    child: Child,
    stderr: Arc<Mutex<String>>,
    socket: std::path::PathBuf,
}

impl Daemon {
    /// Starts the daemon of a device with these variables too, and waits until it answers.
    pub fn start(device: &SyncHome, variables: &[(&str, &std::ffi::OsStr)]) -> Self {
        let mut command = device.home.command(["sync", "daemon"]);
        command.env("CARO_KEYSTORE", "file").envs(variables.iter().copied());
        Self::spawn(device, command)
    }

    /// Starts a prepared command as the daemon of a device.
    pub fn spawn(device: &SyncHome, mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the daemon starts");
        let stderr = Arc::new(Mutex::new(String::new()));
        let (pipe, kept) = (child.stderr.take().expect("its log is piped"), stderr.clone());
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let mut daemon = Self { child, stderr, socket: device.home.path().join("state/daemon.sock") };
        wait_until("the daemon answers", || {
            let ended = daemon.child.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "the daemon ended: {}", daemon.log());
            daemon.status().is_some()
        });
        daemon
    }

    /// Asks it over its socket.
    pub fn ask(&self, what: &str) -> Option<Value> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        stream.write_all(format!("{{\"do\":\"{what}\"}}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        BufReader::new(&mut stream).take(65_536).read_line(&mut answer).ok()?;
        serde_json::from_str(&answer).ok()
    }

    /// Begins a conversation that stays open; with its first answer.
    pub fn talk(&self, what: &str) -> (Conversation, Value) {
        let mut stream = UnixStream::connect(&self.socket).expect("the daemon listens");
        stream.set_read_timeout(Some(super::home::DEADLINE)).expect("a deadline can be set");
        stream.write_all(format!("{{\"do\":\"{what}\"}}\n").as_bytes()).expect("the daemon hears");
        let mut conversation = Conversation(BufReader::new(stream));
        let answer = conversation.next_answer();
        (conversation, answer)
    }

    /// What it says of itself.
    pub fn status(&self) -> Option<Value> {
        self.ask("status").map(|answer| answer["status"].clone())
    }

    /// Waits until it does this.
    pub fn wait_for(&self, doing: &str) {
        let mut last = None;
        let end = std::time::Instant::now() + super::home::DEADLINE;
        while last.as_ref().is_none_or(|status: &Value| status["doing"] != doing) {
            assert!(std::time::Instant::now() < end, "never {doing}: {last:?}\n{}", self.log());
            last = self.status().or(last);
            thread::park_timeout(super::home::BETWEEN_LOOKS);
        }
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the daemon has ended", || {
            status = self.child.try_wait().expect("it can be asked");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Kills it in the middle of whatever it does.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

/// A conversation with a daemon; it ends when it is dropped.
pub struct Conversation(BufReader<UnixStream>);

impl Conversation {
    /// Waits for the next answer.
    pub fn next_answer(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the daemon answers in time");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("an answer is JSON ({e}): {line:?}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
