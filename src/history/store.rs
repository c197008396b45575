//! The database itself: opening it safely, adding records, reading them back.
//!
//! Durability: a call that returned survives a killed process and a power cut. The database is in
//! WAL mode, and the log is synced at every commit; capture is one small transaction, so that is one
//! sync. With `synchronous=FULL` the engine does so, and syncs the folder too the first time after it has
//! opened the log, in case it made it: a second wait for the disk in each short-lived process. So that is
//! left to it only where the log is new or empty. Else `NORMAL` is set, with which a commit waits for nothing, and
//! [`History::write`] syncs the log after it. That it may be read by another process a moment before it is durable does no
//! harm: whatever follows from it is written behind it in the same log.
//!
//! Many processes at once are the normal case, first run included: every writer begins its
//! transaction with the write lock and waits for its turn, and the switch to WAL mode, which the
//! engine refuses instead of waiting, is retried. Connections do not checkpoint as they close,
//! which would cost every command two more syncs, nor does the engine fold its log in by itself:
//! a process that finds itself alone reads the whole log as it opens the database and cannot know
//! how much of it was folded in already, so between short-lived processes it would grow and be
//! folded in again and again. Instead, whoever finds it longer than [`LONG_LOG`] after a commit
//! folds it in and empties it, without waiting for others.
//!
//! Privacy: the directory is 0700 and the files 0600; deleted content is overwritten
//! (`secure_delete`), in the log too (see `deletions`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use uuid::Uuid;

use super::busy::{Limit, Patience};
use super::error::{HistoryError, Result};
use super::migrations::{self, LATEST, Layout};
use super::outbox::HELD_WHILE_RUNNING;
use super::record::{MAX_TEXT_BYTES, Record};
use super::{generated, rescue, room, rows, usage};
use crate::private_file;

/// How long one process waits for the others before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// A log longer than this, in bytes, is folded into the database: some twenty commands.
const LONG_LOG: u64 = 512 * 1024;
/// Pause between two attempts where the engine refuses instead of waiting.
const RETRY_PAUSE: Duration = Duration::from_millis(5);
/// Key of this device's id in the `meta` table.
pub(super) const DEVICE_ID: &str = "device_id";

/// What became of a record that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It was new.
    Added,
    /// Its id was known, and this state replaced the one stored.
    Updated,
    /// It was there already.
    AlreadyThere,
    /// Its id was deleted earlier, so it was not stored.
    Deleted,
}

/// An open history database; one per thread.
#[derive(Debug)]
pub struct History {
    pub(super) db: Connection,
    path: Option<PathBuf>,
    /// The write-ahead log beside the database.
    log: Option<PathBuf>,
    /// Whether the engine leaves it to this program to sync the log.
    syncs_log: bool,
    /// When this one has waited enough for other processes.
    patience: Patience,
}

impl History {
    /// Opens the database at `path`, creating it and its directory where they do not exist, and
    /// brings its layout up to date.
    ///
    /// # Errors
    /// [`HistoryError::Newer`] and [`HistoryError::NotAHistory`] leave the file untouched;
    /// [`HistoryError::Io`] where file or directory cannot be used; [`HistoryError::Damaged`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(path.into(), Limit::Each(BUSY_TIMEOUT), true)
    }

    /// [`open`](Self::open) for callers that would rather fail than wait: once `patience` has passed since then, no other
    /// process is waited for any more, and the layout of a history that holds something is not brought up to date.
    ///
    /// # Errors
    /// See [`open`](Self::open); [`HistoryError::Busy`] when patience runs out, and [`HistoryError::Older`].
    pub fn open_within(path: impl Into<PathBuf>, patience: Duration) -> Result<Self> {
        Self::open_with(path.into(), Limit::Until(Instant::now() + patience), false)
    }

    /// Opens the database; `updates` says whether the layout of one that holds something is brought up to date.
    fn open_with(path: PathBuf, limit: Limit, updates: bool) -> Result<Self> {
        create_private(&path)?;
        if rescue::is_cut_to_nothing(&path) {
            return Err(HistoryError::Damaged("the file is empty".into()));
        }
        room::to_share(&path)?;
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        // Elsewhere there is no such sync of the folder, or a plain sync of the log is not enough.
        let syncs_log = cfg!(target_os = "linux") && fs::metadata(&log).is_ok_and(|log| log.len() > 0);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(&path, flags)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let patience = Patience::of(&mut db, limit)?;
        let layout = match retry_while_busy(&patience, || migrations::layout(&db))? {
            Layout::Known(layout) => layout,
            Layout::Newer(found) => return Err(HistoryError::Newer { path, found, known: LATEST }),
            Layout::Foreign => return Err(HistoryError::NotAHistory { path }),
        };
        configure(&db, syncs_log)?;
        if layout < LATEST {
            if layout > 0 && !updates {
                return Err(HistoryError::Older);
            }
            retry_while_busy(&patience, || Ok(db.pragma_update(None, "journal_mode", "WAL")?))?;
            retry_while_busy(&patience, || migrations::apply(&db))?;
        }
        Ok(Self { db, path: Some(path), log: Some(log), syncs_log, patience })
    }

    /// An empty history that lives in memory only.
    ///
    /// # Errors
    /// Fails only where memory does.
    pub fn in_memory() -> Result<Self> {
        let mut db = Connection::open_in_memory()?;
        let patience = Patience::of(&mut db, Limit::Each(BUSY_TIMEOUT))?;
        configure(&db, false)?;
        migrations::apply(&db)?;
        Ok(Self { db, path: None, log: None, syncs_log: false, patience })
    }

    /// The file this history lives in; `None` in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Stores a record made on this device and queues it for the others.
    ///
    /// # Errors
    /// [`HistoryError::TooLong`], or what the database says; then nothing was stored.
    pub fn add(&self, record: &Record) -> Result<Stored> {
        check_size(record)?;
        let stored = self.write(|db| Ok(store_and_count(db, std::slice::from_ref(record))?.remove(0)))?;
        self.index_backlog();
        Ok(stored)
    }

    /// Stores a command that begins to run on this device. It goes to the others when its end is
    /// [added](Self::add), or after a day without one.
    ///
    /// # Errors
    /// [`HistoryError::TooLong`], or what the database says; then nothing was stored.
    pub fn begin(&self, record: &Record) -> Result<Stored> {
        check_size(record)?;
        let stored = self.write(|db| {
            let stored = store(db, record, true)?;
            if stored == Stored::Added {
                db.prepare_cached("UPDATE outbox SET held = ?2 WHERE id = ?1")?
                    .execute(rusqlite::params![record.id.as_bytes(), HELD_WHILE_RUNNING])?;
            }
            Ok(stored)
        })?;
        self.index_backlog();
        Ok(stored)
    }

    /// Stores records made on this device, all of them or none, and queues them for the others.
    ///
    /// # Errors
    /// [`HistoryError::TooLong`], or what the database says; then nothing was stored.
    pub fn add_batch(&self, records: &[Record]) -> Result<Vec<Stored>> {
        let stored = self.add_unindexed(records)?;
        self.index_backlog();
        Ok(stored)
    }

    /// [`add_batch`](Self::add_batch) for many batches, after which the caller indexes.
    pub(super) fn add_unindexed(&self, records: &[Record]) -> Result<Vec<Stored>> {
        records.iter().try_for_each(check_size)?;
        self.write(|db| store_and_count(db, records))
    }

    /// The record of this id.
    ///
    /// # Errors
    /// What the database says.
    pub fn get(&self, id: Uuid) -> Result<Option<Record>> {
        rows::by_id(&self.db, id)
    }

    /// The one record whose id begins with `prefix` (hexadecimal digits; dashes are ignored).
    ///
    /// # Errors
    /// [`HistoryError::InvalidId`], [`HistoryError::NotFound`] or [`HistoryError::Ambiguous`].
    pub fn find(&self, prefix: &str) -> Result<Record> {
        let (from, to) = id_range(prefix).ok_or_else(|| HistoryError::InvalidId(prefix.to_owned()))?;
        let sql = format!("SELECT {} FROM records WHERE id BETWEEN ?1 AND ?2 LIMIT 2", rows::COLUMNS);
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut found = statement.query_map([from, to], rows::from_row)?.collect::<rusqlite::Result<Vec<_>>>()?;
        match (found.pop(), found.pop()) {
            (Some(record), None) => Ok(record),
            (None, _) => Err(HistoryError::NotFound(prefix.to_owned())),
            (Some(_), Some(_)) => Err(HistoryError::Ambiguous(prefix.to_owned())),
        }
    }

    /// The number of records.
    ///
    /// # Errors
    /// What the database says.
    pub fn count(&self) -> Result<u64> {
        count(&self.db, "SELECT count(*) FROM records")
    }

    /// The number of records of each device that has any, ordered by device id.
    ///
    /// # Errors
    /// What the database says.
    pub fn count_per_device(&self) -> Result<Vec<(Uuid, u64)>> {
        let mut statement =
            self.db.prepare_cached("SELECT device_id, count(*) FROM records GROUP BY device_id ORDER BY device_id")?;
        let counts = statement
            .query_map([], |row| Ok((rows::id_column(row, 0)?, row.get::<_, i64>(1)?.unsigned_abs())))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(counts)
    }

    /// A hash of the whole content: equal for two histories exactly if they hold equal records,
    /// whatever the order in which those arrived.
    ///
    /// # Errors
    /// What the database says.
    pub fn digest(&self) -> Result<[u8; 32]> {
        let sql = format!("SELECT {} FROM records ORDER BY id", rows::COLUMNS);
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut hasher = blake3::Hasher::new();
        for record in statement.query_map([], rows::from_row)? {
            let bytes = record?.canonical();
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(&bytes);
        }
        Ok(*hasher.finalize().as_bytes())
    }

    /// This device's id: made at random when it is first asked for, the same ever after, however
    /// many processes ask at once.
    ///
    /// # Errors
    /// What the database says.
    pub fn device_id(&self) -> Result<Uuid> {
        let id = match self.meta_get(DEVICE_ID)? {
            Some(id) => id,
            None => self.write(|db| {
                db.execute(
                    "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    [DEVICE_ID, &Uuid::new_v4().to_string()],
                )?;
                Ok(db.query_row("SELECT value FROM meta WHERE key = ?1", [DEVICE_ID], |row| row.get(0))?)
            })?,
        };
        Uuid::try_parse(&id).map_err(|error| HistoryError::Damaged(Box::new(error)))
    }

    /// A small piece of state kept beside the records.
    ///
    /// # Errors
    /// What the database says.
    pub fn meta_get(&self, key: &str) -> Result<Option<String>> {
        Ok(self
            .db
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?)
    }

    /// Sets a small piece of state kept beside the records; `None` removes it.
    ///
    /// # Errors
    /// What the database says.
    pub fn meta_set(&self, key: &str, value: Option<&str>) -> Result<()> {
        self.write(|db| set_meta(db, key, value))
    }

    /// [`meta_set`](Self::meta_set) for what may be lost again in a power cut: it goes to disk with whatever is written
    /// next, and is not waited for.
    ///
    /// # Errors
    /// What the database says.
    pub fn meta_note(&self, key: &str, value: &str) -> Result<()> {
        if self.meta_get(key)?.as_deref() == Some(value) {
            return Ok(());
        }
        synchronous(&self.db, false)?;
        let noted = self.transact(|db| set_meta(db, key, Some(value)));
        synchronous(&self.db, !self.syncs_log)?;
        noted
    }

    /// Runs `work` in one write transaction: all of it becomes durable, or none.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let result = self.transact(work)?;
        let Some(path) = &self.log else { return Ok(result) };
        if self.syncs_log {
            // Locks of the engine are on other files.
            let synced = fs::File::open(path).and_then(|log| log.sync_data());
            synced.map_err(|source| HistoryError::Io { path: path.clone(), source })?;
        }
        if fs::metadata(path).is_ok_and(|log| log.len() > LONG_LOG) {
            self.fold_log(Duration::ZERO);
        }
        Ok(result)
    }

    /// Whether [its time](Self::open_within) is not over yet.
    pub(super) fn has_time(&self) -> bool {
        !self.patience.left().is_zero()
    }

    fn transact<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Folds the write-ahead log into the database and empties it, waiting at most `patience` for
    /// processes that are using it. Says whether it is empty now; where it is not, nothing is lost.
    pub(super) fn fold_log(&self, patience: Duration) -> bool {
        let fold = || self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        self.patience.instead(Limit::Each(patience), fold).is_ok_and(|busy: i64| busy == 0)
    }
}

/// Stores one record inside a transaction; `queue` says whether other devices are to learn of it.
pub(super) fn store(db: &Connection, record: &Record, queue: bool) -> Result<Stored> {
    let kept: Option<bool> = db
        .prepare_cached("SELECT kept FROM deleted_records WHERE id = ?1")?
        .query_row([record.id.as_bytes()], |row| row.get(0))
        .optional()?;
    // What was withdrawn from sync lives on here, and only here.
    let withdrawn = kept == Some(true);
    if kept.is_some() && !(withdrawn && queue) {
        return Ok(Stored::Deleted);
    }
    let stored = if rows::insert(db, record)? {
        Stored::Added
    } else {
        match rows::by_id(db, record.id)? {
            Some(present) => {
                // Of a long record one of the two may have been cut on its way.
                let (arrived, here) = (record.completed(&present), present.completed(record));
                let winner = if arrived.supersedes(&here) { arrived } else { here };
                if *winner == present {
                    Stored::AlreadyThere
                } else {
                    rows::update(db, &winner)?;
                    Stored::Updated
                }
            }
            None => Stored::AlreadyThere,
        }
    };
    if queue && !withdrawn && matches!(stored, Stored::Added | Stored::Updated) {
        db.prepare_cached("INSERT OR REPLACE INTO outbox (id) VALUES (?1)")?.execute([record.id.as_bytes()])?;
    }
    Ok(stored)
}

/// Stores records made here inside a transaction, queues them, and counts each once.
fn store_and_count(db: &Connection, records: &[Record]) -> Result<Vec<Stored>> {
    let mut tally = usage::Tally::begin(db)?;
    let mut outcomes = Vec::with_capacity(records.len());
    for record in records {
        let stored = store(db, record, true)?;
        if matches!(stored, Stored::Added | Stored::Updated) {
            tally.count(db, record)?;
        }
        outcomes.push(stored);
    }
    tally.end(db)?;
    Ok(outcomes)
}

/// Sets a small piece of state inside a transaction.
pub(super) fn set_meta(db: &Connection, key: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) => db.execute(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [key, value],
        )?,
        None => db.execute("DELETE FROM meta WHERE key = ?1", [key])?,
    };
    Ok(())
}

/// A count, which is never negative.
pub(super) fn count(db: &Connection, sql: &str) -> Result<u64> {
    let count: i64 = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Whether a record is one that can be stored.
///
/// # Errors
/// [`HistoryError::TooLong`].
pub fn check_size(record: &Record) -> Result<()> {
    let texts = [
        ("command", Some(&record.command)),
        ("prompt", record.prompt.as_ref()),
        ("explanation", record.explanation.as_ref()),
    ];
    for (field, text) in texts {
        if text.is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
            return Err(HistoryError::TooLong { field });
        }
    }
    if generated::length(record) > MAX_TEXT_BYTES {
        return Err(HistoryError::TooLong { field: "alternatives" });
    }
    Ok(())
}

/// The least and the greatest id that begin with `prefix`.
fn id_range(prefix: &str) -> Option<([u8; 16], [u8; 16])> {
    let digits: String = prefix.chars().filter(|c| *c != '-').collect();
    let valid = !digits.is_empty() && digits.len() <= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !valid {
        return None;
    }
    let bound = |fill| {
        let full: String = digits.chars().chain(std::iter::repeat(fill)).take(32).collect();
        u128::from_str_radix(&full, 16).ok().map(u128::to_be_bytes)
    };
    Some((bound('0')?, bound('f')?))
}

fn configure(db: &Connection, syncs_log: bool) -> Result<()> {
    db.set_prepared_statement_cache_capacity(64);
    synchronous(db, !syncs_log)?;
    Ok(db.execute_batch("PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0;")?)
}

/// Whether the engine syncs the log at each commit.
fn synchronous(db: &Connection, at_commits: bool) -> Result<()> {
    Ok(db.pragma_update(None, "synchronous", if at_commits { "FULL" } else { "NORMAL" })?)
}

/// Repeats, for as long as `patience` lasts, what the engine refuses at once when processes meet.
fn retry_while_busy<T>(patience: &Patience, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + patience.left();
    loop {
        match attempt() {
            Err(HistoryError::Busy(_)) if Instant::now() < end => std::thread::sleep(RETRY_PAUSE),
            result => return result,
        }
    }
}

/// Makes the file and its directory, readable by their owner only, unless they exist.
fn create_private(path: &Path) -> Result<()> {
    let failed = |at: &Path| {
        let at = at.to_owned();
        move |source| HistoryError::Io { path: at, source }
    };
    if path.exists() {
        return Ok(());
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(directory) = directory {
        private_file::make_folder(directory).map_err(failed(directory))?;
    }
    // Never opened if it exists: closing it again would let go of the locks that this process may
    // hold on it through the engine (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).
    match private_file::create_new(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        created => created.map_err(failed(path))?,
    };
    // The new name must survive a power cut, or everything committed under it is lost.
    if let Some(directory) = directory {
        private_file::sync_folder(directory).map_err(failed(directory))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
