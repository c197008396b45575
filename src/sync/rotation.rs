//! Rotation: from now on everything is sealed with a new data key.
//!
//! The key is one entry of the registry of keys, set in one transaction: an interruption leaves it there whole or not
//! at all, and once it is in the store the next exchange carries it on. Every exchange reads that registry before
//! anything else. Two devices that rotate at once make two keys of one generation; all then agree on the
//! same one of them, and keep both.

use std::collections::BTreeMap;

use super::SyncError;
use super::engine::Engine;
use crate::runtime::protocol::Set;

/// A data key as the user may hear of it: nothing of the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName {
    /// Its random name in blobs.
    pub id: String,
    /// 1 for an account's first key, one more with each rotation.
    pub generation: u32,
}

impl Engine {
    /// Makes a new data key, which the relay holds when this returns.
    ///
    /// # Errors
    ///
    /// See [`SyncError`].
    pub fn rotate_keys(&mut self) -> Result<KeyName, SyncError> {
        self.refresh()?;
        let registry = self.registries.keyring.clone();
        let (name, wrapped) = self.vault.new_key(&self.wrapping, &registry, (self.now)())?;
        self.ask(&Set { id: registry.clone(), entries: BTreeMap::from([(name, wrapped)]) })?;
        self.wrote(registry);
        self.confirm_written()?;
        self.current_key()
    }

    /// The key that is sealed with now.
    ///
    /// # Errors
    ///
    /// [`SyncError::Seal`] where there is none.
    pub fn current_key(&self) -> Result<KeyName, SyncError> {
        self.vault.current_key()
    }
}
