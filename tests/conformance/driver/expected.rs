//! `expected.toml`: what the suite gives in our isolate.
//!
//! What is not listed passes. What is listed ends in the state that is given, for the reason that is
//! given; an entry without a reason, or given twice, is an error.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use serde::Deserialize;

/// How a test ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Pass,
    Fail,
    Skip,
    Todo,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "passes",
            Self::Fail => "fails",
            Self::Skip => "is skipped",
            Self::Todo => "is to be written",
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    files: usize,
    tests: usize,
    test: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: String,
    name: String,
    state: State,
    reason: String,
}

/// The list, read.
pub struct Expected {
    files: usize,
    tests: usize,
    listed: HashMap<String, HashMap<String, State>>,
}

impl Expected {
    /// # Errors
    ///
    /// The file is missing or not what the module's description says.
    pub fn read(path: &Path) -> Result<Self, String> {
        let complain = |what: &dyn fmt::Display| format!("{}: {what}", path.display());
        let text = std::fs::read_to_string(path).map_err(|e| complain(&e))?;
        let list: List = toml::from_str(&text).map_err(|e| complain(&e))?;
        let mut listed: HashMap<String, HashMap<String, State>> = HashMap::new();
        for Entry { file, name, state, reason } in list.test {
            if reason.trim().is_empty() {
                return Err(complain(&format!("no reason is given for {file} > {name}")));
            }
            let key = format!("{file} > {name}");
            if listed.entry(file).or_default().insert(name, state).is_some() {
                return Err(complain(&format!("{key} is listed twice")));
            }
        }
        Ok(Self { files: list.files, tests: list.tests, listed })
    }

    /// The state in which a test must end.
    pub fn state(&self, file: &str, name: &str) -> State {
        self.listed.get(file).and_then(|tests| tests.get(name)).copied().unwrap_or(State::Pass)
    }

    /// The names listed for a file.
    pub fn names(&self, file: &str) -> impl Iterator<Item = &str> {
        self.listed.get(file).into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// Those of them that are not to run.
    pub fn skipped(&self, file: &str) -> Vec<&str> {
        let listed = self.listed.get(file).into_iter().flatten();
        listed.filter(|(_, state)| **state == State::Skip).map(|(name, _)| name.as_str()).collect()
    }

    /// What is wrong with the numbers of a whole run.
    pub fn check_totals(&self, files: &[&str], tests: usize) -> Vec<String> {
        let mut complaints = Vec::new();
        if files.len() != self.files {
            complaints.push(format!("the suite has {} files; expected.toml says {}", files.len(), self.files));
        }
        if tests != self.tests {
            complaints.push(format!("the suite has {tests} tests; expected.toml says {}", self.tests));
        }
        let known: HashSet<&str> = files.iter().copied().collect();
        for file in self.listed.keys().filter(|file| !known.contains(file.as_str())) {
            complaints.push(format!("expected.toml lists {file}, which the suite does not have"));
        }
        complaints
    }
}
