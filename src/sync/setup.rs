//! Setting sync up: a new identity, or a device that joins with the phrase.
//!
//! The state file is written last: until then nothing counts, and a setup that was interrupted is done
//! again from the beginning.

use std::collections::BTreeMap;

use super::closing::{move_store, remove_store};
use super::engine::{Engine, Setting};
use super::lock;
use super::state::SyncState;
use super::{SyncConfig, SyncError, devices, schema};
use crate::history::History;
use crate::identity::{Credentials, KeyStore, MasterKey};
use crate::runtime::protocol::Set;

/// What a setup needs besides the engine's setting.
pub struct SetUp<'a> {
    /// The identity.
    pub credentials: &'a Credentials,
    /// Where the identity is kept.
    pub key_store: &'a KeyStore,
    /// What the user chose.
    pub config: &'a SyncConfig,
    /// Whether the account that this home takes part in now is to be left for it.
    pub leave: bool,
}

/// Whether the identity is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    New,
    Existing,
}

/// Makes a new account for these credentials.
///
/// # Errors
///
/// See [`SyncError`]. After an error nothing is set up.
pub fn create(setting: Setting, set_up: &SetUp<'_>) -> Result<Engine, SyncError> {
    run(setting, set_up, Identity::New)
}

/// Joins an account that exists on the relay.
///
/// # Errors
///
/// [`SyncError::UnknownPhrase`] where the relay has no such account; others as [`create`].
pub fn join(setting: Setting, set_up: &SetUp<'_>) -> Result<Engine, SyncError> {
    if setting.relay.is_none() {
        return Err(SyncError::NoRelay);
    }
    run(setting, set_up, Identity::Existing)
}

fn run(setting: Setting, set_up: &SetUp<'_>, identity: Identity) -> Result<Engine, SyncError> {
    let paths = setting.paths.clone();
    let lock = lock::take(&paths)?;
    let is_taken = || Ok::<_, SyncError>(SyncState::load(&paths.state)?.is_some_and(|state| !state.is_over()));
    // Without its keys a home can only join again.
    let has_keys = set_up.key_store.load().map_or(true, |kept| kept.is_some());
    let is_left = has_keys && is_taken()?;
    if is_left && !set_up.leave {
        return Err(SyncError::AlreadySetUp);
    }
    let aside = paths.database.with_extension("left.db");
    // Until the other account is joined this home takes part in the one it has, which may be nowhere else. What lies aside
    // already is that one, from an attempt that did not come to its end.
    if is_left && !aside.exists() {
        move_store(&paths.database, &aside)?;
    }
    // Left over from a setup that did not come to its end.
    remove_store(&paths.database)?;
    let device = setting.history.device_id()?;
    let master = set_up.credentials.master();
    let result = Engine::start(setting, lock, master, device, None, identity == Identity::New)
        .and_then(|mut engine| finish(&mut engine, set_up, identity).map(|()| engine));
    match &result {
        Err(_) if is_left => move_store(&aside, &paths.database)?,
        Err(_) if !is_taken()? => remove_store(&paths.database)?,
        Ok(_) if is_left => remove_store(&aside)?,
        _ => {}
    }
    result
}

fn finish(engine: &mut Engine, set_up: &SetUp<'_>, identity: Identity) -> Result<(), SyncError> {
    if identity == Identity::New {
        found(engine)?;
    }
    schema::meet(engine)?;
    devices::join(engine, &set_up.config.device_name)?;
    engine.wrote(engine.registries.keyring.clone());
    engine.confirm_written()?;

    engine.flush()?;
    set_up.key_store.store(set_up.credentials)?;
    set_up.config.save(&engine.paths().config)?;
    queue_everything(&engine.history)?;
    let state = SyncState::new(engine.account.clone(), engine.device, engine.bound_session()?);
    state.save(&engine.paths().state)
}

/// Asks the relay whether this home still takes part in its account; where it does not, it has left it when this returns.
///
/// # Errors
///
/// [`SyncError::Closed`] or [`SyncError::Removed`] where it does not; others see [`SyncError`].
pub fn still_takes_part(setting: Setting, state: &SyncState, master: &MasterKey) -> Result<(), SyncError> {
    let mut engine = Engine::open(setting, state, master, "restore")?;
    engine.refresh()?;
    engine.close()
}

/// Gives a new account its first data key.
pub(super) fn found(engine: &mut Engine) -> Result<(), SyncError> {
    let registry = engine.registries.keyring.clone();
    let (name, wrapped) = engine.vault.new_key(&engine.wrapping, &registry, (engine.now)())?;
    engine.ask(&Set { id: registry, entries: BTreeMap::from([(name, wrapped)]) })?;
    Ok(())
}

/// Queues everything that this machine has for another account, also what came from devices of an earlier identity.
/// What the account holds already leaves the outbox again when it comes down.
pub(super) fn queue_everything(history: &History) -> Result<(), SyncError> {
    history.forget_account()?;
    history.requeue_deletions()?;
    for (device, _) in history.count_per_device()? {
        history.requeue_all(device)?;
    }
    Ok(())
}
