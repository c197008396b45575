//! A real terminal with a screen: tmux, with a server of its own for each test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Instant;

use super::home::{BETWEEN_LOOKS, DEADLINE, TestHome};

/// How many bytes tmux takes in one message.
const AT_ONCE: usize = 4000;

/// A program on a screen of its own, ended when dropped.
#[derive(Debug)]
pub struct Screen {
    socket: PathBuf,
}

impl Screen {
    /// Starts a program in this home's environment on a screen of so many columns and rows. The program under
    /// test is found as `caro`.
    pub fn start(home: &TestHome, (columns, rows): (u16, u16), program: &[&str], vars: &[(&str, &str)]) -> Self {
        let socket = home.path().join("tmux");
        let plain = home.command([""; 0]);
        let mut tmux = Command::new("tmux");
        tmux.env_clear().current_dir(home.work_dir());
        for (name, value) in plain.get_envs() {
            if let Some(value) = value {
                tmux.env(name, value);
            }
        }
        let program_dir = PathBuf::from(env!("CARGO_BIN_EXE_caro"));
        let path = std::env::join_paths(
            program_dir
                .parent()
                .map(PathBuf::from)
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        )
        .expect("a search path");
        tmux.env("PATH", path).env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").envs(vars.iter().copied());
        tmux.arg("-S").arg(&socket).args(["-f", "/dev/null", "new-session", "-d"]);
        tmux.args(["-x", &columns.to_string(), "-y", &rows.to_string()]);
        tmux.args(program);
        let output = tmux.output().expect("tmux starts");
        assert!(output.status.success(), "{output:?}");
        Self { socket }
    }

    /// Tells the server of this screen something.
    pub fn tmux(&self, args: &[&str]) -> Output {
        Command::new("tmux").arg("-S").arg(&self.socket).args(args).output().expect("tmux answers")
    }

    /// Types this text, key by key.
    pub fn types(&self, text: &str) -> &Self {
        let mut rest = text;
        while !rest.is_empty() {
            let (part, more) = rest.split_at(rest.floor_char_boundary(AT_ONCE));
            self.tmux(&["send-keys", "-l", "--", part]);
            rest = more;
        }
        self
    }

    /// Types what is in a file, byte by byte, whatever that is.
    pub fn pastes(&self, file: &Path) -> &Self {
        self.tmux(&["load-buffer", file.to_str().expect("a plain path")]);
        self.tmux(&["paste-buffer", "-r"]);
        self
    }

    /// Pastes what is in a file as a terminal does, so that the program takes it in one piece.
    pub fn pastes_whole(&self, file: &Path) -> &Self {
        self.tmux(&["load-buffer", file.to_str().expect("a plain path")]);
        self.tmux(&["paste-buffer", "-r", "-p"]);
        self
    }

    /// Presses a key by its name in tmux: `Enter`, `C-r`, `Up`.
    pub fn press(&self, key: &str) -> &Self {
        self.tmux(&["send-keys", key]);
        self
    }

    /// Types this line and Enter.
    pub fn enter(&self, line: &str) -> &Self {
        self.types(line).press("Enter")
    }

    /// What the screen shows, without the spaces at the ends of lines.
    pub fn text(&self) -> String {
        let shown = self.tmux(&["capture-pane", "-p", "-J"]).stdout;
        String::from_utf8_lossy(&shown).lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
    }

    /// What the screen shows, with the sequences that give it its colours.
    pub fn painted(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-e"]).stdout).into_owned()
    }

    /// Gives the screen another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Waits until the screen shows what is wanted, and returns it.
    #[track_caller]
    pub fn until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let text = self.text();
            if is_there(&text) {
                return text;
            }
            assert!(Instant::now() < end, "{what} is never shown:\n{text}");
            thread::park_timeout(BETWEEN_LOOKS);
        }
    }

    /// Waits until this text is on the screen.
    #[track_caller]
    pub fn shows(&self, wanted: &str) -> String {
        self.until(wanted, |text| text.contains(wanted))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
