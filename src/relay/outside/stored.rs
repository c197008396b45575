//! What a relay's store holds, counted through a connection of its own that can only read. It is closed again each time:
//! the log stays beside the store while anyone has it open, and so after the relay has ended too.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Row};
use serde::{Deserialize, Serialize};

use crate::relay::store::DATABASE;

/// After how long everything is counted anew: what was taken back at once, nobody counts as an erasure.
const ANEW: Duration = Duration::from_secs(3600);

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// CoValues, with those of which only the deletion is left.
    pub covalues: u64,
    /// Those among them that are accounts.
    pub accounts: u64,
    /// CoValues whose content was erased, since their owner deleted them.
    pub erased: u64,
    /// Bytes of the database; none where it does not say.
    pub database_bytes: Option<u64>,
    /// Bytes of its log, which is emptied now and then; none for a database that others use too.
    pub log_bytes: Option<u64>,
}

/// Counts what a store holds. What was counted once is not counted again, until something was erased.
pub(super) struct Inventory {
    path: PathBuf,
    until: i64,
    counted: Stored,
    erasures: u64,
    begun: Instant,
}

impl Inventory {
    /// The store in a folder.
    pub(super) fn of(folder: &Path) -> Self {
        Self::at(&folder.join(DATABASE))
    }

    fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), until: 0, counted: Stored::default(), erasures: 0, begun: Instant::now() }
    }

    /// What it holds now, after so many erasures.
    pub(super) fn take(&mut self, erasures: u64) -> rusqlite::Result<Stored> {
        if erasures != self.erasures || self.begun.elapsed() > ANEW {
            *self = Self { erasures, ..Self::at(&self.path) };
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(&self.path, flags)?;
        let (until, covalues, accounts) = database.query_row(
            "SELECT coalesce(max(rowID), ?1), count(*),
                    count(*) FILTER (WHERE json_valid(header) AND json_extract(header, '$.meta.type') = 'account')
             FROM coValues WHERE rowID > ?1",
            [self.until],
            |row| Ok((row.get(0)?, count(row, 1)?, count(row, 2)?)),
        )?;
        self.until = until;
        self.counted.covalues += covalues;
        self.counted.accounts += accounts;
        let erased = "SELECT count(*) FROM deletedCoValues WHERE status = 1";
        self.counted.erased = database.query_row(erased, [], |row| count(row, 0))?;
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        self.counted.database_bytes = Some(length(&self.path));
        self.counted.log_bytes = Some(length(Path::new(&log)));
        Ok(self.counted)
    }
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

/// What the store in a folder holds; none where there is none.
pub(in crate::relay) fn stored(folder: &Path) -> rusqlite::Result<Option<Stored>> {
    if !folder.join(DATABASE).exists() {
        return Ok(None);
    }
    Inventory::of(folder).take(0).map(Some)
}

/// What a database holds that is a store, or a copy of one.
pub(in crate::relay) fn stored_in(database: &Path) -> rusqlite::Result<Stored> {
    Inventory::at(database).take(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_erased_is_not_counted_any_more_and_what_came_in_its_place_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DATABASE);
        let store = Connection::open(&path).unwrap();
        store
            .execute_batch(
                r#"CREATE TABLE coValues (rowID INTEGER PRIMARY KEY, header TEXT);
                   CREATE TABLE deletedCoValues (status INTEGER);
                   INSERT INTO coValues (header) VALUES ('{}'), ('{}'), ('{"meta":{"type":"account"}}')"#,
            )
            .unwrap();
        let mut inventory = Inventory::at(&path);
        let mut counted = |erasures| inventory.take(erasures).map(|stored| (stored.covalues, stored.accounts)).unwrap();
        assert_eq!(counted(0), (3, 1));
        // The numbers of rows are given again.
        store
            .execute_batch("DELETE FROM coValues WHERE rowID > 1; INSERT INTO coValues (header) VALUES ('{}')")
            .unwrap();
        assert_eq!(counted(1), (2, 0));
        store.execute_batch("INSERT INTO coValues (header) VALUES ('{}')").unwrap();
        assert_eq!(counted(1), (3, 0));
    }
}
