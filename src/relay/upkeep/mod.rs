//! The upkeep of a relay's store: copies of it, whether it is sound, and what becomes of one that is not.

mod backup;
mod check;
mod quarantine;
mod replace;

pub use backup::{Backup, Restored, backup, restore};
pub use check::{Checked, Damage, check};
pub use quarantine::{Quarantined, quarantine};

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::RelayError;
use super::store::DATABASE;
use crate::runtime::is_damage;

/// The database in a folder, if there is one.
fn database(folder: &Path) -> Result<PathBuf, RelayError> {
    let path = folder.join(DATABASE);
    if path.exists() { Ok(path) } else { Err(RelayError::NoStore(folder.to_owned())) }
}

/// Opens a database so that nothing can be written to it, while others may write.
fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(db)
}

/// What an error of the database or the file system means for the store in this folder.
fn failed(folder: &Path) -> impl Fn(Trouble) -> RelayError + Clone {
    let folder = folder.to_owned();
    move |trouble| match trouble {
        Trouble::Database(error) if is_damage(&error) => RelayError::Damaged(folder.clone()),
        Trouble::Database(error) => RelayError::Store { folder: folder.clone(), reason: error.to_string() },
        Trouble::Files(error) => RelayError::Store { folder: folder.clone(), reason: error.to_string() },
    }
}

/// What can go wrong with a database in a file.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error(transparent)]
    Files(#[from] std::io::Error),
}
