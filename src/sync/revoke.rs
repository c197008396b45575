//! `revoke`: a new phrase and a new account on the same relay, everything moved over, the old account erased.
//!
//! ```text
//! begun ─ all is fetched; the new account is made, here only ─► made
//! made ── the new account goes up, with the whole history ────► moved
//! moved ─ the old account is marked and erased ───────────────► closed
//! closed ─ this home becomes a device of the new account
//! ```
//!
//! The step stands in the state file, and the new keys lie beside the old ones until the old account is closed: an
//! interruption anywhere is taken up again by the same command, with the same phrase. Until then nothing else
//! exchanges on this device. The new account's store is thrown away in the end; the next exchange builds
//! it again from the relay, as for any device that lost its store.

use serde::{Deserialize, Serialize};

use super::closing::{self, Reason};
use super::engine::{Engine, Progress, Setting};
use super::erasure::{Erasing, close};
use super::{SyncConfig, SyncError, SyncPaths, SyncState, devices, lock, setup, usage};
use crate::identity::{Credentials, KeyStore, KeyStoreError};

/// How far a revocation has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoking {
    /// The next thing to do.
    pub step: Step,
    /// The new account, once it is made.
    #[serde(default)]
    pub account: Option<String>,
}

/// What is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The new keys are stored.
    Begun,
    /// The new account is in a store of its own, and nowhere else.
    Made,
    /// The relay has the new account with everything in it.
    Moved,
    /// The old account is erased.
    Closed,
}

/// Where the old keys are, and the new ones until the old account is closed.
#[derive(Debug)]
pub struct RevokeKeys {
    /// The keys of this home.
    pub current: KeyStore,
    /// Those that replace them.
    pub next: KeyStore,
}

/// What a revocation tells while it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Records come down or go up.
    Moving(Progress),
    /// The old account is being erased.
    Erasing(Erasing),
}

/// Stores the keys of the new identity and begins; nothing has left this device yet.
///
/// # Errors
///
/// [`SyncError::KeyStore`], [`SyncError::File`].
pub fn begin_revocation(paths: &SyncPaths, keys: &RevokeKeys, new: &Credentials) -> Result<(), SyncError> {
    keys.next.store(new)?;
    SyncState::update(&paths.state, |state| state.revoking = Some(Revoking { step: Step::Begun, account: None }))?;
    Ok(())
}

/// Goes on from wherever it is, to the end. `setting` makes a setting anew for each connection.
///
/// # Errors
///
/// See [`SyncError`]; the same call goes on where it was interrupted.
pub fn revoke(
    setting: &dyn Fn() -> Result<Setting, SyncError>,
    keys: &RevokeKeys,
    progress: &mut dyn FnMut(Revocation),
) -> Result<(), SyncError> {
    let paths = setting()?.paths;
    loop {
        let state = SyncState::load(&paths.state)?.ok_or(SyncError::NotSetUp)?;
        let Some(revoking) = state.revoking.clone() else { return Ok(()) };
        match revoking.step {
            Step::Begun => make(setting, keys, &state, progress)?,
            Step::Made => move_over(setting, keys, &state, progress)?,
            Step::Moved => {
                close(setting()?, load(&keys.current)?.master(), Reason::Revoked, &mut |erasing| {
                    progress(Revocation::Erasing(erasing));
                })?;
                reach(&paths, Step::Closed)?;
            }
            Step::Closed => return take_over(setting()?, keys, revoking.account),
        }
    }
}

fn load(store: &KeyStore) -> Result<Credentials, SyncError> {
    store.load()?.ok_or(SyncError::KeyStore(KeyStoreError::Damaged))
}

fn reach(paths: &SyncPaths, step: Step) -> Result<(), SyncError> {
    SyncState::update(&paths.state, |state| {
        if let Some(revoking) = &mut state.revoking {
            revoking.step = step;
        }
    })?;
    Ok(())
}

/// The store of the new account until it takes over.
fn beside(mut setting: Setting) -> Setting {
    setting.paths.database.set_extension("next.db");
    setting
}

/// Fetches everything from the old account, and makes the new one without a relay: so nothing of it is anywhere
/// else before it is whole.
fn make(
    setting: &dyn Fn() -> Result<Setting, SyncError>,
    keys: &RevokeKeys,
    state: &SyncState,
    progress: &mut dyn FnMut(Revocation),
) -> Result<(), SyncError> {
    let (old, new) = (load(&keys.current)?, load(&keys.next)?);
    let with_relay = setting()?;
    if with_relay.relay.is_none() {
        return Err(SyncError::NoRelay);
    }
    let paths = with_relay.paths.clone();
    let hold = lock::take(&paths)?;
    let session = state.session_of(&paths);
    let mut engine = Engine::start(with_relay, hold, old.master(), state.device, session.as_deref(), false)?;
    if session.as_deref() != Some(&engine.session) {
        engine.start_over()?;
    }
    engine.exchange("revoke", &mut |moving| progress(Revocation::Moving(moving)))?;
    let (others, counters) = (devices::snapshot(&engine), usage::read(&engine)?);
    engine.close()?;

    let mut alone = beside(setting()?);
    alone.relay = None;
    closing::remove_store(&alone.paths.database)?;
    let hold = lock::take(&paths)?;
    let mut engine = Engine::start(alone, hold, new.master(), state.device, None, true)?;
    setup::found(&mut engine)?;
    devices::join(&mut engine, &SyncConfig::load(&paths.config)?.device_name)?;
    devices::take_over(&mut engine, others)?;
    usage::take_over(&mut engine, counters)?;
    engine.flush()?;
    let account = engine.account.clone();
    engine.close()?;
    SyncState::update(&paths.state, |state| {
        state.revoking = Some(Revoking { step: Step::Made, account: Some(account) });
    })?;
    Ok(())
}

/// Brings the new account to the relay, with every record.
fn move_over(
    setting: &dyn Fn() -> Result<Setting, SyncError>,
    keys: &RevokeKeys,
    state: &SyncState,
    progress: &mut dyn FnMut(Revocation),
) -> Result<(), SyncError> {
    let new = load(&keys.next)?;
    let setting = beside(setting()?);
    let paths = setting.paths.clone();
    setup::queue_everything(&setting.history)?;
    let hold = lock::take(&paths)?;
    let mut engine = Engine::start(setting, hold, new.master(), state.device, None, false)?;
    engine.exchange("revoke", &mut |moving| progress(Revocation::Moving(moving)))?;
    engine.close()?;
    reach(&paths, Step::Moved)
}

/// Makes this home a device of the new account.
fn take_over(setting: Setting, keys: &RevokeKeys, account: Option<String>) -> Result<(), SyncError> {
    let paths = setting.paths.clone();
    let hold = lock::take(&paths)?;
    // Not there any more where an interruption came after the state was written.
    if let Some(new) = keys.next.load()? {
        keys.current.store(&new)?;
    }
    closing::remove_store(&paths.database)?;
    SyncState::update(&paths.state, |state| {
        if let Some(account) = account {
            state.account = account;
        }
        state.session = None;
        state.closing = None;
        state.revoking = None;
    })?;
    closing::remove_store(&beside(setting).paths.database)?;
    keys.next.delete()?;
    drop(hold);
    Ok(())
}
