//! The relay's store: one database in a folder that only one relay may use at a time.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::RelayError;
use crate::private_file;
use crate::runtime::{is_malformed, open_database, open_database_deferred};

/// The opened database; the lock is held as long as it lives.
pub(super) struct Store {
    pub database: Connection,
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

/// Opens the store in a folder, or one in memory.
pub(super) fn open(folder: Option<PathBuf>, durability: Durability) -> Result<Store, RelayError> {
    let Some(folder) = folder else {
        let database = open_database(None)
            .map_err(|e| RelayError::Store { folder: PathBuf::from(":memory:"), reason: e.to_string() })?;
        return Ok(Store { database, _lock: None });
    };
    let lock = lock(&folder)?;
    let path = folder.join(DATABASE);
    let opened = match durability {
        Durability::Disk => open_database(Some(&path)),
        Durability::Process => open_database_deferred(&path),
    };
    let database = opened.map_err(|e| match is_malformed(&path) {
        true => RelayError::Damaged(folder.clone()),
        false => RelayError::Store { folder: folder.clone(), reason: e.to_string() },
    })?;
    Ok(Store { database, _lock: Some(lock) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_what_was_asked_for() {
        for (durability, expected) in [(Durability::Process, 1), (Durability::Disk, 2)] {
            let folder = tempfile::tempdir().unwrap();
            let store = open(Some(folder.path().to_owned()), durability).unwrap();
            let synchronous: i64 = store.database.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
            assert_eq!(synchronous, expected, "{durability:?}");
        }
    }
}
