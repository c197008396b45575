//! Removals under test: what is taken back is as it was, and what has left never is.

use proptest::prelude::*;

use super::*;
use crate::history::store::count;
use crate::history::testing::{any_record, plain};
use crate::history::{Filter, Record};

const AT: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

fn after(seconds: i64) -> UnixNanos {
    UnixNanos(AT.0 + seconds * 1_000_000_000)
}

fn kept(history: &History) -> u64 {
    count(&history.db, "SELECT (SELECT count(*) FROM removed) + (SELECT count(*) FROM removals)").unwrap()
}

fn queued(history: &History) -> Vec<Uuid> {
    let mut queued: Vec<_> = history.pending(99).unwrap().into_iter().map(|(_, record)| record.id).collect();
    queued.sort();
    queued
}

#[test]
fn a_deletion_is_taken_back_whole_and_once() {
    let history = History::in_memory().unwrap();
    let (one, two) = (plain("one", 1), plain("two", 2));
    history.add_batch(&[one.clone(), two.clone()]).unwrap();
    let (before, was_queued) = (history.digest().unwrap(), queued(&history));
    assert_eq!(history.remove(&[one.id, two.id], AT).unwrap(), 2);
    assert!(history.list(&Filter::default()).unwrap().is_empty());
    let back = Undone::Restored { restored: 2, left_out: 0, passed_over: 0 };
    assert_eq!((history.pending_deletions_count().unwrap(), history.would_undo(after(1)).unwrap()), (2, back));
    assert_eq!(history.count().unwrap(), 0, "it was only asked");
    assert_eq!(history.undo_removal(after(59)).unwrap(), Undone::Restored { restored: 2, left_out: 0, passed_over: 0 });
    assert_eq!((history.digest().unwrap(), queued(&history)), (before, was_queued));
    assert_eq!((history.pending_deletions_count().unwrap(), history.is_deleted(one.id).unwrap()), (0, false));
    assert_eq!(history.undo_removal(after(59)).unwrap(), Undone::Nothing);
    assert_eq!(kept(&history), 0);
}

#[test]
fn removals_are_taken_back_from_the_last_on_while_their_minute_lasts() {
    let history = History::in_memory().unwrap();
    let records = [plain("one", 1), plain("two", 2), plain("three", 3)];
    history.add_batch(&records).unwrap();
    history.remove(&[records[0].id], AT).unwrap();
    history.remove(&[records[1].id], after(30)).unwrap();
    history.clear_for_now(after(40)).unwrap();
    for wanted in [1, 2] {
        assert!(matches!(history.undo_removal(after(61)).unwrap(), Undone::Restored { restored: 1, .. }));
        assert_eq!(history.count().unwrap(), wanted);
    }
    assert_eq!(history.undo_removal(after(61)).unwrap(), Undone::Nothing, "the first is too old");
    history.expire_removals(after(59)).unwrap();
    assert_eq!(kept(&history), 2, "it is only erased when it is");
    history.expire_removals(after(60)).unwrap();
    assert_eq!(kept(&history), 0);
    assert!(history.is_deleted(records[0].id).unwrap());
    // Nor does a clock that was set back keep anything.
    history.remove(&[records[1].id], after(90)).unwrap();
    assert_eq!(history.undo_removal(after(50)).unwrap(), Undone::Nothing);
    history.expire_removals(after(50)).unwrap();
    assert_eq!(kept(&history), 0);
}

#[test]
fn what_the_others_are_told_is_never_taken_back() {
    let history = History::in_memory().unwrap();
    let (one, two) = (plain("one", 1), plain("two", 2));
    history.add_batch(&[one.clone(), two.clone()]).unwrap();
    history.remove(&[one.id, two.id], AT).unwrap();
    // Telling begins with one of them, and may be interrupted there.
    assert_eq!(history.deletions_to_tell(false, 1).unwrap().len(), 1);
    assert_eq!(history.undo_removal(after(1)).unwrap(), Undone::Told);
    assert_eq!(history.would_undo(after(1)).unwrap(), Undone::Told);
    assert_eq!(count(&history.db, "SELECT count(*) FROM removed").unwrap(), 0, "nothing of it is kept");
    assert_eq!(history.deletions_to_tell(false, 9).unwrap().len(), 2);
    assert_eq!(history.count().unwrap(), 0);
}

#[test]
fn a_removal_that_was_told_does_not_stand_before_an_earlier_one() {
    let history = History::in_memory().unwrap();
    let (one, two) = (plain("one", 1), plain("two", 2));
    history.add(&one).unwrap();
    history.clear_for_now(AT).unwrap();
    history.add(&two).unwrap();
    history.remove(&[two.id], after(1)).unwrap();
    history.deletions_to_tell(false, 9).unwrap();
    let back = Undone::Restored { restored: 1, left_out: 0, passed_over: 1 };
    assert_eq!(history.would_undo(after(2)).unwrap(), back);
    assert_eq!(history.undo_removal(after(2)).unwrap(), back);
    assert!(history.get(one.id).unwrap().is_some() && history.is_deleted(two.id).unwrap());
    assert_eq!(history.undo_removal(after(3)).unwrap(), Undone::Told);
}

#[test]
fn what_another_device_deletes_too_stays_deleted() {
    let history = History::in_memory().unwrap();
    let (one, two) = (plain("one", 1), plain("two", 2));
    history.add_batch(&[one.clone(), two.clone()]).unwrap();
    history.remove(&[one.id, two.id], AT).unwrap();
    history.ingest_deletions(&[one.id], after(1), None).unwrap();
    assert_eq!(history.undo_removal(after(2)).unwrap(), Undone::Restored { restored: 1, left_out: 1, passed_over: 0 });
    assert!(history.is_deleted(one.id).unwrap() && history.get(two.id).unwrap().is_some());
    history.clear_for_now(after(3)).unwrap();
    history.ingest_deletions(&[two.id], after(4), None).unwrap();
    assert_eq!(history.undo_removal(after(5)).unwrap(), Undone::Restored { restored: 0, left_out: 1, passed_over: 0 });
}

#[test]
fn what_was_withdrawn_running_or_in_sync_is_so_again() {
    let history = History::in_memory().unwrap();
    let device = history.device_id().unwrap();
    let own = |command: &str, second| Record { device_id: device, ..plain(command, second) };
    let (withdrawn, running, sent, lost) = (own("withdrawn", 1), own("running", 2), own("sent", 3), own("lost", 4));
    history.add_batch(&[withdrawn.clone(), sent.clone(), lost.clone()]).unwrap();
    history.withdraw(&[withdrawn.id], AT).unwrap();
    let pending: Vec<_> = history.pending(9).unwrap().into_iter().map(|(number, r)| (number, r.id)).collect();
    history.acknowledge_in("co_zOne", &pending, None).unwrap();
    history.begin(&running).unwrap();
    let marked = history.pending_deletions(true, 9).unwrap();
    let ids = [withdrawn.id, running.id, sent.id, lost.id];
    assert_eq!(history.remove(&ids, AT).unwrap(), 4);
    history.db.execute("DELETE FROM placed WHERE id = ?1", [lost.id.as_bytes()]).unwrap();
    assert!(matches!(history.undo_removal(after(1)).unwrap(), Undone::Restored { restored: 4, .. }));
    assert_eq!(history.pending_deletions(true, 9).unwrap(), marked);
    assert_eq!(queued(&history), [lost.id], "what lies nowhere any more goes up again");
    assert_eq!(history.release_unfinished(after(1)).unwrap(), 1, "it is held as a command that runs");
    // A withdrawn record still never goes up.
    assert!(history.is_deleted(withdrawn.id).unwrap() && history.get(withdrawn.id).unwrap().is_some());
}

#[test]
fn a_history_that_was_forgotten_unites_with_what_came_back() {
    let history = History::in_memory().unwrap();
    let (one, two) = (plain("one", 1), plain("two", 2));
    history.add_batch(&[one.clone(), two]).unwrap();
    let before = history.digest().unwrap();
    assert_eq!(history.clear_for_now(AT).unwrap(), 2);
    assert_eq!((history.count().unwrap(), history.pending_deletions_count().unwrap()), (0, 0));
    history.ingest_from("co_zOne", &[one], None).unwrap();
    assert_eq!(history.undo_removal(after(1)).unwrap(), Undone::Restored { restored: 1, left_out: 1, passed_over: 0 });
    assert_eq!(history.digest().unwrap(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a record holds, it comes back as it was.
    #[test]
    fn any_history_comes_back_as_it_was(records in prop::collection::vec(any_record(), 1..6), all: bool) {
        let history = History::in_memory().unwrap();
        history.add_batch(&records).unwrap();
        let before = history.digest().unwrap();
        let ids: Vec<Uuid> = records.iter().map(|record| record.id).take(if all { 6 } else { 1 }).collect();
        if all { history.clear_for_now(AT).unwrap() } else { history.remove(&ids, AT).unwrap() };
        prop_assert_ne!(history.digest().unwrap(), before);
        history.undo_removal(AT).unwrap();
        prop_assert_eq!(history.digest().unwrap(), before);
        prop_assert_eq!(kept(&history), 0);
    }
}
