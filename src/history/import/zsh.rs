//! Zsh's history file: a command a line, with its time where EXTENDED_HISTORY is set.
//!
//! The extended form is `: BEGAN:SECONDS;COMMAND`. A line end inside a command follows a backslash; a command that
//! ends with a backslash is written with a space after it, one that begins with a colon with a backslash before it.
//! Bytes that Zsh uses for itself are *metafied*: 0x83, then the byte with bit 5 flipped (Src/hist.c, Src/utils.c).

use std::io::{self, BufRead};

use super::continued::Continued;
use super::lines::decode;
use super::{Content, Details, Item, Reason};
use crate::history::UnixNanos;

/// The byte that announces a metafied one.
const META: u8 = 0x83;

/// The entries of a history file, read as they are asked for.
pub(super) fn entries(reader: impl BufRead) -> impl Iterator<Item = io::Result<Item>> {
    Continued::new(reader, b'\\', parse)
}

fn parse(line: &[u8]) -> Option<Content> {
    let line = without_last_space(line);
    let (times, command) = match extended(line) {
        Some((began, ran, command)) => (Some((began, ran)), command),
        None if line.starts_with(b"\\:") => (None, &line[1..]),
        None => (None, line),
    };
    let (command, mut repaired) = match decode(&unmetafied(command)) {
        Ok(decoded) => decoded,
        Err(reason) => return Some(Content::Skipped(reason)),
    };
    if command.trim().is_empty() {
        return times.map(|_| Content::Skipped(Reason::NoCommand));
    }
    let mut details = Details::default();
    let mut stamp = None;
    if let Some((began, ran)) = times {
        // Zsh writes 0 where it does not know.
        stamp = number(began).filter(|seconds| *seconds > 0);
        details.duration_ns =
            number(ran).filter(|seconds| *seconds > 0).and_then(UnixNanos::from_seconds).map(|ran| ran.0);
        if stamp.and_then(UnixNanos::from_seconds).is_none() && began.iter().any(|digit| *digit != b'0') {
            stamp = None;
            repaired = repaired.or(Some(Reason::BadTime));
        }
    }
    Some(Content::Entry { command, stamp, repaired, details })
}

/// The parts of an extended line.
fn extended(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (began, rest) = digits(line.strip_prefix(b":")?.trim_ascii_start())?;
    let (ran, rest) = digits(rest.strip_prefix(b":")?)?;
    Some((began, ran, rest.strip_prefix(b";")?))
}

/// The digits at the beginning, and what follows them.
fn digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Without the space that Zsh puts after a backslash at the end.
fn without_last_space(line: &[u8]) -> &[u8] {
    let spaces = line.iter().rev().take_while(|byte| **byte == b' ').count();
    if spaces > 0 && line[..line.len() - spaces].ends_with(b"\\") { &line[..line.len() - 1] } else { line }
}

fn unmetafied(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            META => bytes.next().map_or(META, |byte| byte ^ 0x20),
            byte => byte,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lines::tests_support::{entry, only, read};
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, Content)> {
        read(entries(bytes))
    }

    #[test]
    fn plain_and_extended_lines() {
        let took = Details { duration_ns: Some(3_000_000_000), ..Details::default() };
        assert_eq!(
            all(b"ls\n: 1700000000:3;make all\n\n: not a time\n: 1700000001:0;pwd\n"),
            [
                (1, entry("ls", None)),
                (
                    2,
                    Content::Entry {
                        command: "make all".into(),
                        stamp: Some(1_700_000_000),
                        repaired: None,
                        details: took
                    }
                ),
                (4, entry(": not a time", None)),
                (5, entry("pwd", Some(1_700_000_001))),
            ]
        );
    }

    #[test]
    fn a_command_of_several_lines() {
        let file = b": 1700000000:0;for i in 1 2\\\ndo echo $i \\\\\n\\\ndone\nls";
        let expected = [(1, entry("for i in 1 2\ndo echo $i \\\n\ndone", Some(1_700_000_000))), (5, entry("ls", None))];
        assert_eq!(all(file), expected);
        assert_eq!(all(b"echo \\"), [(1, entry("echo \\", None))]);
        assert_eq!(all(b"echo \\ \n\\:x\n"), [(1, entry("echo \\", None)), (2, entry(":x", None))]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(all(b": 1700000000:0;\n"), [(1, Content::Skipped(Reason::NoCommand))]);
        let bad = |command: &str, reason| Content::Entry {
            command: command.into(),
            stamp: None,
            repaired: Some(reason),
            details: Details::default(),
        };
        assert_eq!(all(b": 99999999999999999999:0;ls\n"), [(1, bad("ls", Reason::BadTime))]);
        assert_eq!(all(b": 9999999999999:0;ls\n"), [(1, bad("ls", Reason::BadTime))]);
        assert_eq!(all(b"a\xff\n"), [(1, bad("a\u{fffd}", Reason::NotUtf8))]);
        assert_eq!(all(b": 0:0;ls\n"), [(1, entry("ls", None))]);
    }

    /// What Zsh writes for a command.
    fn encoded(command: &str, stamp: Option<i64>) -> Vec<u8> {
        let mut file = match stamp {
            Some(stamp) => format!(": {stamp}:0;").into_bytes(),
            None if command.starts_with(':') => b"\\".to_vec(),
            None => Vec::new(),
        };
        for byte in command.bytes() {
            match byte {
                b'\n' => file.extend(b"\\\n"),
                META..=0xa2 => file.extend([META, byte ^ 0x20]),
                byte => file.push(byte),
            }
        }
        if command.trim_end_matches(' ').ends_with('\\') {
            file.push(b' ');
        }
        file.push(b'\n');
        file
    }

    proptest! {
        #[test]
        fn what_zsh_writes_is_read(command in "[^\\r\\x00]{0,30}[^\\r\\x00\\s]", stamp in proptest::option::of(1i64..9_000_000_000)) {
            // That Zsh itself would read otherwise.
            prop_assume!(stamp.is_some() || !command.starts_with("\\:"));
            let mut file = encoded(&command, stamp);
            prop_assert_eq!(only(all(&file)), entry(&command, stamp));
            file.extend(encoded("ls", stamp));
            prop_assert_eq!(all(&file).len(), 2);
        }

        #[test]
        fn any_bytes_can_be_read(file in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (_, content) in all(&file) {
                if let Content::Entry { command, .. } = content {
                    prop_assert!(!command.trim().is_empty() && !command.contains('\0'));
                }
            }
        }
    }
}
