//! The relay's store: one database in a folder that only one relay may use at a time, or one that several share.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::RelayError;
use super::postgres::{Database, PostgresStore};
use crate::private_file;
use crate::runtime::{Store, is_malformed, open_database, open_database_deferred};

/// The opened stores, one for each engine; the lock is held as long as this lives.
pub(super) struct Opened {
    pub stores: Vec<Box<dyn Store>>,
    _lock: Option<File>,
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
    let opened: Result<Vec<Box<dyn Store>>, RelayError> = (0..engines)
        .map(|_| match (shared, folder) {
            (Some(database), _) => Ok(Box::new(PostgresStore::new(database.clone())) as Box<dyn Store>),
            (None, folder) => Ok(Box::new(open_file(folder, durability)?) as Box<dyn Store>),
        })
        .collect();
    Ok(Opened { stores: opened?, _lock: lock })
}

/// Opens the database in a folder, or one in memory.
pub(super) fn open_file(folder: Option<&Path>, durability: Durability) -> Result<Connection, RelayError> {
    let failed = |folder: &Path, reason: String| RelayError::Store { folder: folder.to_owned(), reason };
    let Some(folder) = folder else {
        return open_database(None).map_err(|error| failed(Path::new(":memory:"), error.to_string()));
    };
    let path = folder.join(DATABASE);
    let opened = match durability {
        Durability::Disk => open_database(Some(&path)),
        Durability::Process => open_database_deferred(&path),
    };
    opened.map_err(|error| match is_malformed(&path) {
        true => RelayError::Damaged(folder.to_owned()),
        false => failed(folder, error.to_string()),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_what_was_asked_for() {
        for (durability, expected) in [(Durability::Process, 1), (Durability::Disk, 2)] {
            let folder = tempfile::tempdir().unwrap();
            let store = open_file(Some(folder.path()), durability).unwrap();
            let synchronous: i64 = store.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
            assert_eq!(synchronous, expected, "{durability:?}");
        }
    }
}
