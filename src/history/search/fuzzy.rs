//! Fuzzy matching: the letters of a word in their order, with anything between them.
//!
//! For every word of the query the shortest stretch of the text that holds its letters in order is
//! looked for; a shorter stretch scores higher, and so does one that begins at the start of a word.

use std::ops::Range;

use super::super::ranking::BEST_MATCH;

/// The most one word can score for the closeness of its letters.
const FULL: u32 = 1_000;
/// What a match at the start of a word adds.
const WORD_START: u32 = 200;
/// How many characters of a text are looked at; the work can grow with their square.
const LOOKED_AT: usize = 2_000;

/// A prepared fuzzy query.
#[derive(Debug)]
pub(super) struct Query {
    words: Vec<Vec<char>>,
    /// The same, where all of it is ASCII: texts that are too need not be taken apart.
    plain: Option<Vec<Vec<u8>>>,
    ignore_case: bool,
}

/// One letter of a text.
trait Letter: Copy + PartialEq {
    fn folded(self, ignore_case: bool) -> Self;
    fn joins_words(self) -> bool;
}

impl Letter for u8 {
    fn folded(self, ignore_case: bool) -> Self {
        if ignore_case { self.to_ascii_lowercase() } else { self }
    }

    fn joins_words(self) -> bool {
        self.is_ascii_alphanumeric()
    }
}

impl Letter for char {
    /// One letter for one letter: the few that fold to several keep their first.
    fn folded(self, ignore_case: bool) -> Self {
        if ignore_case { self.to_lowercase().next().unwrap_or(self) } else { self }
    }

    fn joins_words(self) -> bool {
        self.is_alphanumeric()
    }
}

/// A stretch of a text, and its score.
struct Stretch {
    score: u32,
    start: usize,
    end: usize,
}

impl Query {
    /// Prepares the words of `text`.
    pub(super) fn new(text: &str, ignore_case: bool) -> Self {
        let words: Vec<Vec<char>> = text
            .split_whitespace()
            .map(|word| word.chars().map(|letter| letter.folded(ignore_case)).collect())
            .collect();
        let plain = text.is_ascii().then(|| {
            text.split_whitespace().map(|word| word.bytes().map(|b| b.folded(ignore_case)).collect()).collect()
        });
        Self { words, plain, ignore_case }
    }

    /// How well `text` matches, of 1000, or `None` where some word does not.
    pub(super) fn score(&self, text: &str) -> Option<u32> {
        let sum: u32 = match &self.plain {
            Some(words) if text.is_ascii() => {
                let text = &text.as_bytes()[..text.len().min(LOOKED_AT)];
                words.iter().map(|word| Some(self.best(word, text)?.score)).sum::<Option<u32>>()?
            }
            _ => {
                let text: Vec<char> = text.chars().take(LOOKED_AT).collect();
                self.words.iter().map(|word| Some(self.best(word, &text)?.score)).sum::<Option<u32>>()?
            }
        };
        let words = u32::try_from(self.words.len()).ok()?.max(1);
        Some(sum / words * BEST_MATCH / (FULL + WORD_START))
    }

    /// Where in `text` the letters are, in bytes; a letter a range.
    pub(super) fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        let (places, letters): (Vec<usize>, Vec<char>) = text.char_indices().take(LOOKED_AT).unzip();
        let mut ranges = Vec::new();
        for word in &self.words {
            let Some(stretch) = self.best(word, &letters) else { continue };
            let mut at = stretch.start;
            for wanted in word {
                while at <= stretch.end {
                    let (Some(letter), Some(place)) = (letters.get(at), places.get(at)) else { break };
                    at += 1;
                    if letter.folded(self.ignore_case) == *wanted {
                        ranges.push(*place..*place + letter.len_utf8());
                        break;
                    }
                }
            }
        }
        ranges
    }

    fn best<L: Letter>(&self, word: &[L], text: &[L]) -> Option<Stretch> {
        let mut best: Option<Stretch> = None;
        let mut from = 0;
        let length = u32::try_from(word.len()).ok()?;
        while let Some(end) = self.find_forward(word, text, from) {
            let start = self.find_backward(word, text, end);
            let at_word_start = start == 0 || text.get(start - 1).is_some_and(|before| !before.joins_words());
            let closeness = FULL * length / u32::try_from(end - start + 1).ok()?.max(1);
            let score = closeness + if at_word_start { WORD_START } else { 0 };
            if best.as_ref().is_none_or(|best| score > best.score) {
                best = Some(Stretch { score, start, end });
            }
            if score == FULL + WORD_START {
                break;
            }
            from = start + 1;
        }
        best
    }

    /// Where the last letter of the earliest match from `from` on is.
    fn find_forward<L: Letter>(&self, word: &[L], text: &[L], from: usize) -> Option<usize> {
        let mut letters = word.iter();
        let mut wanted = letters.next()?;
        for (index, letter) in text.iter().enumerate().skip(from) {
            if letter.folded(self.ignore_case) == *wanted {
                match letters.next() {
                    Some(next) => wanted = next,
                    None => return Some(index),
                }
            }
        }
        None
    }

    /// Where the latest match that ends at `end` begins.
    fn find_backward<L: Letter>(&self, word: &[L], text: &[L], end: usize) -> usize {
        let mut letters = word.iter().rev().peekable();
        for index in (0..=end).rev() {
            let letter = text.get(index).map(|letter| letter.folded(self.ignore_case));
            if letter == letters.peek().map(|letter| **letter) {
                letters.next();
                if letters.peek().is_none() {
                    return index;
                }
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(query: &str, text: &str) -> Option<u32> {
        Query::new(query, true).score(text)
    }

    #[test]
    fn letters_match_in_order_only() {
        assert!(score("gco", "git checkout").is_some());
        assert_eq!(score("ocg", "git checkout"), None);
        assert_eq!(score("git x", "git checkout"), None);
    }

    #[test]
    fn closer_letters_and_word_starts_score_higher() {
        assert!(score("make", "make test") > score("make", "m a k e"));
        assert!(score("test", "make test") > score("test", "latest"));
        assert!(score("ls", "lxxs; ls") > score("ls", "lxxs; lxxs"));
        assert_eq!(score("make", "make test"), Some(BEST_MATCH));
    }

    #[test]
    fn capitals_count_only_when_asked_for() {
        assert!(score("readme", "cat README.md").is_some());
        assert_eq!(Query::new("README", false).score("cat readme.md"), None);
    }

    #[test]
    fn plain_and_other_texts_score_alike() {
        for (query, text) in [("gco", "git checkout"), ("co", "git checkout -b main"), ("m", "make"), ("tt", "test it")]
        {
            let other = format!("{text}ü");
            assert_eq!(score(query, text), score(query, &other), "{query} in {text}");
        }
        assert!(score("ÜB", "über").is_some());
    }

    #[test]
    fn no_text_and_long_text_are_fine() {
        assert_eq!(score("a", ""), None);
        let long = "ab".repeat(50_000);
        assert!(score("abab", &long).is_some());
    }
}
