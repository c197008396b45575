//! A whole program at a terminal of its own: when a word is first on the screen, and when the screen has changed after a key.
//!
//! The terminal is a pair of pseudo-terminals, of which this end answers what programs ask a terminal at their start. Only what
//! is visible counts as a change: a program that moves its cursor now and then has not drawn anything. `setsid` makes it the
//! controlling terminal; its own start, a millisecond, is part of the times.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use rustix::io::{FdFlags, fcntl_setfd};

/// Lines and columns.
const SIZE: (u16, u16) = (30, 110);
/// A screen that has not changed for so long has its last change behind it.
const QUIET: Duration = Duration::from_millis(400);
/// So long a change is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program at a terminal, ended when dropped.
pub struct Terminal {
    child: Child,
    keys: File,
    output: Receiver<(Instant, Vec<u8>)>,
    begun: Instant,
    escape: Escape,
}

impl Terminal {
    /// Starts the program.
    pub fn start(program: &Command) -> Self {
        let size = Winsize { ws_row: SIZE.0, ws_col: SIZE.1, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).expect("a terminal");
        fcntl_setfd(&pair.master, FdFlags::CLOEXEC).expect("it stays here");
        let keys = File::from(pair.master);
        let end = || Stdio::from(pair.slave.try_clone().expect("its other end"));
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program.get_program()).args(program.get_args()).env_clear();
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
        command.stdin(end()).stdout(end()).stderr(end());
        let mut reader = keys.try_clone().expect("the terminal");
        let (sender, output) = channel();
        let begun = Instant::now();
        let child = command.spawn().expect("`setsid` of util-linux starts");
        drop(command);
        thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let at = Instant::now();
                for (question, answer) in [("\x1b[6n", "\x1b[1;1R"), ("\x1b[c", "\x1b[?62;22c")] {
                    if buffer[..length].windows(question.len()).any(|bytes| bytes == question.as_bytes()) {
                        drop(reader.write_all(answer.as_bytes()));
                    }
                }
                if sender.send((at, buffer[..length].to_vec())).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, output, begun, escape: Escape::None }
    }

    /// From the start until this word is drawn.
    pub fn shows(&mut self, word: &str) -> Duration {
        let mut seen = Vec::new();
        loop {
            let (at, bytes) = self.output.recv_timeout(PATIENCE).expect("the word is never shown");
            self.has_visible(&bytes);
            seen.extend_from_slice(&bytes);
            if seen.windows(word.len()).any(|bytes| bytes == word.as_bytes()) {
                return at.duration_since(self.begun);
            }
        }
    }

    /// Types this; the time until the screen changed first, and last.
    pub fn press(&mut self, key: &str) -> (Duration, Duration) {
        let begun = Instant::now();
        self.keys.write_all(key.as_bytes()).expect("the terminal takes keys");
        let first = self.changed(PATIENCE).expect("keys are seen");
        let mut last = first;
        while let Some(at) = self.changed(QUIET) {
            last = at;
        }
        (first.duration_since(begun), last.duration_since(begun))
    }

    /// Types a key of which nothing needs to be seen.
    pub fn press_unseen(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
        self.rest();
    }

    /// Waits until nothing changes any more.
    pub fn rest(&mut self) {
        while self.changed(2 * QUIET).is_some() {}
    }

    /// When the screen changes next, unless it does not within this time.
    fn changed(&mut self, within: Duration) -> Option<Instant> {
        let end = Instant::now() + within;
        loop {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((at, bytes)) if self.has_visible(&bytes) => return Some(at),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("the program has ended"),
            }
        }
    }

    /// Whether there is anything beside sequences that steer the terminal.
    fn has_visible(&mut self, bytes: &[u8]) -> bool {
        // All of them are looked at: a sequence may end in what is read next.
        bytes.iter().filter(|byte| self.escape.is_visible(**byte)).count() > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where in a sequence that steers the terminal one is.
#[derive(Clone, Copy)]
enum Escape {
    None,
    Begun,
    Control,
    Text,
}

impl Escape {
    fn is_visible(&mut self, byte: u8) -> bool {
        let (next, visible) = match (*self, byte) {
            (_, 0x1b) => (Self::Begun, false),
            (Self::Begun, b'[') => (Self::Control, false),
            (Self::Begun, b']' | b'P') => (Self::Text, false),
            (Self::Control, 0x40..=0x7e) | (Self::Begun, _) | (Self::Text, 0x07) => (Self::None, false),
            (Self::None, byte) => (Self::None, byte > b' '),
            (within, _) => (within, false),
        };
        *self = next;
        visible
    }
}
