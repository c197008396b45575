//! The Jazz SDK's own test suite, run inside the product's isolate with our cryptography and storage.
//!
//! ```text
//! cargo test --test conformance                  the whole suite
//! cargo test --test conformance -- --short       what tests/conformance/short.txt names
//! cargo test --test conformance -- FILTER        files whose path contains FILTER, or `file > test name`
//! ```
//!
//! The scripts come from `tests/conformance/bundle.mjs`; each file gets an isolate of its own, booted
//! from the shipped snapshot. Those under `relay/` run under Node instead, on the official SDK: there our relay is what
//! the suite tests, in place of a sync server of its own. A run fails on every outcome that `tests/conformance/expected.toml` does
//! not announce, in either direction, so that the list stays true. This is a test target: the program
//! has neither the scripts nor the ops that they use.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the report of this test is what it prints")]

#[path = "conformance/driver/bundle.rs"]
mod bundle;
#[path = "conformance/driver/expected.rs"]
mod expected;
#[path = "conformance/driver/file_run.rs"]
mod file_run;
#[path = "conformance/driver/isolate.rs"]
mod isolate;
#[path = "conformance/driver/judge.rs"]
mod judge;
#[path = "conformance/driver/node.rs"]
mod node;
#[path = "conformance/driver/ops.rs"]
mod ops;
#[path = "conformance/driver/selection.rs"]
mod selection;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bundle::Suite;
use expected::Expected;
use file_run::FileRun;
use judge::{Verdict, judge};
use selection::Selection;

/// Files that run at the same time.
const THREADS: usize = 2;
/// Tests that take longer are named at the end.
const SLOW: Duration = Duration::from_secs(2);
/// How many of those at most.
const SLOWEST: usize = 15;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("conformance: {reason}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything came out as expected; an error where the suite could not be run.
fn run(arguments: &[String]) -> Result<bool, String> {
    let began = Instant::now();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    // A sibling of cargo's folder for temporary test files: the build's own target folder.
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("conformance");

    let expected = Expected::read(&source.join("expected.toml"))?;
    let suite = Suite::build(&source, &out)?;
    let selection = Selection::from_arguments(arguments, &suite.file_names(), &source.join("short.txt"))?;

    let mut total = Verdict::default();
    run_files(&suite, &source, &expected, &selection, |run| {
        let verdict = judge(run, &expected, selection.tests_of(&run.file));
        println!("{}", verdict.line(&run.file, run.time));
        for complaint in &verdict.complaints {
            println!("{}", indented(complaint));
        }
        total.add(verdict);
    });
    if selection.is_whole() {
        for complaint in expected.check_totals(&suite.file_names(), total.tests) {
            println!("FAIL  {complaint}");
            total.failed += 1;
        }
    }

    print_slow(&mut total);
    if total.explained_failures > 0 {
        println!(
            "{} of the skipped ran and failed, for the reason given in tests/conformance/expected.toml",
            total.explained_failures
        );
    }
    println!("{} files in {:.1} s", selection.files().len(), began.elapsed().as_secs_f64());
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    Ok(total.failed == 0)
}

/// Runs the chosen files and hands each on when it has ended, in the order in which they end.
fn run_files(
    suite: &Suite,
    source: &Path,
    expected: &Expected,
    selection: &Selection,
    mut ended: impl FnMut(&FileRun),
) {
    let files = selection.files();
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let sender = sender.clone();
            let next = &next;
            scope.spawn(move || {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let only = selection.tests_of(file);
                    let run = if node::is_for_node(file) {
                        node::run_file(suite, source, file, only, &expected.skipped(file))
                    } else {
                        isolate::run_file(suite, file, only)
                    };
                    if sender.send(run).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for run in receiver {
            ended(&run);
        }
    });
}

fn print_slow(total: &mut Verdict) {
    total.times.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let slow: Vec<_> = total.times.iter().take_while(|(time, _)| *time >= SLOW).take(SLOWEST).collect();
    if !slow.is_empty() {
        println!("slow:");
    }
    for (time, test) in slow {
        println!("  {:6.1} s  {test}", time.as_secs_f64());
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("      {line}")).collect();
    lines.join("\n")
}
