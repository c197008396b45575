//! Histories in SQLite: Atuin's and Nushell's. Their databases are read, never written or locked for long.
//!
//! Older versions lack columns that newer ones have; what is not there is not known. A value of an unexpected type counts
//! as not there too, except for the command, without which a row is skipped.

use std::io;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::lines::decode;
use super::{Content, Details, Item, Kind, Reason};
use crate::history::MAX_TEXT_BYTES;

/// What a database of SQLite begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The columns, in the order in which they are read; the first two are in every version.
const ATUIN: [&str; 9] = ["command", "timestamp", "duration", "exit", "cwd", "session", "hostname", "id", "shell"];
const NU: [&str; 7] =
    ["command_line", "start_timestamp", "duration_ms", "exit_status", "cwd", "session_id", "hostname"];

/// Whether a file that begins like this is a database.
pub(super) fn is_database(beginning: &[u8]) -> bool {
    beginning.starts_with(MAGIC)
}

/// An opened history.
pub(super) struct Database {
    connection: Connection,
    kind: Kind,
    /// The rows there are to read.
    condition: &'static str,
    columns: Vec<String>,
    order: &'static str,
}

impl Database {
    /// Opens a history of this kind.
    pub(super) fn open(kind: Kind, path: &Path) -> io::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(io::Error::other)?;
        let there = columns_of(&connection).map_err(io::Error::other)?;
        let wanted: &[&str] = if kind == Kind::Atuin { &ATUIN } else { &NU };
        let has = |name: &&str| there.iter().any(|there| there == name);
        if !wanted[..2].iter().all(has) {
            let what = format!("the database is not a history of {}", kind.name());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let columns =
            wanted.iter().map(|name| if has(name) { (*name).to_owned() } else { format!("NULL AS {name}") }).collect();
        let condition = if kind == Kind::Atuin && there.iter().any(|name| name == "deleted_at") {
            "deleted_at IS NULL"
        } else {
            "1"
        };
        let order = if kind == Kind::Atuin { "timestamp, rowid" } else { "rowid" };
        Ok(Self { connection, kind, condition, columns, order })
    }

    /// How many rows there are to read.
    pub(super) fn count(&self) -> io::Result<u64> {
        let sql = format!("SELECT count(*) FROM history WHERE {}", self.condition);
        let count: i64 = self.connection.query_row(&sql, [], |row| row.get(0)).map_err(io::Error::other)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Has `read` take the rows, one by one as it asks for them.
    pub(super) fn with_entries<T>(
        &self,
        read: impl FnOnce(&mut dyn Iterator<Item = io::Result<Item>>) -> T,
    ) -> io::Result<T> {
        let (columns, condition, order) = (self.columns.join(", "), self.condition, self.order);
        let sql = format!("SELECT {columns}, rowid FROM history WHERE {condition} ORDER BY {order}");
        let mut statement = self.connection.prepare(&sql).map_err(io::Error::other)?;
        let mut done = 0;
        let rows = statement.query_map([], |row| {
            done += 1;
            let line = integer(row, self.columns.len()).and_then(|row| u64::try_from(row).ok()).unwrap_or(done);
            Ok(Item { line, done, content: if self.kind == Kind::Atuin { atuin(row) } else { nu(row) } })
        });
        let mut rows = rows.map_err(io::Error::other)?.map(|row| row.map_err(io::Error::other));
        Ok(read(&mut rows))
    }
}

/// The names of the table's columns; none where there is no such table.
fn columns_of(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut names = connection.prepare("SELECT name FROM pragma_table_info('history')")?;
    names.query_map([], |row| row.get(0))?.collect()
}

fn atuin(row: &Row<'_>) -> Content {
    let at = integer(row, 1);
    content(
        row,
        at.map(|at| at.div_euclid(1_000_000_000)),
        Details {
            subsec_ns: at.map_or(0, |at| at.rem_euclid(1_000_000_000)),
            // What is not known is -1, or `unknown`.
            duration_ns: integer(row, 2).filter(|ns| *ns >= 0),
            exit: integer(row, 3).filter(|exit| *exit >= 0).and_then(|exit| i32::try_from(exit).ok()),
            cwd: text(row, 4).filter(|cwd| cwd != "unknown"),
            session: text(row, 5),
            // Atuin writes `host:user`.
            host: text(row, 6)
                .map(|host| host.rsplit_once(':').map_or(host.clone(), |(host, _)| host.to_owned()))
                .filter(|host| !host.is_empty()),
            source_id: text(row, 7),
            shell: text(row, 8),
        },
    )
}

fn nu(row: &Row<'_>) -> Content {
    let at = integer(row, 1);
    content(
        row,
        at.map(|at| at.div_euclid(1000)),
        Details {
            subsec_ns: at.map_or(0, |at| at.rem_euclid(1000) * 1_000_000),
            duration_ns: integer(row, 2).filter(|ms| *ms >= 0).and_then(|ms| ms.checked_mul(1_000_000)),
            exit: integer(row, 3).and_then(|exit| i32::try_from(exit).ok()),
            cwd: text(row, 4),
            session: integer(row, 5).map(|session| session.to_string()),
            host: text(row, 6),
            source_id: None,
            shell: None,
        },
    )
}

fn content(row: &Row<'_>, stamp: Option<i64>, details: Details) -> Content {
    let bytes = match row.get_ref(0) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes,
        _ => return Content::Skipped(Reason::NoCommand),
    };
    if bytes.len() > MAX_TEXT_BYTES {
        return Content::Skipped(Reason::TooLong);
    }
    match decode(bytes) {
        Ok((command, _)) if command.trim().is_empty() => Content::Skipped(Reason::NoCommand),
        Ok((command, repaired)) => Content::Entry { command, stamp, repaired, details },
        Err(reason) => Content::Skipped(reason),
    }
}

fn integer(row: &Row<'_>, column: usize) -> Option<i64> {
    match row.get_ref(column) {
        Ok(ValueRef::Integer(number)) => Some(number),
        _ => None,
    }
}

fn text(row: &Row<'_>, column: usize) -> Option<String> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes)) => Some(decode(bytes).ok()?.0).filter(|text| !text.is_empty()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
