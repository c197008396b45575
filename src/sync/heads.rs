//! How far each device says it has written, so that a relay which holds back the end of it is noticed.
//!
//! A device puts into the registry of devices, under `<device>.written`, the number of its transactions in each segment
//! that it still writes to (full ones have their size in the index), sealed. Whoever has read that and finds
//! fewer has been shown less than there is. Since every version of a map's key stays for ever, a device says so at
//! most once an hour: what a relay holds back for a shorter time, or of all registries at once, is not noticed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::engine::Engine;
use super::pull::{Pulled, key};
use super::vault::Opening;
use super::{SyncError, twins};
use crate::history::History;
use crate::runtime::protocol::Entries;
use crate::seal::Purpose;

/// How often a device says how far it has written, nanoseconds.
const EVERY: i64 = 3_600_000_000_000;
/// Ends the name of the entry in the registry of devices.
const WRITTEN: &str = ".written";
/// What was said last, in the history's small pieces of state.
const SAID: &str = "sync_heads";
/// Of which devices something was held back.
const WITHHELD: &str = "sync_withheld";

/// How far a device has written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Heads {
    /// When it said so, nanoseconds since 1970.
    at: i64,
    /// Its records in live segments.
    records: u64,
    /// By segment: the session, and the number of its transactions.
    segments: BTreeMap<String, (String, u64)>,
    /// Which of the device's homes wrote this (see [`twins`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Fields of a newer version.
    #[serde(flatten)]
    unknown: BTreeMap<String, ciborium::Value>,
}

/// What this device is to say.
pub(super) struct Due {
    /// The entry of the registry of devices.
    pub entry: (String, String),
    /// The token in it (see [`twins`]).
    pub token: String,
    said: String,
}

impl Due {
    /// Notes that it was said.
    pub(super) fn note(&self, engine: &Engine) -> Result<(), SyncError> {
        Ok(engine.history.meta_set(SAID, Some(&self.said))?)
    }
}

/// How far this device has written, if it is time to say so.
pub(super) fn due(engine: &mut Engine) -> Result<Option<Due>, SyncError> {
    let mut segments = BTreeMap::new();
    for segment in engine.index.live() {
        if segment.device == engine.device && !segment.description.full {
            let written = engine.history.cursor(&key(&segment.id, &engine.session))?.unwrap_or(0);
            if written > 0 {
                segments.insert(segment.id.clone(), (engine.session.clone(), written));
            }
        }
    }
    let now = (engine.now)().0;
    let said = engine.history.meta_get(SAID)?.unwrap_or_default();
    let (at, what) = said.split_once(' ').unwrap_or_default();
    let at: i64 = at.parse().unwrap_or(0);
    let summary = format!("{segments:?}");
    if segments.is_empty() || what == summary || (at <= now && now - at < EVERY) {
        return Ok(None);
    }
    let mut records = 0;
    for id in segments.keys() {
        records += engine.history.count_in(id)?;
    }
    let token = twins::token(engine)?;
    let heads = Heads { at: now, records, segments, token: Some(token.clone()), unknown: BTreeMap::new() };
    let name = format!("{}{WRITTEN}", engine.device.simple());
    let mut plaintext = Vec::new();
    ciborium::into_writer(&heads, &mut plaintext)
        .map_err(|e| SyncError::Store(format!("what was written cannot be encoded ({e})")))?;
    let sealed = engine.vault.seal(Purpose::Device, &format!("{}/{name}", engine.registries.devices), &plaintext)?;
    Ok(Some(Due { entry: (name, sealed), token, said: format!("{now} {summary}") }))
}

/// Notes which devices have written more than was seen of them, for `status`; how many they are. What is there and
/// cannot be read is not held back.
pub(super) fn check(engine: &Engine, pulled: &Pulled) -> Result<u64, SyncError> {
    let withheld = withheld(engine, |segment, session| {
        if pulled.unread.contains(segment) {
            return Ok(u64::MAX);
        }
        Ok(engine.history.cursor(&key(segment, session))?.unwrap_or(0))
    })?;
    let names: Vec<String> = withheld.iter().map(Uuid::to_string).collect();
    let noted = names.join(" ");
    if engine.history.meta_get(WITHHELD)?.unwrap_or_default() != noted {
        engine.history.meta_set(WITHHELD, (!noted.is_empty()).then_some(noted.as_str()))?;
    }
    if !withheld.is_empty() {
        tracing::warn!(devices = withheld.len(), "the relay holds back what other devices have written");
    }
    Ok(withheld.len() as u64)
}

/// The devices of which the relay held something back at the last exchange.
///
/// # Errors
///
/// [`SyncError::History`].
pub fn withheld_devices(history: &History) -> Result<Vec<Uuid>, SyncError> {
    let noted = history.meta_get(WITHHELD)?.unwrap_or_default();
    Ok(noted.split_whitespace().filter_map(|id| Uuid::try_parse(id).ok()).collect())
}

/// The devices that have written more than `seen` says was seen of a segment's session here. To be asked after
/// everything was read that the registries named when they were loaded.
pub(super) fn withheld(
    engine: &Engine,
    seen: impl Fn(&str, &str) -> Result<u64, SyncError>,
) -> Result<Vec<Uuid>, SyncError> {
    let mut withheld = Vec::new();
    for (name, value) in engine.ask(&Entries { id: engine.registries.devices.clone() })?.entries {
        let Some(device) = name.strip_suffix(WRITTEN).and_then(|id| Uuid::try_parse(id).ok()) else { continue };
        if device == engine.device {
            continue;
        }
        let Some(heads) = opened(engine, &name, &value)? else { continue };
        for (segment, (session, written)) in &heads.segments {
            let live = engine.index.get(segment).is_some_and(|segment| !segment.description.is_abandoned());
            if live && seen(segment, session)? < *written {
                withheld.push(device);
                break;
            }
        }
    }
    Ok(withheld)
}

/// The token in what this device said last.
pub(super) fn token(engine: &Engine, entries: &BTreeMap<String, String>) -> Result<Option<String>, SyncError> {
    let name = format!("{}{WRITTEN}", engine.device.simple());
    let said = entries.get(&name).map(|value| opened(engine, &name, value)).transpose()?;
    Ok(said.flatten().and_then(|heads| heads.token))
}

/// What a device said; none where only a newer version can read it.
fn opened(engine: &Engine, name: &str, value: &str) -> Result<Option<Heads>, SyncError> {
    match engine.vault.open(Purpose::Device, &format!("{}/{name}", engine.registries.devices), value)? {
        Opening::Opened { plaintext, .. } => ciborium::from_reader(plaintext.as_slice())
            .map(Some)
            .map_err(|_| SyncError::Damaged { what: "the list of your devices".into() }),
        Opening::Newer | Opening::KeyMissing => Ok(None),
    }
}
