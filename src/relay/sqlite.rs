//! The store in a file. What its engines commit is brought to disk together: one flush for all that was committed before
//! it, while they go on.
//!
//! A transaction is in the file once it has been committed, and survives the end of the process. On disk it is after
//! [`Store::flush`], for which every confirmation waits. Where the disk refuses that, the relay ends: the system may take
//! what it could not write for written when it is asked again, and the engines hold what may be lost.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::Value;

use super::store::Durability;
use crate::runtime::{Flush, Rows, Store, StoreError, flush_database, open_database_deferred};

/// For so long after the disk refused a change nobody new is sent here: whether it takes others, only they show.
const FAILING: Duration = Duration::from_secs(15);

/// The store of one engine.
pub(super) struct SqliteStore {
    database: Connection,
    log: Arc<Log>,
}

/// What is committed, and how much of it is on disk; one for all engines.
pub(super) struct Log {
    database: PathBuf,
    durability: Durability,
    /// How many engines may be committing at this moment: what they commit, others see before it is counted.
    committing: AtomicUsize,
    /// Transactions that were committed.
    written: AtomicU64,
    /// As many of them are on disk.
    flushed: AtomicU64,
    flushing: Mutex<()>,
    /// What the disk said when it refused to bring something there.
    refusal: OnceLock<String>,
    /// When the disk last refused a change before it came to that, as a full one does.
    failed: Mutex<Option<Instant>>,
}

impl SqliteStore {
    /// Opens the file once for each engine.
    pub(super) fn open(path: &Path, durability: Durability, engines: usize) -> rusqlite::Result<(Vec<Self>, Arc<Log>)> {
        let log = Arc::new(Log::new(path, durability));
        let mut stores = Vec::with_capacity(engines);
        for engine in 0..engines {
            let database = open_database_deferred(path)?;
            if engine == 0 {
                // A relay that ended at once has left what was never flushed, and the engines do not know of it.
                database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            }
            stores.push(Self { database, log: log.clone() });
        }
        Ok((stores, log))
    }
}

impl Store for SqliteStore {
    fn run(&self, sql: &str, params: &[Value]) -> Result<(), StoreError> {
        let _committing = (sql == "COMMIT" || self.database.is_autocommit()).then(|| Committing::begin(&self.log));
        self.database.run(sql, params).inspect_err(|error| self.log.look(error))?;
        if self.database.is_autocommit() && sql != "ROLLBACK" {
            self.log.written.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, StoreError> {
        // Some of what is asked for writes, too, and in no transaction: the SDK stores a header so.
        let may_commit = self.database.is_autocommit() && writes(&self.database, sql);
        let _committing = may_commit.then(|| Committing::begin(&self.log));
        let before = self.database.total_changes();
        let rows = self.database.query(sql, params).inspect_err(|error| self.log.look(error))?;
        if may_commit && self.database.total_changes() != before {
            self.log.written.fetch_add(1, Ordering::SeqCst);
        }
        Ok(rows)
    }

    fn flush(&self) -> Option<Flush> {
        if self.log.durability == Durability::Process || self.log.is_flushed() {
            return None;
        }
        let log = self.log.clone();
        Some(Arc::new(move || log.flush()))
    }
}

/// Whether a statement writes; where that cannot be told, it will fail as well when it is run.
fn writes(database: &Connection, sql: &str) -> bool {
    database.prepare_cached(sql).is_ok_and(|statement| !statement.readonly())
}

/// An engine may be committing, as long as this lives.
struct Committing<'a>(&'a Log);

impl<'a> Committing<'a> {
    fn begin(log: &'a Log) -> Self {
        log.committing.fetch_add(1, Ordering::SeqCst);
        Self(log)
    }
}

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        self.0.committing.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Log {
    fn new(database: &Path, durability: Durability) -> Self {
        Self {
            database: database.to_owned(),
            durability,
            committing: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
            flushing: Mutex::default(),
            refusal: OnceLock::new(),
            failed: Mutex::default(),
        }
    }

    /// Whether the disk refused no change a moment ago.
    pub(super) fn takes_changes(&self) -> bool {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_none_or(|at| at.elapsed() > FAILING)
    }

    /// Notes when the disk has refused something.
    fn look(&self, error: &StoreError) {
        if matches!(error, StoreError::Refused(_)) {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// Why nothing is confirmed any more.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.refusal.get().map(String::as_str)
    }

    /// Whether everything is on disk that anybody may have seen by now.
    fn is_flushed(&self) -> bool {
        // In this order: who has ended committing has counted it before.
        self.committing.load(Ordering::SeqCst) == 0 && self.has_flushed(self.written.load(Ordering::SeqCst))
    }

    fn has_flushed(&self, written: u64) -> bool {
        self.flushed.load(Ordering::SeqCst) >= written
    }

    fn flush(&self) -> io::Result<()> {
        // What is being committed at this moment may have been seen, and is counted for nobody yet.
        let wanted = (self.committing.load(Ordering::SeqCst) == 0).then(|| self.written.load(Ordering::SeqCst));
        let _alone = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusal) = self.refusal() {
            return Err(io::Error::other(refusal));
        }
        if wanted.is_some_and(|wanted| self.has_flushed(wanted)) {
            return Ok(());
        }
        let written = self.written.load(Ordering::SeqCst);
        flush_database(&self.database).inspect_err(|error| {
            tracing::error!(%error, "the disk refused a change");
            let _ = self.refusal.set(error.to_string());
        })?;
        self.flushed.store(written, Ordering::SeqCst);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(folder: &Path, durability: Durability) -> SqliteStore {
        SqliteStore::open(&folder.join("relay.db"), durability, 1).unwrap().0.remove(0)
    }

    #[test]
    fn what_is_waited_for_is_what_was_asked_for() {
        for (durability, expected) in [(Durability::Process, false), (Durability::Disk, true)] {
            let folder = tempfile::tempdir().unwrap();
            let store = one(folder.path(), durability);
            store.run("CREATE TABLE t (x)", &[]).unwrap();
            assert_eq!(store.flush().is_some(), expected, "{durability:?}");
        }
    }

    #[test]
    fn only_what_was_committed_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = one(folder.path(), Durability::Disk);
        store.run("CREATE TABLE t (x)", &[]).unwrap();
        store.flush().unwrap()().unwrap();
        assert!(store.flush().is_none());
        for end in ["ROLLBACK", "COMMIT"] {
            store.run("BEGIN IMMEDIATE", &[]).unwrap();
            store.run("INSERT INTO t VALUES (1)", &[]).unwrap();
            assert!(store.flush().is_none());
            store.run(end, &[]).unwrap();
            assert_eq!(store.flush().is_some(), end == "COMMIT");
        }
    }

    #[test]
    fn what_a_question_has_written_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = one(folder.path(), Durability::Disk);
        store.run("CREATE TABLE t (x UNIQUE)", &[]).unwrap();
        store.flush().unwrap()().unwrap();
        let insert = "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING RETURNING x";
        assert_eq!(store.query(insert, &[]).unwrap().1.len(), 1);
        store.flush().expect("it is not on disk yet")().unwrap();
        for more in [insert, "SELECT x FROM t"] {
            store.query(more, &[]).unwrap();
            assert!(store.flush().is_none(), "nothing was written");
        }
    }

    #[test]
    fn what_another_engine_is_committing_is_waited_for_by_who_may_have_seen_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = one(folder.path(), Durability::Disk);
        store.run("CREATE TABLE t (x)", &[]).unwrap();
        store.flush().unwrap()().unwrap();
        let committing = Committing::begin(&store.log);
        assert!(store.flush().is_some());
        drop(committing);
        assert!(store.flush().is_none());
    }

    #[test]
    fn what_fails_for_another_reason_is_not_the_disks_fault() {
        let folder = tempfile::tempdir().unwrap();
        let store = one(folder.path(), Durability::Disk);
        store.run("CREATE TABLE t (x UNIQUE)", &[]).unwrap();
        store.run("INSERT INTO t VALUES (1)", &[]).unwrap();
        assert!(store.run("INSERT INTO t VALUES (1)", &[]).is_err() && store.run("ROLLBACK", &[]).is_err());
        assert!(store.log.takes_changes());
        store.run("PRAGMA query_only = 1", &[]).unwrap();
        assert!(store.query("INSERT INTO t VALUES (2) RETURNING x", &[]).is_err());
        assert!(!store.log.takes_changes());
    }

    #[test]
    fn a_disk_that_refused_is_not_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("relay.db-wal");
        std::fs::write(&file, "").unwrap();
        let log = Log::new(&file.join("relay.db"), Durability::Disk);
        log.written.store(1, Ordering::SeqCst);
        assert!(log.flush().is_err() && log.refusal().is_some());
        // As if the disk took it now.
        let log = Log { database: folder.path().join("relay.db"), ..log };
        assert!(log.flush().is_err());
    }
}
