//! Counters under test: once each, never lower, the same in any order.

use proptest::prelude::*;

use super::*;
use crate::history::testing::plain;
use crate::history::{Stored, new_id};

fn record(history: &History, command: &str, exit: Option<i32>) -> Record {
    let mut record = plain(command, 86_400 * 3 + 5);
    record.device_id = history.device_id().unwrap();
    record.exit = exit;
    record
}

fn counts(commands: u64, succeeded: u64, failed: u64) -> Counts {
    Counts { commands, succeeded, failed }
}

#[test]
fn a_command_counts_once_and_deleting_it_takes_nothing_back() {
    let history = History::in_memory().unwrap();
    let mut made = record(&history, "make", Some(0));
    made.model = Some("large".into());
    made.safety = Some(RiskLevel::High);
    let records = [made.clone(), record(&history, "false", Some(1)), record(&history, "sleep 9", None)];
    history.add_batch(&records).unwrap();
    history.add_batch(&records).unwrap();
    let mut more = records[0].clone();
    more.duration_ns = Some(5);
    assert_eq!(history.add(&more).unwrap(), Stored::Updated);
    history.delete(&[records[1].id], UnixNanos(1)).unwrap();
    history.clear().unwrap();
    history.add(&records[2]).unwrap();

    let usage = history.usage_total(None).unwrap();
    assert_eq!(usage.total, counts(3, 1, 1));
    assert_eq!(usage.by_model, BTreeMap::from([("large".into(), counts(1, 1, 0))]));
    assert_eq!(usage.by_safety, BTreeMap::from([("high".into(), counts(1, 1, 0))]));
    assert_eq!(history.usage_total(Some(3)).unwrap().total, counts(3, 1, 1));
    assert_eq!(history.usage_total(Some(4)).unwrap().total, counts(0, 0, 0));
}

#[test]
fn a_running_command_counts_when_it_ends() {
    let history = History::in_memory().unwrap();
    let mut running = record(&history, "make", None);
    assert_eq!(history.begin(&running).unwrap(), Stored::Added);
    assert_eq!(history.usage_total(None).unwrap().total, counts(0, 0, 0));
    assert_eq!((history.pending_count().unwrap(), history.held_count().unwrap()), (0, 0));
    running.exit = Some(2);
    history.add(&running).unwrap();
    assert_eq!(history.usage_total(None).unwrap().total, counts(1, 0, 1));
    assert_eq!(history.pending_count().unwrap(), 1);
}

#[test]
fn a_command_without_an_end_goes_up_after_all() {
    let history = History::in_memory().unwrap();
    let running = record(&history, "make", None);
    history.begin(&running).unwrap();
    assert_eq!(history.release_unfinished(running.started_at).unwrap(), 0);
    assert_eq!(history.release_held().unwrap(), 0, "it is not held by rules");
    assert_eq!(history.release_unfinished(UnixNanos(running.started_at.0 + 1)).unwrap(), 1);
    assert_eq!(history.pending_count().unwrap(), 1);
}

#[test]
fn only_what_this_device_ran_is_counted_here() {
    let history = History::in_memory().unwrap();
    let own = history.device_id().unwrap();
    history.ingest(&[plain("elsewhere", 1)], None).unwrap();
    history.add(&plain("elsewhere too", 1)).unwrap();
    let came_back = Record { id: new_id(UnixNanos(1)), ..record(&history, "back", Some(0)) };
    history.ingest(&[came_back], None).unwrap();
    assert_eq!(history.usage_of(own).unwrap(), []);
}

#[test]
fn what_the_records_know_more_of_is_counted_beside_the_counters() {
    let history = History::in_memory().unwrap();
    let made = record(&history, "make", Some(0));
    let later =
        Record { started_at: UnixNanos(made.started_at.0 + 60_000_000_000), ..record(&history, "late", Some(1)) };
    let next_day = Record { started_at: UnixNanos(made.started_at.0 + DAY), ..record(&history, "next", Some(0)) };
    history.add_batch(&[made.clone(), later.clone(), next_day.clone()]).unwrap();
    history.begin(&record(&history, "sleep 9", None)).unwrap();
    let elsewhere = Record { model: Some("large".into()), ..plain("elsewhere", 86_400 * 3) };
    history.ingest(std::slice::from_ref(&elsewhere), None).unwrap();
    history.delete(&[made.id, next_day.id], UnixNanos(1)).unwrap();

    let usage = |from| {
        let utc = |at: UnixNanos| crate::history::LocalTime { day: day_of(at), hour: 0 };
        let records = history.statistics(from, 9, utc).unwrap().recount;
        history.usage_and_records(from, &records).unwrap()
    };
    let all = usage(None);
    assert_eq!(all.total, counts(4, 2, 1), "what was deleted and what ran elsewhere");
    assert_eq!(all.by_device[&elsewhere.device_id], counts(1, 0, 0));
    assert_eq!(all.by_model["large"], counts(1, 0, 0));
    let whole_days = usage(Some(UnixNanos(3 * DAY)));
    assert_eq!(whole_days, all);
    // Of the day that had begun already, only what is in the history counts.
    let from_later = usage(Some(later.started_at));
    assert_eq!(from_later.total, counts(2, 1, 1));
}

#[test]
fn days_are_those_of_utc_before_1970_too() {
    assert_eq!(
        [day_of(UnixNanos(-1)), day_of(UnixNanos(0)), day_of(UnixNanos(DAY - 1)), day_of(UnixNanos(DAY))],
        [-1, 0, 0, 1]
    );
}

fn any_rows() -> impl Strategy<Value = Vec<UsageRow>> {
    let row = (0i64..3, "[ab]?", "(safe)?", 0u64..5, 0u64..5, 0u64..5)
        .prop_map(|(day, model, safety, a, b, c)| UsageRow { day, model, safety, counts: counts(a, b, c) });
    proptest::collection::vec(row, 0..5)
}

proptest! {
    #[test]
    fn any_order_of_merges_ends_the_same(told in proptest::collection::vec((0u128..3, any_rows()), 1..6), turn in 0usize..6) {
        let (one, other) = (History::in_memory().unwrap(), History::in_memory().unwrap());
        for (device, rows) in &told {
            one.ingest_usage(Uuid::from_u128(*device), rows).unwrap();
        }
        let mut turned = told.clone();
        turned.rotate_left(turn % told.len());
        for (device, rows) in turned.iter().rev().chain(&told) {
            other.ingest_usage(Uuid::from_u128(*device), rows).unwrap();
        }
        prop_assert_eq!(one.usage_total(None).unwrap(), other.usage_total(None).unwrap());
        for device in 0..3 {
            let device = Uuid::from_u128(device);
            prop_assert_eq!(one.usage_of(device).unwrap(), other.usage_of(device).unwrap());
        }
    }
}
