//! Copies of a home: each becomes a device of its own in the account.
//!
//! The history knows best whether it is a copy (see [`crate::history::Place`]): it has another device id then than the one
//! in the state file. A home that was restored from a backup at its old place keeps its id; only its session is
//! new, which the binding in the state file sees to.

use super::engine::Setting;
use super::{SyncConfig, SyncError, SyncState};

/// Makes the state and the configuration agree with the history on which device this is; whether it is another one now.
///
/// # Errors
///
/// [`SyncError::File`], [`SyncError::Config`], [`SyncError::History`].
pub(super) fn settle(setting: &Setting, state: &SyncState) -> Result<(SyncState, bool), SyncError> {
    let device = setting.history.device_id()?;
    if state.device == device {
        return Ok((state.clone(), false));
    }
    tracing::warn!(from = %state.device, to = %device, "this home is another device from now on");
    // A history that was lost and begun anew is no copy of anything.
    let is_copy = setting.history.copied_from()? == Some(state.device);
    let mut config = SyncConfig::load(&setting.paths.config)?;
    if is_copy && !config.device_name.ends_with(COPY) {
        config.device_name.push_str(COPY);
        config.save(&setting.paths.config)?;
    }
    let original = state.device;
    let state = SyncState::update(&setting.paths.state, |state| {
        state.device = device;
        state.session = None;
        state.copy_of = is_copy.then_some(original);
    })?;
    Ok((state.ok_or(SyncError::NotSetUp)?, true))
}

/// What the name of a copy ends with, until the user gives it another.
const COPY: &str = " (copy)";
