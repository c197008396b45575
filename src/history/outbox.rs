//! The border to other devices: what they have not been handed yet, and what arrives from them.
//!
//! A local add puts the record's id into the outbox in the same transaction; it leaves only when
//! whoever carries it away says that it is safe elsewhere. Records that arrive are united by id,
//! never enter the outbox and never bring back what was deleted, and the reader's position (a
//! cursor) moves in the same transaction: after a crash at any instruction both are right.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::error::{HistoryError, Result};
use super::placement::{place, queue_nowhere};
use super::record::{Record, UnixNanos};
use super::rows;
use super::store::{History, Stored, count, set_meta, store};

/// `outbox.held` of what the user's rules keep here.
const HELD_BY_RULES: i64 = 1;
/// Began before what is kept in sync, and is in sync as it was or was another device's: only here is it as it is now.
const HELD_OUTSIDE: i64 = 3;
/// `outbox.held` of commands whose end is still to come.
pub(super) const HELD_WHILE_RUNNING: i64 = 2;
/// Queues every record of a device under a new number. What is held stays so; what was deleted or withdrawn is left out.
pub(super) const QUEUE_ALL_OF: &str = "INSERT OR REPLACE INTO outbox (id, held) \
     SELECT id, coalesce((SELECT held FROM outbox WHERE outbox.id = records.id), 0) FROM records \
     WHERE device_id = ?1 AND id NOT IN (SELECT id FROM deleted_records) ORDER BY started_at, id";
/// The cursors whose keys begin with `?1`: a range of the table's own order.
pub(super) const IN_PREFIX: &str = "key >= ?1 AND key < ?1 || char(0x10ffff)";
/// Key in the `meta` table of the rules that what is held was held by.
const RULES: &str = "held_by";
/// Key in the `meta` table of how many records left the queue since the relay had confirmed all of them.
pub(super) const UNCONFIRMED: &str = "sync_unconfirmed";
const MORE_UNCONFIRMED: &str = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) \
     DO UPDATE SET value = CAST(CAST(value AS INTEGER) + CAST(excluded.value AS INTEGER) AS TEXT)";

/// A reader's position to be saved together with what it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<'a> {
    /// What is being read.
    pub key: &'a str,
    /// How far.
    pub value: u64,
}

/// What became of records that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ingested {
    /// Records that were new here.
    pub added: u64,
    /// Records whose stored state was replaced.
    pub updated: u64,
    /// Records that were here already.
    pub already_there: u64,
    /// Records that stay deleted.
    pub deleted: u64,
}

impl Ingested {
    pub(super) fn count(&mut self, stored: Stored) {
        match stored {
            Stored::Added => self.added += 1,
            Stored::Updated => self.updated += 1,
            Stored::AlreadyThere => self.already_there += 1,
            Stored::Deleted => self.deleted += 1,
        }
    }
}

impl History {
    /// The oldest `limit` queued records with their queue numbers, in the order they were queued. What is held
    /// back is not among them.
    ///
    /// # Errors
    /// What the database says.
    pub fn pending(&self, limit: usize) -> Result<Vec<(u64, Record)>> {
        let columns = rows::COLUMNS.replace("id, version", "records.id, version");
        let sql = format!(
            "SELECT {columns}, seq FROM outbox JOIN records ON records.id = outbox.id \
             WHERE held = 0 ORDER BY seq LIMIT ?1"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.db.prepare_cached(&sql)?;
        let pending = statement
            .query_map([limit], |row| Ok((row.get::<_, i64>("seq")?.unsigned_abs(), rows::from_row(row)?)))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(pending)
    }

    /// The number of queued records, without those that are held back.
    ///
    /// # Errors
    /// What the database says.
    pub fn pending_count(&self) -> Result<u64> {
        count(&self.db, "SELECT count(*) FROM outbox WHERE held = 0")
    }

    /// Holds queued records back, by the numbers [`pending`](Self::pending) gave, until the rules change. A record
    /// that changed since then has a new number and is looked at again.
    ///
    /// # Errors
    /// What the database says; then none of them is held.
    pub fn hold(&self, numbers: &[u64]) -> Result<()> {
        self.write(|db| {
            let mut statement = db.prepare_cached("UPDATE outbox SET held = ?2 WHERE seq = ?1")?;
            for number in numbers {
                if let Ok(number) = i64::try_from(*number) {
                    statement.execute([number, HELD_BY_RULES])?;
                }
            }
            Ok(())
        })
    }

    /// Leaves queued records on this device, by the numbers [`pending`](Self::pending) gave, since they began before what is kept in
    /// sync: until [`release_outside`](Self::release_outside). Those of `own` that lie in no segment leave the queue:
    /// [`queue_unplaced`](Self::queue_unplaced) finds them again.
    ///
    /// # Errors
    /// What the database says; then all of them stay queued.
    pub fn leave_outside(&self, numbers: &[u64], own: Uuid) -> Result<()> {
        self.write(|db| {
            let mut unplaced = db.prepare_cached(
                // Not `id IN (…)`, for which the whole history would be looked at each time.
                "DELETE FROM outbox WHERE seq = ?1 AND EXISTS \
                 (SELECT 1 FROM records WHERE records.id = outbox.id AND device_id = ?2 AND in_segment = 0)",
            )?;
            let mut others = db.prepare_cached("UPDATE outbox SET held = ?2 WHERE seq = ?1")?;
            for number in numbers.iter().filter_map(|number| i64::try_from(*number).ok()) {
                unplaced.execute(rusqlite::params![number, own.as_bytes()])?;
                others.execute([number, HELD_OUTSIDE])?;
            }
            Ok(())
        })
    }

    /// Queues what was left outside again, where more may be kept in sync now. Returns how many.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn release_outside(&self) -> Result<u64> {
        self.write(|db| Ok(db.execute("UPDATE outbox SET held = 0 WHERE held = ?1", [HELD_OUTSIDE])? as u64))
    }

    /// The number of records that the rules hold back.
    ///
    /// # Errors
    /// What the database says.
    pub fn held_count(&self) -> Result<u64> {
        let held: i64 = self
            .db
            .prepare_cached("SELECT count(*) FROM outbox WHERE held = ?1")?
            .query_row([HELD_BY_RULES], |row| row.get(0))?;
        Ok(held.unsigned_abs())
    }

    /// Queues everything that the rules held back again, since they may have changed. Returns how many.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn release_held(&self) -> Result<u64> {
        self.write(release_held)
    }

    /// [`release_held`](Self::release_held), if `rules`, in whatever form, are others than those it was last called
    /// with.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn hold_by(&self, rules: &str) -> Result<()> {
        if self.meta_get(RULES)?.as_deref() == Some(rules) {
            return Ok(());
        }
        self.write(|db| {
            release_held(db)?;
            set_meta(db, RULES, Some(rules))
        })
    }

    /// Queues commands that began before `before` and of which no end is known: whoever ran them was probably
    /// stopped. Returns how many.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn release_unfinished(&self, before: UnixNanos) -> Result<u64> {
        self.write(|db| {
            Ok(db.execute(
                "UPDATE outbox SET held = 0 WHERE held = ?1 \
                 AND (SELECT started_at FROM records WHERE records.id = outbox.id) < ?2",
                [HELD_WHILE_RUNNING, before.0],
            )? as u64)
        })
    }

    /// Takes records out of the queue, by the numbers [`pending`](Self::pending) gave.
    ///
    /// A record that changed since then has a new number and stays queued.
    ///
    /// # Errors
    /// What the database says; then all of them stay queued.
    pub fn acknowledge(&self, numbers: &[u64]) -> Result<()> {
        self.write(|db| unqueue(db, numbers.iter().copied()))
    }

    /// Takes records out of the queue, notes the segment in which they lie now, and saves the reader's position
    /// behind them.
    ///
    /// # Errors
    /// What the database says; then all of them stay queued.
    pub fn acknowledge_in(&self, segment: &str, sent: &[(u64, Uuid)], cursor: Option<Cursor<'_>>) -> Result<()> {
        self.write(|db| {
            unqueue(db, sent.iter().map(|(number, _)| *number))?;
            place(db, segment, sent.iter().map(|(_, id)| *id))?;
            if !sent.is_empty() {
                db.prepare_cached(MORE_UNCONFIRMED)?.execute(params![UNCONFIRMED, sent.len().to_string()])?;
            }
            save_cursor(db, cursor)
        })
    }

    /// How many records lie in segments, and were not yet confirmed by the relay: as many as left the queue since
    /// [`all_confirmed`](Self::all_confirmed).
    ///
    /// # Errors
    /// What the database says.
    pub fn unconfirmed_count(&self) -> Result<u64> {
        Ok(self.meta_get(UNCONFIRMED)?.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// The relay has confirmed everything that left the queue.
    ///
    /// # Errors
    /// What the database says.
    pub fn all_confirmed(&self) -> Result<()> {
        if self.unconfirmed_count()? == 0 { Ok(()) } else { self.meta_note(UNCONFIRMED, "0") }
    }

    /// Queues every record of `device` again, oldest first; returns how many are queued now.
    ///
    /// # Errors
    /// What the database says; then the queue is unchanged.
    pub fn requeue_all(&self, device: Uuid) -> Result<u64> {
        self.write(|db| {
            db.execute(QUEUE_ALL_OF, [device.as_bytes()])?;
            count(db, "SELECT count(*) FROM outbox")
        })
    }

    /// Unites records from other devices with the history and saves the reader's position.
    ///
    /// A queued record that arrives as it is here is safe elsewhere already, and leaves the queue: so a
    /// device that reads its own records back need not send them again.
    ///
    /// # Errors
    /// What the database says; then neither records nor position changed.
    pub fn ingest(&self, records: &[Record], cursor: Option<Cursor<'_>>) -> Result<Ingested> {
        self.unite(None, records, cursor)
    }

    /// [`ingest`](Self::ingest) for records that were found in a segment, which is noted too. Deleted ones are
    /// noted like all others: their segment still has to be rewritten. One of which this device knows more, and which lay
    /// in none before, is queued: the segment that said so may have retired before everyone had read it.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn ingest_from(&self, segment: &str, records: &[Record], cursor: Option<Cursor<'_>>) -> Result<Ingested> {
        self.unite(Some(segment), records, cursor)
    }

    /// Replaces records by what they are in sync, whatever they are here: for those that were changed in the file itself.
    /// One that is not here is left out.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn put_back(&self, records: &[Record]) -> Result<()> {
        self.write(|db| {
            for record in records {
                if let Some(here) = rows::by_id(db, record.id)? {
                    // What sync has cut is whole here only.
                    rows::update(db, &record.completed(&here))?;
                }
            }
            Ok(())
        })
    }

    fn unite(&self, segment: Option<&str>, records: &[Record], cursor: Option<Cursor<'_>>) -> Result<Ingested> {
        let ingested = self.write(|db| {
            let mut ingested = Ingested::default();
            let mut unqueue = db.prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
            let mut queued = db.prepare_cached("SELECT 1 FROM outbox WHERE id = ?1")?;
            let (mut behind, mut whole) = (BTreeSet::new(), BTreeSet::new());
            for record in records {
                let stored = store(db, record, false)?;
                ingested.count(stored);
                let id = record.id.as_bytes();
                let is_queued = queued.exists([id])?;
                if !is_queued && stored != Stored::AlreadyThere {
                    whole.insert(record.id);
                    continue;
                }
                let Some(here) = rows::by_id(db, record.id)? else { continue };
                match here.compare(record) {
                    Ordering::Less => continue,
                    Ordering::Equal => whole.insert(record.id),
                    Ordering::Greater => behind.insert(record.id),
                };
                if is_queued && here == *record.completed(&here) {
                    unqueue.execute([id])?;
                }
            }
            if let Some(segment) = segment {
                queue_nowhere(db, behind.difference(&whole))?;
                place(db, segment, records.iter().map(|record| record.id))?;
            }
            save_cursor(db, cursor)?;
            Ok(ingested)
        })?;
        self.index_backlog();
        Ok(ingested)
    }

    /// The position saved under `key`.
    ///
    /// # Errors
    /// What the database says.
    pub fn cursor(&self, key: &str) -> Result<Option<u64>> {
        let value: Option<i64> = self
            .db
            .prepare_cached("SELECT value FROM cursors WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        Ok(value.map(i64::unsigned_abs))
    }

    /// Every saved position, ordered by key.
    ///
    /// # Errors
    /// What the database says.
    pub fn cursors(&self) -> Result<Vec<(String, u64)>> {
        let mut statement = self.db.prepare_cached("SELECT key, value FROM cursors ORDER BY key")?;
        let cursors = statement
            .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(cursors)
    }

    /// The saved positions whose keys begin with `prefix`: what follows it in each, and the position.
    ///
    /// # Errors
    /// What the database says.
    pub fn cursors_in(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        let mut statement = self
            .db
            .prepare_cached(&format!("SELECT substr(key, length(?1) + 1), value FROM cursors WHERE {IN_PREFIX}"))?;
        let cursors = statement
            .query_map([prefix], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(cursors)
    }

    /// Forgets every saved position, so that everything is read from the start.
    ///
    /// # Errors
    /// What the database says.
    pub fn clear_cursors(&self) -> Result<()> {
        self.write(|db| {
            db.execute("DELETE FROM cursors", [])?;
            Ok(())
        })
    }
}

fn release_held(db: &Connection) -> Result<u64> {
    Ok(db.execute("UPDATE outbox SET held = 0 WHERE held = ?1", [HELD_BY_RULES])? as u64)
}

/// Takes records out of the queue inside a transaction.
fn unqueue(db: &Connection, numbers: impl Iterator<Item = u64>) -> Result<()> {
    let mut statement = db.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?;
    for number in numbers {
        if let Ok(number) = i64::try_from(number) {
            statement.execute([number])?;
        }
    }
    Ok(())
}

/// Saves a position inside a transaction.
pub(super) fn save_cursor(db: &Connection, cursor: Option<Cursor<'_>>) -> Result<()> {
    if let Some(Cursor { key, value }) = cursor {
        let value = i64::try_from(value).map_err(|error| HistoryError::Damaged(Box::new(error)))?;
        db.prepare_cached(
            "INSERT INTO cursors (key, value) VALUES (?1, ?2) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute(params![key, value])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
