//! Whether a text matches a query, how well, and where: one for each way of understanding a query.
//!
//! A match at the start of a word counts more than one within a word, a match of what one had asked for less than one of
//! the command itself. Letters match either case unless the query holds a capital.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

use super::super::ranking::BEST_MATCH;
use super::{SearchMode, fuzzy};
use crate::history::error::{HistoryError, Result};

/// Largest compiled size of a regular expression, in bytes.
const MAX_PATTERN_BYTES: usize = 4 * 1024 * 1024;
/// The points of a match within a word.
const WITHIN_A_WORD: u32 = 800;
/// What a match of the prompt has of the points that the command would have.
const PROMPT: (u32, u32) = (2, 3);

/// A prepared query.
#[derive(Debug)]
pub struct Matcher {
    kind: Kind,
    mask: u64,
}

#[derive(Debug)]
enum Kind {
    Everything,
    Words(Vec<Regex>),
    Pattern(Regex),
    Letters(fuzzy::Query),
}

impl Matcher {
    /// Prepares a query.
    ///
    /// # Errors
    /// [`HistoryError::InvalidPattern`].
    pub fn new(text: &str, mode: SearchMode) -> Result<Self> {
        let ignore_case = smart_case(text);
        let kind = match mode {
            _ if text.trim().is_empty() => Kind::Everything,
            SearchMode::Fulltext => Kind::Words(
                text.split_whitespace()
                    .map(|word| build(&regex::escape(word), ignore_case))
                    .collect::<Result<Vec<_>>>()?,
            ),
            SearchMode::Prefix => Kind::Pattern(build(&format!("^{}", regex::escape(text)), ignore_case)?),
            SearchMode::Regex => Kind::Pattern(build(text, ignore_case)?),
            SearchMode::Fuzzy => Kind::Letters(fuzzy::Query::new(text, ignore_case)),
        };
        let mask = match kind {
            Kind::Everything => 0,
            Kind::Pattern(_) if mode == SearchMode::Regex => 0,
            _ => text.split_whitespace().fold(0, |all, word| all | letters(word)),
        };
        Ok(Self { kind, mask })
    }

    /// The letters that a text must have to match; see [`mask`].
    pub(crate) fn mask(&self) -> u64 {
        self.mask
    }

    /// How well a command with this prompt matches, of 1000; none where it does not.
    #[must_use]
    pub fn quality(&self, command: &str, prompt: Option<&str>) -> Option<u32> {
        self.of(command).or_else(|| self.quality_of_prompt(prompt?))
    }

    /// How well a command matches by what one had asked for; none where it does not. Patterns are about the command alone.
    #[must_use]
    pub fn quality_of_prompt(&self, prompt: &str) -> Option<u32> {
        match self.kind {
            Kind::Words(_) | Kind::Letters(_) => Some(self.of(prompt)? * PROMPT.0 / PROMPT.1),
            Kind::Everything | Kind::Pattern(_) => None,
        }
    }

    fn of(&self, text: &str) -> Option<u32> {
        match &self.kind {
            Kind::Everything => Some(BEST_MATCH),
            Kind::Words(words) => {
                let mut sum = 0;
                for word in words {
                    sum += placed(text, word.find(text)?.start());
                }
                Some(sum / u32::try_from(words.len()).unwrap_or(1).max(1))
            }
            Kind::Pattern(pattern) => Some(placed(text, pattern.find(text)?.start())),
            Kind::Letters(query) => query.score(text),
        }
    }

    /// Where in the text the query matches, in order and without overlaps, to be shown.
    #[must_use]
    pub fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        let mut ranges = match &self.kind {
            Kind::Everything => Vec::new(),
            Kind::Words(words) => words.iter().filter_map(|word| Some(word.find(text)?.range())).collect(),
            Kind::Pattern(pattern) => pattern.find(text).map(|found| found.range()).into_iter().collect(),
            Kind::Letters(query) => query.ranges(text),
        };
        ranges.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        joined
    }
}

/// Which letters a text has, whatever their case, a bit for each or a few; all where some are not ASCII, since those fold
/// in ways of their own.
pub(crate) fn mask(text: &str) -> u64 {
    if text.is_ascii() { letters(text) } else { u64::MAX }
}

fn letters(text: &str) -> u64 {
    text.bytes().filter(|byte| byte.is_ascii_graphic()).fold(0, |all, byte| {
        all | 1
            << match byte.to_ascii_lowercase() {
                letter @ b'a'..=b'z' => letter - b'a',
                digit @ b'0'..=b'9' => 26 + digit - b'0',
                other => 36 + other % 28,
            }
    })
}

/// Whether what does not match the one query cannot match this one, of the same mode, either.
pub(crate) fn is_narrower(text: &str, than: &str, mode: SearchMode) -> bool {
    mode != SearchMode::Regex && text.starts_with(than)
}

/// Whether letters match either case: yes, unless the query holds a capital.
fn smart_case(text: &str) -> bool {
    !text.chars().any(char::is_uppercase)
}

fn placed(text: &str, at: usize) -> u32 {
    let within = text.get(..at).and_then(|before| before.chars().next_back()).is_some_and(char::is_alphanumeric);
    if within { WITHIN_A_WORD } else { BEST_MATCH }
}

fn build(pattern: &str, ignore_case: bool) -> Result<Regex> {
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .size_limit(MAX_PATTERN_BYTES)
        .build()
        .map_err(invalid_pattern)
}

fn invalid_pattern(error: regex::Error) -> HistoryError {
    let text = error.to_string();
    // The engine draws a picture of the pattern over several lines and ends with the reason.
    let reason = text.lines().last().unwrap_or_default();
    HistoryError::InvalidPattern(reason.trim_start_matches("error: ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(mode: SearchMode, text: &str) -> Matcher {
        Matcher::new(text, mode).unwrap()
    }

    #[test]
    fn the_start_of_a_word_is_better_than_its_middle_and_a_command_than_a_prompt() {
        for mode in [SearchMode::Fulltext, SearchMode::Fuzzy] {
            let query = matcher(mode, "test");
            let of = |command, prompt| query.quality(command, prompt).unwrap_or(0);
            assert!(of("make test", None) > of("latest", None));
            assert!(of("latest", None) > 0);
            assert!(of("make test", None) > of("make", Some("run a test")));
            assert!(of("make", Some("run a test")) > 0);
            assert_eq!(of("make", Some("run it")), 0);
        }
        assert_eq!(matcher(SearchMode::Regex, "^run").quality("make", Some("run")), None);
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "the one match")]
    fn what_matches_is_told() {
        let ranges = |mode, query: &str, text: &str| matcher(mode, query).ranges(text);
        assert_eq!(ranges(SearchMode::Fulltext, "git st", "git status"), [0..3, 4..6]);
        assert_eq!(ranges(SearchMode::Fulltext, "stat tus", "git status"), [4..10]);
        assert_eq!(ranges(SearchMode::Regex, "s.*u", "git status"), [4..9]);
        assert_eq!(ranges(SearchMode::Fuzzy, "gst", "git status"), [0..1, 4..6]);
        assert_eq!(ranges(SearchMode::Fuzzy, "üx", "grüße x"), [2..4, 8..9]);
        assert!(ranges(SearchMode::Fulltext, " ", "git").is_empty());
        assert!(ranges(SearchMode::Fuzzy, "z", "git").is_empty());
    }
}
