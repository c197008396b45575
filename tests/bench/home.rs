//! Homes of the program under test, and the histories that they begin with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use caro::history::History;

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_caro");
/// The histories lie within the days that sync by default.
const DAYS: u64 = 80;

/// Commands as a person types them, spread over the days that sync by default.
pub fn write_history(path: &Path, count: usize) {
    write_history_of(path, count, DAYS);
}

/// Commands spread over so many days up to now.
pub fn write_history_of(path: &Path, count: usize, days: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let span = days * 86_400;
    let lines = (0..count as u64).map(|n| {
        let at = now - span + n * span / count as u64;
        format!("#{at}\ngit commit -m 'change {n}: {}' && cargo test --test run{n}\n", n * n)
    });
    fs::write(path, lines.collect::<String>()).expect("a history file");
}

/// A home in a folder of its own; `sync` keeps its keys in a plain file there.
pub struct Home {
    /// Where all of it lies.
    pub folder: PathBuf,
}

impl Home {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env("CARO_KEYSTORE", "file").stdin(Stdio::null()).stdout(Stdio::null());
        for variable in ["CARO_CONFIG_DIR", "CARO_DATA_DIR", "CARO_STATE_DIR"] {
            command.env(variable, &self.folder);
        }
        command
    }

    /// Runs the program to its end, which has to be a good one; how long it took.
    pub fn run(&self, args: &[&str]) -> Duration {
        let begun = Instant::now();
        let output = self.command(args).stderr(Stdio::piped()).output().expect("caro runs");
        let took = begun.elapsed();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        took
    }

    /// Starts the program.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stderr(Stdio::null()).spawn().expect("caro runs")
    }

    /// Its history, read directly.
    pub fn history(&self) -> History {
        History::open(self.folder.join("history.db")).expect("a history")
    }

    /// How many commands it has.
    pub fn count(&self) -> u64 {
        self.history().count().expect("a count")
    }
}
