//! Records for tests: one with every field set, and a generator of arbitrary ones.

use std::collections::BTreeMap;

use ciborium::Value;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::{Generated, Record, RiskLevel, UnixNanos};

/// The device in whose name tests record.
pub(crate) const DEVICE: Uuid = Uuid::from_u128(0x11111111_2222_4333_8444_555555555555);

/// A record of `command` with every field set.
pub(crate) fn sample(command: &str) -> Record {
    let mut record = Record::new(command, UnixNanos(1_700_000_000_000_000_000), DEVICE);
    record.prompt = Some("do nothing, successfully".into());
    record.explanation = Some("exits with status 0".into());
    record.exit = Some(0);
    record.duration_ns = Some(1_500_000);
    record.cwd = Some("/home/user".into());
    record.session = Some("session-1".into());
    record.shell = Some("bash".into());
    record.host = Some("laptop".into());
    record.safety = Some(RiskLevel::Safe);
    record.tags = vec!["first".into(), "second".into()];
    record.model = Some("some-model".into());
    record.category = Some("other".into());
    record.executed = Some(true);
    record.imported_from = Some("bash".into());
    record
}

/// A record that is `command` at `seconds` after the epoch and nothing more.
pub(crate) fn plain(command: &str, seconds: i64) -> Record {
    Record::new(command, UnixNanos(seconds * 1_000_000_000), DEVICE)
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        (-1e9f64..1e9).prop_map(Value::Float),
        ".{0,12}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((".{0,5}".prop_map(Value::Text), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

/// Anything that a generator may say.
pub(crate) fn any_generated() -> impl Strategy<Value = Generated> {
    let texts = || proptest::collection::vec("(.|\n){0,20}", 0..3);
    (option::of(".{0,20}"), texts(), texts(), option::of(any::<i64>())).prop_map(
        |(blocked_reason, alternatives, warnings, generation_ns)| Generated {
            blocked_reason,
            alternatives,
            warnings,
            generation_ns,
        },
    )
}

/// Any record at all, unknown fields included.
pub(crate) fn any_record() -> impl Strategy<Value = Record> {
    let text = || option::of(".{0,40}");
    let told = (text(), text(), option::of(any::<i32>()), option::of(any::<i64>()));
    let place = (text(), text(), text(), text());
    let kind = (
        option::of(proptest::sample::select(RiskLevel::ALL.to_vec())),
        proptest::collection::vec(".{0,8}", 0..3),
        text(),
        text(),
        option::of(any::<bool>()),
        text(),
    );
    let unknown: BoxedStrategy<BTreeMap<String, Value>> =
        proptest::collection::btree_map("new_[a-z]{1,12}", any_value(), 0..3).boxed();
    ((any::<u128>(), any::<u32>(), any::<i64>(), any::<u128>()), "(.|\n){0,60}", told, place, kind, unknown).prop_map(
        |(ids, command, told, place, kind, unknown)| {
            let (id, version, at, device) = ids;
            let mut record = Record::with_id(Uuid::from_u128(id), command, UnixNanos(at), Uuid::from_u128(device));
            record.version = version;
            (record.prompt, record.explanation, record.exit, record.duration_ns) = told;
            (record.cwd, record.session, record.shell, record.host) = place;
            (record.safety, record.tags, record.model, record.category, record.executed, record.imported_from) = kind;
            record.unknown = unknown;
            record
        },
    )
}
