//! The relay's store: one database in a folder that only one relay may use at a time, or one that several share.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use super::RelayError;
use super::postgres::{Database, PostgresStore};
use super::sqlite::{Log, SqliteStore};
use crate::private_file;
use crate::runtime::{Store, is_malformed, open_database};

/// The opened stores, one for each engine; the lock is held as long as this lives.
pub(super) struct Opened {
    pub stores: Vec<Box<dyn Store>>,
    file: Option<(PathBuf, Arc<Log>)>,
    _lock: Option<File>,
}

impl Opened {
    /// What is on disk, where it is a file.
    pub(super) fn log(&self) -> Option<Arc<Log>> {
        self.file.as_ref().map(|(_, log)| log.clone())
    }

    /// Says so where the disk has refused what was written.
    pub(super) fn look(&self) -> Result<(), RelayError> {
        let Some((folder, log)) = &self.file else { return Ok(()) };
        let refused =
            log.refusal().map(|reason| RelayError::Refused { folder: folder.clone(), reason: reason.to_owned() });
        refused.map_or(Ok(()), Err)
    }
}

/// What a relay waits for before it confirms a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// That it is on disk: a power cut takes nothing that was confirmed.
    #[default]
    Disk,
    /// That the system has it: the end of the process takes nothing, a power cut what was confirmed since the log was last
    /// brought to disk.
    Process,
}

/// The database.
pub(super) const DATABASE: &str = "relay.db";
/// The file whose lock says that a relay uses the folder.
const LOCK: &str = "relay.lock";

/// Whether a relay uses the store in this folder.
pub(super) fn is_locked(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Opens the store for so many engines: in a database that others use too, in a folder, or in memory. The folder is the
/// relay's own in any case.
pub(super) fn open(
    folder: Option<&Path>,
    shared: Option<&Arc<Database>>,
    durability: Durability,
    engines: usize,
) -> Result<Opened, RelayError> {
    let lock = folder.map(lock).transpose()?;
    let mut file = None;
    let stores = match (shared, folder) {
        (Some(database), _) => (0..engines).map(|_| boxed(PostgresStore::new(database.clone()))).collect(),
        (None, Some(folder)) => {
            let opened = SqliteStore::open(&folder.join(DATABASE), durability, engines);
            let (stores, log) = opened.map_err(|error| unusable(folder, &error))?;
            file = Some((folder.to_owned(), log));
            stores.into_iter().map(boxed).collect()
        }
        (None, None) => (0..engines).map(|_| in_memory().map(boxed)).collect::<Result<_, _>>()?,
    };
    Ok(Opened { stores, file, _lock: lock })
}

fn boxed(store: impl Store + 'static) -> Box<dyn Store> {
    Box::new(store)
}

/// Opens the database in a folder whose relay does not run.
pub(super) fn open_at_rest(folder: &Path) -> Result<Connection, RelayError> {
    open_database(Some(&folder.join(DATABASE))).map_err(|error| unusable(folder, &error))
}

/// Why the database in a folder did not open.
fn unusable(folder: &Path, error: &rusqlite::Error) -> RelayError {
    match is_malformed(&folder.join(DATABASE)) {
        true => RelayError::Damaged(folder.to_owned()),
        false => RelayError::Store { folder: folder.to_owned(), reason: error.to_string() },
    }
}

/// Makes a database in memory.
fn in_memory() -> Result<Connection, RelayError> {
    open_database(None).map_err(|error| RelayError::Store { folder: ":memory:".into(), reason: error.to_string() })
}

/// Takes the lock of a folder, which is made where there is none; held as long as the result lives.
pub(super) fn lock(folder: &Path) -> Result<File, RelayError> {
    let failed = |reason: String| RelayError::Store { folder: folder.to_owned(), reason };
    let lock = private_file::make_folder(folder)
        .and_then(|()| private_file::open_lock(&folder.join(LOCK)))
        .map_err(|e| failed(e.to_string()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(RelayError::InUse(folder.to_owned())),
        Err(TryLockError::Error(e)) => return Err(failed(e.to_string())),
    }
    // Whose it is, for whoever looks.
    let noted = lock.set_len(0).and_then(|()| writeln!(&lock, "{}", std::process::id()));
    noted.map_err(|e| failed(e.to_string()))?;
    Ok(lock)
}
