//! Copies of a home: each becomes a device of its own in the account.
//!
//! The history knows best whether it is a copy (see [`crate::history::Place`]): it has another device id then than the one
//! in the state file. A home that was restored from a backup at its old place keeps its id; only its session is
//! new, which the binding in the state file sees to. A home that several machines share is a device on each of them: the
//! session of each is kept, and continued when the home is there again.

use super::closing::remove_store;
use super::engine::Setting;
use super::state::Parked;
use super::{SyncConfig, SyncError, SyncState};

/// Makes the state, the configuration and the store agree with the history on which device this is.
///
/// # Errors
///
/// [`SyncError::File`], [`SyncError::Config`], [`SyncError::History`].
pub(super) fn settle(setting: &Setting, state: &SyncState) -> Result<SyncState, SyncError> {
    let device = setting.history.device_id()?;
    if state.rebuild {
        remove_store(&setting.paths.database)?;
    }
    if state.device == device {
        return Ok(state.clone());
    }
    tracing::warn!(from = %state.device, to = %device, "this home is another device from now on");
    let known = state.parked.get(&device);
    // A history that was lost and begun anew is no copy of anything.
    let is_copy = known.is_none() && setting.history.copied_from()? == Some(state.device);
    let mut config = SyncConfig::load(&setting.paths.config)?;
    let name = config.device_name.clone();
    match known {
        Some(known) => config.device_name.clone_from(&known.name),
        None if is_copy && !name.ends_with(COPY) => config.device_name.push_str(COPY),
        None => {}
    }
    if config.device_name != name {
        config.save(&setting.paths.config)?;
    }
    let state = SyncState::update(&setting.paths.state, |state| {
        let original = state.device;
        // Of a store that is built anew no session can be continued.
        let session = state.session.take().filter(|_| !state.rebuild);
        state.parked.insert(original, Parked { name, session });
        state.device = device;
        let known = state.parked.remove(&device);
        if known.is_none() {
            state.copy_of = is_copy.then_some(original);
        }
        state.session = known.and_then(|known| known.session);
    })?;
    state.ok_or(SyncError::NotSetUp)
}

/// What the name of a copy ends with, until the user gives it another.
pub(super) const COPY: &str = " (copy)";
