//! `revoke`: a new phrase and a new account on the same relay, everything moved over, the old account erased.
//!
//! ```text
//! begun ──── all is fetched; the new account is made, here only ────► made
//! made ───── the new account goes up, with the whole history ──────► moved
//! moved ──── the old account is marked, so that other devices stop;
//!            what came into it meanwhile is fetched ───────────────► gathered
//! gathered ─ the difference goes up ───────────────────────────────► whole
//! whole ──── the old account is erased, and the relay shows it ────► closed
//! closed ─── this home becomes a device of the new account
//! ```
//!
//! The step stands in the state file, and the new keys lie beside the old ones until the old account is closed: an
//! interruption anywhere is taken up again by the same command, with the same phrase. Until then nothing else
//! exchanges on this device. The new account's store is thrown away in the end; the next exchange builds
//! it again from the relay, as for any device that lost its store.
//!
//! Another device may close the old account first. Before anything of the new one is at the relay, this revocation is given
//! up then; later it goes on, since everything is in the new account: the user is told that there are two.

use serde::{Deserialize, Serialize};

use super::closing::{self, MetClosed, Reason};
use super::engine::{Engine, Progress, Setting};
use super::erasure::{self, Erasing};
use super::{
    SyncConfig, SyncError, SyncPaths, SyncState, deletions, devices, forks, lock, preferences, pull, setup, usage,
};
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
    /// The relay has the new account with everything that there was.
    Moved,
    /// The old account is marked as closed, and all that is in it is here.
    Gathered,
    /// All of that is in the new account.
    Whole,
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

/// Goes on from wherever it is, to the end; who had closed the old account first, if anybody. `setting` makes a setting anew
/// for each connection. With `leave_behind` it goes on over what cannot be read, which is erased then.
///
/// # Errors
///
/// [`SyncError::Unread`], [`SyncError::Disabled`], [`SyncError::Closed`] where another device was first and this revocation
/// was given up; others see [`SyncError`]: the same call goes on where it was interrupted.
pub fn revoke(
    setting: &dyn Fn() -> Result<Setting, SyncError>,
    keys: &RevokeKeys,
    leave_behind: bool,
    progress: &mut dyn FnMut(Revocation),
) -> Result<Option<MetClosed>, SyncError> {
    let paths = setting()?.paths;
    loop {
        let state = SyncState::load(&paths.state)?.ok_or(SyncError::NotSetUp)?;
        let Some(revoking) = state.revoking.clone() else { return Ok(None) };
        if !state.is_enabled() {
            return Err(SyncError::Disabled);
        }
        let step = match revoking.step {
            Step::Begun => make(setting, keys, &state, leave_behind, progress),
            Step::Made => move_over(setting, keys, &state, Step::Moved, progress),
            Step::Moved => gather(setting, keys, leave_behind, progress),
            Step::Gathered => move_over(setting, keys, &state, Step::Whole, progress),
            Step::Whole => erase(setting, keys, progress),
            Step::Closed => return take_over(setting()?, keys, revoking.account),
        };
        match (step, revoking.step) {
            (Err(SyncError::Closed { .. }), Step::Begun) => {
                abandon(setting()?, keys)?;
                // Does what the mark asks for, and says whose it is.
                let state = SyncState::load(&paths.state)?.ok_or(SyncError::NotSetUp)?;
                Engine::open(setting()?, &state, load(&keys.current)?.master(), "revoke")?.close()?;
            }
            (Err(SyncError::Closed { .. }), Step::Moved | Step::Whole) => reach(&paths, Step::Closed)?,
            (step, _) => step?,
        }
    }
}

/// Gives a revocation up that has closed nothing yet: the old phrase stays.
///
/// # Errors
///
/// [`SyncError::TooLate`] where the old account is being closed; [`SyncError::KeyStore`], [`SyncError::File`].
pub fn abandon_revocation(setting: Setting, keys: &RevokeKeys) -> Result<(), SyncError> {
    let state = SyncState::load(&setting.paths.state)?.ok_or(SyncError::NotSetUp)?;
    match state.revoking.map(|revoking| revoking.step) {
        Some(Step::Begun) => abandon(setting, keys),
        Some(Step::Made) => {
            // What has gone to the new account counts as sent no more.
            setup::queue_everything(&setting.history)?;
            abandon(setting, keys)
        }
        Some(_) => Err(SyncError::TooLate),
        None => Ok(()),
    }
}

fn abandon(setting: Setting, keys: &RevokeKeys) -> Result<(), SyncError> {
    let paths = setting.paths.clone();
    let hold = lock::take(&paths)?;
    SyncState::update(&paths.state, |state| state.revoking = None)?;
    closing::remove_store(&beside(setting).paths.database)?;
    keys.next.delete()?;
    drop(hold);
    Ok(())
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
    leave_behind: bool,
    progress: &mut dyn FnMut(Revocation),
) -> Result<(), SyncError> {
    let (old, new) = (load(&keys.current)?, load(&keys.next)?);
    let with_relay = setting()?;
    if with_relay.relay.is_none() {
        return Err(SyncError::NoRelay);
    }
    let paths = with_relay.paths.clone();
    let hold = lock::take(&paths)?;
    let state = forks::settle(&with_relay, state)?;
    let session = state.session_of(&paths);
    let mut engine = Engine::start(with_relay, hold, old.master(), state.device, session.as_deref(), false)?;
    if session.as_deref() != Some(&engine.session) {
        engine.start_over()?;
    }
    let report = engine.exchange("revoke", &mut |moving| progress(Revocation::Moving(moving)))?;
    let preferences = preferences::pull(&mut engine)?.map_or(0, |standing| standing.unreadable());
    refuse_unread(report.missing, report.unreadable + preferences, leave_behind)?;
    let (others, counters) = (devices::snapshot(&engine)?, usage::read(&engine)?);
    engine.close()?;

    let mut alone = beside(setting()?);
    alone.relay = None;
    closing::remove_store(&alone.paths.database)?;
    let hold = lock::take(&paths)?;
    let mut engine = Engine::start(alone, hold, new.master(), state.device, None, true)?;
    setup::found(&mut engine)?;
    devices::join(&mut engine, &SyncConfig::load(&paths.config)?.device_name)?;
    devices::take_over(&mut engine, others)?;
    usage::take_over(&mut engine, &counters)?;
    engine.flush()?;
    let account = engine.account.clone();
    engine.close()?;
    SyncState::update(&paths.state, |state| {
        state.revoking = Some(Revoking { step: Step::Made, account: Some(account) });
    })?;
    Ok(())
}

/// What is in the old account and not here would be gone with it.
fn refuse_unread(missing: u64, unreadable: u64, leave_behind: bool) -> Result<(), SyncError> {
    if missing + unreadable > 0 && !leave_behind {
        return Err(SyncError::Unread { missing, unreadable });
    }
    Ok(())
}

/// Brings the new account to the relay, with every record; with a store that knows of what has gone up before.
fn move_over(
    setting: &dyn Fn() -> Result<Setting, SyncError>,
    keys: &RevokeKeys,
    state: &SyncState,
    then: Step,
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
    reach(&paths, then)
}

/// Marks the old account, so that nothing more comes into it, and takes over what other devices sent since it was fetched:
/// commands, deletions and preferences, which go up with the next exchange, and what they say of themselves and have counted,
/// which goes into the new account at once.
/// What they have announced and not sent they still have, and bring with the new phrase.
fn gather(
    setting: &dyn Fn() -> Result<Setting, SyncError>,
    keys: &RevokeKeys,
    leave_behind: bool,
    progress: &mut dyn FnMut(Revocation),
) -> Result<(), SyncError> {
    let (mut engine, _) = erasure::mark(setting()?, load(&keys.current)?.master(), Reason::Revoked)?;
    engine.load_closed()?;
    let deletions = deletions::pull(&mut engine)?;
    let pulled = pull::pull(&mut engine, &mut |moving| progress(Revocation::Moving(moving)))?;
    if !pulled.damaged.is_empty() {
        return Err(engine.damage("part of the synced history"));
    }
    let preferences = preferences::pull(&mut engine)?.map_or(0, |standing| standing.unreadable());
    refuse_unread(0, pulled.unreadable + deletions.unreadable + engine.index.newer + preferences, leave_behind)?;
    engine.devices = devices::read_all(&engine)?;
    let (others, counters) = (devices::snapshot(&engine)?, usage::read(&engine)?);
    let (device, paths) = (engine.device, engine.paths().clone());
    engine.close()?;

    let hold = lock::take(&paths)?;
    let mut engine = Engine::start(beside(setting()?), hold, load(&keys.next)?.master(), device, None, false)?;
    engine.devices = devices::read_all(&engine)?;
    devices::take_over(&mut engine, others)?;
    usage::take_over(&mut engine, &counters)?;
    engine.confirm_written()?;
    engine.close()?;
    reach(&paths, Step::Gathered)
}

/// Erases the old account, and has the relay show that it is gone.
fn erase(
    setting: &dyn Fn() -> Result<Setting, SyncError>,
    keys: &RevokeKeys,
    progress: &mut dyn FnMut(Revocation),
) -> Result<(), SyncError> {
    let old = load(&keys.current)?;
    let ids = erasure::close(setting()?, old.master(), Reason::Revoked, &mut |erasing| {
        progress(Revocation::Erasing(erasing));
    })?;
    let proof = erasure::prove(setting()?, old.master(), &ids)?;
    if !proof.is_clean() {
        return Err(SyncError::NotErased { values: proof.with_content });
    }
    reach(&setting()?.paths, Step::Closed)
}

/// Makes this home a device of the new account.
fn take_over(setting: Setting, keys: &RevokeKeys, account: Option<String>) -> Result<Option<MetClosed>, SyncError> {
    let paths = setting.paths.clone();
    let hold = lock::take(&paths)?;
    let mut met = None;
    // Not there any more where an interruption came after the state was written.
    if let Some(new) = keys.next.load()? {
        keys.current.store(&new)?;
    }
    closing::remove_store(&paths.database)?;
    SyncState::update(&paths.state, |state| {
        if let Some(account) = account {
            state.account = account;
        }
        state.forget_sessions();
        state.rebuild = false;
        state.closing = None;
        met = state.closed.take();
        state.revoking = None;
    })?;
    closing::remove_store(&beside(setting).paths.database)?;
    keys.next.delete()?;
    drop(hold);
    Ok(met)
}
