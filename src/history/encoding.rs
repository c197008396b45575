//! Records as bytes: a self-describing encoding (CBOR, RFC 8949) for sync batches, for digests and
//! for the unknown fields kept in the database.
//!
//! A batch is the array `[format, [record…]]`; a record is a map from field names to values, ids as
//! 16-byte strings, absent fields left out. Map keys are in the deterministic order of RFC 8949,
//! section 4.2.1 (shorter first, then bytewise), known and unknown ones together, so two programs
//! of different age encode the same record to the same bytes. Decoding tolerates more fields and
//! more array elements than are known here; it refuses another format. Hostile bytes are walked
//! once by [`check_structure`] before anything is built from them: nesting and item count are
//! limited, so the memory used is a small multiple of the input and never grows without bound.

use std::collections::BTreeMap;
use std::fmt;

use ciborium::Value;
use serde::de::{self, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use uuid::Uuid;

use super::record::{Record, UnixNanos};

/// The batch layout this program writes and reads.
const BATCH_FORMAT: u64 = 1;
/// Longest batch that is decoded, in bytes.
pub const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;
/// Most CBOR items in one batch; a full batch of 100 records has about 4,000.
const MAX_ITEMS: u64 = 1_000_000;
/// Deepest nesting; known fields need five levels.
const MAX_DEPTH: usize = 32;

/// Why bytes could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not what [`encode_batch`] writes.
    #[error("the records are damaged: {0}")]
    Damaged(String),
    /// A newer program wrote the batch in a layout that is not known here.
    #[error("the records were written by a newer version of caro (format {found}); upgrade caro on this device")]
    Newer {
        /// The batch format found.
        found: u64,
    },
    /// The batch is beyond the limits of this program.
    #[error("the records exceed what is accepted at once")]
    TooLarge,
}

/// Encodes records as one batch.
pub fn encode_batch(records: &[Record]) -> Vec<u8> {
    let wire: Vec<WireRef<'_>> = records.iter().map(WireRef).collect();
    to_bytes(&(BATCH_FORMAT, wire))
}

/// Decodes what [`encode_batch`] wrote, on this or another version.
///
/// # Errors
/// [`DecodeError`]; never panics, whatever the bytes.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let batch: Batch = from_bytes(bytes)?;
    match batch {
        Batch::Records(records) => Ok(records),
        Batch::OtherFormat(found) => Err(DecodeError::Newer { found }),
    }
}

impl Record {
    /// The one byte string that this record encodes to; equal exactly for equal records.
    pub fn canonical(&self) -> Vec<u8> {
        to_bytes(&WireRef(self))
    }
}

/// Unknown fields as a blob for the database; `None` where there are none.
pub(super) fn encode_unknown(fields: &BTreeMap<String, Value>) -> Option<Vec<u8>> {
    (!fields.is_empty()).then(|| to_bytes(fields))
}

/// Reverses [`encode_unknown`].
pub(super) fn decode_unknown(bytes: &[u8]) -> Result<BTreeMap<String, Value>, DecodeError> {
    from_bytes(bytes)
}

fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = ciborium::into_writer(value, &mut bytes);
    debug_assert!(written.is_ok(), "a byte vector takes every write");
    bytes
}

fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    check_structure(bytes)?;
    ciborium::de::from_reader_with_recursion_limit(bytes, MAX_DEPTH * 4)
        .map_err(|error| DecodeError::Damaged(describe(&error)))
}

fn describe<E>(error: &ciborium::de::Error<E>) -> String {
    match error {
        ciborium::de::Error::Semantic(_, what) => what.clone(),
        ciborium::de::Error::RecursionLimitExceeded => "nested too deeply".to_owned(),
        ciborium::de::Error::Io(_) => "cut short".to_owned(),
        ciborium::de::Error::Syntax(at) => format!("malformed at byte {at}"),
    }
}

/// A record on its way out.
struct WireRef<'a>(&'a Record);

/// A field value on its way out.
enum Field<'a> {
    Int(i64),
    Bool(bool),
    Text(&'a str),
    Texts(&'a [String]),
    Bytes(&'a [u8; 16]),
    Unknown(&'a Value),
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Texts(values) => serializer.collect_seq(values.iter()),
            Self::Bytes(value) => serializer.serialize_bytes(*value),
            Self::Unknown(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for WireRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let text = |value: &'_ Option<String>| -> bool { value.is_some() };
        let mut fields: Vec<(&str, Field<'_>)> = Vec::with_capacity(20 + record.unknown.len());
        fields.push(("id", Field::Bytes(record.id.as_bytes())));
        fields.push(("version", Field::Int(i64::from(record.version))));
        fields.push(("command", Field::Text(&record.command)));
        fields.push(("started_at", Field::Int(record.started_at.0)));
        fields.push(("device_id", Field::Bytes(record.device_id.as_bytes())));
        let texts = [
            ("prompt", &record.prompt),
            ("explanation", &record.explanation),
            ("cwd", &record.cwd),
            ("session", &record.session),
            ("shell", &record.shell),
            ("host", &record.host),
            ("model", &record.model),
            ("category", &record.category),
            ("imported_from", &record.imported_from),
        ];
        for (name, value) in texts.into_iter().filter(|(_, value)| text(value)) {
            fields.push((name, Field::Text(value.as_deref().unwrap_or_default())));
        }
        if let Some(exit) = record.exit {
            fields.push(("exit", Field::Int(i64::from(exit))));
        }
        if let Some(duration) = record.duration_ns {
            fields.push(("duration_ns", Field::Int(duration)));
        }
        if let Some(safety) = record.safety {
            fields.push(("safety", Field::Text(safety.as_str())));
        }
        if let Some(executed) = record.executed {
            fields.push(("executed", Field::Bool(executed)));
        }
        if !record.tags.is_empty() {
            fields.push(("tags", Field::Texts(&record.tags)));
        }
        for (name, value) in &record.unknown {
            if !fields.iter().any(|(known, _)| known == name) {
                fields.push((name, Field::Unknown(value)));
            }
        }
        fields.sort_unstable_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        for (name, value) in &fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A record on its way in.
struct Wire(Record);

impl<'de> de::Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor).map(Wire)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value::<Value>()?;
            if fields.insert(name, value).is_some() {
                return Err(de::Error::custom("a field occurs twice"));
            }
        }
        record_from_fields(fields).map_err(de::Error::custom)
    }
}

/// Takes the fields that are known and understood out of `fields`; the rest stays unknown.
fn record_from_fields(mut fields: BTreeMap<String, Value>) -> Result<Record, &'static str> {
    let id = take(&mut fields, "id", uuid).ok_or("a record has no valid id")?;
    let device_id = take(&mut fields, "device_id", uuid).ok_or("a record has no valid device id")?;
    let started_at = take(&mut fields, "started_at", int).ok_or("a record has no valid start time")?;
    let command = take(&mut fields, "command", text).ok_or("a record has no command")?;
    let version = take(&mut fields, "version", int)
        .and_then(|version| u32::try_from(version).ok())
        .ok_or("a record has no valid version")?;
    let mut record = Record::with_id(id, command, UnixNanos(started_at), device_id);
    record.version = version;
    record.prompt = take(&mut fields, "prompt", text);
    record.explanation = take(&mut fields, "explanation", text);
    record.exit = take(&mut fields, "exit", |value| {
        int(value).and_then(|exit| i32::try_from(exit).map_err(|_| Value::from(exit)))
    });
    record.duration_ns = take(&mut fields, "duration_ns", int);
    record.cwd = take(&mut fields, "cwd", text);
    record.session = take(&mut fields, "session", text);
    record.shell = take(&mut fields, "shell", text);
    record.host = take(&mut fields, "host", text);
    record.safety =
        take(&mut fields, "safety", |value| text(value).and_then(|name| name.parse().map_err(|_| Value::Text(name))));
    record.tags = take(&mut fields, "tags", texts).unwrap_or_default();
    record.model = take(&mut fields, "model", text);
    record.category = take(&mut fields, "category", text);
    record.executed = take(&mut fields, "executed", boolean);
    record.imported_from = take(&mut fields, "imported_from", text);
    record.unknown = fields;
    Ok(record)
}

/// Removes the field `name` if `convert` understands it; an explicit null counts as absent.
fn take<T>(
    fields: &mut BTreeMap<String, Value>,
    name: &str,
    convert: impl FnOnce(Value) -> Result<T, Value>,
) -> Option<T> {
    let (name, value) = fields.remove_entry(name)?;
    match convert(value) {
        Ok(value) => Some(value),
        Err(Value::Null) => None,
        Err(value) => {
            fields.insert(name, value);
            None
        }
    }
}

fn text(value: Value) -> Result<String, Value> {
    value.into_text()
}

fn boolean(value: Value) -> Result<bool, Value> {
    value.into_bool()
}

fn int(value: Value) -> Result<i64, Value> {
    value.as_integer().and_then(|integer| i64::try_from(integer).ok()).ok_or(value)
}

fn uuid(value: Value) -> Result<Uuid, Value> {
    value.as_bytes().and_then(|bytes| Uuid::from_slice(bytes).ok()).ok_or(value)
}

fn texts(value: Value) -> Result<Vec<String>, Value> {
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_text) => {
            Ok(items.into_iter().filter_map(|item| item.into_text().ok()).collect())
        }
        other => Err(other),
    }
}

/// A decoded batch, or the number of a format that is not known here.
enum Batch {
    Records(Vec<Record>),
    OtherFormat(u64),
}

impl<'de> de::Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BatchVisitor;
        impl<'de> Visitor<'de> for BatchVisitor {
            type Value = Batch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a batch of records")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Batch, A::Error> {
                let format: u64 = seq.next_element()?.ok_or_else(|| de::Error::custom("the batch names no format"))?;
                let batch = if format == BATCH_FORMAT {
                    let records: Vec<Wire> =
                        seq.next_element()?.ok_or_else(|| de::Error::custom("the batch holds no list"))?;
                    Batch::Records(records.into_iter().map(|wire| wire.0).collect())
                } else {
                    Batch::OtherFormat(format)
                };
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(batch)
            }
        }
        deserializer.deserialize_seq(BatchVisitor)
    }
}

/// Walks the bytes without building anything and refuses what is malformed, too deep, too large,
/// of indefinite length (which [`encode_batch`] never writes) or followed by other bytes.
fn check_structure(bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.len() > MAX_BATCH_BYTES {
        return Err(DecodeError::TooLarge);
    }
    let damaged = |what: &str| DecodeError::Damaged(what.to_owned());
    let mut rest = bytes;
    let mut items = 0u64;
    // How many items are still to come on each open level; the outermost has one.
    let mut open = vec![1u64];
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        items += 1;
        if items > MAX_ITEMS {
            return Err(DecodeError::TooLarge);
        }
        let (kind, argument) = read_head(&mut rest).ok_or_else(|| damaged("cut short"))?;
        let children = match kind {
            0 | 1 | 7 => 0,
            2 | 3 => {
                let length = usize::try_from(argument).map_err(|_| damaged("cut short"))?;
                rest = rest.get(length..).ok_or_else(|| damaged("cut short"))?;
                0
            }
            4 => argument,
            5 => argument.checked_mul(2).ok_or_else(|| damaged("cut short"))?,
            _ => 1,
        };
        if children > rest.len() as u64 {
            return Err(damaged("cut short"));
        }
        if children > 0 {
            if open.len() >= MAX_DEPTH {
                return Err(damaged("nested too deeply"));
            }
            open.push(children);
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(damaged("followed by other bytes")) }
}

/// Reads one item head: its major type (0 to 7) and its argument.
fn read_head(rest: &mut &[u8]) -> Option<(u8, u64)> {
    let (&first, after) = rest.split_first()?;
    let width = match first & 0x1f {
        0..=23 => 0,
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (argument, after) = after.split_at_checked(width)?;
    *rest = after;
    let value = if width == 0 {
        u64::from(first & 0x1f)
    } else {
        argument.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
    };
    Some((first >> 5, value))
}

#[cfg(test)]
mod tests;
