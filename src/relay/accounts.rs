//! Who was invited to a relay: personal tokens, and the account that each of them is for.
//!
//! One table in a database of its own beside the relay's store, which commands and a running relay use at the same time;
//! the relay looks whether it has changed. Only hashes of tokens are kept. An invitation is for the first account that
//! writes with it, and stays in the table when it was taken back, so that nobody gets its label by mistake.
//!
//! Everything that is asked of it is a method of [`Accounts`]: another database would be another such type.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::access::{Hash, hash};
use crate::clock;
use crate::private_file;

/// The database, beside the relay's store.
const FILE: &str = "accounts.db";
/// How long to wait for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// Columns of an [`Invitation`].
const COLUMNS: &str = "label, account, created_day, seen_day, revoked";

/// An invitation, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// What the operator calls it.
    pub label: String,
    /// The account that it is for; none until one has used it.
    pub account: Option<String>,
    /// When it was made, in days since 1970.
    pub created_day: i64,
    /// When somebody last connected with it.
    pub seen_day: Option<i64>,
    /// Whether it was taken back.
    pub revoked: bool,
}

/// Why an invitation could not be made or taken back.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// Another one has the label.
    #[error("there is an invitation called {0} already")]
    LabelTaken(String),
    /// No invitation has such a label or account.
    #[error("no invitation is called {0}, and none is for such an account")]
    Unknown(String),
    /// The system gives no random data.
    #[error("the system gives no random data")]
    Random,
    /// The database cannot be used.
    #[error("the relay's list of accounts cannot be used: {0}")]
    Database(#[from] rusqlite::Error),
    /// Its folder cannot be used.
    #[error("the relay's folder cannot be used: {0}")]
    Folder(#[from] std::io::Error),
}

/// The invitations of a relay.
pub struct Accounts(Mutex<Connection>);

impl Accounts {
    /// Opens the list in a relay's folder, and makes both if need be.
    ///
    /// # Errors
    ///
    /// What the database or the file system says.
    pub fn open(folder: &Path) -> Result<Self, AccountsError> {
        private_file::make_folder(folder)?;
        let path = folder.join(FILE);
        // Made before SQLite does, so that it is private from its first byte on.
        private_file::open_append(&path)?;
        let database = Connection::open(path)?;
        database.busy_timeout(BUSY_TIMEOUT)?;
        database.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS invitations (
                 id INTEGER PRIMARY KEY,
                 token BLOB NOT NULL UNIQUE,
                 label TEXT NOT NULL UNIQUE,
                 account TEXT,
                 created_day INTEGER NOT NULL,
                 seen_day INTEGER,
                 revoked INTEGER NOT NULL DEFAULT 0,
                 erase INTEGER NOT NULL DEFAULT 0
             );
             CREATE INDEX IF NOT EXISTS invitations_by_account ON invitations (account);",
        )?;
        Ok(Self(Mutex::new(database)))
    }

    /// Makes an invitation; its label and its token, which is told this once.
    ///
    /// # Errors
    ///
    /// See [`AccountsError`].
    pub fn invite(&self, label: Option<&str>) -> Result<(String, String), AccountsError> {
        let mut random = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(&mut *random).map_err(|_| AccountsError::Random)?;
        let token = BASE64_URL_SAFE_NO_PAD.encode(random.as_slice());
        let database = self.database();
        let label = match label {
            Some(label) => label.to_owned(),
            None => {
                let last: i64 =
                    database.query_row("SELECT COALESCE(MAX(id), 0) FROM invitations", [], |row| row.get(0))?;
                format!("guest-{}", last + 1)
            }
        };
        let made = database.execute(
            "INSERT INTO invitations (token, label, created_day) VALUES (?1, ?2, ?3) ON CONFLICT (label) DO NOTHING",
            params![hash(&token), label, today()],
        )?;
        if made == 0 { Err(AccountsError::LabelTaken(label)) } else { Ok((label, token)) }
    }

    /// All invitations, the oldest first.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn list(&self) -> Result<Vec<Invitation>, AccountsError> {
        let database = self.database();
        let mut query = database.prepare(&format!("SELECT {COLUMNS} FROM invitations ORDER BY id"))?;
        let all = query.query_map([], read)?.collect::<Result<_, _>>()?;
        Ok(all)
    }

    /// Takes back the invitation of this label, or all those of this account, and has what their accounts stored erased
    /// where `erase` says so. Those that were meant, as they are now.
    ///
    /// # Errors
    ///
    /// See [`AccountsError`].
    pub fn revoke(&self, who: &str, erase: bool) -> Result<Vec<Invitation>, AccountsError> {
        let database = self.database();
        database.execute(
            "UPDATE invitations SET revoked = 1, erase = MAX(erase, ?2 AND account IS NOT NULL)
             WHERE label = ?1 OR account = ?1",
            params![who, erase],
        )?;
        let mut query =
            database.prepare(&format!("SELECT {COLUMNS} FROM invitations WHERE label = ?1 OR account = ?1"))?;
        let meant: Vec<_> = query.query_map([who], read)?.collect::<Result<_, _>>()?;
        if meant.is_empty() { Err(AccountsError::Unknown(who.into())) } else { Ok(meant) }
    }

    /// The accounts that are to be erased.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn to_erase(&self) -> Result<Vec<String>, AccountsError> {
        let database = self.database();
        let mut query = database.prepare_cached("SELECT DISTINCT account FROM invitations WHERE erase = 1")?;
        let accounts = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(accounts)
    }

    /// Notes that an account was erased.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn erased(&self, account: &str) -> Result<(), AccountsError> {
        self.database().execute("UPDATE invitations SET erase = 0 WHERE account = ?1", [account])?;
        Ok(())
    }

    /// The invitation of a token, while it counts.
    pub(super) fn find(&self, token: &Hash) -> Result<Option<Invitation>, AccountsError> {
        let database = self.database();
        let mut query =
            database.prepare_cached(&format!("SELECT {COLUMNS} FROM invitations WHERE token = ?1 AND revoked = 0"))?;
        Ok(query.query_row([token], read).optional()?)
    }

    /// Notes that somebody came with a token.
    pub(super) fn seen(&self, token: &Hash) -> Result<(), AccountsError> {
        let today = today();
        self.database().execute(
            "UPDATE invitations SET seen_day = ?2 WHERE token = ?1 AND seen_day IS NOT ?2",
            params![token, today],
        )?;
        Ok(())
    }

    /// Whether an account may write with a token: it is for that account, and from now on if it was for none yet.
    pub(super) fn claim(&self, token: &Hash, account: &str) -> Result<bool, AccountsError> {
        let database = self.database();
        database.execute(
            "UPDATE invitations SET account = ?2 WHERE token = ?1 AND account IS NULL AND revoked = 0",
            params![token, account],
        )?;
        let mine = database
            .query_row(
                "SELECT 1 FROM invitations WHERE token = ?1 AND account = ?2 AND revoked = 0",
                params![token, account],
                |_| Ok(()),
            )
            .optional()?;
        Ok(mine.is_some())
    }

    /// A number that is another one after another process has changed something.
    pub(super) fn version(&self) -> Result<i64, AccountsError> {
        Ok(self.database().query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Invitation> {
    Ok(Invitation {
        label: row.get(0)?,
        account: row.get(1)?,
        created_day: row.get(2)?,
        seen_day: row.get(3)?,
        revoked: row.get(4)?,
    })
}

/// Which day it is, in days since 1970.
pub(super) fn today() -> i64 {
    clock::now().0.div_euclid(NANOS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> (tempfile::TempDir, Accounts) {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path()).unwrap();
        (folder, accounts)
    }

    #[test]
    fn an_invitation_is_for_the_first_account_that_uses_it() {
        let (_folder, accounts) = accounts();
        let (label, token) = accounts.invite(None).unwrap();
        assert_eq!((label.as_str(), token.len()), ("guest-1", 43));
        let token = hash(&token);
        assert_eq!(accounts.find(&token).unwrap().unwrap().account, None);
        assert!(accounts.claim(&token, "co_zOne").unwrap());
        assert!(accounts.claim(&token, "co_zOne").unwrap(), "its other devices use the same");
        assert!(!accounts.claim(&token, "co_zTwo").unwrap());
        assert_eq!(accounts.find(&token).unwrap().unwrap().account.as_deref(), Some("co_zOne"));
        assert!(accounts.find(&hash("another")).unwrap().is_none());
    }

    #[test]
    fn what_was_taken_back_counts_no_more_and_its_label_stays_taken() {
        let (folder, accounts) = accounts();
        let (_, token) = accounts.invite(Some("ann")).unwrap();
        let token = hash(&token);
        assert!(accounts.claim(&token, "co_zAnn").unwrap());
        let elsewhere = Accounts::open(folder.path()).unwrap();
        let before = accounts.version().unwrap();
        let meant = elsewhere.revoke("co_zAnn", true).unwrap();
        assert!(meant.len() == 1 && meant[0].revoked && meant[0].label == "ann", "{meant:?}");
        assert_ne!(accounts.version().unwrap(), before, "who looks sees it");
        assert!(accounts.find(&token).unwrap().is_none() && !accounts.claim(&token, "co_zAnn").unwrap());
        assert_eq!(accounts.to_erase().unwrap(), ["co_zAnn"]);
        accounts.erased("co_zAnn").unwrap();
        assert!(accounts.to_erase().unwrap().is_empty());
        assert!(matches!(accounts.invite(Some("ann")), Err(AccountsError::LabelTaken(_))));
        assert!(matches!(accounts.revoke("bob", false), Err(AccountsError::Unknown(_))));
    }

    #[test]
    fn no_token_is_in_any_file() {
        let (folder, accounts) = accounts();
        let (_, token) = accounts.invite(Some("ann")).unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
        }
    }
}
