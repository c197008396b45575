//! A user's home for one test: the real program in a cleared environment, with directories of its
//! own that disappear afterwards.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use caro::history::History;
use serde_json::Value;
use tempfile::TempDir;

/// The pause between two looks at what is waited for.
pub const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
/// How long anything may take before a test gives up on it.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Whether this is the slow run (`make test-slow`); says that a test was skipped where it is not.
pub fn is_slow_run() -> bool {
    let slow = std::env::var_os("CARO_TEST_SLOW").is_some_and(|value| value == "1");
    if !slow {
        println!("skipped: set CARO_TEST_SLOW=1 (make test-slow)");
    }
    slow
}

/// An installation of its own: two of them are two devices.
#[derive(Debug)]
#[must_use]
pub struct TestHome {
    directory: TempDir,
}

impl TestHome {
    /// An installation on which nothing ever ran.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("work")).expect("a working directory");
        Self { directory }
    }

    /// The user's home directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where the program keeps its data; does not exist before the first run.
    pub fn data_dir(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The directory in which commands run.
    pub fn work_dir(&self) -> PathBuf {
        self.path().join("work")
    }

    /// The history database.
    pub fn history_path(&self) -> PathBuf {
        self.data_dir().join("history.db")
    }

    /// The history, opened by the test itself.
    pub fn history(&self) -> History {
        History::open(self.history_path()).expect("the history opens")
    }

    /// Writes a file into the home directory and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).expect("a file is written");
        path
    }

    /// The program with these arguments, in this home's environment and no other.
    pub fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_caro"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TZ", "UTC")
            .env("CARO_CONFIG_DIR", self.path().join("config"))
            .env("CARO_DATA_DIR", self.data_dir())
            .env("CARO_STATE_DIR", self.path().join("state"))
            .current_dir(self.work_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program with these arguments and nothing on standard input.
    #[must_use = "say whether it should succeed"]
    pub fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        self.finish(self.command(args), &[])
    }

    /// Runs the program with these arguments and this on standard input.
    #[must_use = "say whether it should succeed"]
    pub fn run_with_input(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>, input: impl AsRef<[u8]>) -> Run {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        self.finish(command, input.as_ref())
    }

    /// Records a command and returns its id.
    pub fn add(&self, command: &str) -> String {
        let run = self.run(["history", "add", "--command", command]).success();
        run.stdout.trim_end().to_owned()
    }

    /// Imports a history file of bash and returns the report.
    pub fn import(&self, file: &Path) -> Value {
        let args = [OsStr::new("history"), "import".as_ref(), "bash".as_ref(), "--json".as_ref()];
        let run = self.run(args.into_iter().chain(["--file".as_ref(), file.as_os_str()])).success();
        serde_json::from_str(&run.stdout).expect("a report in JSON")
    }

    /// Runs a prepared command to its end.
    #[must_use = "say whether it should succeed"]
    pub fn finish(&self, mut command: Command, input: &[u8]) -> Run {
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let output = thread::scope(|scope| {
            scope.spawn(move || {
                if let Some(mut stdin) = stdin {
                    // The program may end before it has read everything.
                    drop(stdin.write_all(input));
                }
            });
            child.wait_with_output().expect("the program ends")
        });
        let text = |bytes| {
            String::from_utf8(bytes)
                .expect("the program prints UTF-8")
                .replace(&self.path().display().to_string(), "$HOME")
        };
        Run { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
    }
}

/// What a run of the program left; paths in the test's home are shown as `$HOME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
}

impl Run {
    /// Insists that it went well, without a word on standard error.
    pub fn success(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self
    }

    /// Insists that it failed with this code and printed no data.
    pub fn failure(self, code: i32) -> Self {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self:?}");
        self
    }

    /// The lines of standard output.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// The JSON values on standard output, one a line.
    pub fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// Waits until `condition` holds, and fails the test if it never does.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        // Between two looks the others may work.
        thread::park_timeout(BETWEEN_LOOKS);
    }
}
