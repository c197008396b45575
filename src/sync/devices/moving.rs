//! Entries of the registry of devices on their way to another map: of another account, or the successor of this one.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{DeviceRecord, open_of_first_builds, own_key, place, sealed, write};
use crate::runtime::protocol::Entries;
use crate::seal::Purpose;
use crate::sync::SyncError;
use crate::sync::engine::Engine;
use crate::sync::vault::{Lifted, Lifting, Vault};

/// What the devices of an account say of themselves, for another account that they will join.
pub(in crate::sync) struct Snapshot {
    records: Vec<(Uuid, DeviceRecord)>,
    /// Records that only a newer version understands, by their keys.
    newer: Vec<(String, Lifted)>,
}

/// What the devices of this account but this one say of themselves.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(in crate::sync) fn snapshot(engine: &Engine) -> Result<Snapshot, SyncError> {
    let devices = &engine.devices;
    let taking_part = devices.records.iter().filter(|(id, _)| **id != engine.device && !devices.is_removed(**id));
    let with_names = taking_part.map(|(id, record)| {
        let mut record = record.clone();
        if let Some((name, at)) = devices.name(*id) {
            (record.name, record.named_at) = (name.to_owned(), Some(at));
        }
        (*id, record)
    });
    let records = with_names.collect();
    let mut newer = Vec::new();
    let map = &engine.registries.devices;
    let entries =
        if devices.newer.is_empty() { BTreeMap::new() } else { engine.ask(&Entries { id: map.clone() })?.entries };
    for id in devices.newer.iter().filter(|id| **id != engine.device && !devices.is_removed(**id)) {
        let key = own_key(*id);
        if let Some(value) = entries.get(&key)
            && let Lifting::Lifted(lifted) = lift(&engine.vault, map, &key, value)?
        {
            newer.push((key, lifted));
        }
    }
    Ok(Snapshot { records, newer })
}

/// Enters devices that have not joined this account yet, as they were in an earlier one.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(in crate::sync) fn take_over(engine: &mut Engine, others: Snapshot) -> Result<(), SyncError> {
    let (map, mut entries) = (engine.registries.devices.clone(), BTreeMap::new());
    for (id, record) in others.records {
        if !engine.devices.records.contains_key(&id) && !engine.devices.newer.contains(&id) {
            entries.extend([sealed(&engine.vault, &map, &own_key(id), &record)?]);
            engine.devices.records.insert(id, record);
        }
    }
    let there = engine.ask(&Entries { id: map.clone() })?.entries;
    for (key, lifted) in others.newer.iter().filter(|(key, _)| !there.contains_key(key)) {
        entries.insert(key.clone(), engine.vault.put_down(Purpose::Device, &place(&map, key), lifted)?);
    }
    if entries.is_empty() { Ok(()) } else { write(engine, entries) }
}

/// The entry of the registry as it is, to be put down in another, and also as the first builds sealed a device's record.
pub(in crate::sync) fn lift(vault: &Vault, map: &str, key: &str, value: &str) -> Result<Lifting, SyncError> {
    match vault.lift(Purpose::Device, &place(map, key), value) {
        Err(SyncError::Damaged { .. }) => {
            open_of_first_builds(vault, map, key, value)?;
            vault.lift(Purpose::Device, map, value)
        }
        lifting => lifting,
    }
}
