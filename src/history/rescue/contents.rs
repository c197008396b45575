//! What of a damaged history's rows goes into the new one, and what must be done about the rest so that nothing is lost
//! and nothing that was deleted comes back.
//!
//! A row says by its shape which table it is from, so nothing depends on the trees above it being whole. Taken are the records, the marks
//! of deleted ones, the queue, the counters and the small pieces of state.
//! Left behind is what can be had again: indexes, and where in sync each record lies and how far was read, for nobody can tell
//! which of these notes are missing. So the next exchange reads everything again, and all records of this device are
//! queued; what the account has leaves the queue when it comes down. What was removed within the last minute
//! stays removed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use uuid::Uuid;

use super::super::error::Result;
use super::super::outbox::QUEUE_ALL_OF;
use super::super::placement::note_orphans;
use super::super::record::UnixNanos;
use super::super::rows as records;
use super::super::store::{DEVICE_ID, count, set_meta};
use super::super::usage;
use crate::salvage::{Pages, Row, on_page};

/// What can be told apart about a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Id,
    Integer,
    Text,
    Any,
}

/// A table whose rows are kept.
struct Table {
    name: &'static str,
    /// Whether its rows have numbers; those begin with a column that is empty, and get new ones.
    numbered: bool,
    /// Whether nothing else has such rows.
    is_only_ours: bool,
    /// The columns of its first layout; later ones may be missing in old rows.
    shape: &'static [Kind],
}

impl Table {
    fn holds(&self, row: &Row) -> bool {
        self.numbered == row.is_numbered() && fits(&row.values, self.shape)
    }
}

use Kind::{Any, Id, Integer, Nothing, Text};

const TABLES: &[Table] = &[
    Table {
        name: "records",
        numbered: true,
        is_only_ours: true,
        shape: &[
            Nothing, Id, Integer, Text, Any, Any, Any, Integer, Any, Any, Any, Any, Any, Id, Any, Any, Any, Any, Any,
            Any, Any,
        ],
    },
    Table { name: "outbox", numbered: true, is_only_ours: false, shape: &[Nothing, Id] },
    Table { name: "deleted_records", numbered: false, is_only_ours: true, shape: &[Id, Integer, Integer] },
    Table { name: "meta", numbered: false, is_only_ours: false, shape: &[Text, Text] },
    Table {
        name: "usage",
        numbered: false,
        is_only_ours: true,
        shape: &[Id, Integer, Text, Text, Integer, Integer, Integer],
    },
    Table { name: "counted", numbered: false, is_only_ours: false, shape: &[Id] },
];

/// The shape of a line of the index of records by time: it knows of records that are lost.
const BY_TIME: &[Kind] = &[Integer, Id, Integer];

/// What was saved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saved {
    pub(super) records: u64,
    /// Records that are known to have been there and could not be read.
    pub(super) lost: u64,
}

/// Whether there is anything that only a history has.
pub(super) fn is_there(pages: &Pages) -> bool {
    let is_ours = |row: &Row| TABLES.iter().any(|table| table.is_only_ours && table.holds(row));
    (1..=pages.count()).any(|number| on_page(pages, number).iter().any(is_ours))
}

/// Fills a new history with what can be read.
pub(super) fn fill(new: &Connection, pages: &Pages, now: UnixNanos) -> Result<Saved> {
    new.execute_batch("CREATE TEMP TABLE listed (id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;")?;
    let transaction = new.unchecked_transaction()?;
    // Numbers of the old queue, which an exchange may be holding, must not mean anything else in the new one.
    new.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?1)", [now.0 / 1000])?;
    let columns = TABLES.iter().map(|table| columns_of(new, table)).collect::<Result<Vec<_>>>()?;
    let mut statements = HashMap::new();
    let mut listed = new.prepare("INSERT OR IGNORE INTO listed (id) VALUES (?1)")?;
    for row in (1..=pages.count()).flat_map(|number| on_page(pages, number)) {
        if !row.is_numbered() && fits(&row.values, BY_TIME) && row.values.len() == BY_TIME.len() {
            listed.execute([&row.values[1]])?;
        }
        let values = row.values.get(usize::from(row.is_numbered())..).unwrap_or_default();
        let fitting = |(place, table): &(usize, &Table)| table.holds(&row) && values.len() <= columns[*place].len();
        let Some((place, table)) = TABLES.iter().enumerate().find(fitting) else { continue };
        let insert = match statements.entry((place, values.len())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(missing) => {
                let (names, marks) = (columns[place][..values.len()].join(", "), vec!["?"; values.len()].join(", "));
                let insert = format!("INSERT OR IGNORE INTO {} ({names}) VALUES ({marks})", table.name);
                missing.insert(new.prepare(&insert)?)
            }
        };
        if let Err(error) = insert.execute(params_from_iter(values)) {
            // A value that its column does not take: it was damaged where it lies.
            match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::ConstraintViolation) => tracing::debug!(%error, "a row is left out"),
                _ => return Err(error.into()),
            }
        }
    }
    drop(statements);
    drop(listed);
    drop_unreadable(new)?;
    new.execute_batch(
        "DELETE FROM records WHERE id IN (SELECT id FROM deleted_records WHERE kept = 0);
         DELETE FROM outbox WHERE id NOT IN (SELECT id FROM records) OR id IN (SELECT id FROM deleted_records);
         DELETE FROM listed WHERE id IN (SELECT id FROM records)
            OR id IN (SELECT id FROM deleted_records WHERE kept = 0);
         UPDATE deleted_records SET pending = 1;
         UPDATE records SET in_segment = 0 WHERE in_segment <> 0;",
    )?;
    if let Some(device) = device(new)? {
        set_meta(new, DEVICE_ID, Some(&device.to_string()))?;
        new.execute(QUEUE_ALL_OF, [device.as_bytes()])?;
        usage::count_again(new)?;
    }
    note_orphans(new)?;
    let saved = Saved {
        records: count(new, "SELECT count(*) FROM records")?,
        lost: count(new, "SELECT count(*) FROM listed")?,
    };
    transaction.commit()?;
    Ok(saved)
}

/// The columns of a table in the order in which they lie in its rows, without the number.
fn columns_of(new: &Connection, table: &Table) -> Result<Vec<String>> {
    let mut statement = new.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
    let mut columns = statement.query_map([table.name], |row| row.get(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    if table.numbered {
        columns.remove(0);
    }
    Ok(columns)
}

/// Whether values begin like a shape.
fn fits(values: &[Value], shape: &[Kind]) -> bool {
    values.len() >= shape.len()
        && values.iter().zip(shape).all(|(value, kind)| match (kind, value) {
            (Any, _) | (Nothing, Value::Null) | (Integer, Value::Integer(_)) | (Text, Value::Text(_)) => true,
            (Id, Value::Blob(id)) => id.len() == 16,
            _ => false,
        })
}

/// Drops records of which a column says what no record can say.
fn drop_unreadable(new: &Connection) -> Result<()> {
    let mut unreadable = Vec::new();
    let mut statement = new.prepare(&format!("SELECT {}, rowid FROM records", records::COLUMNS))?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        if records::from_row(row).is_err() {
            unreadable.push(row.get::<_, i64>("rowid")?);
        }
    }
    for rowid in unreadable {
        new.execute("DELETE FROM records WHERE rowid = ?1", [rowid])?;
    }
    Ok(())
}

/// This device's id: as it was noted, or else as most of its records have it, which are those that are counted or queued.
fn device(new: &Connection) -> Result<Option<Uuid>> {
    let noted: Option<String> =
        new.query_row("SELECT value FROM meta WHERE key = ?1", [DEVICE_ID], |row| row.get(0)).optional()?;
    if let Some(noted) = noted.and_then(|noted| Uuid::try_parse(&noted).ok()) {
        return Ok(Some(noted));
    }
    set_meta(new, DEVICE_ID, None)?;
    let most = "SELECT device_id FROM records WHERE id IN (SELECT id FROM counted UNION SELECT id FROM outbox) \
                GROUP BY device_id ORDER BY count(*) DESC LIMIT 1";
    Ok(new.query_row(most, [], |row| records::id_column(row, 0)).optional()?)
}
