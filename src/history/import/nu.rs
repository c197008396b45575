//! Nushell's plain history file: a command a line, without times; a line end inside one is written `<\n>`.

use std::io::{self, BufRead};

use super::lines::{Line, Lines, decode};
use super::{Content, Details, Item, Reason};

/// The entries of a history file, read as they are asked for.
pub(super) struct Entries<R> {
    lines: Lines<R>,
}

impl<R: BufRead> Entries<R> {
    /// Reads entries from `reader`.
    pub(super) fn new(reader: R) -> Self {
        Self { lines: Lines::new(reader) }
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = io::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let content = match self.lines.next() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some(Line::TooLong)) => Content::Skipped(Reason::TooLong),
                Ok(Some(Line::Bytes(line))) => {
                    match decode(line).map(|(command, repaired)| (command.replace("<\\n>", "\n"), repaired)) {
                        Ok((command, _)) if command.trim().is_empty() => continue,
                        Ok((command, repaired)) => {
                            Content::Entry { command, stamp: None, repaired, details: Details::default() }
                        }
                        Err(reason) => Content::Skipped(reason),
                    }
                }
            };
            return Some(Ok(Item { line: self.lines.number(), done: self.lines.bytes(), content }));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lines::tests_support::{entry, read};
    use super::*;

    #[test]
    fn lines_are_commands() {
        let file = b"ls | where size > 1kb\n\nfor x in [1 2] {<\\n>  print $x<\\n>}\n\0\n";
        let expected = [
            (1, entry("ls | where size > 1kb", None)),
            (3, entry("for x in [1 2] {\n  print $x\n}", None)),
            (4, Content::Skipped(Reason::OnlyNul)),
        ];
        assert_eq!(read(Entries::new(&file[..])), expected);
    }

    proptest! {
        #[test]
        fn what_nu_writes_is_read(command in "[^\\r\\x00]{0,30}[^\\r\\x00\\s]") {
            prop_assume!(!command.contains("<\\n>"));
            let file = format!("{}\n", command.replace('\n', "<\\n>"));
            prop_assert_eq!(read(Entries::new(file.as_bytes())), [(1, entry(&command, None))]);
        }
    }
}
