//! How one file of the suite ended, put together from what it tells of itself.

use std::time::Duration;

use serde::Deserialize;

use crate::expected::State;

/// How one test ended.
pub struct TestRun {
    pub name: String,
    pub state: State,
    /// Why it failed.
    pub error: Option<String>,
    pub time: Duration,
}

/// How one file ended.
pub struct FileRun {
    pub file: String,
    pub tests: Vec<TestRun>,
    /// What went wrong beside the tests' own outcomes.
    pub problems: Vec<String>,
    pub time: Duration,
}

/// What the suite tells about itself, in the words of `ops.d.ts`. How often something was tried again is left out.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    Start {
        name: String,
    },
    Test {
        name: String,
        state: State,
        error: Option<String>,
        ms: u64,
    },
    /// A rejected promise that nobody handled, or an exception that nobody caught.
    Unhandled {
        name: String,
        error: String,
    },
    Done {
        tests: usize,
        error: Option<String>,
    },
}

impl FileRun {
    /// Of a file that has not told anything.
    pub fn of(file: &str) -> Self {
        Self { file: file.to_owned(), tests: Vec::new(), problems: Vec::new(), time: Duration::ZERO }
    }
}

/// How far a file has come.
#[derive(Default)]
pub struct Progress {
    current: Option<String>,
    done: Option<(usize, Option<String>)>,
}

impl Progress {
    /// The test under way.
    pub fn current(&self) -> &str {
        self.current.as_deref().unwrap_or("(before its first test)")
    }

    /// Takes a record; whether it shows that the file goes on.
    pub fn note(&mut self, record: Record, run: &mut FileRun) -> bool {
        match record {
            Record::Start { name } => self.current = Some(name),
            Record::Test { name, state, error, ms } => {
                run.tests.push(TestRun { name, state, error, time: Duration::from_millis(ms) });
            }
            Record::Unhandled { name, error } => {
                run.problems.push(format!("nobody handled an error during {name}: {error}"));
                return false;
            }
            Record::Done { tests, error } => {
                self.done = Some((tests, error));
                return false;
            }
        }
        true
    }

    /// It has said nothing for so long.
    pub fn give_up(&self, silence: Duration, run: &mut FileRun) {
        let seconds = silence.as_secs();
        run.problems.push(format!("stopped after {seconds} s without progress in {}", self.current()));
    }

    /// It has ended.
    pub fn finish(self, run: &mut FileRun) {
        match &self.done {
            None if run.problems.is_empty() => run.problems.push(format!("it ended early, in {}", self.current())),
            None => {}
            Some((_, Some(error))) => run.problems.push(format!("outside of its tests: {error}")),
            Some((tests, None)) if *tests != run.tests.len() => {
                run.problems.push(format!("it counts {tests} tests and told of {}", run.tests.len()));
            }
            Some(_) => {}
        }
    }
}
