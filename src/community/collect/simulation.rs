//! Crowds whose reports go through the store: what is published of them is true of them within the error bars.

use super::aggregates::{Aggregates, Answered};
use super::sqlite::SqliteStore;
use super::store::{Entry, Kept, Month, Store};
use crate::community::answers::{truth, truths};
use crate::community::estimate::estimate;
use crate::community::journal::{Collector, Journal};
use crate::community::noise::tests::Seeded;
use crate::community::noise::{REPORTS_A_YEAR, Random, WEIGHT, below, faces, tell};
use crate::community::questions::{QUESTIONS, Question};
use crate::community::simulation::somebody;
use crate::community::work::tests::without_work;
use crate::community::{BODY_BYTES, KeyId, Report};
use crate::history::UnixNanos;

/// Of how many of a hundred devices each answer is true.
const TRUTHS: [(&str, &[u64]); 3] =
    [("git_version_control", &[10, 15, 30, 45]), ("platform", &[70, 25, 5, 0]), ("success", &[5, 10, 15, 30, 40])];
const DEVICES: u64 = 900;

#[test]
fn what_is_published_of_a_crowd_is_true_of_it_within_the_error_bars() {
    tokio::runtime::Runtime::new().unwrap().block_on(report_and_publish());
}

async fn report_and_publish() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteStore::open(folder.path()).unwrap();
    // That nothing is lost is another test's business.
    file.forget_the_disk();
    let store = Store::new(Kept::File(file));
    let (mut random, now) = (Seeded(2026), UnixNanos(1_795_953_600_000_000_000));
    let mut revoked = 0_u64;
    for (name, truths) in TRUTHS {
        let question = Question::named(name).unwrap();
        for device in 0..DEVICES {
            let mut at = device * 100 / DEVICES;
            let truth = truths.iter().position(|share| {
                let is_it = at < *share;
                at = at.saturating_sub(*share);
                is_it
            });
            let answer = tell(truth.unwrap(), truths.len(), &mut random).unwrap();
            let mut key = [0; 32];
            for part in key.chunks_exact_mut(8) {
                part.copy_from_slice(&random.next().unwrap().to_be_bytes());
            }
            let entry = Entry { key: KeyId(key), question, answer };
            store.add(entry, Month::of(now)).await.unwrap();
            // Some send it again, some think better of it.
            match below(20, &mut random).unwrap() {
                0 => drop(store.add(entry, Month::of(now)).await.unwrap()),
                1 => revoked += u64::from(store.revoke(entry.key).await.unwrap()),
                _ => {}
            }
        }
    }
    store.forget_order().await;
    let published = Aggregates::of(&store.count(Month::year_until(now)).await.unwrap(), now);
    assert_eq!(published.reports, DEVICES * TRUTHS.len() as u64 - revoked);
    let (mut held, mut all) = (0, 0);
    for (name, truths) in TRUTHS {
        let asked = published.questions.iter().find(|asked| asked.question == name).unwrap();
        let answers = asked.year.answers.as_ref().unwrap();
        for (answered, share) in answers.iter().zip(truths) {
            let truth = *share as f64 / 100.0;
            all += 1;
            held += u32::from((answered.low..=answered.high).contains(&truth));
            assert!((answered.estimate - truth).abs() < 0.2, "{name}: {answered:?} instead of {truth}");
        }
        assert!((answers.iter().map(|answered| answered.estimate).sum::<f64>() - 1.0).abs() < 0.001);
    }
    assert!(all == 13 && held >= 11, "{held} of {all} error bars hold");
    assert!(
        published.questions.iter().filter(|asked| asked.year.answers.is_none()).all(|asked| asked.year.reports == 0)
    );
}

/// Devices that send all they may.
const SENDERS: u64 = 600;
const MONTH_NS: i64 = 30 * 86_400_000_000_000;

/// What devices sent within a year.
struct Sent {
    /// What was read from the bytes, and when they came.
    reports: Vec<(Report, UnixNanos)>,
    /// How many reports told the truth, and how many that should be, give or take this.
    true_ones: u32,
    expected: f64,
    deviation: f64,
    /// Of how many devices each answer to each question is true.
    true_of: Vec<Vec<u64>>,
    /// What would have been told without a die.
    bare: Vec<Vec<u64>>,
}

/// Draws what devices send as the program does, and reads it as a collector does.
fn send(random: &mut Seeded) -> Sent {
    let none: Vec<Vec<u64>> = QUESTIONS.iter().map(|question| vec![0; question.answers.len()]).collect();
    let mut sent =
        Sent { reports: Vec::new(), true_ones: 0, expected: 0.0, deviation: 0.0, true_of: none.clone(), bare: none };
    let to = Collector { address: "https://stats.example".into(), certificate: None };
    for _ in 0..SENDERS {
        let (habits, device) = somebody(random);
        for ((_, truth), of) in truths(&habits, device).iter().zip(&mut sent.true_of) {
            of[*truth] += 1;
        }
        let mut journal = Journal::default();
        for month in 0..REPORTS_A_YEAR {
            let at = UnixNanos(1_795_953_600_000_000_000 + month as i64 * MONTH_NS);
            let draft = journal.draft(at, random, |question| truth(question, &habits, device)).unwrap();
            let (mut bytes, truth) = (draft.body.clone().into_bytes(), draft.truth.clone());
            journal.count(&to, at);
            bytes.resize(BODY_BYTES, b' ');
            let report = Report::read(&bytes).unwrap();
            assert_eq!(report.bytes(), bytes);
            let question = report.question;
            let chance = WEIGHT as f64 / faces(question.answers.len()) as f64;
            sent.expected += chance;
            sent.deviation += chance * (1.0 - chance);
            sent.true_ones += u32::from(report.told() == truth);
            let asked = QUESTIONS.iter().position(|other| other == question).unwrap();
            sent.bare[asked][question.answer(&truth).unwrap()] += 1;
            sent.reports.push((report, at));
        }
    }
    sent.deviation = sent.deviation.sqrt();
    sent
}

#[test]
fn what_is_really_sent_is_true_about_half_of_the_time_and_tells_what_is_true_of_all() {
    let sent = without_work(|| send(&mut Seeded(20_261_130)));
    let (all, off) = (sent.reports.len(), f64::from(sent.true_ones) - sent.expected);
    assert!((0.4..0.55).contains(&(sent.expected / all as f64)), "the die says the truth half of the time");
    assert!(off.abs() < 4.0 * sent.deviation, "{} of {all} tell the truth, {} should", sent.true_ones, sent.expected);

    let published = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteStore::open(folder.path()).unwrap();
        file.forget_the_disk();
        let store = Store::new(Kept::File(file));
        let mut last = UnixNanos(0);
        for (report, at) in &sent.reports {
            store.add(Entry::from(report), Month::of(*at)).await.unwrap();
            last = last.max(*at);
        }
        Aggregates::of(&store.count(Month::year_until(last)).await.unwrap(), last)
    });
    assert_eq!(published.reports, all as u64);
    let (mut bars, mut hold, mut hold_without_a_die) = (0, 0, 0);
    for ((asked, true_of), bare) in published.questions.iter().zip(&sent.true_of).zip(&sent.bare) {
        let answers = asked.year.answers.as_ref().unwrap();
        for ((Answered { low, high, .. }, bare), true_of) in answers.iter().zip(estimate(bare).unwrap()).zip(true_of) {
            let truth = *true_of as f64 / SENDERS as f64;
            bars += 1;
            hold += u32::from((*low..=*high).contains(&truth));
            hold_without_a_die += u32::from((bare.low..=bare.high).contains(&truth));
        }
    }
    // Of 92 bars five are expected to miss.
    assert!(bars > 85 && bars - hold <= 12, "{hold} of {bars} error bars hold");
    assert!(hold_without_a_die < bars / 2, "{hold_without_a_die} of {bars} would hold without a die");
}
