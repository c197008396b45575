//! A damaged database is set aside and built anew from every row that can be read of it.
//!
//! The new one takes the old one's place inside the engine: it is written over it page by page in one transaction. So it is
//! the same file for every process that has it open, other writers wait meanwhile as for any other, and whoever is killed
//! half-way leaves the damaged one as it was. The order: take the folder's lock and look whether the damage is (still) there;
//! take the database's write lock; copy the damaged files aside; fill a new database from their pages; write it over the old
//! one. What is set aside can be opened like any other database.

mod contents;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{HistoryError, Result};
use super::migrations::{self, Layout};
use super::record::UnixNanos;
use super::rows as records;
use super::store::History;
use crate::private_file;
use crate::salvage::{PAGE, Pages};
use contents::Saved;

/// How long other writers are waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two attempts to get the write lock.
const RETRY_PAUSE: Duration = Duration::from_millis(5);
/// Follows the name of the database in the names of what is set aside; a time comes after it.
const DAMAGED: &str = ".damaged-";
/// Follows the name of the database while the new one is being filled.
const REBUILDING: &str = ".rebuilding";

/// What became of a damaged history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// Commands that are in the new database.
    pub saved: u64,
    /// Commands that are known to have been there and could not be read.
    pub lost: u64,
    /// Where the damaged database was put.
    pub set_aside: PathBuf,
}

/// Looks whether the history at `path` is damaged; where it is, sets it aside and builds it anew, at the moment `now`. None
/// where it is not: another process may have done so, or there is no history.
///
/// # Errors
/// What the file system or the database says; then everything is as it was.
pub fn rescue(path: &Path, now: UnixNanos) -> Result<Option<Rescued>> {
    let failed = |source| HistoryError::Io { path: path.to_owned(), source };
    if !path.exists() {
        return Ok(None);
    }
    let _turn = private_file::lock_folder(private_file::folder_of(path)).map_err(failed)?;
    match examine(path) {
        Ok(()) => return Ok(None),
        Err(HistoryError::NotAHistory { .. }) if is_anothers(path) || !was_a_history(path).map_err(failed)? => {
            return Ok(None);
        }
        Err(error) if error.may_be_damage() => {}
        Err(error) => return Err(error),
    }
    refuse_newer(path)?;
    let set_aside = free_name(path, now);
    let rescued = replace(path, now, &set_aside);
    discard(&beside(path, REBUILDING));
    let Ok(Saved { records: saved, lost }) = rescued else {
        // The database itself is still where it was.
        discard(&set_aside);
        return rescued.map(|_| None);
    };
    tracing::warn!(saved, lost, "the history was damaged and is built anew");
    if let Ok(history) = History::open(path) {
        history.index_backlog();
        history.empty_log();
    }
    Ok(Some(Rescued { saved, lost, set_aside }))
}

/// The damaged databases that were set aside, oldest first.
#[must_use]
pub fn set_aside(path: &Path) -> Vec<PathBuf> {
    let begin = beside(path, DAMAGED);
    let begins = |file: &PathBuf| file.as_os_str().as_encoded_bytes().starts_with(begin.as_os_str().as_encoded_bytes());
    let files = fs::read_dir(private_file::folder_of(path)).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files.filter(begins).filter(|file| !is_log(file)).collect();
    files.sort();
    files
}

/// Reads everything in a history.
///
/// # Errors
/// What is wrong with it; [`HistoryError::Damaged`] where reading it finds damage.
pub fn examine(path: &Path) -> Result<()> {
    if is_cut_to_nothing(path) {
        return Err(HistoryError::Damaged("the file is empty".into()));
    }
    let db = open(path)?;
    match migrations::layout(&db)? {
        Layout::Known(_) => {}
        Layout::Newer(found) => {
            return Err(HistoryError::Newer { path: path.to_owned(), found, known: migrations::LATEST });
        }
        Layout::Foreign => return Err(HistoryError::NotAHistory { path: path.to_owned() }),
    }
    let verdict: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(HistoryError::Damaged(verdict.into()));
    }
    let has_records: bool =
        db.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'records')", [], |row| row.get(0))?;
    if has_records {
        let mut statement = db.prepare(&format!("SELECT {} FROM records", records::COLUMNS))?;
        for record in statement.query_map([], records::from_row)? {
            record?;
        }
    }
    Ok(())
}

/// Whether the file is empty and its log is not. The engine takes that for a new database, and removes the log.
pub(super) fn is_cut_to_nothing(path: &Path) -> bool {
    let length = |path: &Path| fs::metadata(path).map(|file| file.len()).ok();
    length(path) == Some(0) && length(&log_of(path)).is_some_and(|length| length > 0)
}

/// Whether the engine can read it and finds the tables of another program there.
fn is_anothers(path: &Path) -> bool {
    let tables = |db: Connection| {
        let sql = "SELECT count(*), count(*) FILTER (WHERE name IN ('records', 'outbox', 'deleted_records')) \
                   FROM sqlite_schema WHERE type = 'table'";
        db.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
    };
    open(path).is_ok_and(|db| tables(db).is_ok_and(|(all, ours)| all > 0 && ours == 0))
}

/// Refuses a history whose first page says that a newer program made it: of its rows this one would lose what it does not know.
fn refuse_newer(path: &Path) -> Result<()> {
    let failed = |source| HistoryError::Io { path: path.to_owned(), source };
    let Some(page) = Pages::open(path, &log_of(path)).map_err(failed)?.read(1) else { return Ok(()) };
    let number = |at: usize| page[at..at + 4].iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
    let found = number(60);
    if number(68) == migrations::APPLICATION_ID && found > migrations::LATEST && found < 1000 {
        return Err(HistoryError::Newer { path: path.to_owned(), found, known: migrations::LATEST });
    }
    Ok(())
}

/// Whether a file that the engine does not take for a database was a history once.
fn was_a_history(path: &Path) -> io::Result<bool> {
    let pages = Pages::open(path, &log_of(path))?;
    let says_so = pages.read(1).is_some_and(|page| page[68..72] == migrations::APPLICATION_ID.to_be_bytes());
    Ok(says_so || pages.are_blank() || contents::is_there(&pages))
}

/// Does the work, while nobody else does.
fn replace(path: &Path, now: UnixNanos, set_aside: &Path) -> Result<Saved> {
    let failed = |source| HistoryError::Io { path: path.to_owned(), source };
    prepare(path).map_err(failed)?;
    let scratch = beside(path, REBUILDING);
    discard(&scratch);
    drop(private_file::create_new(&scratch).map_err(failed)?);
    let new = Connection::open_with_flags(&scratch, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // It is worth nothing until it is whole.
    new.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON;")?;
    migrations::apply(&new)?;
    let mut damaged = open(path)?;
    // Nothing in the old one is looked at, not even its first page.
    damaged.set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, true)?;
    let writing = Backup::new(&new, &mut damaged)?;
    begin(&writing)?;
    let pages = Pages::open(path, &log_of(path)).map_err(failed)?;
    copy(pages.file(), set_aside).map_err(failed)?;
    if let Ok(log) = File::open(log_of(path)) {
        copy(&log, &log_of(set_aside)).map_err(failed)?;
    }
    private_file::sync_folder(private_file::folder_of(path)).map_err(failed)?;
    let saved = contents::fill(&new, &pages, now)?;
    // Nothing of it is left, whoever is killed when.
    discard(&scratch);
    match writing.step(-1)? {
        StepResult::Done => {}
        _ => return Err(HistoryError::Io { path: path.to_owned(), source: io::ErrorKind::WouldBlock.into() }),
    }
    Ok(saved)
}

/// Makes a file of which nothing is left, or whose log is empty, one that the engine opens with its log.
fn prepare(path: &Path) -> io::Result<()> {
    if is_cut_to_nothing(path) {
        fs::OpenOptions::new().write(true).open(path)?.set_len(PAGE as u64)?;
    }
    let mut log = private_file::open_append(&log_of(path))?;
    if log.metadata()?.len() == 0 {
        // A head that the engine takes for that of an empty log: without one it would not use a log at all.
        log.write_all(&[0; 32])?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.busy_timeout(PATIENCE)?;
    db.execute_batch("PRAGMA wal_autocheckpoint = 0;")?;
    Ok(db)
}

/// Takes the write lock of the database that is to be written over.
fn begin(writing: &Backup<'_, '_>) -> Result<()> {
    let began = Instant::now();
    loop {
        match writing.step(0)? {
            StepResult::Busy | StepResult::Locked if began.elapsed() < PATIENCE => std::thread::sleep(RETRY_PAUSE),
            StepResult::Busy | StepResult::Locked => {
                let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                return Err(rusqlite::Error::SqliteFailure(busy, None).into());
            }
            _ => return Ok(()),
        }
    }
}

/// Copies an open file from its beginning to a new one, which is on disk then.
fn copy(mut from: &File, to: &Path) -> io::Result<()> {
    io::Seek::rewind(&mut from)?;
    let mut file = private_file::create_new(to)?;
    io::copy(&mut from, &mut file)?;
    file.sync_all()
}

/// Removes a database that is not needed, and what lies beside it.
fn discard(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        drop(fs::remove_file(beside(path, suffix)));
    }
}

/// A name that nothing has for what is set aside now.
fn free_name(path: &Path, now: UnixNanos) -> PathBuf {
    let at = jiff::Timestamp::from_nanosecond(now.0.into()).unwrap_or_default();
    let name = beside(path, &format!("{DAMAGED}{}", at.strftime("%Y%m%dT%H%M%SZ")));
    let is_free = |name: &PathBuf| !name.exists() && !log_of(name).exists();
    let numbered = (2..).map(|number: u32| beside(&name, &format!(".{number}")));
    std::iter::once(name.clone()).chain(numbered).find(is_free).unwrap_or(name)
}

fn log_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

fn is_log(path: &Path) -> bool {
    ["-wal", "-shm"].iter().any(|suffix| path.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes()))
}

/// The path with something added to the name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
