//! Where records lie in the synced history: in which of its segments.
//!
//! The note is written in the transaction that takes a record out of the outbox or brings it in, so it is never
//! behind what was sent or read. It outlives the record: a deleted one lies in its segments until those
//! are rewritten, and a segment that is gone leaves behind which of its records lie nowhere else.
//!
//! The same transactions mark a record as one that lies in a segment (`records.in_segment`) and has been in the account
//! (`records.synced`), which stays true wherever it lies later: triggers of the layout do. And they leave two notes in the
//! `meta` table for whoever puts segments in order: that records lie in several segments ([`COPIES`]), or may lie in none
//! any more ([`ORPHANS`]), so that nobody has to look each time.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::error::Result;
use super::outbox::{IN_PREFIX, UNCONFIRMED};
use super::record::UnixNanos;
use super::rows;
use super::store::{History, count, set_meta};

/// Key in the `meta` table of the note that records lie in several segments; [`NEW`] when one has just been found.
pub(crate) const COPIES: &str = "sync_copies";
/// Key in the `meta` table of the note that records of other devices may lie in no segment any more; [`NEW`] when that
/// has just come about.
pub(crate) const ORPHANS: &str = "sync_orphans";
/// The value of a note that nobody has looked at.
const NEW: &str = "new";

/// Records that are not queued, lie in no segment and were not withdrawn from sync.
const NOWHERE: &str = "in_segment = 0 AND id NOT IN (SELECT id FROM outbox) \
     AND id NOT IN (SELECT id FROM deleted_records)";

impl History {
    /// The segments in which a record lies.
    ///
    /// # Errors
    /// What the database says.
    pub fn segments_of(&self, id: Uuid) -> Result<Vec<String>> {
        self.texts(
            "SELECT segments.id FROM placed JOIN segments ON number = segment WHERE placed.id = ?1 ORDER BY 1",
            [id.as_bytes()],
        )
    }

    /// The records that lie in a segment, deleted ones included.
    ///
    /// # Errors
    /// What the database says.
    pub fn records_in(&self, segment: &str) -> Result<Vec<Uuid>> {
        records_in(&self.db, segment)
    }

    /// How many records lie in a segment, deleted ones included.
    ///
    /// # Errors
    /// What the database says.
    pub fn count_in(&self, segment: &str) -> Result<u64> {
        let count: i64 = self
            .db
            .prepare_cached("SELECT count(*) FROM placed WHERE segment = (SELECT number FROM segments WHERE id = ?1)")?
            .query_row([segment], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// The records that lie in more than one segment, with these in the order of their ids; deleted ones are left out.
    ///
    /// # Errors
    /// What the database says.
    pub fn copies(&self) -> Result<BTreeMap<Uuid, Vec<String>>> {
        let mut statement = self.db.prepare_cached(
            "SELECT placed.id, segments.id FROM placed JOIN segments ON number = segment \
             WHERE placed.id IN (SELECT id FROM placed GROUP BY id HAVING count(*) > 1) \
             AND placed.id NOT IN (SELECT id FROM deleted_records) ORDER BY 2",
        )?;
        let mut copies: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
        for row in statement.query_map([], |row| Ok((rows::id_column(row, 0)?, row.get(1)?)))? {
            let (id, segment) = row?;
            copies.entry(id).or_default().push(segment);
        }
        Ok(copies)
    }

    /// The records of other devices than `own` that have been in the account, lie in no segment any more and are not
    /// queued, and began at `from` or later; and whose each is.
    ///
    /// # Errors
    /// What the database says.
    pub fn orphans(&self, own: Uuid, from: UnixNanos) -> Result<Vec<(Uuid, Uuid)>> {
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT id, device_id FROM records \
             WHERE synced = 1 AND device_id <> ?1 AND started_at >= ?2 AND {NOWHERE} ORDER BY started_at, id"
        ))?;
        let orphans = statement
            .query_map(params![own.as_bytes(), from.0], |row| Ok((rows::id_column(row, 0)?, rows::id_column(row, 1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(orphans)
    }

    /// Every segment in which a record is known to lie.
    ///
    /// # Errors
    /// What the database says.
    pub fn placed_segments(&self) -> Result<Vec<String>> {
        self.texts("SELECT id FROM segments ORDER BY id", [])
    }

    /// The segments in which deleted records lie.
    ///
    /// # Errors
    /// What the database says.
    pub fn segments_with_deleted(&self) -> Result<Vec<String>> {
        self.segments_with_deleted_outside(UnixNanos(i64::MAX), UnixNanos(i64::MAX))
    }

    /// The segments in which records lie that were deleted here, or of whose deletion this device has not heard between
    /// `since` and `now`: but before that, or by a clock that was ahead.
    ///
    /// # Errors
    /// What the database says.
    pub fn segments_with_deleted_outside(&self, since: UnixNanos, now: UnixNanos) -> Result<Vec<String>> {
        self.texts(
            "SELECT DISTINCT segments.id FROM deleted_records CROSS JOIN placed USING (id) \
             JOIN segments ON number = segment WHERE pending <> 0 OR deleted_at <= ?1 OR deleted_at > ?2 \
             ORDER BY 1",
            [since.0, now.0],
        )
    }

    /// Whether a record in a segment is known to have begun at `from` or later.
    ///
    /// # Errors
    /// What the database says.
    pub fn has_newer_in(&self, segment: &str, from: UnixNanos) -> Result<bool> {
        // The newest ones have the greatest ids, nearly always.
        let mut statement = self.db.prepare_cached(
            "SELECT 1 FROM placed CROSS JOIN records USING (id) \
             WHERE segment = (SELECT number FROM segments WHERE id = ?1) AND started_at >= ?2 \
             AND id NOT IN (SELECT id FROM deleted_records) ORDER BY placed.id DESC LIMIT 1",
        )?;
        Ok(statement.exists(params![segment, from.0])?)
    }

    /// When the newest record of a segment began; `None` where not all of its records are known here.
    ///
    /// # Errors
    /// What the database says.
    pub fn newest_in(&self, segment: &str) -> Result<Option<UnixNanos>> {
        let newest = self
            .db
            .prepare_cached(
                "SELECT count(*), count(records.id), max(started_at) FROM placed LEFT JOIN records USING (id) \
                 WHERE segment = (SELECT number FROM segments WHERE id = ?1) \
                 AND placed.id NOT IN (SELECT id FROM deleted_records)",
            )?
            .query_row([segment], |row| {
                let (lie, known): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok(if lie == known { row.get::<_, Option<i64>>(2)? } else { None })
            })?;
        Ok(newest.map(UnixNanos))
    }

    /// Notes that a segment is gone, and forgets every position whose key begins with `cursors`. Those of its
    /// records that lie in no other segment are queued: the ones of device `only`, or of all devices, that began after
    /// `after`. Returns how many.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn release_segment(
        &self,
        segment: &str,
        cursors: &str,
        only: Option<Uuid>,
        after: Option<UnixNanos>,
    ) -> Result<u64> {
        self.write(|db| {
            let ids = records_in(db, segment)?;
            db.prepare_cached("DELETE FROM placed WHERE segment = (SELECT number FROM segments WHERE id = ?1)")?
                .execute([segment])?;
            db.prepare_cached("DELETE FROM segments WHERE id = ?1")?.execute([segment])?;
            db.prepare_cached(&format!("DELETE FROM cursors WHERE {IN_PREFIX}"))?.execute([cursors])?;
            let mut queue = db.prepare_cached(&format!(
                "INSERT INTO outbox (id) SELECT id FROM records \
                 WHERE id = ?1 AND started_at > ?2 AND device_id = coalesce(?3, device_id) AND {NOWHERE}"
            ))?;
            let mut lies_nowhere = db.prepare_cached(&format!("SELECT 1 FROM records WHERE id = ?1 AND {NOWHERE}"))?;
            let after = after.map_or(i64::MIN, |after| after.0);
            let (mut queued, mut orphaned) = (0, false);
            for id in ids {
                queued += queue.execute(params![id.as_bytes(), after, only.as_ref().map(Uuid::as_bytes)])? as u64;
                orphaned = orphaned || lies_nowhere.exists([id.as_bytes()])?;
            }
            if orphaned {
                note_orphans(db)?;
            }
            Ok(queued)
        })
    }

    /// Forgets where every record lies and every saved position, so that everything is read from the start.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_places(&self) -> Result<()> {
        self.write(|db| {
            forget(db)?;
            note_orphans(db)
        })
    }

    /// [`forget_places`](Self::forget_places), and that any record was ever in an account: this home takes part in
    /// another one now.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_account(&self) -> Result<()> {
        self.write(|db| {
            forget(db)?;
            Ok(db.execute_batch(
                "UPDATE records SET synced = 0 WHERE synced <> 0; \
                 DELETE FROM meta WHERE key IN ('sync_copies', 'sync_orphans', 'sync_missing', 'sync_heads', 'sync_withheld', \
                 'sync_others_at', 'sync_open', 'succession_looked') OR key GLOB 'succession/*';",
            )?)
        })
    }

    /// What is queued, and whether it is held back.
    ///
    /// # Errors
    /// What the database says.
    pub fn queued(&self) -> Result<BTreeMap<Uuid, bool>> {
        let mut statement = self.db.prepare_cached("SELECT id, held <> 0 FROM outbox")?;
        let queued = statement
            .query_map([], |row| Ok((rows::id_column(row, 0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(queued)
    }

    /// Queues records, wherever they lie already.
    ///
    /// # Errors
    /// What the database says; then the queue is unchanged.
    pub fn queue_again(&self, ids: &[Uuid]) -> Result<()> {
        self.write(|db| {
            let mut queue =
                db.prepare_cached("INSERT OR IGNORE INTO outbox (id) SELECT id FROM records WHERE id = ?1")?;
            for id in ids {
                queue.execute([id.as_bytes()])?;
            }
            Ok(())
        })
    }

    /// Queues the records of `device`, or of all devices, that lie in no segment and began at `from` or later, oldest
    /// first; says how many.
    ///
    /// # Errors
    /// What the database says; then the queue is unchanged.
    pub fn queue_unplaced(&self, device: Option<Uuid>, from: UnixNanos) -> Result<u64> {
        self.write(|db| {
            let queued = db
                .prepare_cached(&format!(
                    "INSERT INTO outbox (id) SELECT id FROM records \
                     WHERE device_id = coalesce(?1, device_id) AND started_at >= ?2 AND {NOWHERE} \
                     ORDER BY started_at, id"
                ))?
                .execute(params![device.as_ref().map(Uuid::as_bytes), from.0])?;
            Ok(queued as u64)
        })
    }

    /// How many records of `device` that lie in no segment and are not queued began at or after `from`, and before `to`.
    ///
    /// # Errors
    /// What the database says.
    pub fn unplaced_count(&self, device: Uuid, from: UnixNanos, to: UnixNanos) -> Result<u64> {
        let sql = format!(
            "SELECT count(*) FROM records WHERE device_id = ?1 AND started_at >= ?2 AND started_at < ?3 AND {NOWHERE}"
        );
        let count: i64 =
            self.db.prepare_cached(&sql)?.query_row(params![device.as_bytes(), from.0, to.0], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// How many records lie in no segment: as far as this device knows, they may be nowhere else.
    ///
    /// # Errors
    /// What the database says.
    pub fn unsynced_count(&self) -> Result<u64> {
        count(&self.db, "SELECT count(*) FROM records WHERE in_segment = 0")
    }

    /// When the `n`th newest of the records began that are in sync or on their way there, counted from 1; `None` where
    /// there are fewer. What is held back or was withdrawn takes nobody's place.
    ///
    /// # Errors
    /// What the database says.
    pub fn nth_newest(&self, n: u64) -> Result<Option<UnixNanos>> {
        use rusqlite::OptionalExtension;
        let Some(skip) = n.checked_sub(1).and_then(|skip| i64::try_from(skip).ok()) else { return Ok(None) };
        let began: Option<i64> = self
            .db
            .prepare_cached(
                "SELECT started_at FROM records WHERE in_segment = 1 \
                 AND id NOT IN (SELECT id FROM deleted_records WHERE kept = 1) \
                 UNION ALL \
                 SELECT started_at FROM outbox CROSS JOIN records USING (id) WHERE held = 0 AND in_segment = 0 \
                 AND id NOT IN (SELECT id FROM deleted_records WHERE kept = 1) \
                 ORDER BY started_at DESC LIMIT 1 OFFSET ?1",
            )?
            .query_row([skip], |row| row.get(0))
            .optional()?;
        Ok(began.map(UnixNanos))
    }

    fn texts(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<String>> {
        let mut statement = self.db.prepare_cached(sql)?;
        let texts = statement.query_map(params, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(texts)
    }
}

/// Notes inside a transaction that records of other devices may lie nowhere any more.
pub(super) fn note_orphans(db: &Connection) -> Result<()> {
    db.prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING")?
        .execute([ORPHANS, NEW])?;
    Ok(())
}

/// Queues those of these records inside a transaction that lie in no segment.
pub(super) fn queue_nowhere<'a>(db: &Connection, ids: impl Iterator<Item = &'a Uuid>) -> Result<()> {
    let mut queue =
        db.prepare_cached(&format!("INSERT INTO outbox (id) SELECT id FROM records WHERE id = ?1 AND {NOWHERE}"))?;
    for id in ids {
        queue.execute([id.as_bytes()])?;
    }
    Ok(())
}

/// Notes inside a transaction that records lie in a segment, after they were stored.
pub(super) fn place(db: &Connection, segment: &str, ids: impl Iterator<Item = Uuid>) -> Result<()> {
    db.prepare_cached("INSERT INTO segments (id) VALUES (?1) ON CONFLICT (id) DO NOTHING")?.execute([segment])?;
    let number: i64 =
        db.prepare_cached("SELECT number FROM segments WHERE id = ?1")?.query_row([segment], |row| row.get(0))?;
    let mut place = db.prepare_cached("INSERT INTO placed (segment, id) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    let mut elsewhere = db.prepare_cached("SELECT 1 FROM placed WHERE id = ?1 AND segment <> ?2")?;
    let mut copied = false;
    for id in ids {
        let id = id.as_bytes();
        place.execute(params![number, id])?;
        copied = copied || elsewhere.exists(params![id, number])?;
    }
    if copied {
        set_meta(db, COPIES, Some(NEW))?;
    }
    Ok(())
}

/// Forgets where every record lies and every position, inside a transaction. One statement says so to all records: the
/// trigger would look at each line, which takes twice as long.
pub(super) fn forget(db: &Connection) -> Result<()> {
    let trigger: String =
        db.query_row("SELECT sql FROM sqlite_schema WHERE name = 'placed_delete'", [], |row| row.get(0))?;
    Ok(db.execute_batch(&format!(
        "DROP TRIGGER placed_delete; DELETE FROM placed; {trigger}; \
         UPDATE records SET in_segment = 0 WHERE in_segment = 1; DELETE FROM segments; DELETE FROM cursors; \
         DELETE FROM meta WHERE key = '{UNCONFIRMED}';"
    ))?)
}

fn records_in(db: &Connection, segment: &str) -> Result<Vec<Uuid>> {
    let mut statement = db.prepare_cached(
        "SELECT id FROM placed WHERE segment = (SELECT number FROM segments WHERE id = ?1) ORDER BY id",
    )?;
    let ids = statement.query_map([segment], |row| rows::id_column(row, 0))?.collect::<rusqlite::Result<_>>()?;
    Ok(ids)
}

#[cfg(test)]
mod tests;
