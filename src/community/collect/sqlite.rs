//! The store in a file of its own, private to whoever runs the collector.
//!
//! Rows lie in the order of their keys, which are random (`WITHOUT ROWID`), and nothing counts them. What remains of the order in
//! which they came is how the rows of one page lie in it and which pages were added last, until the file is
//! [written anew](SqliteStore::write_anew). There is no write-ahead log, in which the last changes would lie one after the other, and
//! what is deleted is overwritten.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::store::{Counts, Entry, Known, Month, Part, StoreError};
use crate::community::KeyId;
use crate::private_file;

/// The file.
const DATABASE: &str = "collector.db";
/// The layout of the tables.
const LAYOUT: i64 = 1;
/// How long another process may keep the file to itself, such as one that copies it.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is committed is on disk (the journal is emptied, and that brought to disk, before a commit ends). What is written anew is
/// put together in memory: a temporary file would have all rows once more, in a folder that is for everybody.
const SETTINGS: &str = "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = EXTRA; PRAGMA secure_delete = ON;
    PRAGMA temp_store = MEMORY;";
const TABLES: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE reports (
        key BLOB PRIMARY KEY, question TEXT NOT NULL, answer TEXT NOT NULL, month TEXT NOT NULL
    ) WITHOUT ROWID, STRICT;
    CREATE TABLE revoked (key BLOB PRIMARY KEY) WITHOUT ROWID, STRICT;
    PRAGMA user_version = 1;
    COMMIT;
";

/// The store; clones share it.
#[derive(Clone)]
pub(super) struct SqliteStore(Arc<Mutex<Connection>>);

impl SqliteStore {
    /// Opens the store in a folder, or makes both; else why it cannot be used.
    pub(super) fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join(DATABASE);
        // SQLite would make a file that others may read.
        let made = private_file::make_folder(folder).and_then(|()| private_file::open_append(&path));
        made.map_err(|error| error.to_string())?;
        let (database, layout) = prepare(&path).map_err(|error| error.to_string())?;
        if layout == LAYOUT {
            Ok(Self(Arc::new(Mutex::new(database))))
        } else {
            Err("a newer version of caro has changed it".into())
        }
    }

    pub(super) async fn look(&self, entry: Entry) -> Result<Known, StoreError> {
        self.run(move |database| known(database, &entry)).await
    }

    pub(super) async fn add(&self, entry: Entry, month: Month) -> Result<Known, StoreError> {
        self.run(move |database| {
            let adding = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let known = known(&adding, &entry)?;
            if known == Known::New {
                let values = params![entry.key.0, entry.question.name, entry.told(), month.as_str()];
                adding.execute("INSERT INTO reports (key, question, answer, month) VALUES (?1, ?2, ?3, ?4)", values)?;
            }
            adding.commit()?;
            Ok(known)
        })
        .await
    }

    pub(super) async fn revoke(&self, key: KeyId) -> Result<bool, StoreError> {
        self.run(move |database| {
            let revoking = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let is_there = revoking.execute("DELETE FROM reports WHERE key = ?1", [key.0])? > 0;
            if is_there {
                revoking.execute("INSERT INTO revoked (key) VALUES (?1)", [key.0])?;
            }
            let was_there = is_there || was_revoked(&revoking, key)?;
            revoking.commit()?;
            Ok(was_there)
        })
        .await
    }

    /// Adds what is in a part to the counts.
    pub(super) async fn count(&self, part: Part, since: Month, mut counts: Counts) -> Result<Counts, StoreError> {
        self.run(move |database| {
            let mut counting = database.prepare_cached(
                "SELECT question, answer, month >= ?1, count(*) FROM reports WHERE key BETWEEN ?2 AND ?3 GROUP BY 1, 2, 3",
            )?;
            let mut rows = counting.query(params![since.as_str(), part.first(), part.last()])?;
            while let Some(row) = rows.next()? {
                counts.add(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?, row.get(2)?, row.get(3)?);
            }
            Ok(counts)
        })
        .await
    }

    /// Writes something that changes nothing.
    pub(super) async fn try_to_write(&self) -> Result<(), StoreError> {
        self.run(|database| database.pragma_update(None, "user_version", LAYOUT)).await
    }

    /// Writes the whole file anew, in the order of the keys.
    pub(super) async fn write_anew(&self) -> Result<(), StoreError> {
        self.run(|database| database.execute_batch("VACUUM")).await
    }

    /// Runs something on a thread that may wait for the disk.
    async fn run<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = self.0.clone();
        let run = move || what(&mut database.lock().unwrap_or_else(PoisonError::into_inner));
        match tokio::task::spawn_blocking(run).await {
            Ok(answer) => answer.map_err(|error| StoreError(error.to_string())),
            Err(_) => Err(StoreError("it ended in the middle".into())),
        }
    }
}

/// Opens the file, and makes its tables where it has none; the layout that it has.
fn prepare(path: &Path) -> rusqlite::Result<(Connection, i64)> {
    let database =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    database.busy_timeout(PATIENCE)?;
    database.execute_batch(SETTINGS)?;
    let layout = || database.query_row("PRAGMA user_version", [], |row| row.get(0));
    if layout()? == 0_i64 {
        database.execute_batch(TABLES)?;
    }
    let layout = layout()?;
    Ok((database, layout))
}

fn known(database: &Connection, entry: &Entry) -> rusqlite::Result<Known> {
    let was_revoked = was_revoked(database, entry.key)?;
    let stored = database
        .query_row("SELECT question, answer FROM reports WHERE key = ?1", [entry.key.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(Known::of(entry, was_revoked, stored))
}

fn was_revoked(database: &Connection, key: KeyId) -> rusqlite::Result<bool> {
    let found = database.query_row("SELECT 1 FROM revoked WHERE key = ?1", [key.0], |_| Ok(())).optional()?;
    Ok(found.is_some())
}

#[cfg(test)]
mod tests;
