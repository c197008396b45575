//! What was deleted, told in both directions.
//!
//! The registry of deletions holds batches of record ids under random keys, sealed like everything. A batch hides its
//! records as soon as it is read, whatever else arrives; erasing them is `rewrite`'s part. Batches stay
//! for ever: a device that was away for a year still learns what must not come back.
//!
//! What a device withdrew from sync is told in batches of their own, which name it: should it be set back to before that,
//! it reads there that it keeps those records, while everybody else deletes them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SyncError;
use super::engine::Engine;
use super::vault::Opening;
use crate::history::Cursor;
use crate::runtime::protocol::{Entries, Set};
use crate::seal::Purpose;

/// Begins the names of the notes that batches were taken over.
const TAKEN: &str = "deletions/";
/// Ids in one batch at most.
const IDS_IN_BATCH: usize = 500;

/// One entry of the registry.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Batch {
    /// The deleted records.
    #[serde(rename = "ids")]
    ids: Vec<[u8; 16]>,
    /// The device that keeps them, where they were withdrawn.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    kept_by: Option<[u8; 16]>,
    /// Fields of a newer version.
    #[serde(flatten)]
    unknown: BTreeMap<String, ciborium::Value>,
}

/// What was read.
#[derive(Default)]
pub(super) struct Pulled {
    /// Batches that only a newer version can read, or whose key has not arrived.
    pub unreadable: u64,
}

/// Deletes here what other devices have deleted.
pub(super) fn pull(engine: &mut Engine) -> Result<Pulled, SyncError> {
    let map = engine.registries.deletions.clone();
    engine.confirm(vec![map.clone()])?;
    let mut pulled = Pulled::default();
    let mut withdrawn = Vec::new();
    let taken: BTreeSet<String> = engine.history.cursors_in(TAKEN)?.into_iter().map(|(name, _)| name).collect();
    for (name, value) in engine.ask(&Entries { id: map.clone() })?.entries {
        if taken.contains(&name) {
            continue;
        }
        let key = format!("{TAKEN}{name}");
        match opened(engine, &map, &name, &value)? {
            Some(told) if told.kept_by == Some(engine.device) => withdrawn.push((key, told.ids)),
            Some(told) => {
                let cursor = Some(Cursor { key: &key, value: 1 });
                engine.history.ingest_deletions(&told.ids, (engine.now)(), cursor)?;
            }
            None => pulled.unreadable += 1,
        }
    }
    // Last, since what this device deleted after it had withdrawn it is to go here too.
    for (key, ids) in withdrawn {
        engine.history.ingest_withdrawals(&ids, (engine.now)(), Some(Cursor { key: &key, value: 1 }))?;
    }
    Ok(pulled)
}

/// Tells the other devices what was deleted here.
pub(super) fn push(engine: &mut Engine) -> Result<(), SyncError> {
    if engine.history.pending_deletions_count()? == 0 {
        return Ok(());
    }
    let map = engine.registries.deletions.clone();
    // After a store was set back, what is told already need not be told again.
    let (mut deleted, mut withdrawn) = (BTreeSet::new(), BTreeSet::new());
    for (name, value) in engine.ask(&Entries { id: map.clone() })?.entries {
        let Some(told) = opened(engine, &map, &name, &value)? else { continue };
        if told.kept_by == Some(engine.device) {
            withdrawn.extend(told.ids);
        } else {
            deleted.extend(told.ids);
        }
    }
    tell(engine, None, &deleted)?;
    tell(engine, Some(engine.device), &withdrawn)
}

/// Tells one kind of deletions, except for what has been told.
fn tell(engine: &mut Engine, kept_by: Option<Uuid>, told: &BTreeSet<Uuid>) -> Result<(), SyncError> {
    let map = engine.registries.deletions.clone();
    loop {
        let pending = engine.history.deletions_to_tell(kept_by.is_some(), IDS_IN_BATCH)?;
        if pending.is_empty() {
            return Ok(());
        }
        let ids: Vec<[u8; 16]> = pending.iter().filter(|id| !told.contains(*id)).map(|id| id.into_bytes()).collect();
        if !ids.is_empty() {
            let name = Uuid::new_v4().simple().to_string();
            let mut plaintext = Vec::new();
            let batch = Batch { ids, kept_by: kept_by.map(Uuid::into_bytes), unknown: BTreeMap::new() };
            ciborium::into_writer(&batch, &mut plaintext)
                .map_err(|e| SyncError::Store(format!("deletions cannot be encoded ({e})")))?;
            let sealed = engine.vault.seal(Purpose::Deletion, &place(&map, &name), &plaintext)?;
            engine.ask(&Set { id: map.clone(), entries: BTreeMap::from([(name.clone(), sealed)]) })?;
            engine.wrote(map.clone());
            engine.flush()?;
            let key = format!("{TAKEN}{name}");
            engine.history.ingest(&[], Some(Cursor { key: &key, value: 1 }))?;
        }
        engine.history.acknowledge_deletions(&pending)?;
    }
}

/// What a batch says.
struct Told {
    ids: Vec<Uuid>,
    kept_by: Option<Uuid>,
}

/// What a batch says; none where it cannot be read yet.
fn opened(engine: &Engine, map: &str, name: &str, value: &str) -> Result<Option<Told>, SyncError> {
    let plaintext = match engine.vault.open(Purpose::Deletion, &place(map, name), value)? {
        Opening::Opened { plaintext, .. } => plaintext,
        Opening::Newer | Opening::KeyMissing => return Ok(None),
    };
    let batch: Batch = ciborium::from_reader(plaintext.as_slice())
        .map_err(|_| SyncError::Damaged { what: "the list of what was deleted".into() })?;
    Ok(Some(Told {
        ids: batch.ids.into_iter().map(Uuid::from_bytes).collect(),
        kept_by: batch.kept_by.map(Uuid::from_bytes),
    }))
}

/// A batch opens under its own key only.
fn place(map: &str, name: &str) -> String {
    format!("{map}/{name}")
}
