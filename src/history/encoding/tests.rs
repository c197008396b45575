//! The encoding under test: round trips, fields from the future, and hostile bytes.

use super::*;
use crate::history::testing::{any_record, sample};
use proptest::prelude::*;

proptest! {
    #[test]
    fn batches_round_trip(records in proptest::collection::vec(any_record(), 0..20)) {
        let bytes = encode_batch(&records);
        prop_assert_eq!(decode_batch(&bytes).unwrap(), records);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_batch(&bytes);
        let _ = decode_unknown(&bytes);
    }

    #[test]
    fn a_cut_batch_is_refused(record in any_record(), cut in 0.0f64..1.0) {
        let bytes = encode_batch(&[record]);
        let end = (bytes.len() as f64 * cut) as usize;
        prop_assert!(decode_batch(&bytes[..end]).is_err());
    }

    #[test]
    fn a_changed_byte_never_panics_and_never_gives_the_same_record(
        record in any_record(), at in any::<prop::sample::Index>(), flip in 1u8..=255,
    ) {
        let mut bytes = encode_batch(std::slice::from_ref(&record));
        let index = at.index(bytes.len());
        bytes[index] ^= flip;
        if let Ok(records) = decode_batch(&bytes) {
            prop_assert_ne!(records, vec![record]);
        }
    }

    #[test]
    fn the_canonical_form_tells_records_apart(a in any_record(), b in any_record()) {
        prop_assert_eq!(a == b, a.canonical() == b.canonical());
    }
}

fn value_map(bytes: &[u8]) -> Vec<(Value, Value)> {
    match ciborium::from_reader(bytes).unwrap() {
        Value::Map(map) => map,
        other => panic!("not a map: {other:?}"),
    }
}

fn batch_of(record: Value) -> Vec<u8> {
    to_bytes(&Value::Array(vec![Value::from(1), Value::Array(vec![record])]))
}

#[test]
fn keys_are_in_deterministic_order() {
    let mut record = sample("true");
    record.unknown.insert("zz".into(), Value::from(1));
    record.unknown.insert("a_field_from_tomorrow".into(), Value::Bool(true));
    let keys: Vec<String> =
        value_map(&record.canonical()).into_iter().map(|(key, _)| key.into_text().unwrap()).collect();
    let mut sorted = keys.clone();
    sorted.sort_by_key(|key| (key.len(), key.clone()));
    assert_eq!(keys, sorted);
    assert!(keys.contains(&"zz".to_owned()));
}

#[test]
fn values_that_are_not_understood_survive() {
    let record = sample("true");
    let mut map = value_map(&record.canonical());
    for (name, value) in [
        ("safety", Value::Text("apocalyptic".into())),
        ("exit", Value::from(1u64 << 40)),
        ("tags", Value::from(3)),
        ("mood", Value::Array(vec![Value::Null, Value::Float(1.5)])),
        ("version", Value::from(9)),
    ] {
        map.retain(|(key, _)| key.as_text() != Some(name));
        map.push((Value::Text(name.into()), value));
    }
    let decoded = decode_batch(&batch_of(Value::Map(map))).unwrap();
    assert_eq!(decoded[0].safety, None);
    assert_eq!(decoded[0].exit, None);
    assert_eq!(decoded[0].version, 9);
    assert_eq!(decoded[0].unknown.len(), 4);
    let again = decode_batch(&encode_batch(&decoded)).unwrap();
    assert_eq!(again, decoded);
}

#[test]
fn a_null_field_is_an_absent_field() {
    let mut map = value_map(&sample("true").canonical());
    map.retain(|(key, _)| key.as_text() != Some("prompt"));
    map.push((Value::Text("prompt".into()), Value::Null));
    let decoded = decode_batch(&batch_of(Value::Map(map))).unwrap();
    assert_eq!(decoded[0].prompt, None);
    assert!(decoded[0].unknown.is_empty());
}

#[test]
fn a_required_field_that_is_missing_is_named() {
    let mut map = value_map(&sample("true").canonical());
    map.retain(|(key, _)| key.as_text() != Some("command"));
    let error = decode_batch(&batch_of(Value::Map(map))).unwrap_err();
    assert_eq!(error.to_string(), "the records are damaged: a record has no command");
}

#[test]
fn a_later_format_asks_for_an_upgrade() {
    let bytes = to_bytes(&(2u64, "whatever it may hold"));
    assert!(matches!(decode_batch(&bytes), Err(DecodeError::Newer { found: 2 })));
}

#[test]
fn more_array_elements_than_known_are_ignored() {
    let record = Value::Map(value_map(&sample("true").canonical()));
    let bytes =
        to_bytes(&Value::Array(vec![Value::from(1), Value::Array(vec![record]), Value::Text("added later".into())]));
    assert_eq!(decode_batch(&bytes).unwrap().len(), 1);
}

#[test]
fn bytes_after_the_batch_are_refused() {
    let mut bytes = encode_batch(&[sample("true")]);
    bytes.push(0);
    assert!(decode_batch(&bytes).is_err());
}

#[test]
fn a_promise_of_many_items_costs_nothing() {
    // An array head that claims 2^60 elements, a byte string of 2^60 bytes, and deep nesting.
    for head in [0x9b, 0xbb, 0x5b, 0x7b] {
        let mut bytes = vec![0x82, 0x01, head];
        bytes.extend_from_slice(&(1u64 << 60).to_be_bytes());
        assert!(decode_batch(&bytes).is_err());
    }
    assert!(decode_batch(&vec![0x81; 100_000]).is_err());
    let mut wide = vec![0x82, 0x01, 0x9a];
    wide.extend_from_slice(&2_000_000u32.to_be_bytes());
    wide.extend(std::iter::repeat_n(0xf6, 2_000_000));
    assert!(matches!(decode_batch(&wide), Err(DecodeError::TooLarge)));
}
