//! What commands do with a relay's list of accounts and with its store, whether a relay runs on them or not.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures::executor::block_on;

use super::accounts::{Accounts, AccountsError, Invitation};
use super::holdings::{self, Held};
use super::outside::{self, Stored};
use super::postgres::{self, Database, Old, PostgresStore};
use super::revocation::erase_in;
use super::{RelayError, find, store};
use crate::net::Network;
use crate::server::DatabaseAddress;

/// Where a relay has what it holds.
#[derive(Clone, Debug)]
pub enum Place {
    /// In its folder.
    Folder(PathBuf),
    /// In a database that others may use too.
    Database {
        /// Where that is.
        address: DatabaseAddress,
        /// The certificates that it is checked with; those of the system unless named.
        root_certificate: Option<PathBuf>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Database { address, .. } => address.fmt(f),
        }
    }
}

/// A relay's list of accounts and its store, at hand.
pub struct Administration(Hands);

enum Hands {
    Folder(PathBuf),
    Database { address: DatabaseAddress, database: Arc<Database>, network: Network },
}

impl Administration {
    /// Of the relays that have what they hold at this place. A database without tables gets them.
    ///
    /// # Errors
    ///
    /// [`RelayError::Database`] where it cannot be used, or has tables of another version.
    pub fn at(place: Place) -> Result<Self, RelayError> {
        match place {
            Place::Folder(folder) => Ok(Self(Hands::Folder(folder))),
            Place::Database { address, root_certificate } => {
                let network = Network::start()?;
                let database = find(&network, &address, root_certificate.as_deref(), Old::Leave)?;
                Ok(Self(Hands::Database { address, database, network }))
            }
        }
    }

    /// Makes an invitation, for this account where one is named and otherwise for the first that writes with it; its label and
    /// its token, which is told this once.
    ///
    /// # Errors
    ///
    /// See [`AccountsError`].
    pub fn invite(&self, label: Option<&str>, account: Option<&str>) -> Result<(String, String), AccountsError> {
        self.wait(self.accounts()?.invite(label, account))
    }

    /// All invitations, the oldest first.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn invitations(&self) -> Result<Vec<Invitation>, AccountsError> {
        self.wait(self.accounts()?.list())
    }

    /// Takes back the invitation of this label, or all those of this account, and has what their accounts stored erased
    /// where `erase` says so. Those that were meant, as they are now.
    ///
    /// # Errors
    ///
    /// See [`AccountsError`].
    pub fn revoke(&self, who: &str, erase: bool) -> Result<Vec<Invitation>, AccountsError> {
        self.wait(self.accounts()?.revoke(who, erase))
    }

    /// Erases the accounts that are to be. In a database it may be that a relay stores a little more of them until it has seen
    /// that, a moment later, and erases them once more.
    ///
    /// # Errors
    ///
    /// [`RelayError::InUse`] where a relay uses the folder, which then erases them by itself; otherwise what the store or the
    /// engine says.
    pub fn erase(&self) -> Result<(), RelayError> {
        let accounts = self.accounts()?;
        let all = self.wait(accounts.to_erase(None))?;
        if all.is_empty() {
            return Ok(());
        }
        match &self.0 {
            Hands::Folder(folder) => {
                let _lock = store::lock(folder)?;
                erase_in(Box::new(store::open_at_rest(folder)?), false, all.clone())?;
            }
            Hands::Database { database, .. } => {
                erase_in(Box::new(PostgresStore::new(database.clone())), true, all.clone())?;
            }
        }
        all.iter().try_for_each(|account| self.wait(accounts.erased(account))).map_err(RelayError::from)
    }

    /// Whether there are accounts that nobody has erased yet and that are to be.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn has_to_erase(&self) -> Result<bool, AccountsError> {
        Ok(!self.wait(self.accounts()?.to_erase(None))?.is_empty())
    }

    /// What each account has in the store; nothing where there is no store yet.
    ///
    /// # Errors
    ///
    /// [`RelayError::Store`] or [`RelayError::Database`].
    pub fn holdings(&self) -> Result<BTreeMap<String, Held>, RelayError> {
        match &self.0 {
            Hands::Folder(folder) => holdings::holdings(folder),
            Hands::Database { address, database, network } => network
                .block_on(postgres::holdings(database))
                .map_err(|reason| RelayError::Database { address: address.clone(), reason }),
        }
    }

    /// What is in the store altogether; none where there is none.
    ///
    /// # Errors
    ///
    /// [`RelayError::Store`] or [`RelayError::Database`].
    pub fn stored(&self) -> Result<Option<Stored>, RelayError> {
        match &self.0 {
            Hands::Folder(folder) => outside::stored(folder)
                .map_err(|error| RelayError::Store { folder: folder.clone(), reason: error.to_string() }),
            Hands::Database { address, database, network } => network
                .block_on(postgres::stored(database))
                .map(Some)
                .map_err(|reason| RelayError::Database { address: address.clone(), reason }),
        }
    }

    fn accounts(&self) -> Result<Accounts, AccountsError> {
        match &self.0 {
            Hands::Folder(folder) => Accounts::in_folder(folder),
            Hands::Database { database, .. } => Ok(Accounts::in_database(database.clone())),
        }
    }

    fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        match &self.0 {
            // What is asked of a file is there at once.
            Hands::Folder(_) => block_on(what),
            Hands::Database { network, .. } => network.block_on(what),
        }
    }
}
