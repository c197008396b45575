//! Which part of the suite to run: all of it, what `short.txt` names, or what matches a filter.

use std::collections::HashMap;
use std::path::Path;

/// Stands between a file and a test's full name.
const SEPARATOR: &str = " > ";

/// The chosen files, in the order of the suite, and where not all of a file is wanted the tests.
pub struct Selection {
    files: Vec<String>,
    tests: HashMap<String, Vec<String>>,
    whole: bool,
}

impl Selection {
    /// # Errors
    ///
    /// An unknown option, or a line of `short.txt` that names no file of the suite.
    pub fn from_arguments(arguments: &[String], suite: &[&str], short: &Path) -> Result<Self, String> {
        let mut chosen = Chosen::default();
        let mut whole = true;
        for argument in arguments {
            whole = false;
            if argument == "--short" {
                let text =
                    std::fs::read_to_string(short).map_err(|e| format!("cannot read {}: {e}", short.display()))?;
                for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
                    let (file, test) = split(line);
                    if !suite.contains(&file) {
                        return Err(format!("{} names {file}, which the suite does not have", short.display()));
                    }
                    chosen.add(file, test);
                }
            } else if argument.starts_with('-') {
                return Err(format!("unknown option {argument}; there is --short, and a filter for files"));
            } else {
                let (filter, test) = split(argument);
                for file in suite.iter().filter(|file| file.contains(filter)) {
                    chosen.add(file, test);
                }
            }
        }
        Ok(if whole {
            Self { files: suite.iter().map(ToString::to_string).collect(), tests: HashMap::new(), whole }
        } else {
            chosen.in_order_of(suite)
        })
    }

    /// Whether nothing is left out.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The files to run.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The only tests to run of a file; none: all of them.
    pub fn tests_of(&self, file: &str) -> Option<&[String]> {
        self.tests.get(file).map(Vec::as_slice)
    }
}

fn split(line: &str) -> (&str, Option<&str>) {
    line.split_once(SEPARATOR).map_or((line, None), |(file, test)| (file, Some(test)))
}

/// For each file its chosen tests; none: all of them.
#[derive(Default)]
struct Chosen(HashMap<String, Option<Vec<String>>>);

impl Chosen {
    fn add(&mut self, file: &str, test: Option<&str>) {
        let tests = self.0.entry(file.to_owned()).or_insert_with(|| Some(Vec::new()));
        match (tests.as_mut(), test) {
            (Some(tests), Some(test)) => tests.push(test.to_owned()),
            (_, None) => *tests = None,
            (None, Some(_)) => {}
        }
    }

    fn in_order_of(mut self, suite: &[&str]) -> Selection {
        let files = suite.iter().filter(|file| self.0.contains_key(**file)).map(ToString::to_string).collect();
        let tests = self.0.drain().filter_map(|(file, tests)| Some((file, tests?))).collect();
        Selection { files, tests, whole: false }
    }
}
