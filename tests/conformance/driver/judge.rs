//! Compares what a file gave with what was expected.

use std::time::Duration;

use crate::expected::{Expected, State};
use crate::file_run::FileRun;

/// The result of one file, or the sum of several.
#[derive(Default)]
pub struct Verdict {
    /// Tests told of.
    pub tests: usize,
    pub passed: usize,
    /// Outcomes that were not expected, and everything else that went wrong.
    pub failed: usize,
    /// Expected not to pass, and did not.
    pub skipped: usize,
    /// Those of the skipped that ran and failed.
    pub explained_failures: usize,
    /// What is behind `failed`, a text each.
    pub complaints: Vec<String>,
    /// How long each test took.
    pub times: Vec<(Duration, String)>,
}

/// Judges a file, of which all or only the given tests were run.
pub fn judge(run: &FileRun, expected: &Expected, only: Option<&[String]>) -> Verdict {
    let mut verdict = Verdict { tests: run.tests.len(), ..Verdict::default() };
    for test in &run.tests {
        verdict.times.push((test.time, format!("{} > {}", run.file, test.name)));
        let wanted = expected.state(&run.file, &test.name);
        match (test.state == wanted, wanted) {
            (true, State::Pass) => verdict.passed += 1,
            (true, _) => {
                verdict.skipped += 1;
                verdict.explained_failures += usize::from(wanted == State::Fail);
            }
            (false, _) => {
                let mut complaint = format!("{}: {}", test.name, test.state);
                if wanted != State::Pass {
                    complaint += &format!(", while expected.toml says that it {wanted}");
                }
                for line in test.error.iter().flat_map(|error| error.lines()) {
                    complaint += &format!("\n  {line}");
                }
                verdict.complain(complaint);
            }
        }
    }
    for name in expected.names(&run.file) {
        let was_wanted = only.is_none_or(|only| only.iter().any(|wanted| wanted == name));
        if was_wanted && !run.tests.iter().any(|test| test.name == name) {
            verdict.complain(format!("{name}: in expected.toml, but the suite told nothing of it"));
        }
    }
    for problem in &run.problems {
        verdict.complain(problem.clone());
    }
    verdict
}

impl Verdict {
    fn complain(&mut self, complaint: String) {
        self.failed += 1;
        self.complaints.push(complaint);
    }

    /// Adds the numbers of another.
    pub fn add(&mut self, other: Self) {
        self.tests += other.tests;
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.explained_failures += other.explained_failures;
        self.complaints.extend(other.complaints);
        self.times.extend(other.times);
    }

    /// One line for a file.
    pub fn line(&self, file: &str, time: Duration) -> String {
        let mark = if self.failed == 0 { "ok  " } else { "FAIL" };
        let mut counts = format!("{} passed", self.passed);
        for (count, what) in [(self.failed, "failed"), (self.skipped, "skipped")] {
            if count > 0 {
                counts += &format!(", {count} {what}");
            }
        }
        format!("{mark}  {file:<58} {counts}  {:.1} s", time.as_secs_f64())
    }
}
