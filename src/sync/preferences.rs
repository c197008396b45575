//! Preferences that follow the user: the registry of the account, and what this device knows.
//!
//! The registry's keys are keyed hashes of the names, its values sealed registers: value, when it was set, by which
//! device. Which register wins is decided by those alone (see [`crate::prefs::Register`]), whatever order the
//! account's own clock gives: so devices say again what they know to be later than what stands there, and all end with
//! the same. A value that only a newer version can read is left as it is.

use std::collections::{BTreeMap, BTreeSet};

use super::SyncError;
use super::engine::Engine;
use super::vault::Opening;
use crate::prefs::Register;
use crate::runtime::protocol::{Entries, Set};
use crate::seal::Purpose;

/// What stands in the account.
pub(super) struct Standing {
    there: BTreeMap<String, Register>,
    /// Keys of what only a newer version can read.
    newer: BTreeSet<String>,
}

impl Standing {
    /// How much of it only a newer version can read.
    pub(super) fn unreadable(&self) -> u64 {
        self.newer.len() as u64
    }
}

/// Takes over what others set later. This comes before anything is sent: it may say what must not leave.
///
/// # Errors
///
/// As [`Engine::exchange`]; a preferences file that cannot be used is left for the commands that need it to tell, and
/// nothing is known then of what stands in the account.
pub(super) fn pull(engine: &mut Engine) -> Result<Option<Standing>, SyncError> {
    unless_unusable(take_over(engine).map(Some))
}

/// Says what was set here later than what stands in the account.
///
/// # Errors
///
/// As [`pull`].
pub(super) fn push(engine: &mut Engine, standing: Option<&Standing>) -> Result<(), SyncError> {
    let Some(standing) = standing else { return Ok(()) };
    unless_unusable(say(engine, standing))
}

fn unless_unusable<T: Default>(result: Result<T, SyncError>) -> Result<T, SyncError> {
    match result {
        Err(SyncError::Preferences(error)) => {
            tracing::warn!(%error, "preferences were not exchanged");
            Ok(T::default())
        }
        result => result,
    }
}

fn take_over(engine: &mut Engine) -> Result<Standing, SyncError> {
    let now = (engine.now)();
    engine.preferences.local_changes(now)?;
    let map = engine.registries.preferences.clone();
    let mut there: BTreeMap<String, Register> = BTreeMap::new();
    let mut newer = BTreeSet::new();
    for (key, value) in engine.ask(&Entries { id: map.clone() })?.entries {
        match engine.vault.open(Purpose::Preference, &place(&map, &key), &value)? {
            Opening::Opened { plaintext, .. } => {
                let register: Register = ciborium::from_reader(plaintext.as_slice()).map_err(|_| damaged())?;
                if hashed(engine, &register.name)? != key {
                    return Err(damaged());
                }
                engine.preferences.merge(&register, now)?;
                there.insert(register.name.clone(), register);
            }
            Opening::Newer | Opening::KeyMissing => drop(newer.insert(key)),
        }
    }
    Ok(Standing { there, newer })
}

fn say(engine: &mut Engine, Standing { there, newer }: &Standing) -> Result<(), SyncError> {
    let map = engine.registries.preferences.clone();
    let mut later = BTreeMap::new();
    for register in engine.preferences.registers()? {
        let key = hashed(engine, &register.name)?;
        if newer.contains(&key) || there.get(&register.name).is_some_and(|there| same(there, &register)) {
            continue;
        }
        let mut plaintext = Vec::new();
        ciborium::into_writer(&register, &mut plaintext)
            .map_err(|e| SyncError::Store(format!("a preference cannot be encoded ({e})")))?;
        let sealed = engine.vault.seal(Purpose::Preference, &place(&map, &key), &plaintext)?;
        later.insert(key, sealed);
    }
    if !later.is_empty() {
        engine.ask(&Set { id: map.clone(), entries: later })?;
        engine.wrote(map);
    }
    Ok(())
}

/// Whether two registers are one and the same change.
fn same(one: &Register, other: &Register) -> bool {
    (one.changed_at, one.device, &one.value) == (other.changed_at, other.device, &other.value)
}

fn hashed(engine: &Engine, name: &str) -> Result<String, SyncError> {
    Ok(engine.preference_names.hash(name)?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// An entry opens under its own key only.
fn place(map: &str, key: &str) -> String {
    format!("{map}/{key}")
}

fn damaged() -> SyncError {
    SyncError::Damaged { what: "a synced preference".into() }
}
