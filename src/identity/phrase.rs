//! The recovery phrase: 12 or 24 English words that stand for 128 or 256 random bits.
//!
//! Words and checksum are those of BIP39 (English list), so a phrase can be written down, read
//! out and typed in again with mistakes found before any work is done with it. BIP39's own way
//! from words to a seed (PBKDF2) is not used: see `keys`.
//!
//! Invariants: a [`Phrase`] always holds a valid checksum; words and entropy are wiped on drop;
//! no error carries a word the user typed, not even in `Debug`. Suggestions come near to
//! doing so, hence they are no part of a message: whoever talks to the user's terminal asks for
//! them by [`UnknownWords::words`].

use std::fmt;

use bip0039::{English, Language, Mnemonic};
use subtle::ConstantTimeEq;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::suggest::nearest_words;

/// How long a new phrase is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WordCount {
    /// 12 words: 128 bits.
    Twelve,
    /// 24 words: 256 bits. The default.
    #[default]
    TwentyFour,
}

impl WordCount {
    /// The length for a number of words, if it is one of the two.
    pub fn from_words(words: usize) -> Option<Self> {
        match words {
            12 => Some(Self::Twelve),
            24 => Some(Self::TwentyFour),
            _ => None,
        }
    }

    /// 12 or 24.
    pub fn words(self) -> usize {
        match self {
            Self::Twelve => 12,
            Self::TwentyFour => 24,
        }
    }

    fn entropy_bytes(self) -> usize {
        match self {
            Self::Twelve => 16,
            Self::TwentyFour => 32,
        }
    }
}

/// Why a text is not a recovery phrase, or none could be made.
#[derive(Debug, Error)]
pub enum PhraseError {
    /// Neither 12 nor 24 words.
    #[error(
        "The phrase has {found} word{}. A recovery phrase has 12 or 24: \
         check that none is missing, doubled or run together with its neighbour.",
        if *found == 1 { "" } else { "s" }
    )]
    WordCount {
        /// How many there are.
        found: usize,
    },
    /// Some words are not in the list that phrases are made of.
    #[error("The phrase has words that no recovery phrase uses: {0}. Check how they are spelled.")]
    UnknownWords(UnknownWords),
    /// All words exist, but their last bits don't match the rest.
    #[error(
        "Each word is a valid one, but together they are not a recovery phrase: \
         two words may be swapped, or one replaced by another. Check their order."
    )]
    Checksum,
    /// Stored entropy is neither 16 nor 32 bytes long.
    #[error("The stored recovery phrase is damaged. Set up sync again from the written phrase.")]
    Entropy,
    /// The operating system gives no random bytes.
    #[error("The system's random source gives no data, so no safe phrase can be made.")]
    NoRandomness,
}

/// One word that is not in the list.
pub struct UnknownWord {
    /// Its place in the phrase, counted from 1.
    pub position: usize,
    /// Words of the list that look like it, best first, three at most. For the user's
    /// terminal only: they tell nearly as much as the word itself.
    pub suggestions: Vec<&'static str>,
}

/// The words of a phrase that are not in the list. `Display` and `Debug` tell positions only.
pub struct UnknownWords(Vec<UnknownWord>);

impl UnknownWords {
    /// The words in the order of their positions; at least one.
    pub fn words(&self) -> &[UnknownWord] {
        &self.0
    }
}

impl fmt::Display for UnknownWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() == 1 { "word " } else { "words " })?;
        for (i, word) in self.0.iter().enumerate() {
            let separator = match i {
                0 => "",
                _ if i + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(f, "{separator}{}", word.position)?;
        }
        Ok(())
    }
}

impl fmt::Debug for UnknownWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|word| word.position)).finish()
    }
}

impl fmt::Debug for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownWord").field("position", &self.position).finish_non_exhaustive()
    }
}

/// A valid recovery phrase. Whoever has it has everything.
pub struct Phrase(Mnemonic<English>);

impl Phrase {
    /// Makes a new phrase from the operating system's random source.
    pub fn generate(count: WordCount) -> Result<Self, PhraseError> {
        let mut entropy = Zeroizing::new(vec![0; count.entropy_bytes()]);
        getrandom::fill(&mut entropy).map_err(|_| PhraseError::NoRandomness)?;
        Self::from_entropy(&entropy)
    }

    /// Reads what a person typed: case, Unicode form and white space don't matter.
    ///
    /// Errors are checked in the order count, words, checksum, and each is cheap: no key is
    /// derived from a phrase that can't be right.
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let normal = normalise(text);
        let words = || normal.split(' ').filter(|word| !word.is_empty());
        if WordCount::from_words(words().count()).is_none() {
            return Err(PhraseError::WordCount { found: words().count() });
        }
        let unknown: Vec<UnknownWord> = words()
            .zip(1..)
            .filter(|(word, _)| English::index_of(word).is_none())
            .map(|(word, position)| UnknownWord { position, suggestions: nearest_words(word) })
            .collect();
        if !unknown.is_empty() {
            return Err(PhraseError::UnknownWords(UnknownWords(unknown)));
        }
        Mnemonic::from_normalized_phrase(normal.as_str()).map(Self).map_err(|_| PhraseError::Checksum)
    }

    /// How many words a text has, right or wrong ones.
    pub fn count_words(text: &str) -> usize {
        normalise(text).split(' ').filter(|word| !word.is_empty()).count()
    }

    /// The phrase for 16 or 32 bytes of entropy, as a key store keeps them.
    pub fn from_entropy(entropy: &[u8]) -> Result<Self, PhraseError> {
        if entropy.len() != 16 && entropy.len() != 32 {
            return Err(PhraseError::Entropy);
        }
        Mnemonic::from_entropy(entropy).map(Self).map_err(|_| PhraseError::Entropy)
    }

    /// The words in lower case with single spaces: what the user writes down, what a QR code
    /// carries, and what keys are derived from (UTF-8; ASCII, so already in NFKD form).
    pub fn expose_words(&self) -> &str {
        self.0.phrase()
    }

    /// The random bits behind the words: 16 or 32 bytes.
    pub fn expose_entropy(&self) -> &[u8] {
        self.0.entropy()
    }

    /// 12 or 24 words.
    pub fn word_count(&self) -> WordCount {
        if self.0.entropy().len() == 16 { WordCount::Twelve } else { WordCount::TwentyFour }
    }

    /// Whether both are the same phrase, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.entropy().ct_eq(other.0.entropy()).into()
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(..)")
    }
}

/// NFKD, lower case, single spaces, none at the ends, without the numbers before the words of a list.
fn normalise(text: &str) -> Zeroizing<String> {
    // Reserved for the usual case at once, so that growing leaves no copies behind.
    let mut out = Zeroizing::new(String::with_capacity(2 * text.len() + 16));
    for c in text.nfkd().flat_map(char::to_lowercase) {
        let begins = out.is_empty() || out.ends_with(' ');
        if begins && (c.is_ascii_digit() || matches!(c, '.' | ')' | ':')) {
            continue;
        }
        if !c.is_whitespace() {
            out.push(c);
        } else if !begins {
            out.push(' ');
        }
    }
    if out.ends_with(' ') {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const TWELVE: &str = "legal winner thank year wave sausage worth useful legal winner thank \
                          yellow";

    #[test]
    fn generates_both_lengths_and_never_twice() {
        let mut seen = HashSet::new();
        for count in [WordCount::Twelve, WordCount::TwentyFour] {
            for _ in 0..50 {
                let phrase = Phrase::generate(count).unwrap();
                assert_eq!(phrase.expose_words().split(' ').count(), count.words());
                assert_eq!(phrase.word_count(), count);
                assert!(seen.insert(phrase.expose_words().to_owned()));
                assert!(Phrase::parse(phrase.expose_words()).unwrap().matches(&phrase));
            }
        }
        assert_eq!(WordCount::default().words(), 24);
    }

    #[test]
    fn reads_sloppy_typing() {
        let expected = Phrase::parse(TWELVE).unwrap();
        let shouted = TWELVE.to_uppercase().replace(' ', "\t\r\n\u{a0}\u{3000} ");
        let full_width: String = TWELVE
            .chars()
            .map(|c| match c {
                'a'..='z' => char::from_u32(c as u32 + 0xfee0).unwrap(),
                other => other,
            })
            .collect();
        let numbered: String =
            TWELVE.split_whitespace().zip(1..).map(|(word, number)| format!("{number:>4}. {word}   \n")).collect();
        let close = numbered.replace(". ", ".");
        for text in [format!("  {TWELVE}\n\n"), shouted, full_width, numbered, close] {
            let phrase = Phrase::parse(&text).unwrap();
            assert!(phrase.matches(&expected));
            assert_eq!(phrase.expose_words(), TWELVE);
        }
    }

    #[test]
    fn wrong_count_is_its_own_error() {
        for (text, count) in [("", 0), (" \n ", 0), ("legal winner", 2), ("zoo zoo zoo", 3)] {
            match Phrase::parse(text) {
                Err(PhraseError::WordCount { found }) => assert_eq!(found, count),
                other => panic!("{other:?}"),
            }
        }
        // BIP39 knows lengths between; this program doesn't use them.
        let fifteen = Mnemonic::<English>::from_entropy([7; 20]).unwrap();
        assert!(matches!(Phrase::parse(fifteen.phrase()), Err(PhraseError::WordCount { found: 15 })));
    }

    #[test]
    fn unknown_words_are_named_by_position_and_never_echoed() {
        let text = TWELVE.replacen("thank", "thnak", 1).replace("yellow", "hunter2secret");
        let error = Phrase::parse(&text).unwrap_err();
        let PhraseError::UnknownWords(unknown) = &error else { panic!("{error:?}") };
        let positions: Vec<_> = unknown.words().iter().map(|word| word.position).collect();
        assert_eq!(positions, [3, 12]);
        assert_eq!(unknown.words()[0].suggestions.first(), Some(&"thank"));
        assert!(unknown.words()[1].suggestions.is_empty());
        let shown = format!("{error} {error:?} {unknown:?} {:?}", unknown.words());
        assert!(shown.contains("words 3 and 12"));
        for secret in ["thnak", "thank", "hunter2", "legal", "winner"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_swap_fails_the_checksum() {
        let text = TWELVE.replace("worth useful", "useful worth");
        assert!(matches!(Phrase::parse(&text), Err(PhraseError::Checksum)));
    }

    #[test]
    fn entropy_of_other_lengths_is_refused() {
        for len in [0, 15, 17, 20, 24, 28, 31, 33, 64] {
            assert!(matches!(Phrase::from_entropy(&vec![1; len]), Err(PhraseError::Entropy)));
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let phrase = Phrase::parse(TWELVE).unwrap();
        assert_eq!(format!("{phrase:?} {phrase:#?}"), "Phrase(..) Phrase(..)");
    }

    proptest! {
        #[test]
        fn entropy_round_trip(long: bool, seed: [u8; 32]) {
            let entropy = if long { &seed[..] } else { &seed[..16] };
            let phrase = Phrase::from_entropy(entropy).unwrap();
            let again = Phrase::parse(phrase.expose_words()).unwrap();
            prop_assert_eq!(again.expose_entropy(), entropy);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,200}", words in "([a-z]{1,9}[ \\t]){12}") {
            let _ = Phrase::parse(&text);
            let _ = Phrase::parse(&words);
        }
    }
}
