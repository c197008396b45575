//! Long records in two forms: whole on the device that made them, cut where they went through sync.
//!
//! A cut record carries a mark, a field like any other, which programs that do not know it keep. Where
//! both forms of a record meet, the cut one is completed with the texts of the whole one before they are compared: so
//! a cut copy that comes back never takes away what is here, and a later state of it still counts.

use std::borrow::Cow;
use std::cmp::Ordering;

use ciborium::Value;

use super::generated;
use super::record::Record;

/// The field that marks a cut record.
const MARK: &str = "truncated";

impl Record {
    /// Whether texts of this record were cut.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.unknown.get(MARK) == Some(&Value::Bool(true))
    }

    /// Whether a text of this record is longer than `limit` bytes.
    #[must_use]
    pub fn is_longer_than(&self, limit: usize) -> bool {
        let texts = [Some(&self.command), self.prompt.as_ref(), self.explanation.as_ref()];
        texts.into_iter().flatten().any(|text| text.len() > limit) || generated::length(self) > limit
    }

    /// This record with its texts cut to at most `limit` bytes, and marked where that took something away.
    #[must_use]
    pub fn truncated(mut self, limit: usize) -> Self {
        if self.is_longer_than(limit) {
            let texts = [Some(&mut self.command), self.prompt.as_mut(), self.explanation.as_mut()];
            for text in texts.into_iter().flatten() {
                text.truncate(text.floor_char_boundary(limit));
            }
            if generated::length(&self) > limit {
                generated::drop_texts(&mut self.unknown);
            }
            self.mark_truncated();
        }
        self
    }

    /// Marks a record whose texts were cut.
    pub fn mark_truncated(&mut self) {
        self.unknown.insert(MARK.to_owned(), Value::Bool(true));
    }

    /// How this state of a record stands to another: equal, older or newer. Where one was cut, only what it still has
    /// is compared.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        let (this, that) = (self.completed(other), other.completed(self));
        if this == that {
            Ordering::Equal
        } else if this.supersedes(&that) {
            Ordering::Greater
        } else {
            Ordering::Less
        }
    }

    /// This record, completed with the texts of another form of it that is whole.
    pub(super) fn completed<'a>(&'a self, whole: &Self) -> Cow<'a, Self> {
        if !self.is_truncated() || whole.is_truncated() {
            return Cow::Borrowed(self);
        }
        let mut completed = self.clone();
        completed.unknown.remove(MARK);
        completed.command.clone_from(&whole.command);
        for (cut, whole) in [(&mut completed.prompt, &whole.prompt), (&mut completed.explanation, &whole.explanation)] {
            if let (Some(cut), Some(whole)) = (cut, whole)
                && whole.starts_with(cut.as_str())
            {
                cut.clone_from(whole);
            }
        }
        generated::complete_texts(&mut completed, whole);
        Cow::Owned(completed)
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use crate::history::testing::{plain, sample};
    use crate::history::{History, Stored, decode_batch, encode_batch};

    #[test]
    fn texts_are_cut_at_a_letter_and_marked() {
        let record = sample(&"ü".repeat(10)).truncated(9);
        assert_eq!(record.command, "ü".repeat(4));
        assert!(record.prompt.as_ref().is_some_and(|prompt| prompt.len() == 9));
        assert!(record.is_truncated());
        assert!(decode_batch(&encode_batch(std::slice::from_ref(&record))).unwrap()[0].is_truncated());
        let short = plain("ls", 1);
        assert_eq!(short.clone().truncated(2), short);
        assert!(!short.is_truncated());
    }

    #[test]
    fn a_cut_copy_never_takes_the_whole_text_away() {
        let history = History::in_memory().unwrap();
        let whole = plain(&"x".repeat(100), 1);
        history.add(&whole).unwrap();
        let cut = whole.clone().truncated(10);
        assert_eq!(history.ingest(std::slice::from_ref(&cut), None).unwrap().already_there, 1);
        assert_eq!(history.get(whole.id).unwrap(), Some(whole.clone()));
        assert_eq!(history.pending_count().unwrap(), 0, "what went up cut is safe as far as it goes");

        // A later state counts all the same.
        let mut finished = cut;
        finished.exit = Some(0);
        assert_eq!(history.ingest(std::slice::from_ref(&finished), None).unwrap().updated, 1);
        let here = history.get(whole.id).unwrap().unwrap();
        assert_eq!((whole.compare(&here), here.compare(&whole)), (Ordering::Less, Ordering::Greater));
        assert_eq!(finished.compare(&here), Ordering::Equal);
        assert_eq!((here.exit, here.command, here.unknown.len()), (Some(0), whole.command, 0));
    }

    #[test]
    fn a_whole_copy_completes_a_cut_one_whichever_is_newer() {
        let whole = plain(&"x".repeat(100), 1);
        let mut cut = whole.clone().truncated(10);
        cut.exit = Some(0);
        let history = History::in_memory().unwrap();
        history.ingest(std::slice::from_ref(&cut), None).unwrap();
        assert!(history.get(whole.id).unwrap().unwrap().is_truncated());
        assert_eq!(history.add(&whole).unwrap(), Stored::Updated);
        let here = history.get(whole.id).unwrap().unwrap();
        assert_eq!((here.exit, here.command, here.unknown.len()), (Some(0), whole.command, 0));
    }
}
