//! Both sides of the isolate speak of the same requests.

use std::collections::BTreeSet;
use std::path::Path;

use caro::runtime::Ending;

fn source(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What lies between two marks.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let start = text.find(begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len();
    let length = text[start..].find(end).unwrap_or_else(|| panic!("no {end} after {begin}"));
    &text[start..start + length]
}

fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in camel.char_indices() {
        if letter.is_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// The variants of an enum of the Rust side, as they are written in JSON.
fn variants(text: &str, name: &str) -> BTreeSet<String> {
    let body = between(text, &format!("pub enum {name} {{\n"), "\n}");
    let top = body.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "));
    top.map(|line| line.trim().trim_end_matches([',', '{', ' ']))
        .filter(|line| line.starts_with(char::is_uppercase))
        .map(snake)
        .collect()
}

/// The literals of a union type of the script's side.
fn literals(text: &str, name: &str) -> BTreeSet<String> {
    let body = between(text, &format!("export type {name} ="), ";\n");
    let lines = body.lines().filter_map(|line| line.trim().strip_prefix("| \""));
    lines.map(|line| line.trim_end_matches('"').to_owned()).collect()
}

#[test]
fn both_sides_know_the_same_requests() {
    let rust = source("src/runtime/protocol.rs");
    let mut ours: BTreeSet<&str> = BTreeSet::new();
    for line in rust.lines().map(str::trim) {
        let named = line.strip_prefix("request!(").or_else(|| line.strip_prefix("const METHOD: &'static str = \""));
        let Some(named) = named.filter(|named| !named.starts_with('$')) else { continue };
        let name = named.split('"').find(|part| !part.is_empty() && part.chars().all(char::is_alphabetic)).unwrap();
        assert!(ours.insert(name), "{name} stands there twice");
    }
    let script = source("js/src/protocol.ts");
    let body = between(&script, "export interface Requests {\n", "\n}");
    let theirs: BTreeSet<&str> = body
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.trim().split_once(": {").map(|(name, _)| name))
        .collect();
    assert!(ours.len() > 10, "{ours:?}");
    assert_eq!(ours, theirs);
}

#[test]
fn both_sides_know_the_same_outcomes_failures_and_events() {
    let (rust, script) = (source("src/runtime/protocol.rs"), source("js/src/protocol.ts"));
    for (ours, theirs) in [("Outcome", "Outcome"), ("FailureCode", "FailureCode")] {
        let found = variants(&rust, ours);
        assert!(found.len() > 5, "{found:?}");
        assert_eq!(found, literals(&script, theirs), "{ours}");
    }
    let events: BTreeSet<String> = between(&script, "export type Event =", ";\n\n")
        .split("type: \"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(variants(&rust, "Event"), events);
}

/// A registry that one side does not know would be lost at the next set-up.
#[test]
fn both_sides_know_the_same_registries() {
    let (rust, script) = (source("src/runtime/protocol.rs"), source("js/src/protocol.ts"));
    let ours: BTreeSet<&str> = between(&rust, "pub struct Registries {", "\n}")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':').map(|(name, _)| name))
        .collect();
    let theirs: BTreeSet<&str> =
        between(&script, "export type RegistryName =", ";").split('"').skip(1).step_by(2).collect();
    assert_eq!(ours.len(), 6);
    assert_eq!(ours, theirs);
}

/// The codes with which the script ends connections, by the names that it has for them.
#[test]
fn both_sides_know_the_same_endings() {
    let script = source("js/src/connection.ts");
    let for_good: BTreeSet<u16> = between(&script, "FOR_GOOD: ReadonlySet<number> = new Set([", "]")
        .split(", ")
        .map(|code| code.parse().unwrap())
        .collect();
    let lasting: BTreeSet<u16> = Ending::ALL.into_iter().filter(|ending| ending.lasts()).map(Ending::code).collect();
    assert_eq!(for_good, lasting);

    for file in ["writers", "names", "backlog", "relay"] {
        let script = source(&format!("js/src/{file}.ts"));
        let constants = script.lines().filter_map(|line| line.strip_prefix("const ")?.split_once(" = "));
        let numbers = constants.filter_map(|(name, value)| Some((name, value.trim_end_matches(';').parse().ok()?)));
        let codes: Vec<(&str, u16)> = numbers.filter(|(_, number)| (4000..5000).contains(number)).collect();
        assert!(!codes.is_empty(), "{file}.ts");
        for (name, code) in codes {
            let ending = Ending::of(code).unwrap_or_else(|| panic!("{file}.ts: {name} is no ending"));
            assert_eq!(name.to_lowercase(), snake(&format!("{ending:?}")), "{file}.ts");
        }
    }
}
