//! The relay's store: one database in a folder that only one relay may use at a time.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::PathBuf;

use rusqlite::Connection;

use super::RelayError;
use crate::private_file;
use crate::runtime::{is_malformed, open_database};

/// The opened database; the lock is held as long as it lives.
pub(super) struct Store {
    pub database: Connection,
    _lock: Option<File>,
}

/// The database.
pub(super) const DATABASE: &str = "relay.db";
/// The file whose lock says that a relay uses the folder.
const LOCK: &str = "relay.lock";

/// Whether a relay uses the store in this folder.
pub(super) fn is_locked(folder: &std::path::Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Opens the store in a folder, or one in memory.
pub(super) fn open(folder: Option<PathBuf>) -> Result<Store, RelayError> {
    let Some(folder) = folder else {
        let database = open_database(None)
            .map_err(|e| RelayError::Store { folder: PathBuf::from(":memory:"), reason: e.to_string() })?;
        return Ok(Store { database, _lock: None });
    };
    let failed = |reason: String| RelayError::Store { folder: folder.clone(), reason };
    let lock = private_file::make_folder(&folder)
        .and_then(|()| private_file::open_lock(&folder.join(LOCK)))
        .map_err(|e| failed(e.to_string()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(RelayError::InUse(folder)),
        Err(TryLockError::Error(e)) => return Err(failed(e.to_string())),
    }
    // Whose it is, for whoever looks.
    let noted = lock.set_len(0).and_then(|()| writeln!(&lock, "{}", std::process::id()));
    noted.map_err(|e| failed(e.to_string()))?;
    let path = folder.join(DATABASE);
    let database = open_database(Some(&path)).map_err(|e| match is_malformed(&path) {
        true => RelayError::Damaged(folder.clone()),
        false => failed(e.to_string()),
    })?;
    Ok(Store { database, _lock: Some(lock) })
}
