//! Puts a database in the place of a relay's own, which is kept under another name. Nobody may have either open.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::history::UnixNanos;
use crate::private_file;

/// What follows the name of a database in those of the files beside it.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

/// A name beside a database that nothing has: its own, what it is, and the time.
pub(super) fn free_name(path: &Path, what: &str, now: UnixNanos) -> PathBuf {
    let at = jiff::Timestamp::from_nanosecond(now.0.into()).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ");
    let name = beside(path, &format!(".{what}-{at}"));
    let is_free = |name: &PathBuf| BESIDE.iter().all(|suffix| !beside(name, suffix).exists());
    let numbered = (2..).map(|number: u32| beside(&name, &format!(".{number}")));
    std::iter::once(name.clone()).chain(numbered).find(is_free).unwrap_or(name)
}

/// The path with something added to its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Removes a database that is not needed, and what lies beside it.
pub(super) fn discard(path: &Path) {
    for suffix in BESIDE {
        drop(fs::remove_file(beside(path, suffix)));
    }
}

/// Puts `new`, which is one file and on disk, in the place of the database at `path`; that one is kept as `kept`, with its
/// log. Whoever is killed in between leaves one of the two in its place.
pub(super) fn replace(path: &Path, new: &Path, kept: &Path) -> io::Result<()> {
    // A log that is written back has not to be moved. One of a damaged database may stay; it is kept beside it then.
    let emptied = Connection::open(path).and_then(|db| db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
    if let Err(error) = emptied {
        tracing::debug!(%error, "the log stays as it is");
    }
    for suffix in ["", "-wal"] {
        let from = beside(path, suffix);
        if from.exists() {
            keep(&from, &beside(kept, suffix))?;
        }
    }
    private_file::sync_folder(private_file::folder_of(path))?;
    // A log is taken for that of whatever database lies beside it.
    for suffix in ["-wal", "-shm"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(new, path)?;
    private_file::sync_folder(private_file::folder_of(path))
}

/// Gives a file a second name; where the file system knows no such thing, copies it.
fn keep(from: &Path, to: &Path) -> io::Result<()> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let mut copy = private_file::create_new(to)?;
    io::copy(&mut fs::File::open(from)?, &mut copy)?;
    copy.sync_all()
}
