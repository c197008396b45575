//! How records are cut into entries and entries into segments.
//!
//! An entry is one sealed blob of up to [`RECORDS_IN_ENTRY`] records of one month; a segment holds
//! entries of one device and one month until it is full. Many small values cost the SDK far more than
//! few large ones, and a segment is what retention drops and deletion rewrites: hence the bounds.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::month::Month;
use crate::history::{Record, UnixNanos, encode_batch};

/// Records in one entry at most.
pub(super) const RECORDS_IN_ENTRY: usize = 100;
/// Plaintext of one entry, unless a single record is larger.
const ENTRY_BYTES: usize = 64 << 10;
/// Plaintext of a single record beyond which it stays on this device: the protocol refuses
/// transactions above 1 MiB, and a blob grows by a third in its text form.
pub(super) const RECORD_BYTES_MAX: usize = 600 << 10;
/// Entries in one segment at most.
pub(super) const ENTRIES_IN_SEGMENT: u64 = 250;
/// Sealed text in one segment after which it counts as full: what is open is read whole before something is added to it.
/// As many entries of a command each just fit.
pub(super) const SEGMENT_BYTES: u64 = 112 << 10;
/// Plaintext that is written at once, as one transaction, at most.
pub(super) const TRANSACTION_BYTES: u64 = 256 << 10;

/// Records that are sealed together.
pub(super) struct Batch {
    /// The month that all of them fall into.
    pub month: Month,
    /// Their numbers in the outbox, and their ids.
    pub sent: Vec<(u64, Uuid)>,
    /// When the newest of them began.
    pub newest: UnixNanos,
    /// Their encoding.
    pub plaintext: Vec<u8>,
}

/// What the outbox gave, cut into batches.
#[derive(Default)]
pub(super) struct Cut {
    /// The batches, oldest month first, records in the order of the outbox.
    pub batches: Vec<Batch>,
    /// Numbers of records that are too large to leave this device.
    pub too_large: Vec<u64>,
}

/// Cuts pending records into batches.
pub(super) fn cut(pending: Vec<(u64, Record)>) -> Cut {
    let mut cut = Cut::default();
    let mut months: BTreeMap<Month, Vec<(u64, Record, usize)>> = BTreeMap::new();
    for (number, record) in pending {
        let bytes = record.canonical().len();
        if bytes > RECORD_BYTES_MAX {
            cut.too_large.push(number);
        } else {
            months.entry(Month::of(record.started_at)).or_default().push((number, record, bytes));
        }
    }
    for (month, records) in months {
        let mut open: (Vec<(u64, Uuid)>, Vec<Record>, usize) = Default::default();
        for (number, record, bytes) in records {
            if open.1.len() == RECORDS_IN_ENTRY || (open.2 + bytes > ENTRY_BYTES && !open.1.is_empty()) {
                let (sent, records, _) = std::mem::take(&mut open);
                cut.batches.push(batch(month, sent, &records));
            }
            open.0.push((number, record.id));
            open.1.push(record);
            open.2 += bytes;
        }
        if !open.1.is_empty() {
            cut.batches.push(batch(month, open.0, &open.1));
        }
    }
    cut
}

fn batch(month: Month, sent: Vec<(u64, Uuid)>, records: &[Record]) -> Batch {
    let newest = records.iter().map(|record| record.started_at).max().unwrap_or_default();
    Batch { month, sent, newest, plaintext: encode_batch(records) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::decode_batch;

    fn record(day: i64, length: usize) -> Record {
        Record::new("x".repeat(length), UnixNanos(day * 86_400_000_000_000), Uuid::from_u128(1))
    }

    fn numbers(batch: &Batch) -> Vec<u64> {
        batch.sent.iter().map(|(number, _)| *number).collect()
    }

    proptest! {
        #[test]
        fn every_record_is_in_exactly_one_batch_of_its_month(
            sizes in proptest::collection::vec((0i64..200, 1usize..3000), 0..300)
        ) {
            let records: Vec<_> = sizes.iter().map(|&(day, length)| record(day, length)).collect();
            let pending = records.iter().cloned().enumerate().map(|(i, r)| (i as u64, r)).collect();
            let cut = cut(pending);
            prop_assert!(cut.too_large.is_empty());
            let mut numbers: Vec<u64> = vec![];
            for batch in &cut.batches {
                let inside = decode_batch(&batch.plaintext).unwrap();
                prop_assert!(inside.len() <= RECORDS_IN_ENTRY);
                prop_assert_eq!(inside.len(), batch.sent.len());
                for (record, (number, id)) in inside.iter().zip(&batch.sent) {
                    prop_assert_eq!(record, &records[*number as usize]);
                    prop_assert_eq!(record.id, *id);
                    prop_assert_eq!(Month::of(record.started_at), batch.month);
                    prop_assert!(record.started_at <= batch.newest);
                }
                numbers.extend(batch.sent.iter().map(|(number, _)| *number));
            }
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..records.len() as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_record_beyond_the_bound_of_the_protocol_stays_here() {
        let cut = cut(vec![(1, record(0, 10)), (2, record(0, RECORD_BYTES_MAX + 1)), (3, record(0, 10))]);
        assert_eq!(cut.too_large, [2]);
        assert_eq!(cut.batches.len(), 1);
        assert_eq!(numbers(&cut.batches[0]), [1, 3]);
    }

    #[test]
    fn a_large_record_has_an_entry_of_its_own() {
        let cut = cut(vec![(1, record(0, 10)), (2, record(0, ENTRY_BYTES + 1)), (3, record(0, 10))]);
        assert_eq!(cut.batches.iter().map(numbers).collect::<Vec<_>>(), [vec![1], vec![2], vec![3]]);
    }
}
