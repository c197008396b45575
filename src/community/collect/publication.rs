//! When what is published is counted: now and then, and not at each request. Whoever looked at it before and after he saw
//! somebody send something would learn from the difference what that was.
//!
//! One task counts, one count after the other. Who asks is given what was counted last, so that no request, however many there
//! are, makes the store work or waits for it, and no request that is cut takes a count with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::aggregates::Aggregates;
use super::store::{Month, Store};
use crate::clock;
use crate::history::UnixNanos;

/// How often it is looked whether it is time to count.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a count that failed is not tried again.
const REST: Duration = Duration::from_secs(60);

/// What is published.
pub(super) struct Publication {
    every: Duration,
    /// How many have asked, where each is given what was counted since.
    asked: watch::Sender<u64>,
    last: watch::Sender<Last>,
}

/// The last count.
#[derive(Default)]
struct Last {
    /// How many had asked when it began.
    asked: u64,
    /// When it began, and for how long there is no other.
    begun: Option<(UnixNanos, Duration)>,
    /// What came of it, or, where it failed, of the one before.
    aggregates: Option<Arc<Aggregates>>,
}

impl Publication {
    /// What is counted anew after so long; where that is no time at all, for everybody who asks.
    pub(super) fn new(every: Duration) -> Self {
        Self { every, asked: watch::Sender::default(), last: watch::Sender::default() }
    }

    /// What is published now; nothing until the first count is done.
    pub(super) async fn now(&self) -> Option<Arc<Aggregates>> {
        let mut last = self.last.subscribe();
        if self.every.is_zero() {
            let mut number = 0;
            self.asked.send_modify(|asked| {
                *asked += 1;
                number = *asked;
            });
            last.wait_for(|last| last.asked >= number).await.ok()?;
        }
        let last = last.borrow();
        last.aggregates.clone()
    }

    /// Counts whenever it is time to. Does not end.
    pub(super) async fn keep(&self, store: &Store) {
        let mut asked = self.asked.subscribe();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                _ = asked.changed() => {}
            }
            let (asked, now) = (*asked.borrow_and_update(), clock::now());
            if self.is_due(asked, now) {
                self.count(store, asked, now).await;
            }
        }
    }

    fn is_due(&self, asked: u64, now: UnixNanos) -> bool {
        let last = self.last.borrow();
        if self.every.is_zero() {
            return asked > last.asked;
        }
        // A clock that was set back makes none wait.
        let is_recent = |(begun, rest): (UnixNanos, Duration)| {
            u64::try_from(now.0.saturating_sub(begun.0)).is_ok_and(|age| u128::from(age) < rest.as_nanos())
        };
        !last.begun.is_some_and(is_recent)
    }

    async fn count(&self, store: &Store, asked: u64, now: UnixNanos) {
        // A store that fails has told it.
        let counts = store.count(Month::year_until(now)).await.ok();
        let rest = if counts.is_some() { self.every } else { self.every.min(REST) };
        self.last.send_modify(|last| {
            last.asked = asked;
            last.begun = Some((now, rest));
            if let Some(counts) = counts {
                last.aggregates = Some(Arc::new(Aggregates::of(&counts, now)));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::sqlite::SqliteStore;
    use super::super::store::{Entry, Kept};
    use super::*;
    use crate::community::KeyId;
    use crate::community::questions::QUESTIONS;

    const DAY: Duration = Duration::from_secs(86_400);
    const NOW: UnixNanos = UnixNanos(1_795_953_600_000_000_000);

    fn store() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteStore::open(folder.path()).unwrap();
        file.forget_the_disk();
        (folder, Store::new(Kept::File(file)))
    }

    async fn add(store: &Store, key: u8) {
        let entry = Entry { key: KeyId([key; 32]), question: &QUESTIONS[0], answer: 0 };
        store.add(entry, Month::of(clock::now())).await.unwrap();
    }

    #[tokio::test]
    async fn who_asks_is_given_what_was_counted_last_and_never_waits() {
        let (_folder, store) = store();
        let publication = Publication::new(DAY);
        assert_eq!(publication.now().await, None, "nothing was counted yet");
        add(&store, 1).await;
        publication.count(&store, 0, clock::now()).await;
        add(&store, 2).await;
        let first = publication.now().await.unwrap();
        assert_eq!(first.reports, 1);
        assert!(Arc::ptr_eq(&first, &publication.now().await.unwrap()));
    }

    #[tokio::test]
    async fn it_is_counted_at_once_and_after_a_day_and_soon_again_where_that_failed() {
        let (folder, store) = store();
        let publication = Publication::new(DAY);
        let is_due_after =
            |time: Duration| publication.is_due(0, UnixNanos(NOW.0 + i64::try_from(time.as_nanos()).unwrap()));
        assert!(is_due_after(Duration::ZERO));
        publication.count(&store, 0, NOW).await;
        assert!(!is_due_after(DAY - Duration::from_nanos(1)) && is_due_after(DAY));
        assert!(publication.is_due(0, UnixNanos(NOW.0 - 1)), "the clock was set back");
        let before = publication.now().await;

        let other = rusqlite::Connection::open(folder.path().join("collector.db")).unwrap();
        other.execute_batch("ALTER TABLE reports RENAME TO elsewhere").unwrap();
        publication.count(&store, 0, NOW).await;
        assert!(!is_due_after(REST - Duration::from_nanos(1)) && is_due_after(REST));
        assert!(before.is_some() && publication.now().await == before, "what there was stays");
    }

    #[tokio::test]
    async fn a_request_that_is_cut_takes_no_count_with_it() {
        let (_folder, store) = store();
        let publication = Arc::new(Publication::new(Duration::ZERO));
        add(&store, 1).await;
        let mut last = publication.last.subscribe();
        // They ask, and are gone before anything is counted.
        for _ in 0..32 {
            assert!(futures::FutureExt::now_or_never(publication.now()).is_none());
        }
        let keeping = publication.clone();
        let keeper = tokio::spawn(async move { keeping.keep(&store).await });
        let counted = tokio::time::timeout(Duration::from_secs(60), last.wait_for(|last| last.aggregates.is_some()));
        assert_eq!(counted.await.unwrap().unwrap().asked, 32, "one count is for all of them");
        keeper.abort();
    }
}
