//! Secrets in commands: what is not recorded unless the user wants it, and never leaves this device.
//!
//! Each pattern stands with commands that it must find; `tests` runs them all, and `tests/vectors/secrets` holds many
//! more of both kinds. `tokens` has what is known by its own shape; `places` has places where a secret is expected,
//! such as after `--password`: what stands there is one unless it is plainly something else (`shape::is_secret`).
//! Where neither decides, what stands there must look as if nobody had thought of it (`shape::is_random`).
//!
//! A secret that is missed is kept, and leaves sealed; an innocent command that is found is missed in the history. So
//! in doubt a pattern finds, but what people run every day must pass.
//!
//! Commands are looked at while a shell waits, and regular expressions take long to compile. So each pattern names
//! `hints`, pieces of text of which one is in whatever it matches. One pass over the command finds the hints, and only
//! those patterns are compiled that have one there: most commands compile none.

mod places;
mod shape;
mod tokens;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder};

use places::PLACES;
use tokens::TOKENS;

/// A kind of secret.
#[derive(Debug)]
pub struct Pattern {
    /// What it is, with its article, to follow "it holds".
    pub name: &'static str,
    /// Pieces of text of which one is in each match: in lower case where its case does not matter, with a capital
    /// where it does. What follows `…` comes somewhere behind.
    hints: &'static [&'static str],
    /// In its group `value`, a secret unless it is plainly something else; in `random`, one if it looks like one; in
    /// `secret`, one in any case; in `not`, none. Without such a group all of the match is the secret.
    regex: &'static str,
    /// Commands that hold one, made up.
    #[cfg_attr(not(test), expect(dead_code, reason = "they say what the pattern means, and tests run them"))]
    examples: &'static [&'static str],
}

/// What lies between a program and a flag, as much of it as there is: what follows is the last such flag.
const AS_MUCH: &str = "]*\\s)?";
/// The same, as little as there is: the first such flag.
const AS_LITTLE: &str = "]*?\\s)??";

impl Pattern {
    /// What finds the last flag of a program, or the first.
    fn compiled(&self, first: bool) -> Option<Regex> {
        let regex = if first { self.regex.replace(AS_MUCH, AS_LITTLE) } else { self.regex.to_owned() };
        RegexBuilder::new(&regex).unicode(false).build().ok()
    }

    /// Whether it looks for flags of a program, of which there may be several.
    fn has_flags(&self) -> bool {
        self.regex.contains(AS_MUCH)
    }
}

const COUNT: usize = TOKENS.len() + PLACES.len();

/// All patterns, those that know what they found first.
fn pattern(index: usize) -> Option<&'static Pattern> {
    TOKENS.get(index).or_else(|| PLACES.get(index - TOKENS.len()))
}

/// A set of patterns.
type Set = u128;
const _: () = assert!(COUNT <= Set::BITS as usize);

/// A piece of text, and one that comes behind it.
type Hint = (&'static [u8], Option<&'static str>);

/// The hints of all patterns, found by their first two letters.
struct Hints {
    /// A bit for each pair of letters that begins a hint.
    pairs: Vec<u64>,
    by_pair: BTreeMap<[u8; 2], Vec<(Hint, Set)>>,
}

static HINTS: LazyLock<Hints> = LazyLock::new(|| {
    let mut hints = Hints { pairs: vec![0; 1024], by_pair: BTreeMap::new() };
    for index in 0..COUNT {
        for hint in pattern(index).map_or(&[][..], |pattern| pattern.hints) {
            let (hint, behind) = hint.split_once('…').map_or((*hint, None), |(hint, behind)| (hint, Some(behind)));
            let [first, second, ..] = hint.as_bytes() else { continue };
            let pair = [first.to_ascii_lowercase(), second.to_ascii_lowercase()];
            let bit = usize::from(u16::from_be_bytes(pair));
            hints.pairs[bit / 64] |= 1 << (bit % 64);
            hints.by_pair.entry(pair).or_default().push(((hint.as_bytes(), behind), 1 << index));
        }
    }
    hints
});

impl Hints {
    /// The patterns that may find something.
    fn of(&self, text: &[u8]) -> Set {
        let mut found = 0;
        // What does not come behind one place does not come behind a later one: so a long text is read once for each.
        let mut absent: Vec<&str> = Vec::new();
        let mut comes = |rest: &[u8], behind: &'static str| {
            if absent.contains(&behind) {
                return false;
            }
            let is_there = contains(rest, behind.as_bytes());
            if !is_there {
                absent.push(behind);
            }
            is_there
        };
        for (at, pair) in text.windows(2).enumerate() {
            let pair = [pair[0].to_ascii_lowercase(), pair[1].to_ascii_lowercase()];
            let bit = usize::from(u16::from_be_bytes(pair));
            if self.pairs[bit / 64] >> (bit % 64) & 1 == 0 {
                continue;
            }
            let rest = &text[at..];
            for ((hint, behind), pattern) in self.by_pair.get(&pair).into_iter().flatten() {
                if found & pattern != 0 {
                    continue;
                }
                let Some((here, rest)) = rest.split_at_checked(hint.len()) else { continue };
                let any_case = !hint.iter().any(u8::is_ascii_uppercase);
                let is_here = here == *hint || any_case && here.eq_ignore_ascii_case(hint);
                if is_here && behind.is_none_or(|behind| comes(rest, behind)) {
                    found |= pattern;
                }
            }
        }
        found
    }
}

fn contains(text: &[u8], piece: &[u8]) -> bool {
    text.windows(piece.len()).any(|part| part == piece)
}

fn regex(index: usize, first: bool) -> Option<&'static Regex> {
    static EACH: [[OnceLock<Option<Regex>>; 2]; COUNT] = [const { [const { OnceLock::new() }; 2] }; COUNT];
    EACH.get(index)?[usize::from(first)].get_or_init(|| pattern(index)?.compiled(first)).as_ref()
}

/// Whether a command only speaks about what it names: a search for a word, the message of a commit.
fn is_speech(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let speaks = match words.next() {
        Some("grep" | "egrep" | "rg" | "ag" | "ack") => true,
        Some("git") => matches!(words.next(), Some("commit" | "log" | "grep")),
        _ => false,
    };
    speaks && !text.contains(['|', ';', '&', '`', '\n']) && !text.contains("$(")
}

/// The kind of secret that a text holds, if one was found.
#[must_use]
pub fn find(text: &str) -> Option<&'static Pattern> {
    let mut found = None;
    look(text, |pattern, _| {
        found = Some(pattern);
        false
    });
    found
}

/// The text with stars in place of every secret that was found.
#[must_use]
pub fn mask(text: &str) -> String {
    let mut places: Vec<Range<usize>> = Vec::new();
    look(text, |_, place| {
        places.push(place);
        true
    });
    places.sort_by_key(|place| place.start);
    let (mut masked, mut done) = (String::with_capacity(text.len()), 0);
    for place in places {
        let from = (0..=place.start).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        // What stands in quotes is one secret, with the blanks in it.
        let quote = text[..from].chars().next_back().filter(|c| matches!(c, '"' | '\''));
        let close = quote.and_then(|quote| Some(place.start + text.get(place.start..)?.find(quote)?)).unwrap_or(0);
        let to = place.end.max(close);
        let to = (to..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        if from >= done {
            masked.push_str(&text[done..from]);
            masked.push_str("*****");
        }
        done = done.max(to);
    }
    masked.push_str(&text[done..]);
    masked
}

/// Hands every secret and its place to `found`, until that says no.
fn look(text: &str, mut found: impl FnMut(&'static Pattern, Range<usize>) -> bool) {
    let bytes = text.as_bytes();
    let hinted = HINTS.of(bytes);
    let count = if hinted != 0 && is_speech(text) { TOKENS.len() } else { COUNT };
    let hinted = (0..count).filter(|index| hinted >> index & 1 == 1);
    for (index, first) in hinted.flat_map(|index| [(index, false), (index, true)]) {
        let Some(pattern) = pattern(index).filter(|pattern| !first || pattern.has_flags()) else { continue };
        let Some(regex) = regex(index, first) else { continue };
        for place in regex.captures_iter(bytes).filter(|place| place.name("not").is_none()) {
            let literal = place.name("quote").is_some_and(|quote| quote.as_bytes() == b"'");
            let checked = [("value", shape::is_secret as fn(&str, bool) -> bool), ("random", shape::is_random)];
            let part = checked.into_iter().find_map(|(name, check)| Some((place.name(name)?, check)));
            let place = match (part, place.name("secret").or(place.get(0))) {
                (Some((part, check)), _) if check(&String::from_utf8_lossy(part.as_bytes()), literal) => part,
                (Some(_), _) | (None, None) => continue,
                (None, Some(part)) => part,
            };
            if !found(pattern, place.range()) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
