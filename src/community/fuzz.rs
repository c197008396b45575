//! What a collector reads from outside: reports and revocations.

use super::{BODY_BYTES, Report, Revocation};
use crate::fuzz::Target;

pub(crate) const FUZZED: &[Target] = &[Target { name: "community-body", seeds: bodies, run: body }];

/// The frozen ones.
fn bodies() -> Vec<Vec<u8>> {
    let lines = include_str!("../../tests/vectors/community-report.json").lines();
    let texts = lines.filter_map(|line| serde_json::from_str(line.split_once(": ")?.1.trim_end_matches(',')).ok());
    texts
        .map(|text: String| {
            let mut bytes = text.into_bytes();
            bytes.resize(BODY_BYTES, b' ');
            bytes
        })
        .collect()
}

/// Whatever is taken has one way to be written, which is what was read.
fn body(bytes: &[u8]) {
    if let Ok(report) = Report::read_unproven(bytes) {
        assert_eq!(report.bytes(), bytes);
        assert!(!report.told().is_empty());
    }
    if let Ok(revocation) = Revocation::read(bytes) {
        assert_eq!(revocation.bytes(), bytes);
    }
}
