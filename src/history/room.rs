//! Room for what processes share about a history.
//!
//! The engine keeps that in a file beside the database which it maps into memory, and makes sure of its room by writing one
//! byte into each 4 KiB of it. Where the blocks of a disk are smaller, the rest has none yet, and on a full disk whoever
//! touches it is ended by a bus error. So on such disks there has to be room for all of it before the history is opened.

use std::path::Path;

use rusqlite::ffi;

use super::error::{HistoryError, Result};

/// What the engine makes sure of at a time, in bytes.
#[cfg(unix)]
const PAGE: u64 = 4096;
/// The length of the file for any log that is not very long.
#[cfg(unix)]
const USUAL: u64 = 32 * 1024;
/// That, and what the log of a command and the file system may take of the disk before all of it was touched.
#[cfg(unix)]
const NEEDED: u64 = USUAL + 512 * 1024;

/// Insists on room for what processes share about the history at `path`; the engine sees to it itself where it can.
///
/// # Errors
/// [`HistoryError::DiskFull`].
#[cfg(unix)]
pub(super) fn to_share(path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    // What is wrong with the folder is said by whoever opens the file.
    let Some(disk) = path.parent().and_then(|folder| rustix::fs::statvfs(folder).ok()) else { return Ok(()) };
    // Some file systems tell nothing of themselves.
    if disk.f_bsize >= PAGE || disk.f_blocks == 0 {
        return Ok(());
    }
    let mut shared = path.as_os_str().to_owned();
    shared.push("-shm");
    let (has, length) = std::fs::metadata(shared).map_or((0, 0), |file| (file.blocks() * 512, file.len()));
    if length >= USUAL && has >= length {
        return Ok(());
    }
    if disk.f_bavail.saturating_mul(disk.f_frsize).saturating_add(has) < NEEDED {
        return Err(HistoryError::DiskFull(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None)));
    }
    Ok(())
}

/// The engine sees to it itself.
#[cfg(not(unix))]
pub(super) fn to_share(_: &Path) -> Result<()> {
    Ok(())
}
