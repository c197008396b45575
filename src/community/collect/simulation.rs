//! A crowd whose reports go through the store: what is published of it is true of it within the error bars.

use super::aggregates::Aggregates;
use super::sqlite::SqliteStore;
use super::store::{Entry, Kept, Month, Store};
use crate::community::KeyId;
use crate::community::noise::tests::Seeded;
use crate::community::noise::{Random, below, tell};
use crate::community::questions::Question;
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
