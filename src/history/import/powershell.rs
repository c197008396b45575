//! PowerShell's history file, `ConsoleHost_history.txt` of PSReadLine: a command a line, without times.
//!
//! A line end inside a command follows a backtick. The file is UTF-8; what edits it on Windows may put a byte order
//! mark before it.

use std::io::{self, BufRead};

use super::continued::Continued;
use super::lines::decode;
use super::{Content, Details, Item};

/// The entries of a history file, read as they are asked for.
pub(super) fn entries(reader: impl BufRead) -> impl Iterator<Item = io::Result<Item>> {
    Continued::new(reader, b'`', |line| {
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        match decode(line) {
            Ok((command, _)) if command.trim().is_empty() => None,
            Ok((command, repaired)) => {
                Some(Content::Entry { command, stamp: None, repaired, details: Details::default() })
            }
            Err(reason) => Some(Content::Skipped(reason)),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Reason;
    use super::super::lines::tests_support::{entry, only, read};
    use super::*;
    use crate::history::MAX_TEXT_BYTES;

    #[test]
    fn lines_and_what_goes_on() {
        let file = "\u{feff}Get-Item .\r\nforeach ($x in 1) {`\r\n  $x`\r\n}\r\n\r\nls";
        let expected =
            [(1, entry("Get-Item .", None)), (2, entry("foreach ($x in 1) {\n  $x\n}", None)), (6, entry("ls", None))];
        assert_eq!(read(entries(file.as_bytes())), expected);
    }

    #[test]
    fn what_is_too_long_is_left_out_whole() {
        let half = "x".repeat(MAX_TEXT_BYTES / 2 + 1);
        let file = format!("{half}`\n{half}`\nmore\nls\n{half}{half}\npwd\n");
        let expected = [
            (1, Content::Skipped(Reason::TooLong)),
            (4, entry("ls", None)),
            (5, Content::Skipped(Reason::TooLong)),
            (6, entry("pwd", None)),
        ];
        assert_eq!(read(entries(file.as_bytes())), expected);
    }

    proptest! {
        #[test]
        fn what_powershell_writes_is_read(command in "[^\\r\\x00\\x{feff}]{0,30}[^\\r\\x00\\x{feff}\\s`]") {
            let file = format!("{}\nls\n", command.replace('\n', "`\n"));
            let all = read(entries(file.as_bytes()));
            prop_assert_eq!(all.len(), 2);
            prop_assert_eq!(&all[0].1, &entry(&command, None));
            prop_assert_eq!(only(all[1..].to_vec()), entry("ls", None));
        }
    }
}
