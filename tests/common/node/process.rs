//! A child process that speaks in lines, with a deadline on every read.
//!
//! Its output is read by threads of its own, so that a full pipe never blocks the child and a silent child never
//! blocks a test. Dropping the value kills the process: no test leaves one behind, however it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::ANSWER;

/// A child process that is talked to in lines, and that is killed when this value goes away.
pub struct LineProcess {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
}

impl LineProcess {
    /// Starts `command`; `name` is what failures call it.
    #[track_caller]
    pub fn start(name: &'static str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} could not be started ({command:?}): {error}"));
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let stderr = Arc::new(Mutex::new(String::new()));
        if let Some(mut pipe) = child.stderr.take() {
            let kept = Arc::clone(&stderr);
            std::thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(length @ 1..) = pipe.read(&mut chunk) {
                    let text = String::from_utf8_lossy(&chunk[..length]);
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
                }
            });
        }
        let stdin = child.stdin.take();
        Self { name, child, stdin, lines, stderr }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the process wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes one line to the process.
    #[track_caller]
    pub fn send(&mut self, line: &str) {
        let written = match &mut self.stdin {
            Some(stdin) => writeln!(stdin, "{line}").and_then(|()| stdin.flush()),
            None => panic!("{} has been told to end", self.name),
        };
        if let Err(error) = written {
            self.fail(&format!("takes no more requests ({error})"));
        }
    }

    /// The next line the process prints; panics if none comes within `deadline`.
    #[track_caller]
    pub fn line(&mut self, deadline: Duration) -> String {
        match self.lines.recv_timeout(deadline) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => self.fail(&format!("printed nothing for {deadline:?}")),
            Err(RecvTimeoutError::Disconnected) => self.fail("has ended"),
        }
    }

    /// The next line, which has to be JSON.
    #[track_caller]
    pub fn json(&mut self, deadline: Duration) -> Value {
        let line = self.line(deadline);
        match serde_json::from_str(&line) {
            Ok(value) => value,
            Err(error) => self.fail(&format!("printed what is not JSON ({error}): {line}")),
        }
    }

    /// Closes stdin, waits for the process to end by itself, and returns what it still printed.
    #[track_caller]
    pub fn stop(mut self) -> Vec<String> {
        self.stdin = None;
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(ANSWER) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => self.fail("does not end"),
            }
        }
        match self.child.wait() {
            Ok(status) if status.success() => rest,
            Ok(status) => self.fail(&format!("ended with {status}")),
            Err(error) => self.fail(&format!("could not be waited for ({error})")),
        }
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        panic!("{} {what}; its stderr:\n{}", self.name, self.stderr())
    }
}

impl Drop for LineProcess {
    fn drop(&mut self) {
        self.stdin = None;
        // Both fail only if the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
