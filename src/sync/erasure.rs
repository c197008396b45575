//! `delete --everywhere`: everything that was synced is erased, on the relay and on every device.
//!
//! ```text
//! journal (what is to be erased) ─► mark ─► segments ─► registries, keys last ─► this device ─► proof
//! ```
//!
//! The journal stands in the state file before the first byte is erased and until the proof is there, so that an
//! interruption anywhere is taken up again by the same command. Each step may run twice. Other devices
//! meet the mark at their next contact (see [`closing`]).

use serde::{Deserialize, Serialize};

use super::closing::{self, MetClosed, Reason};
use super::engine::{Engine, Setting};
use super::{SyncConfig, SyncError, SyncState, lock};
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
    /// What is to be erased.
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

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasing {
    /// Values erased.
    pub done: u64,
    /// Values to erase.
    pub total: u64,
}

/// Erases what this account has at the relay, and what this device has of it, and shows what is left.
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
    SyncState::update(&paths.state, |state| {
        if let Some(Closing { reason, at, .. }) = state.closing.take() {
            let device = SyncConfig::load(&paths.config).map(|config| config.device_name).unwrap_or_default();
            state.closed = Some(MetClosed { reason, at, device, settled: true });
        }
    })?;
    Ok(proof)
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
    if setting.relay.is_none() {
        return Err(SyncError::NoRelay);
    }
    let (paths, now) = (setting.paths.clone(), (setting.now)());
    let hold = lock::take(&paths)?;
    let state = SyncState::load(&paths.state)?.ok_or(SyncError::NotSetUp)?;
    let session = state.session_of(&paths);
    let mut engine = Engine::connect(setting, hold, master, state.device, session.as_deref(), false)?;
    let marked = engine.load_root()?;
    let closing = match state.closing {
        Some(closing) if closing.reason == reason => closing,
        _ => {
            if let Some(text) = marked {
                return Err(closing::met(&engine, &text));
            }
            let closing = Closing { reason, at: now.0, ids: everything(&engine)? };
            SyncState::update(&paths.state, |state| state.closing = Some(closing.clone()))?;
            closing
        }
    };
    let name = SyncConfig::load(&paths.config)?.device_name;
    closing::mark(&engine, reason, closing.at, &name)?;
    let total = closing.ids.len() as u64;
    closing::erase(&engine, &closing.ids, &mut |done| progress(Erasing { done, total }))?;
    engine.close()?;
    Ok(closing.ids)
}

/// Every value of the account that can be erased: what the index names, what lies in the store, the registries; the
/// keys last, so that what an interruption leaves can still be read.
fn everything(engine: &Engine) -> Result<Vec<String>, SyncError> {
    let registries = &engine.registries;
    let last = [&registries.preferences, &registries.devices, &registries.usage, &registries.deletions]
        .into_iter()
        .chain([&registries.index, &registries.keyring]);
    let mut ids: Vec<String> = engine.ask(&Entries { id: registries.index.clone() })?.entries.into_keys().collect();
    ids.extend(engine.ask(&Held {})?.ids);
    ids.sort_unstable();
    ids.dedup();
    let last: Vec<String> = last.cloned().collect();
    ids.retain(|id| !last.contains(id));
    ids.extend(last);
    Ok(ids)
}

/// Asks the relay with a store of its own, as a new device would.
fn prove(mut setting: Setting, master: &MasterKey, ids: &[String]) -> Result<Proof, SyncError> {
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
