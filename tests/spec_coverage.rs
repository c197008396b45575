//! `docs/spec-coverage.md` is true: every number of the specification has a row, every row names tests, and every
//! test it names is there and runs.
//!
//! A test is named as the test program prints it: `sync_relay::its_store_is_private` is in `tests/sync_relay.rs` or
//! below `tests/sync_relay/`, `identity::phrase::tests::…` in `src/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The numbers of the specification: modules of five, non-functional groups of four, and its scenarios.
const GROUPS: [(&str, u32, usize); 16] = [
    ("FR-SI", 5, 3),
    ("FR-DE", 5, 3),
    ("FR-ST", 5, 3),
    ("FR-DS", 5, 3),
    ("FR-PC", 5, 3),
    ("NFR-S", 4, 3),
    ("NFR-P", 4, 3),
    ("NFR-R", 4, 3),
    ("NFR-U", 4, 3),
    // Acceptance scenarios: initialization, cross-device, privacy, offline.
    ("AC-I", 3, 1),
    ("AC-C", 4, 1),
    ("AC-P", 3, 1),
    ("AC-O", 3, 1),
    // Edge cases: identity, conflicts, data.
    ("EC-I", 4, 1),
    ("EC-C", 3, 1),
    ("EC-D", 4, 1),
];
/// Edge cases of privacy.
const PRIVACY_EDGES: u32 = 3;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The tests that each row names.
fn rows(table: &str) -> BTreeMap<String, Vec<String>> {
    let mut rows = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, .., tests] = cells.as_slice() else { continue };
        if !number.starts_with(|c: char| c.is_ascii_uppercase()) || !number.contains('-') {
            continue;
        }
        let named = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(rows.insert((*number).to_owned(), named).is_none(), "{number} has two rows");
    }
    rows
}

fn sources(below: &Path, text: &mut Vec<String>) {
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push(fs::read_to_string(path).expect("a source file"));
        }
    }
}

/// Whether the sources of a module have this test, and it is one that runs.
fn runs(name: &str) -> bool {
    let (module, test) = name.rsplit_once("::").unwrap_or(("", name));
    let first = module.split("::").next().unwrap_or_default();
    let mut text = Vec::new();
    let file = root().join("tests").join(format!("{first}.rs"));
    if file.exists() {
        text.push(fs::read_to_string(file).expect("a test file"));
        sources(&root().join("tests").join(first), &mut text);
    } else {
        sources(&root().join("src").join(first), &mut text);
    }
    text.iter().any(|source| {
        source.match_indices(&format!("fn {test}(")).any(|(at, _)| {
            let before: String = source[..at].chars().rev().take(160).collect::<String>().chars().rev().collect();
            let attributes = before.rsplit_once("\n\n").map_or(before.as_str(), |(_, last)| last);
            attributes.contains("#[test]") && !attributes.contains("#[ignore")
        })
    })
}

#[test]
fn every_number_of_the_specification_has_tests_that_run() {
    let table = fs::read_to_string(root().join("docs/spec-coverage.md")).expect("the table");
    let rows = rows(&table);
    let mut wanted: Vec<String> = GROUPS
        .iter()
        .flat_map(|(group, count, digits)| (1..=*count).map(move |n| format!("{group}{n:0digits$}")))
        .collect();
    wanted.extend((1..=PRIVACY_EDGES).map(|n| format!("EC-P{n}")));
    let without: Vec<&String> = wanted.iter().filter(|number| rows.get(*number).is_none_or(Vec::is_empty)).collect();
    assert!(without.is_empty(), "no test is named for {without:?}");
    let unknown: Vec<&String> = rows.keys().filter(|number| !wanted.contains(number)).collect();
    assert!(unknown.is_empty(), "not in the specification: {unknown:?}");
    let missing: Vec<(&String, &String)> = rows
        .iter()
        .flat_map(|(number, tests)| tests.iter().map(move |test| (number, test)))
        .filter(|(_, test)| !runs(test))
        .collect();
    assert!(missing.is_empty(), "named, but not there or never run: {missing:#?}");
}

#[test]
fn a_test_that_does_not_exist_is_noticed() {
    assert!(runs("spec_coverage::a_test_that_does_not_exist_is_noticed"));
    assert!(!runs("spec_coverage::a_test_that_was_never_written"));
    assert!(!runs("sync_relay::rows"), "a function that is no test");
}
