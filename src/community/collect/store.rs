//! What a collector keeps: of a report its key, its question, its answer and the month in which it came; of one that was
//! revoked the key alone.
//!
//! Nothing here knows who sent something, or when in a month. What was added or revoked is on disk when the answer is known.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;
use crate::community::questions::{QUESTIONS, Question};
use crate::community::{KeyId, Report};
use crate::history::UnixNanos;

/// How many months the year of a publication has, the present one among them. They are no longer than
/// [`YEAR_DAYS`](crate::community::noise::YEAR_DAYS), within which no device answers a question twice.
const MONTHS: i64 = 12;
/// How long a key is.
const KEY_BYTES: usize = 32;

/// What of a report is kept, besides its month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: KeyId,
    pub(super) question: &'static Question,
    /// The place of the answer in the question's list.
    pub(super) answer: usize,
}

impl Entry {
    /// The answer, as a report names it.
    pub(super) fn told(&self) -> &'static str {
        self.question.answers.get(self.answer).copied().unwrap_or_default()
    }
}

impl From<&Report> for Entry {
    fn from(report: &Report) -> Self {
        Self { key: report.key, question: report.question, answer: report.answer }
    }
}

/// What is known of the key of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    New,
    /// This report is there.
    Same,
    /// It has another report.
    Another,
    /// Its report was revoked.
    Revoked,
}

impl Known {
    /// What follows for an entry from whether its key was revoked, and from question and answer that are stored for it.
    pub(super) fn of(entry: &Entry, was_revoked: bool, stored: Option<(String, String)>) -> Self {
        match stored {
            _ if was_revoked => Self::Revoked,
            None => Self::New,
            Some((question, answer)) if question == entry.question.name && answer == entry.told() => Self::Same,
            Some(_) => Self::Another,
        }
    }
}

/// A month, UTC, as it is kept: `2026-11`. Later ones are greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month(String);

impl Month {
    /// The month of a time.
    pub(super) fn of(at: UnixNanos) -> Self {
        Self::before(at, 0)
    }

    /// The first month of the year that ends with that of this time.
    pub(super) fn year_until(at: UnixNanos) -> Self {
        Self::before(at, MONTHS - 1)
    }

    fn before(at: UnixNanos, months: i64) -> Self {
        let date = Timestamp::from_nanosecond(at.0.into()).unwrap_or_default().to_zoned_datetime(TimeZone::UTC).date();
        let first = date.first_of_month().saturating_sub(months.months());
        Self(first.strftime("%Y-%m").to_string())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A part of all entries, about a 256th, which is counted in one go: those whose keys, which are random, begin with this byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part(u8);

impl Part {
    /// All parts.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }

    /// What sorts no later than any key of the part.
    pub(super) fn first(self) -> [u8; 1] {
        [self.0]
    }

    /// What sorts after all keys of the part, and before those of the next.
    pub(super) fn last(self) -> [u8; KEY_BYTES + 1] {
        let mut last = [u8::MAX; KEY_BYTES + 1];
        if let Some(first) = last.first_mut() {
            *first = self.0;
        }
        last
    }
}

/// How often each answer of each question was told, in the order of [`QUESTIONS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counts(Vec<Vec<Count>>);

/// How often something was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// In the last twelve months.
    pub(super) year: u64,
    /// Ever.
    pub(super) all: u64,
}

impl Counts {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self(QUESTIONS.iter().map(|question| vec![Count::default(); question.answers.len()]).collect())
    }

    /// Counts so many more; words that are on no list (of a later version) count nowhere.
    pub(super) fn add(&mut self, question: &str, answer: &str, is_of_the_year: bool, count: i64) {
        let at = QUESTIONS.iter().position(|known| known.name == question);
        let answer = at.and_then(|at| QUESTIONS.get(at)).and_then(|known| known.answer(answer));
        let counts = at.and_then(|at| self.0.get_mut(at)).zip(answer).and_then(|(answers, at)| answers.get_mut(at));
        if let Some(counts) = counts {
            let count = u64::try_from(count).unwrap_or_default();
            counts.all += count;
            counts.year += if is_of_the_year { count } else { 0 };
        }
    }

    /// Each question with the counts of its answers.
    pub(super) fn by_question(&self) -> impl Iterator<Item = (&'static Question, &[Count])> {
        QUESTIONS.iter().zip(self.0.iter().map(Vec::as_slice))
    }
}

/// Why a store did not do what it was asked for: it is full, away or broken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct StoreError(pub(super) String);

/// Where it is kept.
pub(super) enum Kept {
    File(SqliteStore),
    Database(Box<PostgresStore>),
}

/// The store, and whether it did what it was last asked for.
pub(super) struct Store {
    kept: Kept,
    refuses: AtomicBool,
}

impl Store {
    pub(super) fn new(kept: Kept) -> Self {
        Self { kept, refuses: AtomicBool::new(false) }
    }

    /// Whether it did not do what it was last asked for.
    pub(super) fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    /// What is known of an entry's key.
    pub(super) async fn look(&self, entry: Entry) -> Result<Known, StoreError> {
        self.read(match &self.kept {
            Kept::File(store) => store.look(entry).await,
            Kept::Database(store) => store.look(entry).await,
        })
    }

    /// Adds an entry unless something is known of its key; what was known before.
    pub(super) async fn add(&self, entry: Entry, month: Month) -> Result<Known, StoreError> {
        self.written(match &self.kept {
            Kept::File(store) => store.add(entry, month).await,
            Kept::Database(store) => store.add(entry, month).await,
        })
    }

    /// Deletes the entry of a key for good; whether there was one, now or before.
    pub(super) async fn revoke(&self, key: KeyId) -> Result<bool, StoreError> {
        self.written(match &self.kept {
            Kept::File(store) => store.revoke(key).await,
            Kept::Database(store) => store.revoke(key).await,
        })
    }

    /// Counts all entries, and those that came since a month began. Between its parts the store does what else it is asked for,
    /// so of what comes or goes meanwhile some is counted.
    pub(super) async fn count(&self, since: Month) -> Result<Counts, StoreError> {
        let mut counts = Counts::new();
        for part in Part::all() {
            counts = self.read(match &self.kept {
                Kept::File(store) => store.count(part, since.clone(), counts).await,
                Kept::Database(store) => store.count(part, since.clone(), counts).await,
            })?;
        }
        Ok(counts)
    }

    /// Looks whether it is there, and where it refused something, whether it still does.
    pub(super) async fn check(&self) {
        let refused = self.refuses();
        let answer = match &self.kept {
            Kept::File(store) if refused => store.try_to_write().await,
            // A file does not go away by itself.
            Kept::File(_) => return,
            Kept::Database(store) => store.ask(refused).await,
        };
        // The state is what this is for.
        let _ = if refused { self.written(answer) } else { self.read(answer) };
    }

    /// Forgets the order in which entries came, as far as that can be done.
    pub(super) async fn forget_order(&self) {
        if let Kept::File(store) = &self.kept
            && let Err(error) = store.write_anew().await
        {
            tracing::warn!(%error, "the order of the last reports stays until there is room to write the store anew");
        }
    }

    fn read<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        answer.inspect_err(|error| {
            if !self.refuses.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "the store does not work; nothing is taken until it does");
            }
        })
    }

    fn written<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if answer.is_ok() && self.refuses.swap(false, Ordering::Relaxed) {
            tracing::info!("the store works again");
        }
        self.read(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::community::noise::YEAR_DAYS;

    #[test]
    fn a_year_has_twelve_months_with_the_present_one() {
        let at = |text: &str| UnixNanos(i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap());
        for (time, month, first) in [
            ("2026-11-29T13:00:00Z", "2026-11", "2025-12"),
            ("2026-12-31T23:59:59Z", "2026-12", "2026-01"),
            ("2027-01-01T00:00:00Z", "2027-01", "2026-02"),
        ] {
            assert_eq!((Month::of(at(time)).as_str(), Month::year_until(at(time)).as_str()), (month, first));
        }
        assert!(Month::of(at("2026-09-01T00:00:00Z")) < Month::of(at("2026-10-01T00:00:00Z")));
    }

    #[test]
    fn no_device_answers_a_question_twice_in_the_months_of_a_publication() {
        let day = |month: i8, year: i16| jiff::civil::date(year, month, 1);
        for year in 2026..2040 {
            for month in 1..=12 {
                let (begins, ends) = (day(month, year), day(month, year + 1));
                let end: Timestamp = format!("{ends}T00:00:00Z").parse().unwrap();
                let published = Month::year_until(UnixNanos(i64::try_from(end.as_nanosecond()).unwrap() - 1));
                assert_eq!(published.as_str(), begins.strftime("%Y-%m").to_string());
                assert!(i64::from(begins.until(ends).unwrap().get_days()) <= YEAR_DAYS, "from {begins}");
            }
        }
    }

    #[test]
    fn every_key_is_in_one_part() {
        let key = |first: u8, others: u8| {
            let mut key = [others; KEY_BYTES];
            key[0] = first;
            key
        };
        for key in [key(0, 0), key(0, 0xff), key(1, 0), key(0x7f, 0xff), key(0xff, 0), key(0xff, 0xff)] {
            let parts: Vec<Part> = Part::all()
                .filter(|part| part.first().as_slice() <= key.as_slice() && key.as_slice() <= part.last().as_slice())
                .collect();
            assert_eq!(parts, [Part(key[0])]);
        }
    }

    #[test]
    fn what_is_on_no_list_counts_nowhere() {
        let mut counts = Counts::new();
        counts.add("cooking", "often", true, 5);
        counts.add("weekend", "often", true, 5);
        assert_eq!(counts, Counts::new());
        counts.add("weekend", "too few", true, 5);
        counts.add("weekend", "too few", false, 2);
        let (_, weekend) = counts.by_question().find(|(question, _)| question.name == "weekend").unwrap();
        assert_eq!(weekend[0], Count { year: 5, all: 7 });
    }
}
