//! What is fuzzed: everything that reads bytes from outside, as functions of bytes that never panic and keep what they promise.
//!
//! Each room has its targets in a file of its own, and this one has the list. Two drive them: libFuzzer, which follows what
//! each input reaches (`make fuzz`), and a test that runs each on its seeds and on random changes of them.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// One way in.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Inputs as they come in real life, made by what makes them there.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads an input; panics where it is not dealt with as promised.
    pub run: fn(&[u8]),
}

/// All of them.
#[must_use]
pub fn targets() -> Vec<Target> {
    [
        crate::cli::fuzz::FUZZED,
        crate::community::fuzz::FUZZED,
        crate::history::fuzz::FUZZED,
        crate::identity::fuzz::FUZZED,
        crate::net::fuzz::FUZZED,
        crate::prefs::fuzz::FUZZED,
        crate::relay::fuzz::FUZZED,
        crate::runtime::crypto::fuzz::FUZZED,
        crate::salvage::fuzz::FUZZED,
        crate::seal::fuzz::FUZZED,
        crate::sync::fuzz::FUZZED,
    ]
    .concat()
}

/// As text, where it is any.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Text before and after the first line break.
pub(crate) fn two_texts(bytes: &[u8]) -> Option<(&str, &str)> {
    text(bytes)?.split_once('\n')
}

/// Seeds that are texts.
pub(crate) fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// What is understood can be written, and is then understood as the same.
pub(crate) fn survives_cbor<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    if let Ok(value) = ciborium::from_reader::<T, _>(bytes) {
        let again = cbor(&value);
        let read: T = ciborium::from_reader(again.as_slice()).unwrap_or_else(|error| panic!("{value:?}: {error}"));
        assert_eq!(cbor(&read), again, "{value:?}");
    }
}

/// The same for JSON.
pub(crate) fn survives_json<T: Serialize + DeserializeOwned + Debug>(text: &str) {
    if let Ok(value) = serde_json::from_str::<T>(text) {
        let again = json(&value);
        let read: T = serde_json::from_slice(&again).unwrap_or_else(|error| panic!("{value:?}: {error}"));
        assert_eq!(json(&read), again, "{value:?}");
    }
}

/// A value as it is written.
pub(crate) fn cbor(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = ciborium::into_writer(value, &mut bytes);
    assert!(written.is_ok(), "a byte vector takes every write");
    bytes
}

/// A value as it is written.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|error| panic!("it is written: {error}"))
}

#[cfg(test)]
#[path = "../tests/common/random.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod random;

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::{Duration, Instant};

    use super::random::Random;
    use super::*;

    /// For so long each target is run on changed inputs.
    const EACH: Duration = Duration::from_millis(150);
    /// Bytes that mean something in one format or another.
    const WORDS: [&[u8]; 24] = [
        b"\0",
        b"\xff",
        b"\n",
        b"\r\n",
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"null",
        b"-1",
        b"1e999",
        b"18446744073709551616",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xbf",
        b"\xa0",
        b"\xc3\xa9",
        b"co_z",
        b"$(",
        b"\x7f\xff\xff\xff",
        b"%ff",
    ];

    fn changed(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[random.index(seeds.len())].clone();
        for _ in 0..1 + random.index(4) {
            let at = random.index(bytes.len() + 1);
            let to = at + random.index((bytes.len() - at).min(64) + 1);
            match random.index(6) {
                0 if at < bytes.len() => bytes[at] ^= 1 << random.index(8),
                1 => drop(bytes.splice(at..to, WORDS[random.index(WORDS.len())].iter().copied())),
                2 => drop(bytes.drain(at..to)),
                3 => bytes.truncate(at),
                4 => {
                    let part = bytes[at..to].to_vec();
                    bytes.splice(at..at, part.repeat(1 + random.index(3)));
                }
                _ => {
                    let other = &seeds[random.index(seeds.len())];
                    let from = random.index(other.len() + 1);
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
            }
        }
        bytes
    }

    #[test]
    fn whatever_comes_from_outside_is_dealt_with() {
        let mut random = Random::from_environment();
        for target in targets() {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{} has a seed", target.name);
            let begun = Instant::now();
            let mut inputs = seeds.iter().cloned();
            let mut next = || inputs.next().or_else(|| (begun.elapsed() < EACH).then(|| changed(&mut random, &seeds)));
            while let Some(input) = next() {
                let run = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
                assert!(run.is_ok(), "{}: b\"{}\"", target.name, input.escape_ascii());
            }
        }
    }
}
