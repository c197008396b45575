//! Deleting records for good: here at once, elsewhere as soon as the other devices learn of it.
//!
//! A deletion removes the record and leaves its id in `deleted_records`; that mark beats any copy
//! of the record that arrives later. A record that was withdrawn from sync has such a mark too, with
//! `kept`: elsewhere it is deleted, here it stays. The content is overwritten in the database file, in the
//! full-text index and in the write-ahead log, which is emptied where no other process holds it.

use std::time::Duration;

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::error::Result;
use super::outbox::{Cursor, save_cursor};
use super::record::UnixNanos;
use super::rows;
use super::store::{History, count};

/// How long a deletion waits for others to let go of the log.
const PATIENCE: Duration = Duration::from_secs(2);

impl History {
    /// Deletes records as the user of this device asks, at the moment `now`, and marks the
    /// deletions for the other devices. Returns how many records were there.
    ///
    /// # Errors
    /// What the database says; then nothing was deleted.
    pub fn delete(&self, ids: &[Uuid], now: UnixNanos) -> Result<u64> {
        let removed = self.write(|db| delete_here(db, ids, now))?;
        self.empty_log();
        Ok(removed)
    }

    /// Deletes records as another device asks, at the moment `now`, and saves the reader's
    /// position. Returns how many records were there.
    ///
    /// # Errors
    /// What the database says; then nothing was deleted and the position is unchanged.
    pub fn ingest_deletions(&self, ids: &[Uuid], now: UnixNanos, cursor: Option<Cursor<'_>>) -> Result<u64> {
        let removed = self.write(|db| {
            let removed = delete_all(db, ids, now, false)?;
            // What is deleted elsewhere is not to be taken back here.
            let mut forget = db.prepare_cached("DELETE FROM removed WHERE id = ?1")?;
            for id in ids {
                forget.execute([id.as_bytes()])?;
            }
            save_cursor(db, cursor)?;
            Ok(removed)
        })?;
        if removed > 0 {
            self.empty_log();
        }
        Ok(removed)
    }

    /// Takes note of records that this device itself withdrew, before it was set back: here they stay. Saves the reader's
    /// position. What was deleted here stays deleted.
    ///
    /// # Errors
    /// What the database says; then nothing is noted and the position is unchanged.
    pub fn ingest_withdrawals(&self, ids: &[Uuid], now: UnixNanos, cursor: Option<Cursor<'_>>) -> Result<()> {
        self.write(|db| {
            let mut mark = db.prepare_cached(
                "INSERT INTO deleted_records (id, deleted_at, pending, kept) VALUES (?1, ?2, 0, 1) \
                 ON CONFLICT (id) DO NOTHING",
            )?;
            let mut unqueue = db.prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
            for id in ids {
                mark.execute(params![id.as_bytes(), now.0])?;
                unqueue.execute([id.as_bytes()])?;
            }
            save_cursor(db, cursor)
        })
    }

    /// Takes records back from sync: to all other devices and the relay they are deleted at the moment `now`, here
    /// they stay, and never go up again. Returns how many there are.
    ///
    /// # Errors
    /// What the database says; then nothing was withdrawn.
    pub fn withdraw(&self, ids: &[Uuid], now: UnixNanos) -> Result<u64> {
        self.write(|db| {
            let mut mark = db.prepare_cached(
                "INSERT INTO deleted_records (id, deleted_at, pending, kept) SELECT id, ?2, 1, 1 FROM records \
                 WHERE id = ?1 ON CONFLICT (id) DO NOTHING",
            )?;
            let mut unqueue = db.prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
            let mut withdrawn = 0;
            for id in ids {
                withdrawn += mark.execute(params![id.as_bytes(), now.0])? as u64;
                unqueue.execute([id.as_bytes()])?;
            }
            Ok(withdrawn)
        })
    }

    /// Whether the record of this id was deleted, or withdrawn from sync.
    ///
    /// # Errors
    /// What the database says.
    pub fn is_deleted(&self, id: Uuid) -> Result<bool> {
        Ok(self.db.prepare_cached("SELECT 1 FROM deleted_records WHERE id = ?1")?.exists([id.as_bytes()])?)
    }

    /// Up to `limit` ids deleted here, or with `kept` withdrawn, that the other devices have not been told of.
    ///
    /// # Errors
    /// What the database says.
    pub fn pending_deletions(&self, kept: bool, limit: usize) -> Result<Vec<Uuid>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self
            .db
            .prepare_cached("SELECT id FROM deleted_records WHERE pending = 1 AND kept = ?1 ORDER BY id LIMIT ?2")?;
        let ids = statement
            .query_map(params![kept, limit], |row| rows::id_column(row, 0))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(ids)
    }

    /// The number of deletions that the other devices have not been told of.
    ///
    /// # Errors
    /// What the database says.
    pub fn pending_deletions_count(&self) -> Result<u64> {
        count(&self.db, "SELECT count(*) FROM deleted_records WHERE pending = 1")
    }

    /// Notes that the other devices can learn of these deletions.
    ///
    /// # Errors
    /// What the database says; then all of them stay pending.
    pub fn acknowledge_deletions(&self, ids: &[Uuid]) -> Result<()> {
        self.write(|db| {
            let mut statement = db.prepare_cached("UPDATE deleted_records SET pending = 2 WHERE id = ?1")?;
            for id in ids {
                statement.execute([id.as_bytes()])?;
            }
            Ok(())
        })
    }

    /// Marks every deletion as one that the other devices have to be told of; for an account that may never have
    /// heard of them.
    ///
    /// # Errors
    /// What the database says.
    pub fn requeue_deletions(&self) -> Result<()> {
        self.write(|db| {
            db.execute("UPDATE deleted_records SET pending = 1 WHERE pending <> 1", [])?;
            Ok(())
        })
    }

    /// Forgets every record, here and nowhere else: nothing is marked as deleted, and the other devices keep theirs.
    /// What waits to go up is dropped. Returns how many records were there.
    ///
    /// # Errors
    /// What the database says; then nothing was forgotten.
    pub fn clear(&self) -> Result<u64> {
        let removed = self.write(|db| {
            db.execute("DELETE FROM outbox", [])?;
            db.execute("DELETE FROM removed", [])?;
            db.execute("DELETE FROM removals", [])?;
            Ok(db.execute("DELETE FROM records", [])? as u64)
        })?;
        self.empty_log();
        Ok(removed)
    }

    /// Empties the write-ahead log, so that no copy of deleted content stays there. Where another
    /// process keeps using it, whoever folds it in next empties it, so that is not an error.
    pub(super) fn empty_log(&self) {
        if !self.fold_log(PATIENCE) {
            tracing::info!("the write-ahead log is in use and was not emptied");
        }
    }
}

/// Deletes records as the user of this device asks, inside a transaction.
pub(super) fn delete_here(db: &Connection, ids: &[Uuid], now: UnixNanos) -> Result<u64> {
    // The others know it as withdrawn; that it is gone here too is news.
    let mut give_up =
        db.prepare_cached("UPDATE deleted_records SET kept = 0, pending = 1 WHERE id = ?1 AND kept = 1")?;
    for id in ids {
        give_up.execute([id.as_bytes()])?;
    }
    delete_all(db, ids, now, true)
}

fn delete_all(db: &Connection, ids: &[Uuid], now: UnixNanos, pending: bool) -> Result<u64> {
    let mut mark = db.prepare_cached(
        "INSERT INTO deleted_records (id, deleted_at, pending) VALUES (?1, ?2, ?3) \
         ON CONFLICT (id) DO NOTHING",
    )?;
    let mut unqueue = db.prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
    // What was withdrawn stays, also when this device reads its own deletion back.
    let mut remove = db.prepare_cached(
        "DELETE FROM records WHERE id = ?1 AND id NOT IN (SELECT id FROM deleted_records WHERE id = ?1 AND kept = 1)",
    )?;
    let mut removed = 0;
    for id in ids {
        mark.execute(params![id.as_bytes(), now.0, pending])?;
        unqueue.execute([id.as_bytes()])?;
        removed += remove.execute([id.as_bytes()])? as u64;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
