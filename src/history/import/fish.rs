//! Fish's history file: entries that look like YAML but follow two rules of their own.
//!
//! `- cmd: COMMAND` begins an entry, `  when: SECONDS` and `  paths:` with a list may follow. In a command `\n` stands
//! for a line end and `\\` for a backslash; any other backslash is what it is (fish's `history_file`).

use std::io::{self, BufRead};

use super::lines::{Line, Lines, decode};
use super::{Content, Details, Item, Reason};
use crate::history::UnixNanos;

/// The entries of a history file, read as they are asked for.
pub(super) struct Entries<R> {
    lines: Lines<R>,
    /// The entry whose end has not been seen yet, with the number of its first line.
    open: Option<(u64, Content)>,
}

impl<R: BufRead> Entries<R> {
    /// Reads entries from `reader`.
    pub(super) fn new(reader: R) -> Self {
        Self { lines: Lines::new(reader), open: None }
    }

    fn item(&self, (line, content): (u64, Content)) -> Item {
        Item { line, done: self.lines.bytes(), content }
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = io::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let parsed = match self.lines.next() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return self.open.take().map(|open| Ok(self.item(open))),
                Ok(Some(line)) => parse(line),
            };
            let number = self.lines.number();
            match parsed {
                Parsed::Begins(content) => {
                    if let Some(before) = self.open.replace((number, content)) {
                        return Some(Ok(self.item(before)));
                    }
                }
                Parsed::When(seconds) => {
                    if let Some((_, Content::Entry { stamp, repaired, .. })) = &mut self.open {
                        *stamp = seconds;
                        *repaired = repaired.or(seconds.is_none().then_some(Reason::BadTime));
                    }
                }
                Parsed::Other => {}
                Parsed::Unknown => {
                    // Told after the entry before it.
                    let unknown = (number, Content::Skipped(Reason::Unknown));
                    if let Some(before) = self.open.replace(unknown) {
                        return Some(Ok(self.item(before)));
                    }
                }
            }
        }
    }
}

/// What a line is.
enum Parsed {
    Begins(Content),
    When(Option<i64>),
    /// Something else about the command.
    Other,
    Unknown,
}

fn parse(line: Line<'_>) -> Parsed {
    let line = match line {
        Line::Bytes(line) => line,
        Line::TooLong => return Parsed::Begins(Content::Skipped(Reason::TooLong)),
    };
    if let Some(command) = line.strip_prefix(b"- cmd:") {
        let command = command.strip_prefix(b" ").unwrap_or(command);
        return Parsed::Begins(match decode(&unescaped(command)) {
            Ok((command, _)) if command.trim().is_empty() => Content::Skipped(Reason::NoCommand),
            Ok((command, repaired)) => Content::Entry { command, stamp: None, repaired, details: Details::default() },
            Err(reason) => Content::Skipped(reason),
        });
    }
    if let Some(when) = line.strip_prefix(b"  when:") {
        let seconds = std::str::from_utf8(when.trim_ascii()).ok().and_then(|when| when.parse().ok());
        return Parsed::When(seconds.filter(|seconds| UnixNanos::from_seconds(*seconds).is_some()));
    }
    if line.starts_with(b"  ") || line.is_empty() { Parsed::Other } else { Parsed::Unknown }
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, more)) = rest.split_first() {
        let (byte, more) = match (byte, more.split_first()) {
            (b'\\', Some((b'\\', more))) => (b'\\', more),
            (b'\\', Some((b'n', more))) => (b'\n', more),
            _ => (*byte, more),
        };
        plain.push(byte);
        rest = more;
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lines::tests_support::{entry, read};
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, Content)> {
        read(Entries::new(bytes))
    }

    #[test]
    fn entries_with_times_and_paths() {
        let file = b"- cmd: cat a.txt\n  when: 1700000000\n  paths:\n    - a.txt\n\
            - cmd: for i in 1 2\\necho \\\\t \\x\\nend\n  when: 1700000005\n- cmd: old\n";
        let expected = [
            (1, entry("cat a.txt", Some(1_700_000_000))),
            (5, entry("for i in 1 2\necho \\t \\x\nend", Some(1_700_000_005))),
            (7, entry("old", None)),
        ];
        assert_eq!(all(file), expected);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let bad = Content::Entry {
            command: "ls".into(),
            stamp: None,
            repaired: Some(Reason::BadTime),
            details: Details::default(),
        };
        assert_eq!(
            all(b"rubbish\n- cmd: ls\n  when: soon\nmore\n  when: 5\n- cmd:\n  when: 6\n"),
            [
                (1, Content::Skipped(Reason::Unknown)),
                (2, bad),
                (4, Content::Skipped(Reason::Unknown)),
                (6, Content::Skipped(Reason::NoCommand)),
            ]
        );
    }

    proptest! {
        #[test]
        fn what_fish_writes_is_read(command in "[^\\r\\x00]{0,30}[^\\r\\x00\\s]", stamp in 1i64..9_000_000_000) {
            let escaped = command.replace('\\', "\\\\").replace('\n', "\\n");
            let file = format!("- cmd: {escaped}\n  when: {stamp}\n  paths:\n    - x\n- cmd: ls\n  when: 7\n");
            let expected = [(1, entry(&command, Some(stamp))), (5, entry("ls", Some(7)))];
            prop_assert_eq!(all(file.as_bytes()), expected);
        }

        #[test]
        fn any_lines_can_be_read(lines in proptest::collection::vec("(- cmd: |  when: |  |)[^\\n]{0,12}", 0..20)) {
            for (_, content) in all(lines.join("\n").as_bytes()) {
                if let Content::Entry { command, .. } = content {
                    prop_assert!(!command.trim().is_empty());
                }
            }
        }
    }
}
