//! Lines of a file of any size, each held in memory only up to the longest command that is kept.

use std::borrow::Cow;
use std::io::{self, BufRead};

use super::Reason;
use crate::history::MAX_TEXT_BYTES;

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Its bytes.
    Bytes(&'a [u8]),
    /// It is longer than [`MAX_TEXT_BYTES`] and was read past.
    TooLong,
}

/// Reads lines that end with LF or CR LF; the last may end with neither.
pub(super) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    number: u64,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), number: 0, bytes: 0 }
    }

    /// The number of the line read last, counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How many bytes have been read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line, or `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        let mut too_long = false;
        let mut read_any = false;
        loop {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            read_any = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            too_long |= self.buffer.len() + part.len() > MAX_TEXT_BYTES;
            if !too_long {
                self.buffer.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            self.bytes += used as u64;
            if end.is_some() {
                break;
            }
        }
        if !read_any {
            return Ok(None);
        }
        self.number += 1;
        if too_long {
            self.buffer = Vec::new();
            return Ok(Some(Line::TooLong));
        }
        let line = self.buffer.strip_suffix(b"\r").unwrap_or(&self.buffer);
        Ok(Some(Line::Bytes(line)))
    }
}

/// The text of some bytes, as far as it can be kept, and what had to be changed; or why there is none.
pub(super) fn decode(bytes: &[u8]) -> Result<(String, Option<Reason>), Reason> {
    if !bytes.contains(&0) {
        return Ok(utf8(bytes, None));
    }
    let without: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    if without.is_empty() {
        return Err(Reason::OnlyNul);
    }
    Ok(utf8(&without, Some(Reason::Nul)))
}

fn utf8(bytes: &[u8], repaired: Option<Reason>) -> (String, Option<Reason>) {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => (text.to_owned(), repaired),
        Cow::Owned(text) => (text, Some(Reason::NotUtf8)),
    }
}

/// What the tests of several formats need.
#[cfg(test)]
pub(super) mod tests_support {
    use std::io;

    use super::super::{Content, Details, Item};

    /// The line numbers and contents of all items.
    pub(in super::super) fn read(items: impl Iterator<Item = io::Result<Item>>) -> Vec<(u64, Content)> {
        items.map(|item| item.unwrap()).map(|item| (item.line, item.content)).collect()
    }

    /// A command of which at most the time is known.
    pub(in super::super) fn entry(command: &str, stamp: Option<i64>) -> Content {
        Content::Entry { command: command.into(), stamp, repaired: None, details: Details::default() }
    }

    /// The only content there is.
    pub(in super::super) fn only(mut read: Vec<(u64, Content)>) -> Content {
        assert_eq!(read.len(), 1, "{read:?}");
        read.remove(0).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
        // A tiny buffer, so that lines span reads.
        let mut lines = Lines::new(io::BufReader::with_capacity(3, bytes));
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(match line {
                Line::Bytes(bytes) => Some(bytes.to_vec()),
                Line::TooLong => None,
            });
        }
        assert_eq!(lines.bytes(), bytes.len() as u64);
        assert_eq!(lines.number(), all.len() as u64);
        all
    }

    #[test]
    fn either_line_end_and_none_at_the_end() {
        let expected = ["one", "", "two\rthree", "four"];
        let got = all(b"one\r\n\ntwo\rthree\nfour");
        let got: Vec<_> = got.iter().map(|line| line.as_deref().unwrap()).collect();
        assert_eq!(got, expected.map(str::as_bytes));
        assert!(all(b"").is_empty());
    }

    #[test]
    fn a_line_beyond_the_limit_is_passed_over() {
        let mut bytes = vec![b'x'; MAX_TEXT_BYTES + 1];
        bytes.extend_from_slice(b"\nls\n");
        assert_eq!(all(&bytes), [None, Some(b"ls".to_vec())]);
        let mut bytes = vec![b'x'; MAX_TEXT_BYTES];
        bytes.push(b'\n');
        assert_eq!(all(&bytes)[0].as_ref().map(Vec::len), Some(MAX_TEXT_BYTES));
    }
}
