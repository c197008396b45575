//! Bash's history file: one command a line, or commands of any number of lines between time lines.
//!
//! Bash writes a time line, `#` and the seconds since the epoch, before every command while
//! HISTTIMEFORMAT is set (Bash Reference Manual, "Bash History Facilities"). Until the first one, a
//! line is a command; from then on, all lines up to the next time line are one command, which is how
//! `cmdhist` with `lithist` stores what spans lines. A line of `#` and digits only is taken for a
//! time, as Bash itself does. Blank lines around a command are dropped, those inside one are kept.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::lines::{Line, Lines, decode};
use super::{Content, Details, Item, Reason};
use crate::history::{MAX_TEXT_BYTES, UnixNanos};

/// The entries of a history file, read as they are asked for.
pub(super) struct Entries<R> {
    lines: Lines<R>,
    /// The command being gathered.
    open: Option<Open>,
    /// Whether a time line has been seen, so that lines belong together until the next.
    gathering: bool,
    /// Complete items that have not been handed out.
    ready: VecDeque<Item>,
    finished: bool,
}

/// A command whose end has not been seen yet.
struct Open {
    line: u64,
    stamp: Option<i64>,
    command: String,
    repaired: Option<Reason>,
    too_long: bool,
    /// Blank lines read since the last other line: part of the command only if more follows.
    blanks: usize,
}

impl Open {
    fn new(line: u64, stamp: Option<i64>) -> Self {
        Self { line, stamp, command: String::new(), repaired: None, too_long: false, blanks: 0 }
    }

    fn push(&mut self, text: &str, repaired: Option<Reason>) {
        if self.too_long {
            return;
        }
        self.repaired = self.repaired.or(repaired);
        if text.trim().is_empty() {
            self.blanks += 1;
            return;
        }
        if !self.command.is_empty() {
            self.command.extend(std::iter::repeat_n('\n', self.blanks.min(MAX_TEXT_BYTES) + 1));
        }
        self.blanks = 0;
        self.command.push_str(text);
        if self.command.len() > MAX_TEXT_BYTES {
            self.give_up();
        }
    }

    /// Keeps nothing of a command that is too long, except that it was there.
    fn give_up(&mut self) {
        self.too_long = true;
        self.command = String::new();
    }

    fn finish(self) -> Option<(u64, Content)> {
        let content = if self.too_long {
            Content::Skipped(Reason::TooLong)
        } else if !self.command.is_empty() {
            Content::Entry {
                command: self.command,
                stamp: self.stamp,
                repaired: self.repaired,
                details: Details::default(),
            }
        } else if self.stamp.is_some() {
            Content::Skipped(Reason::NoCommand)
        } else {
            return None;
        };
        Some((self.line, content))
    }
}

impl<R: BufRead> Entries<R> {
    /// Reads entries from `reader`.
    pub(super) fn new(reader: R) -> Self {
        Self { lines: Lines::new(reader), open: None, gathering: false, ready: VecDeque::new(), finished: false }
    }

    /// Completes the command being gathered.
    fn close(&mut self) {
        if let Some((line, content)) = self.open.take().and_then(Open::finish) {
            self.emit(line, content);
        }
    }

    fn emit(&mut self, line: u64, content: Content) {
        self.ready.push_back(Item { line, done: self.lines.bytes(), content });
    }

    /// Takes in one line; false at the end of the file.
    fn read_line(&mut self) -> io::Result<bool> {
        let Some(parsed) = self.lines.next()?.map(parse) else {
            self.close();
            return Ok(false);
        };
        let number = self.lines.number();
        match parsed {
            Parsed::Stamp(seconds) => {
                self.close();
                self.gathering = true;
                self.open = Some(Open::new(number, Some(seconds)));
            }
            Parsed::Unusable(Reason::TooLong) if self.open.is_some() => {
                self.open.iter_mut().for_each(Open::give_up);
            }
            Parsed::Unusable(reason) => {
                if reason == Reason::BadTime {
                    self.close();
                    self.gathering = true;
                }
                self.emit(number, Content::Skipped(reason));
            }
            Parsed::Text(text, repaired) => {
                self.open.get_or_insert_with(|| Open::new(number, None)).push(&text, repaired);
                if !self.gathering {
                    self.close();
                }
            }
        }
        Ok(true)
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = io::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.finished {
            match self.read_line() {
                Ok(more) => self.finished = !more,
                Err(error) => {
                    self.finished = true;
                    return Some(Err(error));
                }
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// What a line is.
enum Parsed {
    Stamp(i64),
    Text(String, Option<Reason>),
    Unusable(Reason),
}

fn parse(line: Line<'_>) -> Parsed {
    let bytes = match line {
        Line::Bytes(bytes) => bytes,
        Line::TooLong => return Parsed::Unusable(Reason::TooLong),
    };
    match stamp(bytes) {
        Some(Ok(seconds)) => return Parsed::Stamp(seconds),
        Some(Err(reason)) => return Parsed::Unusable(reason),
        None => {}
    }
    match decode(bytes) {
        Ok((text, repaired)) => Parsed::Text(text, repaired),
        Err(reason) => Parsed::Unusable(reason),
    }
}

/// The seconds of a time line; `None` where the line is no time line.
fn stamp(line: &[u8]) -> Option<std::result::Result<i64, Reason>> {
    let digits = line.strip_prefix(b"#")?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse::<i64>().ok())
        .filter(|seconds| UnixNanos::from_seconds(*seconds).is_some());
    Some(seconds.ok_or(Reason::BadTime))
}

#[cfg(test)]
mod tests;
