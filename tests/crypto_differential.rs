//! Our crypto against the official core of the Jazz SDK: answers frozen in a file, and answers asked of
//! the package under Node for random requests.
//!
//! A request is a JSON array `[operation, ...arguments]`; an answer is `{"ok": value}` or
//! `{"error": kind}`. `calls` answers with our code, `oracle` with the official package, `pure` and
//! `maps` make up requests. Where the official core is known to be wrong the oracle corrects it; see
//! `tests/interop/crypto-oracle.mjs`. The requests stay within what both sides call well-formed, so the
//! places where ours is stricter have tests of their own, in `src/runtime/crypto/`.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod calls;
mod maps;
mod oracle;
mod pure;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::Value;

use calls::Calls;
use oracle::Oracle;

/// Failing cases are kept with the tests.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/proptest-regressions/crypto_differential.txt"
        )))),
        ..ProptestConfig::default()
    }
}

/// Asks the official package the same, and fails on the first difference.
fn compare(oracle: &Oracle, exchanges: &[(Value, Value)]) -> Result<(), TestCaseError> {
    let requests: Vec<&Value> = exchanges.iter().map(|(request, _)| request).collect();
    let answers = oracle.ask(&requests);
    for ((request, ours), official) in exchanges.iter().zip(answers) {
        prop_assert_eq!(ours, &official, "ours and the official answer differ for {}", request);
    }
    Ok(())
}

#[test]
fn crypto_gives_the_frozen_answers_of_the_official_core() {
    let vectors: Vec<(Value, Value)> =
        serde_json::from_str(include_str!("vectors/jazz-crypto.json")).expect("the vectors are JSON");
    assert!(vectors.len() > 1000, "the vectors are complete");
    let mut calls = Calls::default();
    for (request, answer) in &vectors {
        assert_eq!(&calls.answer(request), answer, "for {request}");
    }
}

#[test]
fn crypto_functions_agree_with_the_official_core() {
    let oracle = Oracle::start();
    proptest!(config(), |(input in pure::input())| {
        compare(&oracle, &pure::exchanges(&input))?;
    });
}

#[test]
fn session_maps_agree_with_the_official_core() {
    let oracle = Oracle::start();
    proptest!(config(), |(setting in maps::setting(), steps in prop::collection::vec(maps::step(), 1..40))| {
        compare(&oracle, &maps::exchanges(&setting, &steps))?;
    });
}
