//! Takes out of a relay's store what is not as it was written, so that it opens again and devices bring it anew.
//!
//! Where only values are wrong, they are moved into a database beside it: of a CoValue the part of one device, or, where its
//! header is wrong, all of it. Where the structure is broken, the store is built anew from the rows that can be read, and the
//! damaged one is kept whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::check::{Checked, examine};
use super::replace::{beside, discard, free_name, replace};
use super::{Trouble, database, failed};
use crate::relay::holdings::leave_out_counts;
use crate::relay::store;
use crate::relay::{MEMORY_LIMIT, RelayError};
use crate::runtime::protocol::{Close, Serve};
use crate::runtime::{Flaw, Isolate, IsolateOptions, open_database};
use crate::salvage::{Pages, Row, on_page};
use crate::{clock, private_file};

/// What the files beside are called.
const QUARANTINE: &str = "quarantine";
const DAMAGED: &str = "damaged";
const REBUILDING: &str = ".rebuilding";
/// How long making an empty store may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Rows that are written in one transaction.
const BATCH: usize = 10_000;

/// What became of a store.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// What was wrong with it.
    pub found: Checked,
    /// Where what was taken out lies; none where nothing was wrong.
    pub kept: Option<PathBuf>,
    /// What it holds now.
    pub left: Checked,
}

/// Checks the store in a folder, and takes out what is damaged. No relay may use it.
///
/// # Errors
///
/// [`RelayError::InUse`], [`RelayError::NoStore`]; otherwise what the database or the file system says.
pub fn quarantine(data_dir: &Path, mut looked: impl FnMut(u64, u64)) -> Result<Quarantined, RelayError> {
    let path = database(data_dir)?;
    let _lock = store::lock(data_dir)?;
    let failed = failed(data_dir);
    let (found, flaws) = examine(&path, &mut looked).map_err(&failed)?;
    if found.is_sound() {
        return Ok(Quarantined { left: found.clone(), found, kept: None });
    }
    let kept = if found.structure.is_empty() {
        let kept = free_name(&path, QUARANTINE, clock::now());
        move_out(&path, &kept, &flaws).map_err(&failed)?;
        kept
    } else {
        let kept = free_name(&path, DAMAGED, clock::now());
        let new = beside(&path, REBUILDING);
        let rebuilt =
            rebuild(&path, &new).and_then(|()| replace(&path, &new, &kept).map_err(|error| failed(error.into())));
        discard(&new);
        rebuilt?;
        kept
    };
    let (left, _) = examine(&path, looked).map_err(&failed)?;
    Ok(Quarantined { found, kept: Some(kept), left })
}

/// The sessions of which nothing stays.
const SESSIONS: &str = "rowID IN (SELECT row FROM temp.logs) OR coValue IN (SELECT row FROM temp.whole) \
                        OR coValue NOT IN (SELECT rowID FROM main.coValues)";

/// Which rows of a table are wrong or belong to nothing; the tables in the order in which rows may leave them.
fn wrong() -> [(&'static str, String); 4] {
    let of_log = format!(
        "ses IN (SELECT rowID FROM main.sessions WHERE {SESSIONS}) OR ses NOT IN (SELECT rowID FROM main.sessions)"
    );
    [
        ("transactions", of_log.clone()),
        ("signatureAfter", of_log),
        ("sessions", SESSIONS.to_owned()),
        ("coValues", "rowID IN (SELECT row FROM temp.whole)".to_owned()),
    ]
}

/// Moves what is wrong into a database of its own: it is there before it leaves the store.
fn move_out(path: &Path, kept: &Path, flaws: &[Flaw]) -> Result<(), Trouble> {
    drop(private_file::create_new(kept)?);
    let db = Connection::open(path)?;
    db.execute_batch("PRAGMA secure_delete = ON; PRAGMA synchronous = FULL;")?;
    note(&db, flaws)?;
    db.execute("ATTACH ?1 AS kept", [kept.to_string_lossy()])?;
    let copying = db.unchecked_transaction()?;
    for (table, wrong) in wrong() {
        db.execute_batch(&format!("CREATE TABLE kept.{table} AS SELECT * FROM main.{table} WHERE {wrong}"))?;
    }
    copying.commit()?;
    private_file::sync_folder(private_file::folder_of(kept))?;
    take_out(&db)
}

/// Notes which rows are wrong, for as long as this connection lasts.
fn note(db: &Connection, flaws: &[Flaw]) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TEMP TABLE whole (row INTEGER PRIMARY KEY); CREATE TEMP TABLE logs (row INTEGER PRIMARY KEY);",
    )?;
    for flaw in flaws {
        match flaw.session {
            Some(session) => db.execute("INSERT OR IGNORE INTO temp.logs VALUES (?1)", [session])?,
            None => db.execute("INSERT OR IGNORE INTO temp.whole VALUES (?1)", [flaw.value])?,
        };
    }
    Ok(())
}

/// Deletes the rows that are wrong, all or none.
fn take_out(db: &Connection) -> Result<(), Trouble> {
    let deleting = db.unchecked_transaction()?;
    for (table, wrong) in wrong() {
        db.execute(&format!("DELETE FROM main.{table} WHERE {wrong}"), [])?;
    }
    deleting.commit()?;
    Ok(())
}

/// Fills a new store with what can be read of a damaged one.
fn rebuild(path: &Path, new: &Path) -> Result<(), RelayError> {
    let folder = private_file::folder_of(path);
    let failed = failed(folder);
    discard(new);
    make_empty(new).map_err(|error| match error {
        Empty::Trouble(trouble) => failed(trouble),
        Empty::Engine(error) => RelayError::Isolate(error),
    })?;
    let filled = || -> Result<(), Trouble> {
        let db = Connection::open(new)?;
        // It is worth nothing until it is whole.
        db.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF;")?;
        leave_out_counts(&db)?;
        let pages = Pages::open(path, &beside(path, "-wal"))?;
        fill(&db, &pages)?;
        drop(db);
        // What was read of it is looked at like any other store.
        let (_, flaws) = examine(new, |_, _| ())?;
        let db = Connection::open(new)?;
        note(&db, &flaws)?;
        take_out(&db)?;
        drop(db);
        std::fs::File::open(new)?.sync_all()?;
        Ok(())
    };
    filled().map_err(failed)
}

/// Why an empty store could not be made.
enum Empty {
    Trouble(Trouble),
    Engine(crate::runtime::IsolateError),
}

/// Has the engine make an empty store: its tables are the business of the SDK.
fn make_empty(path: &Path) -> Result<(), Empty> {
    let database = open_database(Some(path)).map_err(|error| Empty::Trouble(error.into()))?;
    let isolate =
        Isolate::start(IsolateOptions { store: Box::new(database), dialer: None, memory_limit: MEMORY_LIMIT });
    let isolate = isolate.map_err(Empty::Engine)?;
    isolate.call(&Serve::default(), PATIENCE).map_err(Empty::Engine)?;
    isolate.call(&Close {}, PATIENCE).map_err(Empty::Engine)?;
    Ok(())
}

/// A table whose rows are kept, and how they are told from those of others.
struct Table {
    insert: &'static str,
    columns: usize,
    holds: fn(&Row) -> bool,
}

/// Left behind is what can be had again: indexes, and which peer lacks what.
const TABLES: [Table; 5] = [
    Table {
        insert: "INSERT OR IGNORE INTO coValues (rowID, id, header) VALUES (?1, ?2, ?3)",
        columns: 3,
        holds: |row| {
            let [Value::Null, Value::Text(id), Value::Text(header)] = &row.values[..] else { return false };
            row.is_numbered() && id.starts_with("co_z") && header.starts_with('{')
        },
    },
    Table {
        insert: "INSERT OR IGNORE INTO sessions (rowID, coValue, sessionID, lastIdx, lastSignature, bytesSinceLastSignature) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        columns: 6,
        holds: |row| {
            let [Value::Null, Value::Integer(_), Value::Text(name), Value::Integer(_), Value::Text(_), ..] =
                &row.values[..]
            else {
                return false;
            };
            row.is_numbered() && name.contains("_session_") && row.values.len() <= 6
        },
    },
    Table {
        insert: "INSERT OR IGNORE INTO transactions (ses, idx, tx) VALUES (?1, ?2, ?3)",
        columns: 3,
        holds: |row| is_of_log(row, "{"),
    },
    Table {
        insert: "INSERT OR IGNORE INTO signatureAfter (ses, idx, signature) VALUES (?1, ?2, ?3)",
        columns: 3,
        holds: |row| is_of_log(row, "signature_z"),
    },
    // The line in its index: a row of its own looks like one in the index of CoValues.
    Table {
        insert: "INSERT OR IGNORE INTO deletedCoValues (status, coValueID) VALUES (?1, ?2)",
        columns: 2,
        holds: |row| {
            let [Value::Integer(0 | 1), Value::Text(id)] = &row.values[..] else { return false };
            !row.is_numbered() && id.starts_with("co_z")
        },
    },
];

fn is_of_log(row: &Row, begins: &str) -> bool {
    let [Value::Integer(_), Value::Integer(_), Value::Text(text)] = &row.values[..] else { return false };
    !row.is_numbered() && text.starts_with(begins)
}

/// Takes every row over that can be read and is one of a table.
fn fill(db: &Connection, pages: &Pages) -> rusqlite::Result<()> {
    let mut statements = TABLES.iter().map(|table| db.prepare(table.insert)).collect::<Result<Vec<_>, _>>()?;
    let mut rows = (1..=pages.count()).flat_map(|number| on_page(pages, number)).peekable();
    while rows.peek().is_some() {
        let writing = db.unchecked_transaction()?;
        for row in rows.by_ref().take(BATCH) {
            let Some(place) = TABLES.iter().position(|table| (table.holds)(&row)) else { continue };
            let mut values = row.values;
            if let Some(number) = row.number {
                values[0] = Value::Integer(number);
            }
            // Columns that came later are missing in old rows.
            values.resize(TABLES[place].columns, Value::Null);
            match statements[place].execute(params_from_iter(values)) {
                Err(error) if error.sqlite_error_code() != Some(rusqlite::ErrorCode::ConstraintViolation) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        writing.commit()?;
    }
    Ok(())
}
