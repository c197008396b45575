//! The registries as they are at the relay: which they are, whether the account is open, its keys and its index.

use super::Engine;
use crate::runtime::protocol::{ChangedEntries, Entries, LoadRegistries, Outcome, RegistriesLoaded};
use crate::sync::index::Index;
use crate::sync::{SyncError, closing, schema};

impl Engine {
    /// The registries, up to date.
    ///
    /// # Errors
    ///
    /// [`SyncError::Closed`] where the account is marked as closed; others as [`Engine::exchange`].
    pub(in crate::sync) fn load_registries(&mut self, first: bool) -> Result<(), SyncError> {
        let loaded = self.ask(&LoadRegistries { timeout_ms: self.patience_ms() })?;
        if let Some(mark) = self.take_root(&loaded) {
            return Err(closing::met(self, &mark));
        }
        self.settle_registries(&loaded, first)
    }

    fn settle_registries(&self, loaded: &RegistriesLoaded, first: bool) -> Result<(), SyncError> {
        if loaded.outcome == Outcome::Absent {
            // It did not come to this relay whole; another device, or another relay, has the rest.
            return Err(SyncError::UnknownPhrase { relay: self.relay_shown() });
        }
        self.expect_current(loaded.outcome, "the account")?;
        if first && loaded.relay_was_behind {
            // Whatever this relay was known to have whole, it may have lost.
            tracing::warn!("the relay holds less than this device; comparing everything again");
            self.history.clear_cursors()?;
        }
        Ok(())
    }

    /// Whatever is left of the account, also where it is closed: the mark then, in place of the registries.
    pub(in crate::sync) fn load_root(&mut self) -> Result<Option<String>, SyncError> {
        let loaded = self.ask_registries()?;
        Ok(self.take_root(&loaded))
    }

    /// [`Engine::load_root`], and where the account is open its registries.
    pub(super) fn load_open(&mut self) -> Result<Option<String>, SyncError> {
        let loaded = self.ask_registries()?;
        let mark = self.take_root(&loaded);
        if mark.is_none() {
            self.settle_registries(&loaded, true)?;
        }
        Ok(mark)
    }

    fn ask_registries(&self) -> Result<RegistriesLoaded, SyncError> {
        let loaded = self.ask(&LoadRegistries { timeout_ms: self.patience_ms() })?;
        match loaded.outcome {
            Outcome::Offline | Outcome::Late => Err(self.lost_relay()),
            _ => Ok(loaded),
        }
    }

    fn take_root(&mut self, loaded: &RegistriesLoaded) -> Option<String> {
        self.registries.clone_from(&loaded.registries);
        self.root.clone_from(&loaded.root);
        self.account_schema = schema::of(loaded.schema.as_deref());
        loaded.closed.clone()
    }

    pub(super) fn load_index(&mut self) -> Result<(), SyncError> {
        self.load_registries(false)?;
        self.read_index()
    }

    /// What is in an account that this device has marked as closed, to be read once more before it goes.
    pub(in crate::sync) fn load_closed(&mut self) -> Result<(), SyncError> {
        self.load_root()?;
        self.read_index()
    }

    /// Reads the index, unless it is as it was read last: it has a line for every segment that ever was.
    fn read_index(&mut self) -> Result<(), SyncError> {
        self.load_keys()?;
        // Lines that could not be read may be readable by now.
        let id = self.registries.index.clone();
        let known = self.index_state.take().filter(|(of, _)| *of == id && self.index.newer == 0);
        let read = self.ask(&ChangedEntries { id: id.clone(), known: known.map(|(_, state)| state) })?;
        if let Some(entries) = read.entries {
            self.index = Index::open(&self.vault, &id, entries)?;
        }
        self.index_state = Some((id, read.state));
        Ok(())
    }

    pub(super) fn load_keys(&mut self) -> Result<(), SyncError> {
        let entries = self.ask(&Entries { id: self.registries.keyring.clone() })?.entries;
        self.vault.load_keys(&self.wrapping, &self.registries.keyring, entries)
    }
}
