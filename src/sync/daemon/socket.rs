//! How commands talk to a daemon: a Unix socket that only this user can open, one JSON line each way.
//!
//! | asked | answered |
//! | --- | --- |
//! | `{"do":"status"}` | `{"status":{…}}` |
//! | `{"do":"captured"}` | `{}`: something waits to go up, or the settings have changed |
//! | `{"do":"exchange"}` | `{}`, and once the exchange has ended a second line, `{"report":{…}}` or `{"error":…}` |
//! | `{"do":"borrow"}` | `{}`: the lock comes free, and is taken back when this connection ends |
//! | `{"do":"stop"}` | `{}` |
//!
//! A daemon that does not answer within [`DEADLINE`] counts as none: it may hang, sleep or be of another
//! version, and no command waits for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Uid;
use serde::{Deserialize, Serialize};

use super::super::Report;
use crate::local_socket;

/// How long connecting and the answer may take together.
pub const DEADLINE: Duration = Duration::from_millis(50);
/// An answer that is longer is none.
const LONGEST_LINE: u64 = 64 << 10;

/// What a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Ask {
    /// What the daemon does.
    Status,
    /// Something waits to go up, or the settings have changed.
    Captured,
    /// One exchange now, and how it went.
    Exchange,
    /// The right to exchange, for as long as the connection lasts.
    Borrow,
    /// That the daemon ends.
    Stop,
}

/// What the daemon answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// To [`Ask::Status`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The second answer to [`Ask::Exchange`], where it went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// The second answer to [`Ask::Exchange`], where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failed>,
}

/// Why an exchange failed, for another process to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// What happened, in plain words.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The exit code that the command would have had.
    pub exit_code: u8,
    /// Whether it would be the same again until somebody does something about it.
    #[serde(default)]
    pub lasts: bool,
}

/// What a daemon does now, and what it will do next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// What it does.
    pub doing: Doing,
    /// Since when, RFC 3339.
    pub since: String,
    /// When it exchanges next by itself, RFC 3339; none: when something happens.
    pub next_at: Option<String>,
    /// What starts that exchange.
    pub next_trigger: Option<String>,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last attempt failed, if it did.
    pub error: Option<Failed>,
}

/// What a daemon does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It has just begun.
    #[default]
    Starting,
    /// It connects, and exchanges.
    Exchanging,
    /// It is connected and hears of every change.
    Listening,
    /// It waits for the next time, as the settings say.
    Waiting,
    /// The last attempt failed; it tries again later.
    Retrying,
    /// Sync is paused.
    Paused,
    /// Sync is disabled on this device.
    Disabled,
    /// This device takes no part in its account any more, or a command that closes it was interrupted.
    Left,
    /// No relay is named.
    NoRelay,
    /// A command uses the connection.
    Lent,
}

/// Where the daemon of a home listens.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    local_socket::path(state_dir, "daemon.sock")
}

/// A daemon that has answered once.
pub struct Conversation {
    lines: BufReader<UnixStream>,
    /// Its first answer.
    pub answer: Answer,
}

impl Conversation {
    /// Waits for the second answer, as long as it takes; none where the daemon has gone.
    #[must_use]
    pub fn outcome(mut self) -> Option<Answer> {
        self.lines.get_ref().set_read_timeout(None).ok()?;
        read_answer(&mut self.lines)
    }
}

/// Asks the daemon; none where none answers in time. A process of another user is none.
#[must_use]
pub fn ask(socket: &Path, ask: Ask) -> Option<Conversation> {
    ask_of(socket, rustix::process::getuid(), ask)
}

fn ask_of(socket: &Path, user: Uid, ask: Ask) -> Option<Conversation> {
    let stream = local_socket::connect_to(socket, user)?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    stream.set_write_timeout(Some(DEADLINE)).ok()?;
    let mut text = serde_json::to_vec(&ask).ok()?;
    text.push(b'\n');
    (&stream).write_all(&text).ok()?;
    let mut lines = BufReader::new(stream);
    let answer = read_answer(&mut lines)?;
    Some(Conversation { lines, answer })
}

/// Borrows the lock of a daemon that answers; it is given back when the stream is dropped.
pub(in crate::sync) fn borrow(socket: &Path) -> Option<UnixStream> {
    ask(socket, Ask::Borrow).map(|conversation| conversation.lines.into_inner())
}

fn read_answer(lines: &mut BufReader<UnixStream>) -> Option<Answer> {
    let mut line = String::new();
    lines.by_ref().take(LONGEST_LINE).read_line(&mut line).ok().filter(|read| *read > 0)?;
    serde_json::from_str(&line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_hangs_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("daemon.sock");
        assert!(ask(&socket, Ask::Status).is_none(), "there is none");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let begun = std::time::Instant::now();
        assert!(ask(&socket, Ask::Status).is_none(), "it never answers");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        drop(listener);
        assert!(ask(&socket, Ask::Status).is_none(), "it has gone and left its socket");
    }

    #[test]
    fn nobody_else_is_taken_for_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("daemon.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                drop(stream.write_all(b"{}\n"));
            }
        });
        let us = rustix::process::getuid();
        // A machine that is busy may take longer than commands wait.
        let begun = std::time::Instant::now();
        while ask_of(&socket, us, Ask::Captured).is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "one of ours is believed");
        }
        let another = Uid::from_raw(us.as_raw() + 1);
        assert!(ask_of(&socket, another, Ask::Captured).is_none(), "one that is not this user's is none");
    }

    #[test]
    fn the_lines_are_those_of_the_table() {
        assert_eq!(serde_json::to_string(&Ask::Captured).unwrap(), r#"{"do":"captured"}"#);
        assert_eq!(serde_json::to_string(&Answer::default()).unwrap(), "{}");
        assert!(serde_json::from_str::<Ask>(r#"{"do":"nonsense"}"#).is_err());
    }
}
