//! `delete --everywhere`: everything that was synced is erased, on the relay and on every device.
//!
//! ```text
//! journal ─► mark ─► segments, until no new one is listed ─► registries, keys last ─► this device ─► proof
//! ```
//!
//! The journal stands in the state file before the mark is made and until the proof is clean, so that an
//! interruption anywhere is taken up again by the same command. What is to be erased is listed after the mark, and
//! again until nothing new is there, since other devices go on writing until they meet it (see [`closing`]). Each
//! step may run twice.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::closing::{self, MetClosed, Reason};
use super::engine::{Engine, Setting};
use super::{SyncConfig, SyncError, SyncState, lock, succession};
use crate::history::History;
use crate::identity::MasterKey;
use crate::runtime::protocol::{Entries, Exchange, Held, Outcome};

/// An account that is being closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Why.
    pub reason: Reason,
    /// When it was decided, nanoseconds since 1970.
    pub at: i64,
    /// What is to be erased, as far as it has been listed.
    pub ids: Vec<String>,
}

/// What the relay still holds, asked anew with nothing in hand but the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Values of which only the id, the header and the note of their deletion are left.
    pub headers: u64,
    /// Values that the relay does not know at all.
    pub unknown: u64,
    /// Values whose content it still hands out.
    pub with_content: u64,
    /// Whether the mark that tells other devices is there.
    pub marked: bool,
}

impl Proof {
    /// Whether nothing is left but what the protocol keeps, and other devices will be told.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.with_content == 0 && self.marked
    }
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasing {
    /// Values erased.
    pub done: u64,
    /// Values to erase.
    pub total: u64,
}

/// Erases what this account has at the relay, and what this device has of it, and shows what is left; where that is not
/// clean, the journal stays, and the same call tries again.
/// `setting` makes a setting anew for each of the connections it takes.
///
/// # Errors
///
/// See [`SyncError`]; the same call goes on where it was interrupted.
pub fn delete_everywhere(
    setting: &dyn Fn() -> Result<Setting, SyncError>,
    master: &MasterKey,
    progress: &mut dyn FnMut(Erasing),
) -> Result<Proof, SyncError> {
    let ids = close(setting()?, master, Reason::Deleted, progress)?;
    let paths = setting()?.paths;
    let hold = lock::take(&paths)?;
    closing::settle(&paths, &setting()?.history, Reason::Deleted)?;
    drop(hold);
    let proof = prove(setting()?, master, &ids)?;
    if proof.is_clean() {
        SyncState::update(&paths.state, |state| {
            if let Some(Closing { reason, at, .. }) = state.closing.take() {
                let device = SyncConfig::load(&paths.config).map(|config| config.device_name).unwrap_or_default();
                state.closed = Some(MetClosed { reason, at, device, settled: true });
            }
        })?;
    }
    Ok(proof)
}

/// Erases an account that no relay has ever had: it is on this device alone.
///
/// # Errors
///
/// [`SyncError::NoRelay`] where something of it may lie at a relay; others see [`SyncError`].
pub fn delete_here(setting: Setting) -> Result<(), SyncError> {
    let hold = lock::take(&setting.paths)?;
    let state = SyncState::load(&setting.paths.state)?.ok_or(SyncError::NotSetUp)?;
    if state.last_exchange.is_some() || state.closing.is_some() {
        return Err(SyncError::NoRelay);
    }
    closing::settle(&setting.paths, &setting.history, Reason::Deleted)?;
    let (at, device) = ((setting.now)().0, SyncConfig::load(&setting.paths.config)?.device_name);
    SyncState::update(&setting.paths.state, |state| {
        state.closed = Some(MetClosed { reason: Reason::Deleted, at, device, settled: true });
    })?;
    drop(hold);
    Ok(())
}

/// Marks the account as closed and erases everything in it; what that was.
///
/// # Errors
///
/// See [`SyncError`].
pub(super) fn close(
    setting: Setting,
    master: &MasterKey,
    reason: Reason,
    progress: &mut dyn FnMut(Erasing),
) -> Result<Vec<String>, SyncError> {
    let (engine, closing) = mark(setting, master, reason)?;
    let ids = erase(&engine, closing, progress)?;
    engine.close()?;
    Ok(ids)
}

/// Notes that the account is being closed, and marks it: from here on other devices stop.
///
/// # Errors
///
/// [`SyncError::Closed`] where another device was first, [`SyncError::Disabled`]; others as [`Engine::exchange`].
pub(super) fn mark(setting: Setting, master: &MasterKey, reason: Reason) -> Result<(Engine, Closing), SyncError> {
    if setting.relay.is_none() {
        return Err(SyncError::NoRelay);
    }
    let (paths, now) = (setting.paths.clone(), (setting.now)());
    let hold = lock::take(&paths)?;
    let state = SyncState::load(&paths.state)?.ok_or(SyncError::NotSetUp)?;
    if !state.is_enabled() {
        return Err(SyncError::Disabled);
    }
    let session = state.session_of(&paths);
    let mut engine = Engine::connect(setting, hold, master, state.device, session.as_deref(), false)?;
    let marked = engine.load_root()?;
    let closing = match state.closing {
        Some(closing) if closing.reason == reason => closing,
        _ => {
            if let Some(text) = marked {
                return Err(closing::met(&engine, &text));
            }
            let closing = Closing { reason, at: now.0, ids: Vec::new() };
            note(&engine, &closing)?;
            closing
        }
    };
    let name = SyncConfig::load(&paths.config)?.device_name;
    closing::mark(&engine, reason, closing.at, &name)?;
    Ok((engine, closing))
}

/// Erases everything of a marked account that can be erased: what the index names and what lies in the store, until
/// nothing new is in either; then the registries, the keys last, so that what an interruption leaves can still be read.
fn erase(engine: &Engine, mut closing: Closing, progress: &mut dyn FnMut(Erasing)) -> Result<Vec<String>, SyncError> {
    let registries = &engine.registries;
    let last: Vec<String> = [&registries.preferences, &registries.devices, &registries.usage, &registries.deletions]
        .into_iter()
        .chain([&registries.index, &registries.keyring])
        .cloned()
        .collect();
    closing.ids.retain(|id| !last.contains(id));
    let mut known: BTreeSet<String> = closing.ids.iter().cloned().collect();
    let mut left = closing.ids.clone();
    let mut erased = 0;
    loop {
        let listed = contents(engine)?.into_iter().filter(|id| !last.contains(id));
        let new: Vec<String> = listed.filter(|id| known.insert(id.clone())).collect();
        if !new.is_empty() {
            closing.ids.extend(new.iter().cloned());
            note(engine, &closing)?;
        }
        left.extend(new);
        if left.is_empty() {
            break;
        }
        let total = (closing.ids.len() + last.len()) as u64;
        closing::erase(engine, &left, &mut |done| progress(Erasing { done: erased + done, total }))?;
        erased += left.len() as u64;
        left.clear();
    }
    let total = (closing.ids.len() + last.len()) as u64;
    closing::erase(engine, &last, &mut |done| progress(Erasing { done: erased + done, total }))?;
    closing.ids.extend(last);
    Ok(closing.ids)
}

/// What the index names as it is at the relay now, and what lies in the store. An index that is erased names nothing:
/// it goes after everything that it named.
fn contents(engine: &Engine) -> Result<BTreeSet<String>, SyncError> {
    let index = &engine.registries.index;
    let mut ids: BTreeSet<String> = engine.ask(&Held {})?.ids.into_iter().collect();
    ids.extend(entries(engine, index)?.into_keys());
    for registry in [&engine.registries.devices, &engine.registries.usage] {
        ids.extend(succession::predecessors(&entries(engine, registry)?).into_iter().map(|(id, _)| id));
    }
    Ok(ids)
}

/// What stands in a map as it is at the relay now; nothing where it is erased.
fn entries(engine: &Engine, map: &str) -> Result<BTreeMap<String, String>, SyncError> {
    let outcomes = engine.ask(&Exchange { ids: vec![map.to_owned()], timeout_ms: engine.patience_ms() })?.outcomes;
    match outcomes.get(map).copied().unwrap_or(Outcome::Late) {
        Outcome::Current | Outcome::Local => Ok(engine.ask(&Entries { id: map.to_owned() })?.entries),
        Outcome::Deleted | Outcome::Absent => Ok(BTreeMap::new()),
        Outcome::Damaged => Err(engine.damage("the list of what is synced")),
        Outcome::Offline | Outcome::Late => Err(engine.lost_relay()),
    }
}

fn note(engine: &Engine, closing: &Closing) -> Result<(), SyncError> {
    SyncState::update(&engine.paths().state, |state| state.closing = Some(closing.clone()))?;
    Ok(())
}

/// Asks the relay with a store of its own, as a new device would.
///
/// # Errors
///
/// See [`SyncError`].
pub(super) fn prove(mut setting: Setting, master: &MasterKey, ids: &[String]) -> Result<Proof, SyncError> {
    let hold = lock::take(&setting.paths)?;
    setting.paths.database.set_extension("proof.db");
    let database = setting.paths.database.clone();
    closing::remove_store(&database)?;
    let device = setting.history.device_id()?;
    setting.history = History::in_memory()?;
    let mut engine = Engine::connect(setting, hold, master, device, None, false)?;
    let mut proof = Proof { marked: engine.load_root()?.is_some(), ..Proof::default() };
    let outcomes = engine.ask(&Exchange { ids: ids.to_vec(), timeout_ms: engine.patience_ms() })?.outcomes;
    for outcome in outcomes.values() {
        match outcome {
            Outcome::Deleted => proof.headers += 1,
            Outcome::Absent => proof.unknown += 1,
            Outcome::Current | Outcome::Local | Outcome::Damaged => proof.with_content += 1,
            Outcome::Offline | Outcome::Late => return Err(engine.lost_relay()),
        }
    }
    engine.close()?;
    closing::remove_store(&database)?;
    Ok(proof)
}
