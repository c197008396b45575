//! Bash's file under test: every shape that is found in the wild.

use super::*;

fn read(bytes: &[u8]) -> Vec<(u64, Content)> {
    Entries::new(bytes).map(|item| item.unwrap()).map(|item| (item.line, item.content)).collect()
}

fn entry(command: &str, stamp: Option<i64>) -> Content {
    Content::Entry { command: command.into(), stamp, repaired: None, details: Details::default() }
}

#[test]
fn without_times_a_line_is_a_command() {
    assert_eq!(
        read(b"ls -l\n\n  \n# a comment\n#12 not a time\ncd"),
        [
            (1, entry("ls -l", None)),
            (4, entry("# a comment", None)),
            (5, entry("#12 not a time", None)),
            (6, entry("cd", None)),
        ]
    );
}

#[test]
fn between_times_the_lines_are_one_command() {
    assert_eq!(
        read(b"old\n#10\nfor i in 1\ndo\n\n  echo\ndone\n\n#11\nls\n"),
        [(1, entry("old", None)), (2, entry("for i in 1\ndo\n\n  echo\ndone", Some(10))), (9, entry("ls", Some(11))),]
    );
}

#[test]
fn windows_line_ends_are_dropped() {
    assert_eq!(read(b"#10\r\na\r\nb\r\n#11\r\nc\r\n"), [(1, entry("a\nb", Some(10))), (4, entry("c", Some(11)))]);
}

#[test]
fn a_time_without_a_command_and_a_bad_time_are_skipped() {
    assert_eq!(
        read(b"#10\n#11\nls\n#99999999999999999999\npwd\n#12\n"),
        [
            (1, Content::Skipped(Reason::NoCommand)),
            (2, entry("ls", Some(11))),
            (4, Content::Skipped(Reason::BadTime)),
            (5, entry("pwd", None)),
            (6, Content::Skipped(Reason::NoCommand)),
        ]
    );
}

#[test]
fn what_can_be_kept_of_a_bad_line_is_kept() {
    let repaired = |command: &str, reason| Content::Entry {
        command: command.into(),
        stamp: None,
        repaired: Some(reason),
        details: Details::default(),
    };
    assert_eq!(
        read(b"a\xffb\n\0\0\0\nc\0d\n"),
        [
            (1, repaired("a\u{fffd}b", Reason::NotUtf8)),
            (2, Content::Skipped(Reason::OnlyNul)),
            (3, repaired("cd", Reason::Nul)),
        ]
    );
}

#[test]
fn a_command_that_is_too_long_is_skipped_once() {
    let half = "x".repeat(MAX_TEXT_BYTES / 2 + 1);
    let whole = "x".repeat(MAX_TEXT_BYTES + 1);
    let file = format!("{whole}\n#10\n{half}\n{half}\nmore\n#11\n{whole}\nmore\n#12\nls\n");
    assert_eq!(
        read(file.as_bytes()),
        [
            (1, Content::Skipped(Reason::TooLong)),
            (2, Content::Skipped(Reason::TooLong)),
            (6, Content::Skipped(Reason::TooLong)),
            (9, entry("ls", Some(12))),
        ]
    );
}

#[test]
fn an_empty_file_has_no_entries() {
    assert!(read(b"").is_empty());
    assert!(read(b"\n\n").is_empty());
}

proptest::proptest! {
    #[test]
    fn any_bytes_can_be_read(
        lines in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::collection::vec(proptest::prelude::any::<u8>(), 0..20),
                "#[0-9]{1,21}".prop_map(String::into_bytes),
            ],
            0..20,
        ),
    ) {
        let file = lines.join(&b'\n');
        for (_, content) in read(&file) {
            if let Content::Entry { command, .. } = content {
                proptest::prop_assert!(!command.is_empty() && !command.contains('\0'));
            }
        }
    }
}

use proptest::strategy::Strategy as _;
