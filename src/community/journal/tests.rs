use std::collections::BTreeSet;

use super::*;
use crate::community::noise::tests::Seeded;

const NOW: UnixNanos = UnixNanos(20_000 * DAY);
const YEAR: i64 = YEAR_DAYS * DAY;

fn to() -> Collector {
    Collector { address: "https://stats.example".into(), certificate: None }
}

/// A journal with reports of these days ago, on the first questions of the list.
fn spent(days_ago: impl IntoIterator<Item = i64>) -> Journal {
    let counted = |(at, days): (usize, i64)| Counted {
        body: format!("{{\"question\":\"{}\"}}", QUESTIONS[at % QUESTIONS.len()].name),
        to: to(),
        seed: Some("00".repeat(32)),
        counted_at: NOW.0 - days * DAY,
        outcome: Outcome::Sent,
    };
    Journal { reports: days_ago.into_iter().enumerate().map(counted).collect(), ..Journal::default() }
}

#[test]
fn twelve_are_sent_within_any_year_and_not_one_more() {
    let mut journal = spent(0..12);
    assert_eq!(journal.left(NOW), 0);
    let refused = journal.draft(NOW, &mut Seeded(1), |_| 0).unwrap_err();
    assert!(matches!(refused, JournalError::Spent { until } if until.0 == NOW.0 - 11 * DAY + YEAR), "{refused:?}");
    assert_eq!(journal.left(UnixNanos(NOW.0 - 11 * DAY + YEAR - 1)), 0);
    assert_eq!(journal.left(UnixNanos(NOW.0 - 11 * DAY + YEAR)), 1);
    // What became of a report does not matter: it has left.
    journal.reports.iter_mut().for_each(Counted::revoked);
    journal.withdraw();
    assert_eq!(journal.left(NOW), 0);
    // A clock that was set back does not make room.
    assert_eq!(journal.left(UnixNanos(NOW.0 - 50 * YEAR)), 0);
}

#[test]
fn no_question_is_drawn_twice_in_a_year_and_all_others_are_drawn_alike() {
    let answered: BTreeSet<&str> = QUESTIONS[..10].iter().map(|question| question.name).collect();
    let journal = spent(0..10);
    let open = journal.open_questions(NOW);
    assert_eq!(open.len(), QUESTIONS.len() - 10);
    assert!(open.iter().all(|question| !answered.contains(question.name)));
    let later = UnixNanos(NOW.0 + YEAR);
    assert_eq!(journal.open_questions(later).len(), QUESTIONS.len());
}

#[test]
fn a_draft_stays_for_a_day_and_is_counted_once_with_its_bytes() {
    let mut journal = Journal::default();
    let mut random = Seeded(1);
    let drawn = journal.draft(NOW, &mut random, |_| 0).unwrap().clone();
    let later = UnixNanos(NOW.0 + DAY - 1);
    assert_eq!(*journal.draft(later, &mut random, |_| unreachable!("it is drawn already")).unwrap(), drawn);
    let next = journal.draft(UnixNanos(NOW.0 + DAY), &mut random, |_| 0).unwrap().clone();
    assert_ne!(next.body, drawn.body);

    assert_eq!((journal.count(&to(), NOW), journal.count(&to(), NOW)), (Some(0), Some(0)));
    assert_eq!(journal.reports.len(), 1);
    let counted = &journal.reports[0];
    assert_eq!((&counted.body, counted.outcome), (&next.body, Outcome::Underway));
    assert!(next.body.contains(&counted.key().unwrap().id().to_string()));
}

#[test]
fn what_may_not_have_arrived_goes_again_to_its_own_address_counts_from_then_on_and_ends_with_consent() {
    let other = Collector { address: "https://other.example".into(), certificate: None };
    let mut journal = Journal::default();
    let mut random = Seeded(1);
    let body = journal.draft(NOW, &mut random, |_| 0).unwrap().body.clone();
    assert_eq!(journal.count(&to(), NOW), Some(0));
    assert_eq!((journal.underway(&to().address, NOW), journal.underway(&other.address, NOW)), (Some(0), None));
    assert_eq!(journal.count(&other, NOW), None, "nothing was drawn for another one");

    // Another one gets another, and what is underway stays what it was.
    assert_ne!(journal.draft(NOW, &mut random, |_| 0).unwrap().body, body);
    assert_eq!(journal.count(&other, NOW), Some(1));
    let later = UnixNanos(NOW.0 + 300 * DAY);
    assert_eq!(journal.count(&to(), later), Some(0));
    assert_eq!((&journal.reports[0].body, journal.reports[0].counted_at), (&body, later.0));
    assert_eq!(journal.left(UnixNanos(NOW.0 + YEAR)), REPORTS_A_YEAR - 1);
    // A clock that was set back does not make it count for a shorter time.
    assert_eq!((journal.count(&to(), NOW), journal.reports[0].counted_at), (Some(0), later.0));
    // A year after it was last sent its question may be drawn anew.
    assert_eq!(journal.underway(&to().address, UnixNanos(later.0 + YEAR)), None);

    journal.withdraw();
    assert_eq!((journal.reports[0].outcome, journal.underway(&to().address, later)), (Outcome::GivenUp, None));
    assert!(journal.reports[0].key().is_some(), "it can still be taken back");
}

#[test]
fn which_question_is_drawn_has_nothing_to_do_with_what_is_true() {
    let drawn = |truth| {
        let mut journal = Journal::default();
        question_of(&journal.draft(NOW, &mut Seeded(4), |_| truth).unwrap().body)
    };
    assert_eq!(drawn(0), drawn(1));
}

#[test]
fn it_is_private_and_survives_and_what_is_not_its_own_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(&folder.path().join("data"));
    assert!(place.load().unwrap().is_none());
    let mut journal = spent([1, 2]);
    journal.collector = Some(to());
    journal.plan = Some(Plan::begin(super::super::schedule::Often::Monthly, NOW, &mut Seeded(1)).unwrap());
    let _lock = place.lock().unwrap();
    assert!(matches!(place.lock(), Err(JournalError::Busy)), "nobody waits for somebody who is asked");
    place.save(&journal).unwrap();
    assert_eq!(place.load().unwrap(), Some(journal));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&place.file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    fs::write(&place.file, r#"{"version":2,"anything":1}"#).unwrap();
    assert!(matches!(place.load(), Err(JournalError::Newer { .. })));
    for damaged in ["", "{}", "{\"version\":1,\"reports\":[{}]}", "{\"version\":0}"] {
        fs::write(&place.file, damaged).unwrap();
        assert!(matches!(place.load(), Err(JournalError::Damaged { .. })), "{damaged}");
    }
}
