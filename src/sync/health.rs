//! Whether what a home keeps is in good shape: whole databases, room on the disk, closed to others.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

/// Reads a whole database and looks for damage; the error says what was found.
///
/// # Errors
///
/// What is wrong with it, in the database's own words.
pub fn is_whole(path: &Path) -> Result<(), String> {
    let check = || -> rusqlite::Result<String> {
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        database.busy_timeout(std::time::Duration::from_secs(5))?;
        database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
    };
    match check() {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(verdict) => Err(verdict),
        Err(error) => Err(error.to_string()),
    }
}

/// Bytes that this user may still write where a folder is.
///
/// # Errors
///
/// What the file system says.
pub fn free_room(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The files in these folders that others than their owner can read or write.
#[must_use]
pub fn open_to_others(folders: &[&Path]) -> Vec<PathBuf> {
    let mut open = Vec::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        // What lies in a folder that is closed is closed.
        if std::fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o077 == 0) {
            continue;
        }
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let secret = ["history.db", "sync.", "keys", "devices.json", "preferences.json"];
            let ours = secret.iter().any(|begin| name.starts_with(begin));
            if ours && std::fs::symlink_metadata(&path).is_ok_and(|file| file.is_file() && file.mode() & 0o077 != 0) {
                open.push(path);
            }
        }
    }
    open.sort();
    open.dedup();
    open
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_damaged_database_is_told_from_a_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let database = Connection::open(&path).unwrap();
        database.execute_batch("CREATE TABLE t (a); CREATE INDEX i ON t (a);").unwrap();
        for number in 0..2000 {
            database.execute("INSERT INTO t VALUES (?1)", [format!("{number} {}", "x".repeat(50))]).unwrap();
        }
        drop(database);
        assert_eq!(is_whole(&path), Ok(()));
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 9000].fill(0xA5);
        std::fs::write(&path, bytes).unwrap();
        assert!(is_whole(&path).is_err());
    }

    #[test]
    fn files_that_others_can_read_are_found_unless_their_folder_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        std::fs::write(&file, b"secret").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(open_to_others(&[folder.path()]), [file]);
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(open_to_others(&[folder.path()]).is_empty());
        assert!(free_room(folder.path()).unwrap() > 0);
    }
}
