//! A history that syncs with nobody, beside Atuin: whole programs on the same commands, one run of each in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::atuin::{Atuin, Machine};
use crate::home::{BINARY, write_history};
use crate::times::{median, ms};

/// Rounds of the short steps, of which the median counts.
const RUNS: usize = 21;
/// Rounds of the long ones.
const LONG_RUNS: usize = 5;
/// A few hundred of the commands hold this.
const QUERY: &str = "run12";

/// Prints the table: what does not depend on the history's size among the smallest, the rest for each.
pub fn print(folder: &Path, sizes: &[usize]) {
    let peer = Atuin::client();
    println!("\n{:<38}{:>12}{:>12}{:>8}", "alone, beside atuin", "caro", "atuin", "ratio");
    for (number, &size) in sizes.iter().enumerate() {
        let lines = folder.join(format!("alone-{size}"));
        write_history(&lines, size);
        let home = folder.join(format!("alone-ours-{size}"));
        let machine = peer.as_ref().map(|atuin| atuin.alone(&folder.join(format!("alone-theirs-{size}"))));
        let (ours, theirs) = (Ours(home), machine.as_ref());

        let shown = lines.to_string_lossy().into_owned();
        let import = ours.time(&["history", "import", "bash", "--file", &shown]);
        let theirs_import = theirs.map(|machine| machine.import(&lines));
        row(&format!("{size}: import, ms"), ms(import), theirs_import.map(ms));
        let disk = theirs.map(|machine| megabytes(machine.folder(), &lines));
        row(&format!("{size}: disk, MB"), megabytes(&ours.0, &lines), disk);

        let pair = |name: String, runs: usize, ours_args: &[&str], theirs_args: &[&str]| {
            let (mut mine, mut other) = (Vec::new(), Vec::new());
            for _ in 0..runs {
                mine.push(ours.time(ours_args));
                other.extend(theirs.map(|machine| machine.run(theirs_args).0));
            }
            row(&name, ms(median(mine)), (!other.is_empty()).then(|| ms(median(other))));
        };
        if number == 0 {
            pair("start-up, ms".into(), RUNS, &["--version"], &["--version"]);
            pair("init zsh, ms".into(), RUNS, &["init", "zsh"], &["init", "zsh"]);
        }
        hooks(&ours, theirs, size);
        let search = ["history", "search", "--limit", "50", "--cmd-only", QUERY];
        pair(format!("{size}: search, ms"), RUNS, &search, &["search", "--limit", "50", "--cmd-only", QUERY]);
        pair(format!("{size}: list all, ms"), LONG_RUNS, &["history", "list"], &["history", "list"]);
        pair(format!("{size}: stats, ms"), LONG_RUNS, &["history", "stats"], &["stats"]);
    }
}

/// What a shell waits for before each command, and what runs after it.
fn hooks(ours: &Ours, theirs: Option<&Machine<'_>>, size: usize) {
    let (mut starts, mut ends) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for number in 0..RUNS {
        let line = format!("make hook{number}");
        let begun = Instant::now();
        let id = ours.run(&["history", "start", "--session", "0190a0000000700080000000000000aa", "--", &line]);
        starts.0.push(begun.elapsed());
        ends.0.push(ours.time(&["history", "end", "--exit", "0", &id]));
        if let Some(machine) = theirs {
            let (took, id) = machine.run(&["history", "start", "--", &line]);
            starts.1.push(took);
            ends.1.push(machine.run(&["history", "end", "--exit", "0", &id]).0);
        }
    }
    for (name, (mine, other)) in [("hook before a command", starts), ("hook after it", ends)] {
        row(&format!("{size}: {name}, ms"), ms(median(mine)), (!other.is_empty()).then(|| ms(median(other))));
    }
}

fn row(name: &str, ours: f64, theirs: Option<f64>) {
    let ratio = theirs.map_or_else(String::new, |theirs| format!("{:.2}", ours / theirs));
    let theirs = theirs.map_or_else(|| "-".to_owned(), |theirs| format!("{theirs:.1}"));
    println!("{name:<38}{ours:>12.1}{theirs:>12}{ratio:>8}");
}

/// A home of ours on which nothing else runs.
struct Ours(PathBuf);

impl Ours {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env("HOME", &self.0).stdin(Stdio::null()).stderr(Stdio::piped());
        for variable in ["CARO_CONFIG_DIR", "CARO_DATA_DIR", "CARO_STATE_DIR"] {
            command.env(variable, &self.0);
        }
        command
    }

    fn run(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("caro runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn time(&self, args: &[&str]) -> Duration {
        let begun = Instant::now();
        self.run(args);
        begun.elapsed()
    }
}

/// What lies in a folder, without the history file that was read.
fn megabytes(folder: &Path, without: &Path) -> f64 {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let metadata = entry.metadata().expect("its size");
            match metadata.is_dir() {
                true => folders.push(entry.path()),
                false if entry.path() != *without && entry.file_name() != "history" => bytes += metadata.len(),
                false => {}
            }
        }
    }
    bytes as f64 / 1e6
}
