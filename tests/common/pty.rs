//! The program at a real terminal, with somebody in front of it who reads what is shown before typing.
//!
//! The terminal is from `script` of util-linux, 100 columns wide. What it shows (questions, notes, progress) is told apart
//! from standard output, which is a file.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::home::{BETWEEN_LOOKS, Run};
use super::sync::SyncHome;

/// How long somebody waits for what should be shown.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run of the program at a terminal.
pub struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
    reading: Option<thread::JoinHandle<()>>,
    /// How much of what was shown has been read.
    read: usize,
    stdout: PathBuf,
}

impl Terminal {
    /// Starts the program with these arguments at a terminal of its own.
    pub fn run(device: &SyncHome, args: &[&str]) -> Self {
        let (mut command, stdout) = at_terminal(device, args);
        let mut child = command.spawn().expect("`script` starts");
        let keys = child.stdin.take().expect("its keys are piped");
        let mut shown = child.stdout.take().expect("its screen is piped");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let kept = screen.clone();
        let reading = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = shown.read(&mut buffer) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..length]);
            }
        });
        Self { child, keys, screen, reading: Some(reading), read: 0, stdout }
    }

    /// What was shown so far.
    pub fn screen(&self) -> String {
        let bytes = self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    /// Waits until this is shown, after what was waited for before.
    #[track_caller]
    pub fn sees(&mut self, text: &str) -> &mut Self {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if let Some(at) = screen.get(self.read..).and_then(|unread| unread.find(text)) {
                self.read += at + text.len();
                return self;
            }
            assert!(Instant::now() < end, "{text:?} is never shown: {screen}");
            thread::park_timeout(BETWEEN_LOOKS);
        }
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) -> &mut Self {
        self.press(format!("{line}\n").as_bytes())
    }

    /// Presses Ctrl-C.
    pub fn interrupts(&mut self) -> &mut Self {
        self.press(b"\x03")
    }

    fn press(&mut self, keys: &[u8]) -> &mut Self {
        self.keys.write_all(keys).and_then(|()| self.keys.flush()).expect("the terminal takes keys");
        self
    }

    /// Waits until the program has ended; what the terminal showed is given as standard error.
    #[track_caller]
    pub fn ends(mut self) -> Run {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                break status;
            }
            assert!(Instant::now() < end, "it is still running: {}", self.screen());
            thread::park_timeout(BETWEEN_LOOKS);
        };
        if let Some(reading) = self.reading.take() {
            reading.join().expect("all that was shown is read");
        }
        let stdout = std::fs::read_to_string(&self.stdout).expect("standard output");
        Run { stdout, stderr: self.screen(), code: status.code() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A command that runs the program at a terminal, and the file that its standard output goes to.
pub fn at_terminal(device: &SyncHome, args: &[&str]) -> (Command, PathBuf) {
    let stdout = device.home.path().join("stdout");
    let quoted: Vec<String> = args.iter().map(|arg| format!("'{}'", arg.replace('\'', "'\\''"))).collect();
    let line = format!(
        "stty cols 100 rows 40 && exec '{}' {} > '{}'",
        env!("CARGO_BIN_EXE_caro"),
        quoted.join(" "),
        stdout.display()
    );
    let plain = device.home.command([""; 0]);
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--echo", "never", "--command", &line, "/dev/null"]).env_clear();
    command.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.env("CARO_KEYSTORE", "file").env("TERM", "xterm").env("SHELL", "/bin/sh");
    command.current_dir(device.home.work_dir());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    (command, stdout)
}
