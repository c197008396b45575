//! Fuzzy matching: the letters of a word in their order, with anything between them.
//!
//! For every word of the query the shortest stretch of the text that holds its letters in order is
//! looked for; a shorter stretch scores higher, and so does one that begins at the start of a word.

/// The most one word can score.
const FULL: u32 = 1_000;
/// What a match at the start of a word adds.
const WORD_START: u32 = 200;
/// How many characters of a text are looked at; the work can grow with their square.
const LOOKED_AT: usize = 5_000;

/// A prepared fuzzy query.
pub(super) struct Query {
    words: Vec<Vec<char>>,
    ignore_case: bool,
}

impl Query {
    /// Prepares the words of `text`.
    pub(super) fn new(text: &str, ignore_case: bool) -> Self {
        let fold = |c: char| fold(c, ignore_case);
        Self { words: text.split_whitespace().map(|word| word.chars().map(fold).collect()).collect(), ignore_case }
    }

    /// How well `text` matches, or `None` where some word does not.
    pub(super) fn score(&self, text: &str) -> Option<u32> {
        let text: Vec<char> = text.chars().take(LOOKED_AT).map(|c| fold(c, self.ignore_case)).collect();
        self.words.iter().map(|word| score_word(word, &text)).sum()
    }
}

/// One letter for one letter: the few that fold to several keep their first.
fn fold(c: char, ignore_case: bool) -> char {
    if ignore_case { c.to_lowercase().next().unwrap_or(c) } else { c }
}

fn score_word(word: &[char], text: &[char]) -> Option<u32> {
    let mut best = None;
    let mut from = 0;
    while let Some(end) = find_forward(word, text, from) {
        let start = find_backward(word, text, end);
        let stretch = (end - start + 1).max(1);
        let closeness = FULL * u32::try_from(word.len()).ok()? / u32::try_from(stretch).ok()?;
        let at_word_start = start == 0 || text.get(start - 1).is_some_and(|before| !before.is_alphanumeric());
        let score = closeness + if at_word_start { WORD_START } else { 0 };
        best = best.max(Some(score));
        from = start + 1;
    }
    best
}

/// Where the last letter of the earliest match from `from` on is.
fn find_forward(word: &[char], text: &[char], from: usize) -> Option<usize> {
    let mut letters = word.iter();
    let mut wanted = letters.next()?;
    for (index, c) in text.iter().enumerate().skip(from) {
        if c == wanted {
            match letters.next() {
                Some(next) => wanted = next,
                None => return Some(index),
            }
        }
    }
    None
}

/// Where the latest match that ends at `end` begins.
fn find_backward(word: &[char], text: &[char], end: usize) -> usize {
    let mut letters = word.iter().rev().peekable();
    for index in (0..=end).rev() {
        if text.get(index) == letters.peek().copied() {
            letters.next();
            if letters.peek().is_none() {
                return index;
            }
        }
    }
    0
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
    }

    #[test]
    fn capitals_count_only_when_asked_for() {
        assert!(score("readme", "cat README.md").is_some());
        assert_eq!(Query::new("README", false).score("cat readme.md"), None);
    }

    #[test]
    fn no_text_and_long_text_are_fine() {
        assert_eq!(score("a", ""), None);
        let long = "ab".repeat(50_000);
        assert!(score("abab", &long).is_some());
    }
}
