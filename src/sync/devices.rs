//! The user's devices: what each says of itself, how another one renames or removes it.
//!
//! The registry has up to three entries for a device, each with one kind of writer, so that none overwrites
//! another: `<id>` is what the device says of itself; `<id>.name` what another device calls it; `<id>.removed`
//! that it was taken out. Of two names the one given later counts. A device writes its own record when something of it changed, and otherwise
//! at most every [`LAST_SYNC_EVERY`], so that an exchange that has nothing to say stays silent.
//!
//! What the registry said last is kept in `devices.json`, so that names are at hand without a relay.

mod moving;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

pub(super) use moving::{lift, snapshot, take_over};

use super::engine::Engine;
use super::state::write_private;
use super::vault::{Opening, Vault};
use super::{SyncConfig, SyncError, SyncState, heads, schema, twins};
use crate::runtime::protocol::{Entries, Set};
use crate::seal::Purpose;

/// How often a device says that it is alive when nothing else changed, nanoseconds: every record that was ever
/// written stays in the account.
const LAST_SYNC_EVERY: i64 = 24 * 3600 * 1_000_000_000;

const NAME: &str = ".name";
const REMOVED: &str = ".removed";

/// A device as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its id, as records have it.
    pub id: Uuid,
    /// What the user calls it.
    pub name: String,
    /// Its operating system; empty where a newer version wrote its record.
    pub platform: String,
    /// The program's version on it.
    pub app_version: String,
    /// Version of the data that it writes.
    pub schema: u32,
    /// When it joined, nanoseconds since 1970.
    pub joined_at: i64,
    /// When it last exchanged, to a day; none before versions that tell.
    pub last_sync: Option<i64>,
    /// How many records of its own it had then.
    pub records: Option<u64>,
    /// Whether it was taken out.
    pub removed: bool,
}

/// What a device says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DeviceRecord {
    name: String,
    platform: String,
    app_version: String,
    schema: u32,
    joined_at: i64,
    /// When it got this name; none: when it joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    named_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_sync: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    /// Which of its homes wrote this (see [`twins`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(flatten)]
    unknown: BTreeMap<String, ciborium::Value>,
}

impl DeviceRecord {
    fn named_at(&self) -> i64 {
        self.named_at.unwrap_or(self.joined_at)
    }
}

/// What another device calls it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct GivenName {
    name: String,
    named_at: i64,
    #[serde(flatten)]
    unknown: BTreeMap<String, ciborium::Value>,
}

/// Whether it was taken out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Removal {
    removed: bool,
    at: i64,
    #[serde(flatten)]
    unknown: BTreeMap<String, ciborium::Value>,
}

/// The registry as this device can read it.
#[derive(Debug, Default)]
pub(super) struct Devices {
    records: BTreeMap<Uuid, DeviceRecord>,
    names: BTreeMap<Uuid, GivenName>,
    removals: BTreeMap<Uuid, Removal>,
    /// Devices whose own record only a newer version can read.
    newer: BTreeSet<Uuid>,
}

impl Devices {
    fn open(vault: &Vault, map: &str, entries: &BTreeMap<String, String>) -> Result<Self, SyncError> {
        let mut devices = Self::default();
        for (key, value) in entries {
            let (id, kind) = key.split_at(key.len().min(32));
            let Ok(id) = Uuid::try_parse(id) else { continue };
            match kind {
                "" => match read_own(vault, map, key, id, value)? {
                    Some(record) => insert(&mut devices.records, id, Some(record)),
                    None => drop(devices.newer.insert(id)),
                },
                NAME => insert(&mut devices.names, id, read(vault, map, key, value)?),
                REMOVED => insert(&mut devices.removals, id, read(vault, map, key, value)?),
                // Of a newer version.
                _ => {}
            }
        }
        Ok(devices)
    }

    /// Whether a device was taken out.
    pub(super) fn is_removed(&self, id: Uuid) -> bool {
        self.removals.get(&id).is_some_and(|removal| removal.removed)
    }

    /// The name that counts, and when it was given.
    pub(super) fn name(&self, id: Uuid) -> Option<(&str, i64)> {
        let own = self.records.get(&id).map(|record| (record.name.as_str(), record.named_at()));
        let given = self.names.get(&id).map(|given| (given.name.as_str(), given.named_at));
        match (own, given) {
            (Some(own), Some(given)) if given.1 > own.1 => Some(given),
            (Some(own), _) => Some(own),
            (None, given) => given,
        }
    }

    /// Of each device but `own`: when it was in sync last, by its own clock, and whether it was taken out.
    pub(super) fn others(&self, own: Uuid) -> Vec<(Uuid, Option<i64>, bool)> {
        let known = self.records.iter().map(|(id, record)| (*id, record.last_sync));
        let newer = self.newer.iter().map(|id| (*id, None));
        known.chain(newer).filter(|(id, _)| *id != own).map(|(id, at)| (id, at, self.is_removed(id))).collect()
    }

    fn list(&self) -> Vec<Device> {
        let mut list: Vec<Device> = self
            .records
            .iter()
            .map(|(id, record)| Device {
                id: *id,
                name: self.name(*id).unwrap_or_default().0.to_owned(),
                platform: record.platform.clone(),
                app_version: record.app_version.clone(),
                schema: record.schema,
                joined_at: record.joined_at,
                last_sync: record.last_sync,
                records: record.records,
                removed: self.is_removed(*id),
            })
            .collect();
        list.sort_by_key(|device| (device.joined_at, device.id));
        list
    }
}

fn insert<T>(map: &mut BTreeMap<Uuid, T>, id: Uuid, value: Option<T>) {
    if let Some(value) = value {
        map.insert(id, value);
    }
}

/// An entry opens under its own key only.
fn place(map: &str, key: &str) -> String {
    format!("{map}/{key}")
}

fn read<T: DeserializeOwned>(vault: &Vault, map: &str, key: &str, value: &str) -> Result<Option<T>, SyncError> {
    match vault.open(Purpose::Device, &place(map, key), value)? {
        Opening::Opened { plaintext, .. } => decode(&plaintext).map(Some),
        Opening::Newer | Opening::KeyMissing => Ok(None),
    }
}

/// The first builds bound a device's record to the registry alone; its writer is the device itself then.
fn read_own(vault: &Vault, map: &str, key: &str, id: Uuid, value: &str) -> Result<Option<DeviceRecord>, SyncError> {
    match read(vault, map, key, value) {
        Err(SyncError::Damaged { .. }) => match open_of_first_builds(vault, map, &own_key(id), value)? {
            Opening::Opened { plaintext, .. } => decode(&plaintext).map(Some),
            Opening::Newer | Opening::KeyMissing => Ok(None),
        },
        read => read,
    }
}

/// Opens a device's record as the first builds sealed it.
fn open_of_first_builds(vault: &Vault, map: &str, key: &str, value: &str) -> Result<Opening, SyncError> {
    match vault.open(Purpose::Device, map, value)? {
        Opening::Opened { device, .. } if own_key(device) != key => Err(damaged()),
        opening => Ok(opening),
    }
}

fn decode<T: DeserializeOwned>(plaintext: &[u8]) -> Result<T, SyncError> {
    ciborium::from_reader(plaintext).map_err(|_| damaged())
}

fn damaged() -> SyncError {
    SyncError::Damaged { what: "the list of your devices".into() }
}

fn sealed<T: Serialize>(vault: &Vault, map: &str, key: &str, value: &T) -> Result<(String, String), SyncError> {
    let mut plaintext = Vec::new();
    ciborium::into_writer(value, &mut plaintext)
        .map_err(|e| SyncError::Store(format!("a device's record cannot be encoded ({e})")))?;
    Ok((key.to_owned(), vault.seal(Purpose::Device, &place(map, key), &plaintext)?))
}

fn own_key(id: Uuid) -> String {
    id.simple().to_string()
}

/// The devices as they were known at the last exchange; empty where none was made.
///
/// # Errors
///
/// [`SyncError::Config`] where the file is damaged, [`SyncError::File`].
pub fn known(path: &Path) -> Result<Vec<Device>, SyncError> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|e| SyncError::Config { file: path.display().to_string(), reason: e.to_string() }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(SyncError::File { file: path.display().to_string(), action: "read", source }),
    }
}

/// Reads the registry: stops where this device was taken out, and takes over a name that another one gave it.
///
/// # Errors
///
/// [`SyncError::Removed`]; others as [`Engine::exchange`].
pub(super) fn check(engine: &mut Engine) -> Result<(), SyncError> {
    let (devices, said) = load(engine)?;
    engine.devices = devices;
    if engine.devices.is_removed(engine.device) {
        SyncState::update(&engine.paths().state, |state| state.removed = true)?;
        return Err(SyncError::Removed);
    }
    let own = engine.devices.records.get(&engine.device).and_then(|record| record.token.clone());
    twins::check(engine, &own.into_iter().chain(said).collect::<Vec<_>>())?;
    let own = engine.devices.records.get(&engine.device);
    let given = engine.devices.names.get(&engine.device);
    if let (Some(own), Some(given)) = (own, given)
        && given.named_at > own.named_at()
    {
        let mut config = SyncConfig::load(&engine.paths().config)?;
        if config.device_name == own.name {
            config.device_name.clone_from(&given.name);
            config.save(&engine.paths().config)?;
        }
    }
    keep(engine)
}

/// Says what has changed about this device, if anything has, and in one transaction with it how far it has written (see
/// [`heads`]).
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(super) fn touch(engine: &mut Engine, heads: Option<heads::Due>) -> Result<(), SyncError> {
    let config = SyncConfig::load(&engine.paths().config)?;
    let now = (engine.now)().0;
    let before = engine.devices.records.get(&engine.device);
    let quiet_until = before.and_then(|record| record.last_sync).filter(|at| *at <= now).map(|at| at + LAST_SYNC_EVERY);
    let mut record = renamed(engine, &config.device_name, now);
    if before == Some(&record) && quiet_until.is_some_and(|until| now < until) && !engine.tokens.in_doubt {
        let Some(heads) = heads else { return Ok(()) };
        write(engine, BTreeMap::from([heads.entry.clone()]))?;
        return heads.note(engine);
    }
    record.last_sync = Some(now);
    record.records = Some(own_records(engine)?);
    write_own(engine, record, heads)?;
    keep(engine)
}

/// This device's record with its name and version as they are now.
fn renamed(engine: &Engine, name: &str, now: i64) -> DeviceRecord {
    let mut record = match engine.devices.records.get(&engine.device) {
        Some(record) => record.clone(),
        None => DeviceRecord { joined_at: now, ..DeviceRecord::default() },
    };
    if record.name != name {
        let counts = engine.devices.name(engine.device);
        let given = engine.devices.names.get(&engine.device).filter(|given| given.name == name);
        record.named_at = match given {
            Some(given) => Some(given.named_at),
            None => counts.map(|(_, at)| now.max(at + 1)),
        };
        record.name = name.to_owned();
    }
    record.platform = std::env::consts::OS.to_owned();
    record.app_version = env!("CARGO_PKG_VERSION").to_owned();
    record.schema = schema::version();
    record
}

/// Enters this device, which joins now, also where it had been taken out.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(super) fn join(engine: &mut Engine, name: &str) -> Result<(), SyncError> {
    engine.devices = read_all(engine)?;
    let now = (engine.now)().0;
    if engine.devices.is_removed(engine.device) {
        write_removal(engine, engine.device, false)?;
    }
    let mut record = renamed(engine, name, now);
    record.joined_at = now;
    record.last_sync = Some(now);
    record.records = Some(own_records(engine)?);
    write_own(engine, record, None)?;
    keep(engine)
}

fn own_records(engine: &Engine) -> Result<u64, SyncError> {
    let counts = engine.history.count_per_device()?;
    Ok(counts.into_iter().find(|(id, _)| *id == engine.device).map_or(0, |(_, count)| count))
}

/// The registry as it is.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(super) fn read_all(engine: &Engine) -> Result<Devices, SyncError> {
    Ok(load(engine)?.0)
}

/// The registry, and the token of this device that stands in it beside its record.
fn load(engine: &Engine) -> Result<(Devices, Option<String>), SyncError> {
    let map = &engine.registries.devices;
    let entries = engine.ask(&Entries { id: map.clone() })?.entries;
    Ok((Devices::open(&engine.vault, map, &entries)?, heads::token(engine, &entries)?))
}

fn write_own(engine: &mut Engine, mut record: DeviceRecord, heads: Option<heads::Due>) -> Result<(), SyncError> {
    record.token = Some(match &heads {
        Some(heads) => heads.token.clone(),
        None => twins::token(engine)?,
    });
    let mut entries =
        BTreeMap::from([sealed(&engine.vault, &engine.registries.devices, &own_key(engine.device), &record)?]);
    entries.extend(heads.as_ref().map(|heads| heads.entry.clone()));
    write(engine, entries)?;
    heads.map_or(Ok(()), |heads| heads.note(engine))?;
    engine.devices.records.insert(engine.device, record);
    Ok(())
}

fn write_removal(engine: &mut Engine, id: Uuid, removed: bool) -> Result<(), SyncError> {
    let unknown = engine.devices.removals.remove(&id).map(|removal| removal.unknown).unwrap_or_default();
    let removal = Removal { removed, at: (engine.now)().0, unknown };
    let entry = sealed(&engine.vault, &engine.registries.devices, &(own_key(id) + REMOVED), &removal)?;
    write(engine, BTreeMap::from([entry]))?;
    engine.devices.removals.insert(id, removal);
    Ok(())
}

fn write(engine: &mut Engine, entries: BTreeMap<String, String>) -> Result<(), SyncError> {
    let map = engine.registries.devices.clone();
    engine.ask(&Set { id: map.clone(), entries })?;
    engine.wrote(map);
    Ok(())
}

/// Keeps what is known for times without a relay.
fn keep(engine: &Engine) -> Result<(), SyncError> {
    let path = &engine.paths().devices;
    // One that is damaged is written anew.
    let kept = known(path).unwrap_or_default();
    let mut list = engine.devices.list();
    list.extend(kept.iter().filter(|device| engine.devices.newer.contains(&device.id)).cloned());
    if kept == list {
        return Ok(());
    }
    let bytes = serde_json::to_vec_pretty(&list)
        .map_err(|e| SyncError::Config { file: path.display().to_string(), reason: e.to_string() })?;
    write_private(path, &bytes)
}

impl Engine {
    /// All devices of the account, as they are at the relay.
    ///
    /// # Errors
    ///
    /// See [`SyncError`].
    pub fn devices(&mut self) -> Result<Vec<Device>, SyncError> {
        self.refresh()?;
        Ok(self.devices.list())
    }

    /// Gives a device another name; it takes it over at its next exchange.
    ///
    /// # Errors
    ///
    /// See [`SyncError`].
    pub fn rename_device(&mut self, id: Uuid, name: &str) -> Result<(), SyncError> {
        self.refresh()?;
        if id == self.device {
            let mut config = SyncConfig::load(&self.paths().config)?;
            config.device_name = name.to_owned();
            config.save(&self.paths().config)?;
            touch(self, None)?;
        } else {
            let before = self.devices.name(id).map_or(0, |(_, at)| at);
            let unknown = self.devices.names.remove(&id).map(|given| given.unknown).unwrap_or_default();
            let given = GivenName { name: name.to_owned(), named_at: (self.now)().0.max(before + 1), unknown };
            let entry = sealed(&self.vault, &self.registries.devices, &(own_key(id) + NAME), &given)?;
            write(self, BTreeMap::from([entry]))?;
            self.devices.names.insert(id, given);
            keep(self)?;
        }
        self.confirm_written()
    }

    /// Takes a device out: it stops at its next contact. What it wrote stays.
    ///
    /// # Errors
    ///
    /// See [`SyncError`].
    pub fn remove_device(&mut self, id: Uuid) -> Result<(), SyncError> {
        self.refresh()?;
        write_removal(self, id, true)?;
        keep(self)?;
        self.confirm_written()
    }
}

#[cfg(test)]
mod tests;
