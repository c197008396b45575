//! Files in which a mark at the end of a line says that the command goes on in the next: Zsh's and PowerShell's.

use std::io::{self, BufRead};

use super::lines::{Line, Lines};
use super::{Content, Item, Reason};
use crate::history::MAX_TEXT_BYTES;

/// Reads whole commands and has `parse` make entries of them; where it makes none, there is nothing to tell.
pub(super) struct Continued<R, P> {
    lines: Lines<R>,
    mark: u8,
    parse: P,
}

impl<R: BufRead, P: Fn(&[u8]) -> Option<Content>> Continued<R, P> {
    /// Reads from `reader`; `mark` ends the lines that go on.
    pub(super) fn new(reader: R, mark: u8, parse: P) -> Self {
        Self { lines: Lines::new(reader), mark, parse }
    }

    /// The next command with the number of its first line, `None` in its place if it is too long.
    fn read(&mut self) -> io::Result<Option<(u64, Option<Vec<u8>>)>> {
        let mut whole: Option<Vec<u8>> = Some(Vec::new());
        let mut first = None;
        loop {
            let line = match self.lines.next()? {
                None => {
                    // A mark with nothing after it is what it looks like.
                    if let Some(whole) = whole.as_mut().filter(|_| first.is_some()) {
                        whole.pop();
                        whole.push(self.mark);
                    }
                    return Ok(first.map(|first| (first, whole)));
                }
                Some(Line::Bytes(line)) => line,
                // How it ends is not known; a person would not have gone on after it.
                Some(Line::TooLong) => {
                    return Ok(Some((first.unwrap_or(self.lines.number()), None)));
                }
            };
            let goes_on = line.last() == Some(&self.mark);
            let line = if goes_on { &line[..line.len() - 1] } else { line };
            whole = whole.filter(|whole| whole.len() + line.len() < MAX_TEXT_BYTES);
            if let Some(whole) = &mut whole {
                whole.extend_from_slice(line);
                if goes_on {
                    whole.push(b'\n');
                }
            }
            let first = *first.get_or_insert(self.lines.number());
            if !goes_on {
                return Ok(Some((first, whole)));
            }
        }
    }
}

impl<R: BufRead, P: Fn(&[u8]) -> Option<Content>> Iterator for Continued<R, P> {
    type Item = io::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (line, whole) = match self.read() {
                Ok(read) => read?,
                Err(error) => return Some(Err(error)),
            };
            let content = match whole {
                Some(whole) => (self.parse)(&whole),
                None => Some(Content::Skipped(Reason::TooLong)),
            };
            if let Some(content) = content {
                return Some(Ok(Item { line, done: self.lines.bytes(), content }));
            }
        }
    }
}
