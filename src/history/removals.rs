//! What was removed a moment ago and can be taken back: for a minute it is kept beside the records, whole.
//!
//! A removal and what it removed are written in the transaction that removes, and taken back in one transaction, so an
//! interruption leaves one or the other. While the other devices have not been told of a deletion, nothing but this
//! database knows of it, and taking it back leaves no trace. Before they are told, in the transaction that reads what to tell
//! ([`History::deletions_to_tell`]), what the removal kept is erased: so no deletion that left is ever taken back, however
//! telling ends. A deletion of another device erases what is kept of the same record here.
//!
//! What nobody took back within the minute is erased when the history is next opened by a command.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::deletions::delete_here;
use super::error::Result;
use super::record::UnixNanos;
use super::rows;
use super::store::History;

/// How long a removal can be taken back, in nanoseconds.
const KEPT_FOR: i64 = 60 * 1_000_000_000;
/// `removals.kind` of records that were deleted, and of all records of this device being forgotten.
const DELETED: i64 = 0;
const FORGOTTEN: i64 = 1;

/// What became of a wish to take the last removal back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// So many records are there again.
    Restored {
        /// Records that are there again.
        restored: u64,
        /// Records that are not: another device deleted them too, or they had come back already.
        left_out: u64,
        /// Later removals that the other devices have been told of, and that stay.
        passed_over: u64,
    },
    /// Nothing was removed in the last minute.
    Nothing,
    /// The other devices have been told.
    Told,
}

impl History {
    /// [`delete`](Self::delete) that can be taken back for a minute.
    ///
    /// # Errors
    /// What the database says; then nothing was deleted.
    pub fn remove(&self, ids: &[Uuid], now: UnixNanos) -> Result<u64> {
        self.write(|db| {
            let number = begin(db, DELETED, now)?;
            let mut keep = db.prepare_cached(&format!("{} WHERE records.id = ?2", keep_sql()))?;
            for id in ids {
                keep.execute(params![number, id.as_bytes()])?;
            }
            counted(db, number)?;
            delete_here(db, ids, now)
        })
    }

    /// [`clear`](Self::clear) that can be taken back for a minute.
    ///
    /// # Errors
    /// What the database says; then nothing was forgotten.
    pub fn clear_for_now(&self, now: UnixNanos) -> Result<u64> {
        self.write(|db| {
            let number = begin(db, FORGOTTEN, now)?;
            db.execute(&keep_sql(), [number])?;
            counted(db, number)?;
            db.execute("DELETE FROM outbox", [])?;
            Ok(db.execute("DELETE FROM records", [])? as u64)
        })
    }

    /// Takes back the last removal of the last minute of which no other device was told.
    ///
    /// # Errors
    /// What the database says; then nothing was taken back.
    pub fn undo_removal(&self, now: UnixNanos) -> Result<Undone> {
        let device = self.device_id()?;
        let undone = self.write(|db| undo(db, device, now))?;
        self.index_backlog();
        Ok(undone)
    }

    /// What [`undo_removal`](Self::undo_removal) would do now; nothing is changed.
    ///
    /// # Errors
    /// What the database says.
    pub fn would_undo(&self, now: UnixNanos) -> Result<Undone> {
        let device = self.device_id()?;
        // It is done and not committed, so that what is said is what would come of it.
        let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let undone = undo(&transaction, device, now)?;
        transaction.rollback()?;
        Ok(undone)
    }

    /// Erases what can no longer be taken back.
    ///
    /// # Errors
    /// What the database says; then it is still there.
    pub fn expire_removals(&self, now: UnixNanos) -> Result<()> {
        // A clock that was set back must not keep it for longer.
        let over = "SELECT number FROM removals WHERE at <= ?1 OR at > ?2";
        let bounds = [now.0.saturating_sub(KEPT_FOR), now.0];
        if !self.db.prepare_cached(over)?.exists(bounds)? {
            return Ok(());
        }
        self.write(|db| {
            db.execute(&format!("DELETE FROM removed WHERE removal IN ({over})"), bounds)?;
            db.execute("DELETE FROM removals WHERE at <= ?1 OR at > ?2", bounds)?;
            Ok(())
        })?;
        self.fold_log(std::time::Duration::ZERO);
        Ok(())
    }

    /// Up to `limit` ids deleted here, or with `kept` withdrawn, that the other devices are to be told of now. They can no
    /// longer be taken back.
    ///
    /// # Errors
    /// What the database says; then they still can.
    pub fn deletions_to_tell(&self, kept: bool, limit: usize) -> Result<Vec<Uuid>> {
        if self.pending_deletions(kept, 1)?.is_empty() {
            return Ok(Vec::new());
        }
        let ids = self.write(|db| {
            let ids = self.pending_deletions(kept, limit)?;
            let mut tell = db.prepare_cached(
                "UPDATE removals SET told = 1 WHERE kind = ?2 AND number IN (SELECT removal FROM removed WHERE id = ?1)",
            )?;
            for id in &ids {
                tell.execute(params![id.as_bytes(), DELETED])?;
            }
            db.execute("DELETE FROM removed WHERE removal IN (SELECT number FROM removals WHERE told = 1)", [])?;
            Ok(ids)
        })?;
        self.empty_log();
        Ok(ids)
    }
}

/// Takes back the last removal that can be, inside a transaction.
fn undo(db: &Connection, device: Uuid, now: UnixNanos) -> Result<Undone> {
    let within = [now.0.saturating_sub(KEPT_FOR), now.0];
    let last = db
        .prepare_cached(
            "SELECT number, kind, records FROM removals WHERE at > ?1 AND at <= ?2 AND NOT told \
             ORDER BY number DESC LIMIT 1",
        )?
        .query_row(within, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))
        .optional()?;
    let number = last.map_or(i64::MIN, |(number, ..)| number);
    let told: i64 = db
        .prepare_cached("SELECT count(*) FROM removals WHERE at > ?1 AND at <= ?2 AND told AND number > ?3")?
        .query_row(params![within[0], within[1], number], |row| row.get(0))?;
    match last {
        None if told == 0 => Ok(Undone::Nothing),
        None => Ok(Undone::Told),
        Some((number, kind, records)) => {
            let restored = restore(db, number, kind, device)?;
            let left_out = records.unsigned_abs().saturating_sub(restored);
            Ok(Undone::Restored { restored, left_out, passed_over: told.unsigned_abs() })
        }
    }
}

/// Notes that something is about to be removed.
fn begin(db: &Connection, kind: i64, now: UnixNanos) -> Result<i64> {
    db.execute("INSERT INTO removals (at, kind, records) VALUES (?1, ?2, 0)", [now.0, kind])?;
    Ok(db.last_insert_rowid())
}

/// Notes how many records it removes.
fn counted(db: &Connection, number: i64) -> Result<()> {
    db.execute(
        "UPDATE removals SET records = (SELECT count(*) FROM removed WHERE removal = ?1) WHERE number = ?1",
        [number],
    )?;
    Ok(())
}

/// Keeps records, with what is known of them beside: whether they are queued, and how they were marked.
fn keep_sql() -> String {
    let columns = rows::COLUMNS;
    format!(
        "INSERT INTO removed (removal, {columns}, synced, held, marked) SELECT ?1, {columns}, synced, \
         (SELECT held FROM outbox WHERE outbox.id = records.id), \
         (SELECT pending FROM deleted_records AS mark WHERE mark.id = records.id AND mark.kept = 1) FROM records"
    )
}

/// Puts what a removal kept back; says how many records are there again.
fn restore(db: &Connection, number: i64, kind: i64, device: Uuid) -> Result<u64> {
    let of_it = "SELECT id FROM removed WHERE removal = ?1";
    if kind == DELETED {
        db.execute(
            &format!("UPDATE deleted_records SET kept = 1, pending = \
             (SELECT marked FROM removed WHERE removal = ?1 AND removed.id = deleted_records.id) WHERE id IN ({of_it} AND marked IS NOT NULL)"),
            [number],
        )?;
        db.execute(&format!("DELETE FROM deleted_records WHERE id IN ({of_it} AND marked IS NULL)"), [number])?;
    }
    let columns = rows::COLUMNS;
    let restored = db.execute(
        &format!(
            "INSERT OR IGNORE INTO records ({columns}, in_segment, synced) \
             SELECT {columns}, id IN (SELECT id FROM placed), synced OR id IN (SELECT id FROM placed) FROM removed \
             WHERE removal = ?1 AND id NOT IN (SELECT id FROM deleted_records WHERE kept = 0) ORDER BY started_at, id"
        ),
        [number],
    )?;
    // What was in sync and lies nowhere any more goes up again.
    db.execute(
        "INSERT OR IGNORE INTO outbox (id, held) SELECT id, coalesce(held, 0) FROM removed WHERE removal = ?1 \
         AND id NOT IN (SELECT id FROM deleted_records) AND id IN (SELECT id FROM records) \
         AND (held IS NOT NULL OR synced = 1 AND device_id = ?2 AND id NOT IN (SELECT id FROM placed)) \
         ORDER BY started_at, id",
        params![number, device.as_bytes()],
    )?;
    db.execute("DELETE FROM removed WHERE removal = ?1", [number])?;
    db.execute("DELETE FROM removals WHERE number = ?1", [number])?;
    Ok(restored as u64)
}

#[cfg(test)]
mod tests;
