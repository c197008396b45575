//! The line that is typed: its text and the cursor in it.
//!
//! The cursor lies between characters and never within one.

/// A line of text with a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    text: String,
    /// In bytes.
    cursor: usize,
}

/// Where the cursor goes, or how far something reaches from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// One character back.
    Left,
    /// One character on.
    Right,
    /// To the start of this word or of the one before.
    WordLeft,
    /// Over this word or the one after.
    WordRight,
    /// To the start.
    Start,
    /// To the end.
    End,
}

impl Line {
    /// A line with the cursor at its end; what would end or disturb it becomes a space.
    pub(super) fn new(text: &str) -> Self {
        let mut line = Self::default();
        line.insert(text);
        line
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What is before the cursor.
    pub(super) fn before(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    fn after(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    /// Puts text in at the cursor.
    pub(super) fn insert(&mut self, text: &str) {
        let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.text.insert_str(self.cursor, &clean);
        self.cursor += clean.len();
    }

    pub(super) fn go(&mut self, reach: Reach) {
        self.cursor = self.target(reach);
    }

    /// Takes out what lies between the cursor and there.
    pub(super) fn delete(&mut self, reach: Reach) {
        let target = self.target(reach);
        let (from, to) = (self.cursor.min(target), self.cursor.max(target));
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    /// Takes out everything.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cursor = 0;
    }

    fn target(&self, reach: Reach) -> usize {
        let (before, after) = (self.before(), self.after());
        match reach {
            Reach::Left => before.char_indices().next_back().map_or(0, |(at, _)| at),
            Reach::Right => self.cursor + after.chars().next().map_or(0, char::len_utf8),
            Reach::WordLeft => {
                let words = before.trim_end_matches(|c: char| !c.is_alphanumeric());
                words.trim_end_matches(char::is_alphanumeric).len()
            }
            Reach::WordRight => {
                let words = after.trim_start_matches(|c: char| !c.is_alphanumeric());
                self.text.len() - words.trim_start_matches(char::is_alphanumeric).len()
            }
            Reach::Start => 0,
            Reach::End => self.text.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Line {
        let (before, after) = text.split_once('|').unwrap();
        Line { text: format!("{before}{after}"), cursor: before.len() }
    }

    fn shown(line: &Line) -> String {
        format!("{}|{}", line.before(), line.after())
    }

    #[test]
    fn the_cursor_goes_by_characters_and_words() {
        for (from, reach, to) in [
            ("grü|ße", Reach::Left, "gr|üße"),
            ("gr|üße", Reach::Right, "grü|ße"),
            ("|x", Reach::Left, "|x"),
            ("x|", Reach::Right, "x|"),
            ("git push --force|", Reach::WordLeft, "git push --|force"),
            ("git push --|force", Reach::WordLeft, "git |push --force"),
            ("git| push --force", Reach::WordRight, "git push| --force"),
            ("a |b", Reach::Start, "|a b"),
            ("a |b", Reach::End, "a b|"),
        ] {
            let mut line = at(from);
            line.go(reach);
            assert_eq!(shown(&line), to, "{reach:?}");
        }
    }

    #[test]
    fn what_is_deleted_lies_between_the_cursor_and_its_target() {
        for (from, reach, to) in [
            ("grü|ße", Reach::Left, "gr|ße"),
            ("gr|üße", Reach::Right, "gr|ße"),
            ("git push|", Reach::WordLeft, "git |"),
            ("git |push x", Reach::WordRight, "git | x"),
            ("git |push", Reach::End, "git |"),
            ("git |push", Reach::Start, "|push"),
        ] {
            let mut line = at(from);
            line.delete(reach);
            assert_eq!(shown(&line), to, "{reach:?}");
        }
    }

    #[test]
    fn what_is_pasted_stays_one_line() {
        let mut line = at("a|c");
        line.insert("\u{1b}x\n🦀");
        assert_eq!(shown(&line), "a x 🦀|c");
        line.clear();
        assert_eq!(shown(&line), "|");
    }
}
