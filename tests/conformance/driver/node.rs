//! Runs one file of the suite under Node, on the official SDK, with `caro relay serve` for its sync server.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

use serde_json::json;

use crate::bundle::Suite;
use crate::file_run::{FileRun, Progress};
use crate::isolate::LONGEST_SILENCE;

/// What such a file's name begins with.
const FOLDER: &str = "relay/";
/// Several of these tests give the network tenths of seconds, on a machine that does other things too.
const RETRY: u64 = 3;

/// Whether a file is run here and not in an isolate.
pub fn is_for_node(file: &str) -> bool {
    file.starts_with(FOLDER)
}

/// Runs a file, or only the tests named, and never those of `without`.
pub fn run_file(suite: &Suite, source: &Path, file: &str, only: Option<&[String]>, without: &[&str]) -> FileRun {
    let began = Instant::now();
    let mut run = FileRun::of(file);
    match suite.script(file) {
        Some(script) => {
            let mut config = json!({ "retry": RETRY, "without": without });
            if let Some(only) = only {
                config["only"] = json!(only);
            }
            let mut command = Command::new("node");
            command.arg(source.join("relay/run.mjs")).arg(suite.folder()).arg(script.path).arg(config.to_string());
            watch(command.env("CARO", env!("CARGO_BIN_EXE_caro")), &mut run);
        }
        None => run.problems.push("the bundle has no script for it".into()),
    }
    run.time = began.elapsed();
    run
}

/// Takes what it tells until it has ended.
fn watch(command: &mut Command, run: &mut FileRun) {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut node = match spawned {
        Ok(node) => node,
        Err(e) => return run.problems.push(format!("cannot run `node`: {e}")),
    };
    let (sender, lines) = mpsc::channel();
    let stdout = node.stdout.take();
    std::thread::spawn(move || {
        for line in stdout.into_iter().flat_map(|pipe| BufReader::new(pipe).lines().map_while(Result::ok)) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut progress = Progress::default();
    let mut give_up = Instant::now() + LONGEST_SILENCE;
    loop {
        match lines.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(record) => {
                    if progress.note(record, run) {
                        give_up = Instant::now() + LONGEST_SILENCE;
                    }
                }
                Err(_) => run.problems.push(format!("it printed what is no record: {line}")),
            },
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                progress.give_up(LONGEST_SILENCE, run);
                // Fails only where it has ended.
                let _ = node.kill();
                break;
            }
        }
    }
    if let Err(e) = node.wait() {
        run.problems.push(format!("it cannot be told how it ended: {e}"));
    }
    progress.finish(run);
}
