//! What the generator said of a command beyond the command: why it was blocked, what else would do, what it warned of,
//! and how long it took to make it.
//!
//! These are fields of a record like any other that have no column of their own: programs that do not know them keep
//! them and pass them on, as they do with the mark of a [cut](super::Record::truncated) record.

use std::collections::BTreeMap;

use ciborium::Value;

use super::record::Record;

const BLOCKED_REASON: &str = "blocked_reason";
const ALTERNATIVES: &str = "alternatives";
const WARNINGS: &str = "warnings";
const GENERATION_NS: &str = "generation_ns";
/// Those that hold text.
const TEXTS: [&str; 3] = [BLOCKED_REASON, ALTERNATIVES, WARNINGS];

/// What the generator said of a command; empty for one that was typed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Generated {
    /// Why it was not to run.
    pub blocked_reason: Option<String>,
    /// Other commands that would do, the best first.
    pub alternatives: Vec<String>,
    /// What one should know before running it.
    pub warnings: Vec<String>,
    /// How long making it took, in nanoseconds.
    pub generation_ns: Option<i64>,
}

impl Generated {
    /// Its texts.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        self.blocked_reason.iter().chain(&self.alternatives).chain(&self.warnings)
    }
}

impl Record {
    /// What the generator said of it.
    #[must_use]
    pub fn generated(&self) -> Generated {
        let texts = |name| match self.unknown.get(name) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_text).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        Generated {
            blocked_reason: self.unknown.get(BLOCKED_REASON).and_then(Value::as_text).map(str::to_owned),
            alternatives: texts(ALTERNATIVES),
            warnings: texts(WARNINGS),
            generation_ns: self
                .unknown
                .get(GENERATION_NS)
                .and_then(Value::as_integer)
                .and_then(|nanos| i64::try_from(nanos).ok()),
        }
    }

    /// Notes what the generator said of it, in place of what was noted before.
    pub fn set_generated(&mut self, generated: Generated) {
        let texts = |texts: Vec<String>| {
            (!texts.is_empty()).then(|| Value::Array(texts.into_iter().map(Value::Text).collect()))
        };
        for (name, value) in [
            (BLOCKED_REASON, generated.blocked_reason.map(Value::Text)),
            (ALTERNATIVES, texts(generated.alternatives)),
            (WARNINGS, texts(generated.warnings)),
            (GENERATION_NS, generated.generation_ns.map(Value::from)),
        ] {
            match value {
                Some(value) => drop(self.unknown.insert(name.to_owned(), value)),
                None => drop(self.unknown.remove(name)),
            }
        }
    }
}

/// How long the texts are together, in bytes.
pub(super) fn length(record: &Record) -> usize {
    // Most records have none, and need no copy of them.
    if TEXTS.iter().any(|name| record.unknown.contains_key(*name)) {
        record.generated().texts().map(String::len).sum()
    } else {
        0
    }
}

/// Takes the texts away, from a record that is too long with them.
pub(super) fn drop_texts(fields: &mut BTreeMap<String, Value>) {
    for name in TEXTS {
        fields.remove(name);
    }
}

/// Gives a record the texts that a whole form of it has.
pub(super) fn complete_texts(record: &mut Record, whole: &Record) {
    for name in TEXTS {
        if let (None, Some(value)) = (record.unknown.get(name), whole.unknown.get(name)) {
            record.unknown.insert(name.to_owned(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::plain;
    use crate::history::{History, decode_batch, encode_batch};

    fn said() -> Generated {
        Generated {
            blocked_reason: Some("it erases a disk".into()),
            alternatives: vec!["lsblk".into(), "df -h".into()],
            warnings: vec!["think twice".into()],
            generation_ns: Some(1_200_000_000),
        }
    }

    #[test]
    fn it_survives_the_database_and_a_batch() {
        let mut record = plain("dd if=/dev/zero of=/dev/sda", 1);
        assert_eq!(record.generated(), Generated::default());
        record.set_generated(said());
        assert_eq!(record.generated(), said());
        assert_eq!(decode_batch(&encode_batch(std::slice::from_ref(&record))).unwrap(), [record.clone()]);
        let history = History::in_memory().unwrap();
        history.add(&record).unwrap();
        assert_eq!(history.get(record.id).unwrap(), Some(record.clone()));
        record.set_generated(Generated::default());
        assert!(record.unknown.is_empty());
    }

    #[test]
    fn what_another_program_means_by_such_a_field_is_left_alone() {
        let mut record = plain("ls", 1);
        record.unknown.insert(ALTERNATIVES.into(), Value::from(7));
        assert_eq!(record.generated(), Generated::default());
        assert_eq!(decode_batch(&encode_batch(std::slice::from_ref(&record))).unwrap(), [record]);
    }

    #[test]
    fn it_counts_towards_the_length_and_a_cut_copy_never_takes_it_away() {
        let mut whole = plain("ls", 1);
        whole.set_generated(said());
        let limit = 30;
        assert!(whole.is_longer_than(limit));
        let cut = whole.clone().truncated(limit);
        assert!(cut.is_truncated());
        assert_eq!(cut.generated(), Generated { generation_ns: said().generation_ns, ..Generated::default() });
        let history = History::in_memory().unwrap();
        history.add(&whole).unwrap();
        assert_eq!(history.ingest(&[cut], None).unwrap().already_there, 1);
        assert_eq!(history.get(whole.id).unwrap(), Some(whole));
    }
}
