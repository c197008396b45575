//! The border under test: nothing leaves early, nothing comes back, nothing counts twice.

use super::*;
use crate::history::testing::{DEVICE, plain, sample};
use crate::history::{Record, UnixNanos};

fn queued(history: &History) -> Vec<(u64, String)> {
    history.pending(100).unwrap().into_iter().map(|(number, record)| (number, record.command)).collect()
}

#[test]
fn what_is_added_here_is_queued_until_it_is_acknowledged() {
    let history = History::in_memory().unwrap();
    history.add_batch(&[plain("a", 3), plain("b", 2), plain("c", 1)]).unwrap();
    let pending = queued(&history);
    let commands: Vec<_> = pending.iter().map(|(_, command)| command.as_str()).collect();
    assert_eq!(commands, ["a", "b", "c"]);
    assert_eq!(history.pending(2).unwrap().len(), 2);
    history.acknowledge(&[pending[0].0, pending[2].0]).unwrap();
    assert_eq!(history.pending_count().unwrap(), 1);
    assert_eq!(queued(&history)[0].1, "b");
    assert_eq!(history.count().unwrap(), 3);
}

#[test]
fn an_acknowledged_earlier_state_does_not_take_the_later_one_along() {
    let history = History::in_memory().unwrap();
    let mut record = sample("make");
    record.exit = None;
    history.add(&record).unwrap();
    let read = history.pending(10).unwrap();
    record.exit = Some(0);
    history.add(&record).unwrap();
    history.acknowledge(&[read[0].0]).unwrap();
    let left = history.pending(10).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].1.exit, Some(0));
}

#[test]
fn what_has_left_the_queue_counts_until_all_of_it_is_confirmed() {
    let history = History::in_memory().unwrap();
    history.add_batch(&[plain("a", 3), plain("b", 2), plain("c", 1)]).unwrap();
    let sent: Vec<_> = history.pending(9).unwrap().into_iter().map(|(number, record)| (number, record.id)).collect();
    history.acknowledge_in("co_zOne", &sent[..2], None).unwrap();
    history.acknowledge_in("co_zOne", &[], None).unwrap();
    history.acknowledge_in("co_zOne", &sent[2..], None).unwrap();
    assert_eq!((history.pending_count().unwrap(), history.unconfirmed_count().unwrap()), (0, 3));
    history.all_confirmed().unwrap();
    assert_eq!(history.unconfirmed_count().unwrap(), 0);
    history.add(&plain("d", 4)).unwrap();
    let (number, record) = history.pending(9).unwrap().remove(0);
    history.acknowledge_in("co_zOne", &[(number, record.id)], None).unwrap();
    history.forget_places().unwrap();
    assert_eq!(history.unconfirmed_count().unwrap(), 0, "what is queued again counts once");
}

#[test]
fn positions_are_found_by_what_their_keys_begin_with() {
    let history = History::in_memory().unwrap();
    for (value, key) in
        ["segment/co_zA/one", "segment/co_zA/two", "segment/co_zAB/one", "segments", "a"].iter().enumerate()
    {
        history.ingest(&[], Some(Cursor { key, value: value as u64 })).unwrap();
    }
    assert_eq!(history.cursors_in("segment/co_zA/").unwrap(), [("one".to_owned(), 0), ("two".to_owned(), 1)]);
    assert_eq!(history.cursors_in("segment/").unwrap().len(), 3);
    assert!(history.cursors_in("segment/co_zB/").unwrap().is_empty());
}

#[test]
fn what_arrives_is_united_and_never_queued() {
    let history = History::in_memory().unwrap();
    let records = [plain("a", 1), plain("b", 2)];
    let first = history.ingest(&records, None).unwrap();
    assert_eq!((first.added, first.already_there), (2, 0));
    let again = history.ingest(&records, None).unwrap();
    assert_eq!((again.added, again.already_there), (0, 2));
    assert_eq!(history.pending_count().unwrap(), 0);
    assert_eq!(history.add(&records[0]).unwrap(), Stored::AlreadyThere);
    assert_eq!(history.pending_count().unwrap(), 0);
}

#[test]
fn states_that_arrive_in_any_order_end_the_same() {
    let mut states = Vec::new();
    let base = sample("make");
    for exit in [None, Some(0), Some(1)] {
        for duration in [None, Some(5)] {
            let mut state = base.clone();
            state.exit = exit;
            state.duration_ns = duration;
            states.push(state);
        }
    }
    let run = |order: &[Record]| {
        let history = History::in_memory().unwrap();
        for state in order {
            history.ingest(std::slice::from_ref(state), None).unwrap();
        }
        history.digest().unwrap()
    };
    let expected = run(&states);
    for turn in 0..states.len() {
        states.rotate_left(1);
        assert_eq!(run(&states), expected, "turn {turn}");
    }
    states.reverse();
    assert_eq!(run(&states), expected);
}

#[test]
fn what_was_deleted_does_not_come_back() {
    let history = History::in_memory().unwrap();
    let record = plain("a", 1);
    history.add(&record).unwrap();
    history.delete(&[record.id], UnixNanos(9)).unwrap();
    assert_eq!(history.pending_count().unwrap(), 0);
    let ingested = history.ingest(std::slice::from_ref(&record), None).unwrap();
    assert_eq!((ingested.added, ingested.deleted), (0, 1));
    assert_eq!(history.add(&record).unwrap(), Stored::Deleted);
    assert_eq!(history.count().unwrap(), 0);
}

#[test]
fn the_position_moves_with_the_records_or_not_at_all() {
    let history = History::in_memory().unwrap();
    let position = |value| Some(Cursor { key: "k", value });
    assert_eq!(history.cursor("k").unwrap(), None);
    history.ingest(&[plain("a", 1)], position(7)).unwrap();
    assert_eq!(history.cursor("k").unwrap(), Some(7));
    assert!(history.ingest(&[plain("b", 2)], position(u64::MAX)).is_err());
    assert_eq!(history.cursor("k").unwrap(), Some(7));
    assert_eq!(history.count().unwrap(), 1);
    history.ingest(&[], position(8)).unwrap();
    assert_eq!(history.cursors().unwrap(), [("k".to_owned(), 8)]);
    history.clear_cursors().unwrap();
    assert_eq!(history.cursor("k").unwrap(), None);
}

#[test]
fn requeueing_takes_this_devices_records_only_and_oldest_first() {
    let history = History::in_memory().unwrap();
    let mut foreign = plain("foreign", 1);
    foreign.device_id = uuid::Uuid::from_u128(1);
    history.ingest(&[foreign], None).unwrap();
    history.add_batch(&[plain("b", 2), plain("a", 1)]).unwrap();
    let before = queued(&history);
    history.acknowledge(&[before[0].0]).unwrap();
    assert_eq!(history.requeue_all(DEVICE).unwrap(), 2);
    let after = queued(&history);
    let commands: Vec<_> = after.iter().map(|(_, command)| command.as_str()).collect();
    assert_eq!(commands, ["a", "b"]);
    assert!(after.iter().all(|(number, _)| before.iter().all(|(old, _)| old < number)));
}

#[test]
fn requeueing_leaves_held_what_is_held_and_leaves_out_what_was_deleted() {
    let history = History::in_memory().unwrap();
    history.add_batch(&[plain("held", 1), plain("ready", 2)]).unwrap();
    let gone = plain("withdrawn", 3);
    history.add(&gone).unwrap();
    history.withdraw(&[gone.id], UnixNanos(4)).unwrap();
    history.hold(&[queued(&history)[0].0]).unwrap();
    history.requeue_all(DEVICE).unwrap();
    assert_eq!(history.held_count().unwrap(), 1);
    let ready: Vec<_> = queued(&history).into_iter().map(|(_, command)| command).collect();
    assert_eq!(ready, ["ready"]);
}

#[test]
fn a_queued_record_that_comes_back_as_it_is_need_not_be_sent() {
    let history = History::in_memory().unwrap();
    let (same, mut changed) = (sample("ls"), sample("make"));
    changed.exit = None;
    history.add_batch(&[same.clone(), changed.clone()]).unwrap();
    let earlier = changed.clone();
    changed.exit = Some(0);
    history.add(&changed).unwrap();

    history.ingest(&[same, earlier], None).unwrap();
    let left = queued(&history);
    assert_eq!(left.len(), 1, "an earlier state that comes back does not take the later one along");
    assert_eq!(left[0].1, "make");
    history.ingest(&[changed], None).unwrap();
    assert_eq!(queued(&history), []);
}

#[test]
fn what_a_segment_says_less_of_than_this_device_is_sent_again_unless_that_is_known_to_lie_somewhere() {
    let commands = |history: &History| queued(history).into_iter().map(|(_, command)| command).collect::<Vec<_>>();
    let (later, deleted) = (sample("make"), sample("rm"));
    let earlier = |record: &Record| Record { exit: None, ..record.clone() };

    let history = History::in_memory().unwrap();
    history.ingest(&[later.clone(), deleted.clone()], None).unwrap();
    history.delete(&[deleted.id], UnixNanos(1)).unwrap();
    history.ingest_from("first", &[earlier(&deleted), earlier(&later)], None).unwrap();
    assert_eq!(commands(&history), ["make"]);
    history.ingest_from("second", std::slice::from_ref(&later), None).unwrap();
    assert_eq!(queued(&history), [], "it is there as it is here");
    history.ingest_from("third", &[earlier(&later)], None).unwrap();
    assert_eq!(queued(&history), [], "another segment has it");

    for states in [[earlier(&later), later.clone()], [later.clone(), earlier(&later)]] {
        for is_known in [true, false] {
            let history = History::in_memory().unwrap();
            history.ingest(if is_known { &states } else { &[] }, None).unwrap();
            history.ingest_from("first", &states, None).unwrap();
            assert_eq!(queued(&history), [], "the segment has both states");
        }
    }
}

#[test]
fn what_is_held_is_not_pending_until_the_rules_change() {
    let history = History::in_memory().unwrap();
    history.add_batch(&[plain("a", 1), plain("b", 2), plain("c", 3)]).unwrap();
    history.hold_by("rules 1").unwrap();
    let pending = queued(&history);
    history.hold(&[pending[0].0, pending[1].0]).unwrap();
    assert_eq!((history.pending_count().unwrap(), history.held_count().unwrap()), (1, 2));
    assert_eq!(queued(&history)[0].1, "c");
    history.hold_by("rules 1").unwrap();
    assert_eq!(history.held_count().unwrap(), 2);
    history.hold_by("rules 2").unwrap();
    assert_eq!((history.pending_count().unwrap(), history.held_count().unwrap()), (3, 0));
    history.hold(&[pending[0].0]).unwrap();
    assert_eq!(history.release_held().unwrap(), 1);
}

#[test]
fn a_held_record_that_changes_is_looked_at_again() {
    let history = History::in_memory().unwrap();
    let mut record = plain("make", 1);
    history.add(&record).unwrap();
    history.hold(&[queued(&history)[0].0]).unwrap();
    record.exit = Some(0);
    history.add(&record).unwrap();
    assert_eq!((history.pending_count().unwrap(), history.held_count().unwrap()), (1, 0));
}
