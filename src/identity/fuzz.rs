//! What an identity is read from: words that somebody types, and key stores.

use super::Phrase;
use super::keystore::fuzz::{key_file, key_files, key_text, key_texts};
use crate::fuzz::{Target, text, texts};

pub(crate) const FUZZED: &[Target] = &[
    Target { name: "identity-phrase", seeds: phrases, run: phrase },
    Target { name: "identity-key-file", seeds: key_files, run: key_file },
    Target { name: "identity-key-text", seeds: key_texts, run: key_text },
];

fn phrases() -> Vec<Vec<u8>> {
    let twelve = "abandon ".repeat(11) + "about";
    texts(&[
        &twelve,
        &twelve.to_uppercase().replace(' ', " \u{3000}\n"),
        "legal winner thank year wave sausage worth useful legal winner thank yellow",
        "Ａbandon abandn zoo wrong",
        &("abandon ".repeat(23) + "art"),
    ])
}

/// A phrase is that of its entropy, however it was typed.
fn phrase(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match Phrase::parse(text) {
        Ok(phrase) => {
            let again = Phrase::parse(phrase.expose_words());
            assert!(again.is_ok_and(|again| again.matches(&phrase)));
            assert!(Phrase::from_entropy(phrase.expose_entropy()).is_ok_and(|again| again.matches(&phrase)));
        }
        Err(error) => drop(error.to_string()),
    }
    let _ = Phrase::count_words(text);
}
