//! What each account has in a relay's file, read beside a relay that may be running.
//!
//! The tables are kept by the store itself: `js/src/holdings.ts` says how.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::RelayError;

/// How long to wait for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Bytes of what it has written, as they are stored.
    pub bytes: u64,
    /// CoValues that are its own.
    pub values: u64,
    /// When it was last used, in days since 1970, where the relay notes that.
    pub used_day: Option<i64>,
    /// When something of it was last not taken, since it was too much.
    pub refused_day: Option<i64>,
}

/// What each account has in the store of a relay's folder; nothing where there is no store yet.
pub(super) fn holdings(folder: &Path) -> Result<BTreeMap<String, Held>, RelayError> {
    let path = folder.join(super::store::DATABASE);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    read(&path).map_err(|error| RelayError::Store { folder: folder.to_owned(), reason: error.to_string() })
}

/// Takes out what the store keeps count with: the engine that opens it next counts what is there then.
pub(super) fn leave_out_counts(database: &Connection) -> rusqlite::Result<()> {
    let mut query = database.prepare(
        "SELECT type || ' ' || name FROM sqlite_master
         WHERE name GLOB 'caro_*' AND type IN ('table', 'trigger') ORDER BY type DESC",
    )?;
    let found: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    found.iter().try_for_each(|found| database.execute_batch(&format!("DROP {found}")))
}

fn read(path: &Path) -> rusqlite::Result<BTreeMap<String, Held>> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database.busy_timeout(BUSY_TIMEOUT)?;
    let known =
        database.query_row("SELECT 1 FROM sqlite_master WHERE name = 'caro_owners'", [], |_| Ok(())).optional()?;
    let mut found: BTreeMap<String, Held> = BTreeMap::new();
    if known.is_none() {
        return Ok(found);
    }
    let pair = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
    let mut owned =
        database.prepare("SELECT account, COUNT(*) FROM caro_owners WHERE account <> '' GROUP BY account")?;
    for row in owned.query_map([], pair)? {
        let (account, values) = row?;
        found.entry(account).or_default().values = values;
    }
    let mut written =
        database.prepare("SELECT account, SUM(bytes) FROM caro_written WHERE account <> '' GROUP BY account")?;
    for row in written.query_map([], pair)? {
        let (account, bytes) = row?;
        found.entry(account).or_default().bytes = bytes;
    }
    days(&database, "caro_used", |account, day| {
        found.get_mut(account).into_iter().for_each(|held| held.used_day = Some(day));
    })?;
    days(&database, "caro_refused", |account, day| {
        found.get_mut(account).into_iter().for_each(|held| held.refused_day = Some(day));
    })?;
    Ok(found)
}

/// The days that a table has for accounts, where there is such a table.
fn days(database: &Connection, table: &str, mut each: impl FnMut(&str, i64)) -> rusqlite::Result<()> {
    let known = "SELECT 1 FROM sqlite_master WHERE name = ?1";
    if database.query_row(known, [table], |_| Ok(())).optional()?.is_none() {
        return Ok(());
    }
    let mut days = database.prepare(&format!("SELECT account, day FROM {table} WHERE account <> ''"))?;
    for row in days.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))? {
        let (account, day) = row?;
        each(&account, day);
    }
    Ok(())
}
