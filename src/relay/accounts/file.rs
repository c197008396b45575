//! The list of invitations in a file beside a relay's store, which commands and a running relay use at the same time.
//!
//! Only hashes of tokens are kept. Whoever reads never waits for who writes: the thread of the network looks here whenever
//! somebody comes, and a change waits for the disk.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{AccountsError, Invitation, today};
use crate::private_file;
use crate::relay::access::Hash;

/// The database, beside the relay's store.
const FILE: &str = "accounts.db";
/// How long to wait for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Columns of an [`Invitation`].
const COLUMNS: &str = "label, account, created_day, seen_day, revoked";

/// The list.
pub struct Invitations {
    reading: Mutex<Connection>,
    writing: Mutex<Connection>,
    seen: Mutex<Seen>,
}

/// With what somebody came today that is not noted yet.
#[derive(Default)]
struct Seen {
    tokens: HashSet<Hash>,
    is_noting: bool,
    has_failed: bool,
}

impl Invitations {
    /// Opens the list in a relay's folder, and makes both if need be.
    pub(super) fn open(folder: &Path) -> Result<Self, AccountsError> {
        private_file::make_folder(folder)?;
        let path = folder.join(FILE);
        // Made before SQLite does, so that it is private from its first byte on.
        private_file::open_append(&path)?;
        let writing = Connection::open(&path)?;
        writing.busy_timeout(BUSY_TIMEOUT)?;
        writing.execute_batch(
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
        let reading = Connection::open(&path)?;
        reading.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Self { reading: Mutex::new(reading), writing: Mutex::new(writing), seen: Mutex::default() })
    }

    /// Notes an invitation with this token, and the account that it is for; its label.
    pub(super) fn invite(
        &self,
        label: Option<&str>,
        account: Option<&str>,
        token: &Hash,
    ) -> Result<String, AccountsError> {
        let database = self.writing();
        let label = match label {
            Some(label) => label.to_owned(),
            None => {
                let last: i64 =
                    database.query_row("SELECT COALESCE(MAX(id), 0) FROM invitations", [], |row| row.get(0))?;
                format!("guest-{}", last + 1)
            }
        };
        let made = database.execute(
            "INSERT INTO invitations (token, label, account, created_day) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (label) DO NOTHING",
            params![token, label, account, today()],
        )?;
        if made == 0 { Err(AccountsError::LabelTaken(label)) } else { Ok(label) }
    }

    /// All invitations, the oldest first.
    pub(super) fn list(&self) -> Result<Vec<Invitation>, AccountsError> {
        let database = self.reading();
        let mut query = database.prepare(&format!("SELECT {COLUMNS} FROM invitations ORDER BY id"))?;
        let all = query.query_map([], read)?.collect::<Result<_, _>>()?;
        Ok(all)
    }

    /// Takes back the invitation of this label, or all those of this account, and has what their accounts stored erased
    /// where `erase` says so. Those that were meant, as they are now.
    pub(super) fn revoke(&self, who: &str, erase: bool) -> Result<Vec<Invitation>, AccountsError> {
        let database = self.writing();
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
    pub(super) fn to_erase(&self) -> Result<Vec<String>, AccountsError> {
        let database = self.reading();
        let mut query = database.prepare_cached("SELECT DISTINCT account FROM invitations WHERE erase = 1")?;
        let accounts = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(accounts)
    }

    /// Notes that an account was erased.
    pub(super) fn erased(&self, account: &str) -> Result<(), AccountsError> {
        self.writing().execute("UPDATE invitations SET erase = 0 WHERE account = ?1", [account])?;
        Ok(())
    }

    /// The invitation of a token, while it counts.
    pub(super) fn find(&self, token: &Hash) -> Result<Option<Invitation>, AccountsError> {
        let database = self.reading();
        let mut query =
            database.prepare_cached(&format!("SELECT {COLUMNS} FROM invitations WHERE token = ?1 AND revoked = 0"))?;
        Ok(query.query_row([token], read).optional()?)
    }

    /// Has it noted that somebody came with a token today. Nobody waits for that, and nothing depends on it: where the
    /// disk takes nothing, it is tried again with who comes next.
    pub(super) fn seen(self: &Arc<Self>, token: &Hash) {
        let mut seen = self.not_noted();
        seen.tokens.insert(*token);
        if seen.is_noting {
            return;
        }
        let list = self.clone();
        seen.is_noting = std::thread::Builder::new().name("caro-seen".into()).spawn(move || list.note_seen()).is_ok();
    }

    /// Notes with what somebody came, until nothing of that is left.
    fn note_seen(&self) {
        loop {
            let mut seen = self.not_noted();
            let tokens = std::mem::take(&mut seen.tokens);
            if tokens.is_empty() {
                seen.is_noting = false;
                return;
            }
            drop(seen);
            let noted = self.note(&tokens);
            let mut seen = self.not_noted();
            let had_failed = std::mem::replace(&mut seen.has_failed, noted.is_err());
            if let Err(error) = noted {
                if !had_failed {
                    tracing::warn!(%error, "it is not noted who came today");
                }
                seen.tokens.extend(tokens);
                seen.is_noting = false;
                return;
            }
        }
    }

    fn note(&self, tokens: &HashSet<Hash>) -> rusqlite::Result<()> {
        let mut database = self.writing();
        let change = database.transaction()?;
        for token in tokens {
            change.execute("UPDATE invitations SET seen_day = ?2 WHERE token = ?1", params![token, today()])?;
        }
        change.commit()
    }

    fn not_noted(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an account may write with a token: it is for that account, and from now on if it was for none yet.
    pub(super) fn claim(&self, token: &Hash, account: &str) -> Result<bool, AccountsError> {
        let database = self.writing();
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

    /// A number that is another one after something was changed, by another process or by this one.
    pub(super) fn version(&self) -> Result<i64, AccountsError> {
        Ok(self.reading().query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }

    fn reading(&self) -> MutexGuard<'_, Connection> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, Connection> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
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
