//! Importing under test: a second run adds nothing, a grown file adds its end, order is kept.

use std::io::Cursor;

use super::*;
use crate::history::testing::DEVICE;
use crate::history::{Filter, History};

const MODIFIED: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

fn run(history: &History, file: &str) -> Report {
    run_as(history, file, DEVICE, MODIFIED)
}

fn run_as(history: &History, file: &str, device: Uuid, modified: UnixNanos) -> Report {
    let source =
        Source { kind: Kind::Bash, device_id: device, host: None, modified_at: modified, intake: Intake::default() };
    source.import_text(history, Cursor::new(file.as_bytes()), |_| {}).unwrap()
}

fn bash() -> Source {
    Source { kind: Kind::Bash, device_id: DEVICE, host: None, modified_at: MODIFIED, intake: Intake::default() }
}

fn commands(history: &History) -> Vec<String> {
    let records = history.list(&Filter::default()).unwrap();
    records.into_iter().map(|record| record.command).collect()
}

#[test]
fn a_second_run_adds_nothing() {
    for file in ["ls\ncd\nls\nls\n", "#5\nls\n#5\nls\n#6\nls\n", "pwd\n#5\nls\nx\n#4\nls\n"] {
        let history = History::in_memory().unwrap();
        let first = run(&history, file);
        let digest = history.digest().unwrap();
        assert_eq!((first.added, first.already_there), (history.count().unwrap(), 0));
        let second = run(&history, file);
        assert_eq!((second.added, second.already_there), (0, first.added));
        assert_eq!(history.digest().unwrap(), digest);
        assert_eq!(history.pending_count().unwrap(), first.added);
    }
}

#[test]
fn a_grown_file_adds_its_end_after_the_rest() {
    let history = History::in_memory().unwrap();
    run(&history, "ls\ncd\nls\n");
    let later = UnixNanos(MODIFIED.0 + 1_000);
    let report = run_as(&history, "ls\ncd\nls\ncd\nmake\n", DEVICE, later);
    assert_eq!((report.added, report.already_there), (2, 3));
    assert_eq!(commands(&history), ["ls", "cd", "ls", "cd", "make"]);

    let history = History::in_memory().unwrap();
    run(&history, "#5\nls\n#5\nls\n");
    let report = run(&history, "#5\nls\n#5\nls\n#5\nls\n#7\ncd\n");
    assert_eq!((report.added, report.already_there), (2, 2));
    assert_eq!(commands(&history), ["ls", "ls", "ls", "cd"]);
}

#[test]
fn times_that_begin_later_keep_what_was_there() {
    let history = History::in_memory().unwrap();
    run(&history, "first\nsecond\n");
    let report = run(&history, "first\nsecond\n#1800000000\nthird\n");
    assert_eq!((report.added, report.already_there), (1, 2));
    assert_eq!(commands(&history), ["first", "second", "third"]);
    let fresh = History::in_memory().unwrap();
    run(&fresh, "first\nsecond\n#100\nthird\n");
    assert_eq!(commands(&fresh), ["first", "second", "third"]);
}

#[test]
fn a_file_cut_at_its_front_adds_only_what_is_new() {
    let history = History::in_memory().unwrap();
    run(&history, "a\nb\nc\n");
    let report = run(&history, "b\nc\nd\n");
    assert_eq!((report.added, report.already_there), (1, 2));
}

#[test]
fn equal_files_of_two_devices_meet_where_they_have_times() {
    let history = History::in_memory().unwrap();
    let other = Uuid::from_u128(7);
    run(&history, "#5\nls\n");
    assert_eq!(run_as(&history, "#5\nls\n", other, MODIFIED).added, 0);
    run(&history, "ls\n");
    assert_eq!(run_as(&history, "ls\n", other, MODIFIED).added, 1);
}

#[test]
fn what_was_deleted_stays_deleted() {
    let history = History::in_memory().unwrap();
    run(&history, "#5\nls\n#6\ncd\n");
    let record = history.last(&Filter::default()).unwrap().unwrap();
    history.delete(&[record.id], MODIFIED).unwrap();
    let report = run(&history, "#5\nls\n#6\ncd\n");
    assert_eq!((report.already_there, report.deleted_earlier), (1, 1));
    assert_eq!(commands(&history), ["ls"]);
}

#[test]
fn ids_are_frozen() {
    let history = History::in_memory().unwrap();
    run(&history, "without a time\n#1700000000\nwith a time\n#1700000000\nwith a time\n");
    let ids: Vec<String> =
        history.list(&Filter::default()).unwrap().iter().map(|record| record.id.to_string()).collect();
    let frozen = [
        "00000000-0000-70bb-920e-80044d8cfc45",
        "018bcfe5-6800-7ea0-81b3-85a72217e71f",
        "018bcfe5-6800-7137-b03c-06758ec036b3",
    ];
    assert_eq!(ids, frozen);
}

#[test]
fn times_follow_the_file() {
    let history = History::in_memory().unwrap();
    run(&history, "a\nb\n#1600000000\nc\n#1600000000\nd\n");
    let times: Vec<i64> = history.list(&Filter::default()).unwrap().iter().map(|record| record.started_at.0).collect();
    let stamp = 1_600_000_000_000_000_000;
    assert_eq!(times, [stamp - 1_000_000_000, stamp - 999_999_999, stamp, stamp + 1]);
}

#[test]
fn the_report_counts_and_names_the_first_peculiar_lines() {
    let history = History::in_memory().unwrap();
    let mut bytes = b"ok\n".to_vec();
    for _ in 0..20 {
        bytes.extend_from_slice(b"bad \xff\n\0\n");
    }
    let mut told = 0;
    let report = bash().import_text(&history, Cursor::new(&bytes), |_| told += 1).unwrap();
    assert_eq!((report.added, report.repaired, report.skipped), (21, 20, 20));
    assert_eq!(report.notes.len(), NOTES);
    let first = Note { line: 2, reason: Reason::NotUtf8 };
    assert_eq!(report.notes[0], first);
    assert_eq!(told, 0);
}

#[test]
fn progress_is_told_once_a_batch() {
    let history = History::in_memory().unwrap();
    let file = "ls\n".repeat(BATCH * 2 + 5);
    let mut told = Vec::new();
    bash().import_text(&history, Cursor::new(&file), |bytes| told.push(bytes)).unwrap();
    assert_eq!(told, [3 * BATCH as u64, 6 * BATCH as u64]);
    assert_eq!(history.count().unwrap(), BATCH as u64 * 2 + 5);
}
