//! The registry as it is read: old records, newer fields, names, removals.

use ciborium::cbor;

use super::*;
use crate::history::UnixNanos;
use crate::identity::{MasterKey, Phrase};

const MAP: &str = "co_zDevices";

fn vault(device: Uuid) -> Vault {
    let wrapping = MasterKey::derive(&Phrase::from_entropy(&[7; 16]).unwrap()).unwrap().keys().unwrap().key_encryption;
    let mut vault = Vault::new(device);
    vault.new_key(&wrapping, "co_zKeys", UnixNanos(1)).unwrap();
    vault
}

fn record(name: &str, named_at: Option<i64>) -> DeviceRecord {
    DeviceRecord { name: name.into(), joined_at: 10, named_at, ..DeviceRecord::default() }
}

#[test]
fn a_record_of_the_first_builds_is_read_and_only_from_its_own_device() {
    let id = Uuid::from_u128(5);
    let vault = vault(id);
    let first = cbor!({
        "name" => "laptop", "platform" => "linux", "app_version" => "0.1.0", "schema" => 1, "joined_at" => 99
    });
    let mut plaintext = Vec::new();
    ciborium::into_writer(&first.unwrap(), &mut plaintext).unwrap();
    let value = vault.seal(Purpose::Device, MAP, &plaintext).unwrap();
    let devices = Devices::open(&vault, MAP, &BTreeMap::from([(own_key(id), value.clone())])).unwrap();
    let list = devices.list();
    assert_eq!((list[0].name.as_str(), list[0].joined_at, list[0].last_sync), ("laptop", 99, None));
    let moved = BTreeMap::from([(own_key(Uuid::from_u128(6)), value)]);
    assert!(matches!(Devices::open(&vault, MAP, &moved), Err(SyncError::Damaged { .. })));
}

#[test]
fn fields_of_a_newer_version_survive() {
    let id = Uuid::from_u128(5);
    let vault = vault(id);
    let mut newer = record("laptop", None);
    newer.unknown.insert("battery".into(), ciborium::Value::Integer(93.into()));
    let entry = sealed(&vault, MAP, &own_key(id), &newer).unwrap();
    let devices = Devices::open(&vault, MAP, &BTreeMap::from([entry])).unwrap();
    assert_eq!(devices.records[&id], newer);
}

#[test]
fn of_two_names_the_later_counts() {
    let id = Uuid::from_u128(5);
    let given = |named_at| GivenName { name: "given".into(), named_at, unknown: BTreeMap::new() };
    for (own, other, counts) in [(None, 11, "given"), (Some(20), 11, "own"), (Some(20), 21, "given")] {
        let mut devices = Devices::default();
        devices.records.insert(id, record("own", own));
        devices.names.insert(id, given(other));
        assert_eq!(devices.name(id).unwrap().0, counts);
    }
}

#[test]
fn a_device_that_came_back_is_not_removed() {
    let id = Uuid::from_u128(5);
    let vault = vault(id);
    let of = |removed| {
        let removal = Removal { removed, at: 1, unknown: BTreeMap::new() };
        let entry = sealed(&vault, MAP, &(own_key(id) + REMOVED), &removal).unwrap();
        Devices::open(&vault, MAP, &BTreeMap::from([entry])).unwrap().is_removed(id)
    };
    assert!(of(true));
    assert!(!of(false));
}
