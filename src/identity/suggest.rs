//! Finds the phrase words that a mistyped one may have been meant to be.
//!
//! The distance is optimal string alignment: insertions, deletions, substitutions and swaps of
//! neighbours count one each. No word of the list shares its first four letters with another,
//! so a word that begins like the typed one comes first.

use bip0039::English;

/// No more than this many suggestions for one word.
pub(super) const MAX_SUGGESTIONS: usize = 3;
const MAX_DISTANCE: usize = 2;
/// Words of the list have 3 to 8 letters; much longer input can't be near any of them.
const MAX_LENGTH: usize = 16;

/// The nearest words, best first; empty when nothing is near.
pub(super) fn nearest_words(typed: &str) -> Vec<&'static str> {
    let letters: Vec<char> = typed.chars().take(MAX_LENGTH + 1).collect();
    if letters.len() < 2 || letters.len() > MAX_LENGTH {
        return Vec::new();
    }
    let limit = if letters.len() <= 3 { 1 } else { MAX_DISTANCE };
    let mut found: Vec<(usize, &'static str)> = English::words()
        .iter()
        .filter_map(|&word| {
            if letters.len() >= 3 && word.starts_with(typed) {
                return Some((0, word));
            }
            let distance = distance(&letters, word);
            (distance <= limit).then_some((distance, word))
        })
        .collect();
    found.sort_by_key(|&(distance, _)| distance);
    found.into_iter().take(MAX_SUGGESTIONS).map(|(_, word)| word).collect()
}

fn distance(typed: &[char], word: &str) -> usize {
    let word: Vec<char> = word.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=word.len()).collect();
    for (i, &a) in typed.iter().enumerate() {
        let mut row = Vec::with_capacity(word.len() + 1);
        row.push(i + 1);
        for (j, &b) in word.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == word[j - 1] && typed[i - 1] == b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[word.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        let chars = |s: &str| s.chars().collect::<Vec<_>>();
        assert_eq!(distance(&chars("zoo"), "zoo"), 0);
        assert_eq!(distance(&chars("zo"), "zoo"), 1);
        assert_eq!(distance(&chars("abuot"), "about"), 1);
        assert_eq!(distance(&chars("kitten"), "sitting"), 3);
        assert_eq!(distance(&chars(""), "zoo"), 3);
    }

    #[test]
    fn suggests_near_words_only() {
        assert_eq!(nearest_words("abandn").first(), Some(&"abandon"));
        assert_eq!(nearest_words("aband").first(), Some(&"abandon"));
        assert_eq!(nearest_words("lettre").first(), Some(&"letter"));
        assert!(nearest_words("xylophonist").is_empty());
        assert!(nearest_words("q").is_empty());
        assert!(nearest_words(&"a".repeat(100_000)).is_empty());
        assert!(nearest_words("ab").len() <= MAX_SUGGESTIONS);
    }
}
