//! Deletion under test: gone from every file, marked, told to others once.

use std::fs;

use super::*;
use crate::history::testing::{plain, sample};

#[test]
fn deletions_made_here_are_pending_and_those_of_others_are_not() {
    let history = History::in_memory().unwrap();
    let (mine, theirs) = (plain("a", 1), plain("b", 2));
    history.add_batch(&[mine.clone(), theirs.clone()]).unwrap();
    assert_eq!(history.delete(&[mine.id, mine.id], UnixNanos(5)).unwrap(), 1);
    let cursor = Some(Cursor { key: "d", value: 3 });
    assert_eq!(history.ingest_deletions(&[theirs.id], UnixNanos(5), cursor).unwrap(), 1);
    assert!(history.is_deleted(mine.id).unwrap() && history.is_deleted(theirs.id).unwrap());
    assert_eq!(history.cursor("d").unwrap(), Some(3));
    assert_eq!(history.pending_deletions(false, 10).unwrap(), [mine.id]);
    assert_eq!(history.pending_deletions_count().unwrap(), 1);
    history.acknowledge_deletions(&[mine.id]).unwrap();
    assert_eq!(history.pending_deletions_count().unwrap(), 0);
    assert!(history.is_deleted(mine.id).unwrap());
}

#[test]
fn a_deletion_that_arrives_before_its_record_wins() {
    let history = History::in_memory().unwrap();
    let record = plain("a", 1);
    assert_eq!(history.ingest_deletions(&[record.id], UnixNanos(5), None).unwrap(), 0);
    history.ingest(std::slice::from_ref(&record), None).unwrap();
    assert_eq!(history.count().unwrap(), 0);
}

#[test]
fn nothing_of_deleted_content_stays_in_any_file() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path().join("history.db")).unwrap();
    let mut secret = sample("curl -H 'Authorization: zqxjkvbwm'");
    secret.prompt = Some("ask with my zqxjkvbwm".into());
    history.add(&secret).unwrap();
    for number in 0..50 {
        history.add(&plain("git status", number)).unwrap();
    }
    history.write(crate::history::text_index::index_chunk).unwrap();
    let holds = |needle: &[u8]| {
        fs::read_dir(directory.path()).unwrap().any(|file| {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        })
    };
    assert!(holds(b"zqxjkvbwm"), "the search must be able to find it");
    // The index stores pieces of three letters; this one occurs in the secret alone.
    assert!(holds(b"zqx"));
    history.delete(&[secret.id], UnixNanos(5)).unwrap();
    assert!(!holds(b"zqxjkvbwm"));
    assert!(!holds(b"zqx"));
    let check: String = history.db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    history.db.execute_batch("INSERT INTO records_text (records_text, rank) VALUES ('integrity-check', 1)").unwrap();
}

#[test]
fn what_is_withdrawn_is_deleted_elsewhere_and_stays_here() {
    let history = History::in_memory().unwrap();
    let mut record = plain("aws s3 ls", 1);
    history.add(&record).unwrap();
    assert_eq!(history.withdraw(&[record.id, Uuid::from_u128(5)], UnixNanos(2)).unwrap(), 1);
    assert_eq!(history.pending_deletions(true, 9).unwrap(), [record.id]);
    assert_eq!((history.pending_count().unwrap(), history.count().unwrap()), (0, 1));
    assert!(history.is_deleted(record.id).unwrap());
    // Neither its own deletion read back, nor a copy from elsewhere, nor a change here brings it up or takes it away.
    history.ingest_deletions(&[record.id], UnixNanos(3), None).unwrap();
    assert_eq!(history.ingest(&[record.clone()], None).unwrap().deleted, 1);
    record.exit = Some(0);
    history.add(&record).unwrap();
    history.requeue_all(record.device_id).unwrap();
    history.queue_unplaced(Some(record.device_id), UnixNanos(i64::MIN)).unwrap();
    assert_eq!(history.pending_count().unwrap(), 0);
    assert_eq!(history.get(record.id).unwrap().unwrap().exit, Some(0));
    // The user deletes it for good.
    assert_eq!(history.delete(&[record.id], UnixNanos(4)).unwrap(), 1);
    assert_eq!(history.count().unwrap(), 0);
}
