//! Where records lie under test: what is sent, read, deleted and gone leaves the right notes.

use super::*;
use crate::history::testing::{DEVICE, plain};
use crate::history::{Cursor, Record};

fn history(records: &[Record]) -> History {
    let history = History::in_memory().unwrap();
    history.add_batch(records).unwrap();
    history
}

/// Takes everything out of the outbox, into one segment.
fn send(history: &History, segment: &str) {
    let sent: Vec<_> = history.pending(1000).unwrap().into_iter().map(|(number, r)| (number, r.id)).collect();
    history.acknowledge_in(segment, &sent, None).unwrap();
}

#[test]
fn what_was_sent_and_what_arrived_is_where_it_lies() {
    let (own, other) = (plain("own", 1), plain("other", 2));
    let history = history(std::slice::from_ref(&own));
    send(&history, "co_zOne");
    history.ingest_from("co_zTwo", &[own.clone(), other.clone()], None).unwrap();
    assert_eq!(history.segments_of(own.id).unwrap(), ["co_zOne", "co_zTwo"]);
    assert_eq!(history.segments_of(other.id).unwrap(), ["co_zTwo"]);
    assert_eq!(history.records_in("co_zTwo").unwrap().len(), 2);
    assert_eq!(history.pending_count().unwrap(), 0);
    assert_eq!(history.newest_in("co_zTwo").unwrap(), Some(other.started_at));
}

#[test]
fn a_deleted_record_lies_where_it_lay_and_where_it_arrives() {
    let (kept, gone) = (plain("kept", 1), plain("gone", 2));
    let history = history(&[kept.clone(), gone.clone()]);
    send(&history, "co_zOne");
    assert!(history.segments_with_deleted().unwrap().is_empty());
    history.delete(&[gone.id], UnixNanos(3)).unwrap();
    history.ingest_from("co_zTwo", std::slice::from_ref(&gone), None).unwrap();
    assert_eq!(history.segments_with_deleted().unwrap(), ["co_zOne", "co_zTwo"]);
    // Its deleter is in no doubt; others wait until they have known it for a while.
    assert_eq!(history.segments_with_deleted_outside(UnixNanos(0), UnixNanos(9)).unwrap(), ["co_zOne", "co_zTwo"]);
    let other = History::in_memory().unwrap();
    other.ingest_deletions(&[gone.id], UnixNanos(3), None).unwrap();
    other.ingest_from("co_zOne", std::slice::from_ref(&gone), None).unwrap();
    let due = |since, now| other.segments_with_deleted_outside(UnixNanos(since), UnixNanos(now)).unwrap();
    assert!(due(2, 3).is_empty());
    assert_eq!((due(3, 9), due(0, 2)), (vec!["co_zOne".to_owned()], vec!["co_zOne".to_owned()]));
    assert_eq!(history.newest_in("co_zOne").unwrap(), Some(kept.started_at), "deleted ones do not count");
}

#[test]
fn a_segment_that_is_gone_leaves_what_lies_nowhere_else() {
    let records = [plain("both", 1), plain("alone", 2), plain("deleted", 3)];
    let history = history(&records);
    send(&history, "co_zOne");
    history.ingest_from("co_zTwo", &records[..1], None).unwrap();
    history.delete(&[records[2].id], UnixNanos(9)).unwrap();
    let cursor = |key| Some(Cursor { key, value: 1 });
    history.ingest(&[], cursor("segment/co_zOne/s")).unwrap();
    history.ingest(&[], cursor("segment/co_zTwo/s")).unwrap();

    assert_eq!(history.release_segment("co_zOne", "segment/co_zOne/", None, None).unwrap(), 1);
    assert_eq!(history.cursors().unwrap(), [("segment/co_zTwo/s".to_owned(), 1)]);
    assert_eq!(history.placed_segments().unwrap(), ["co_zTwo"]);
    let pending: Vec<_> = history.pending(9).unwrap().into_iter().map(|(_, r)| r.command).collect();
    assert_eq!(pending, ["alone"]);
}

#[test]
fn copies_and_orphans_are_found_and_noted_when_they_come_about() {
    let records = [plain("both", 1), plain("once", 2)];
    let history = History::in_memory().unwrap();
    history.ingest_from("co_zTwo", &records, None).unwrap();
    history.ingest_from("co_zTwo", &records, None).unwrap();
    assert_eq!(history.meta_get(COPIES).unwrap(), None, "read twice is not there twice");
    history.ingest_from("co_zOne", &records[..1], None).unwrap();
    assert_eq!(history.meta_get(COPIES).unwrap().as_deref(), Some(NEW));
    let places = vec!["co_zOne".to_owned(), "co_zTwo".to_owned()];
    assert_eq!(history.copies().unwrap(), BTreeMap::from([(records[0].id, places)]));
    assert_eq!((history.count_in("co_zTwo").unwrap(), history.count_in("co_zOther").unwrap()), (2, 0));

    let orphans = |own| history.orphans(own, UnixNanos(0)).unwrap();
    assert!(orphans(Uuid::nil()).is_empty());
    history.release_segment("co_zOne", "", Some(Uuid::nil()), None).unwrap();
    assert_eq!(history.meta_get(ORPHANS).unwrap(), None, "it lies in the other one");
    history.release_segment("co_zTwo", "", Some(Uuid::nil()), None).unwrap();
    assert_eq!(history.meta_get(ORPHANS).unwrap().as_deref(), Some(NEW));
    assert_eq!(orphans(Uuid::nil()), [(records[0].id, DEVICE), (records[1].id, DEVICE)]);
    assert!(orphans(DEVICE).is_empty(), "one's own are no orphans");
    assert_eq!(history.orphans(Uuid::nil(), records[1].started_at).unwrap().len(), 1);
    history.delete(&[records[0].id], UnixNanos(9)).unwrap();
    history.queue_again(&[records[1].id]).unwrap();
    assert!(orphans(Uuid::nil()).is_empty());
}

#[test]
fn of_a_segment_that_is_gone_only_what_is_asked_for_is_queued() {
    let records = [plain("early", 1), plain("late", 9)];
    let released = |only, after| {
        let history = history(&records);
        send(&history, "co_zOne");
        history.release_segment("co_zOne", "segment/co_zOne/", only, after).unwrap()
    };
    assert_eq!(released(None, None), 2);
    assert_eq!(released(None, Some(records[0].started_at)), 1);
    assert_eq!(released(None, Some(records[1].started_at)), 0);
    assert_eq!(released(Some(DEVICE), None), 2);
    assert_eq!(released(Some(Uuid::nil()), None), 0);
}

#[test]
fn own_records_that_lie_nowhere_are_counted_and_queued() {
    let records = [plain("old", 1), plain("new", 10), plain("sent", 20)];
    let history = history(&records);
    let pending = history.pending(9).unwrap();
    history.acknowledge_in("co_zOne", &[(pending[2].0, records[2].id)], None).unwrap();
    history.acknowledge(&[pending[0].0, pending[1].0]).unwrap();
    let at = |seconds| UnixNanos::from_seconds(seconds).unwrap();
    assert_eq!(history.unplaced_count(DEVICE, at(0), at(99)).unwrap(), 2);
    assert_eq!(history.unplaced_count(DEVICE, at(0), at(5)).unwrap(), 1);
    assert_eq!(history.queue_unplaced(Some(DEVICE), at(5)).unwrap(), 1);
    assert_eq!(history.queue_unplaced(Some(Uuid::nil()), at(0)).unwrap(), 0, "another device's are not ours to send");
    assert_eq!(history.nth_newest(1).unwrap(), Some(at(20)));
    assert_eq!(history.nth_newest(2).unwrap(), Some(at(10)));
    assert_eq!(history.nth_newest(3).unwrap(), None, "what goes nowhere takes nobody's place");
    assert_eq!(history.unsynced_count().unwrap(), 2);
    let queued = history.pending(9).unwrap();
    history.hold(&[queued[0].0]).unwrap();
    assert_eq!(history.nth_newest(2).unwrap(), None, "nor what is held");
    assert_eq!(history.queue_unplaced(None, at(0)).unwrap(), 1);
    assert_eq!(history.nth_newest(0).unwrap(), None);
}

proptest::proptest! {
    /// Whatever is done in whatever order: a record says that it lies in a segment where it does, and only there.
    #[test]
    fn a_record_knows_whether_it_lies_in_a_segment(
        steps in proptest::collection::vec((0..9u8, 0..4usize, 0..3usize), 1..40)
    ) {
        let records: Vec<_> = (0..4).map(|at| plain(&format!("command {at}"), at + 1)).collect();
        let segments = ["co_zOne", "co_zTwo", "co_zThree"];
        let history = History::in_memory().unwrap();
        for (step, record, segment) in steps {
            let (record, segment) = (&records[record], segments[segment]);
            match step {
                0 => drop(history.add(record).unwrap()),
                1 => send(&history, segment),
                2 | 3 => drop(history.ingest_from(segment, std::slice::from_ref(record), None).unwrap()),
                4 => drop(history.release_segment(segment, "", None, None).unwrap()),
                5 => drop(history.remove(&[record.id], UnixNanos(1)).unwrap()),
                6 => drop(history.undo_removal(UnixNanos(2)).unwrap()),
                7 => drop(history.clear_for_now(UnixNanos(1)).unwrap()),
                _ => history.forget_places().unwrap(),
            }
            let wrong: i64 = history.db.query_row(
                "SELECT count(*) FROM records WHERE in_segment <> EXISTS (SELECT 1 FROM placed WHERE placed.id = records.id) \
                 OR in_segment > synced",
                [],
                |row| row.get(0),
            ).unwrap();
            proptest::prop_assert_eq!(wrong, 0);
        }
    }
}
