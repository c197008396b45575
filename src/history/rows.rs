//! Records as rows: the one place that knows the order of the columns.

use std::collections::BTreeMap;

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::encoding::{decode_unknown, encode_unknown};
use super::error::Result;
use super::record::{Record, RiskLevel, UnixNanos};

/// The columns that [`from_row`] reads, in its order.
pub(super) const COLUMNS: &str = "id, version, command, prompt, explanation, exit, started_at, \
     duration_ns, cwd, session, shell, host, device_id, safety, tags, model, category, executed, \
     imported_from, unknown";

/// Whether it lies in a segment is asked here and not by a trigger: a statement with one keeps a copy of each page that it
/// changes, to be undone alone.
const INSERT: &str = "INSERT INTO records (id, version, command, prompt, explanation, exit, \
     started_at, duration_ns, cwd, session, shell, host, device_id, safety, tags, model, category, \
     executed, imported_from, unknown, in_segment, synced) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
     ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, \
     EXISTS (SELECT 1 FROM placed WHERE id = ?1), EXISTS (SELECT 1 FROM placed WHERE id = ?1)) ON CONFLICT (id) DO NOTHING";

const UPDATE: &str = "UPDATE records SET version = ?2, command = ?3, prompt = ?4, \
     explanation = ?5, exit = ?6, started_at = ?7, duration_ns = ?8, cwd = ?9, session = ?10, \
     shell = ?11, host = ?12, device_id = ?13, safety = ?14, tags = ?15, model = ?16, \
     category = ?17, executed = ?18, imported_from = ?19, unknown = ?20 WHERE id = ?1";

/// Inserts the record unless its id is taken; says whether it did.
pub(super) fn insert(db: &Connection, record: &Record) -> Result<bool> {
    write(db, INSERT, record)
}

/// Replaces the record of the same id.
pub(super) fn update(db: &Connection, record: &Record) -> Result<bool> {
    write(db, UPDATE, record)
}

fn write(db: &Connection, sql: &str, record: &Record) -> Result<bool> {
    let tags = (!record.tags.is_empty()).then(|| serde_json::Value::from(record.tags.clone()).to_string());
    let changed = db.prepare_cached(sql)?.execute(params![
        record.id.as_bytes(),
        record.version,
        record.command,
        record.prompt,
        record.explanation,
        record.exit,
        record.started_at.0,
        record.duration_ns,
        record.cwd,
        record.session,
        record.shell,
        record.host,
        record.device_id.as_bytes(),
        record.safety.map(safety_rank),
        tags,
        record.model,
        record.category,
        record.executed,
        record.imported_from,
        encode_unknown(&record.unknown),
    ])?;
    Ok(changed == 1)
}

/// The record of this id, if there is one.
pub(super) fn by_id(db: &Connection, id: Uuid) -> Result<Option<Record>> {
    let sql = format!("SELECT {COLUMNS} FROM records WHERE id = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([id.as_bytes()], from_row).optional()?)
}

/// Reads a row of [`COLUMNS`].
pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Record> {
    let tags = match row.get_ref(14)?.as_str_or_null()? {
        None => Vec::new(),
        Some(json) => serde_json::from_str(json)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(14, Type::Text, Box::new(error)))?,
    };
    let unknown = match row.get_ref(19)?.as_blob_or_null()? {
        None => BTreeMap::new(),
        Some(bytes) => decode_unknown(bytes)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(19, Type::Blob, Box::new(error)))?,
    };
    Ok(Record {
        id: Uuid::from_bytes(row.get(0)?),
        version: row.get(1)?,
        command: row.get(2)?,
        prompt: row.get(3)?,
        explanation: row.get(4)?,
        exit: row.get(5)?,
        started_at: UnixNanos(row.get(6)?),
        duration_ns: row.get(7)?,
        cwd: row.get(8)?,
        session: row.get(9)?,
        shell: row.get(10)?,
        host: row.get(11)?,
        device_id: Uuid::from_bytes(row.get(12)?),
        safety: row.get::<_, Option<i64>>(13)?.map(safety_from_rank).transpose()?,
        tags,
        model: row.get(15)?,
        category: row.get(16)?,
        executed: row.get(17)?,
        imported_from: row.get(18)?,
        unknown,
    })
}

/// A risk level as the database stores it: its place in the order.
pub(super) fn safety_rank(level: RiskLevel) -> i64 {
    match level {
        RiskLevel::Safe => 0,
        RiskLevel::Moderate => 1,
        RiskLevel::High => 2,
        RiskLevel::Critical => 3,
    }
}

/// The level of such a place.
pub(super) fn safety_from_rank(rank: i64) -> rusqlite::Result<RiskLevel> {
    RiskLevel::ALL
        .into_iter()
        .find(|level| safety_rank(*level) == rank)
        .ok_or_else(|| FromSqlError::OutOfRange(rank).into())
}

/// Reads an id column.
pub(super) fn id_column(row: &Row<'_>, index: usize) -> rusqlite::Result<Uuid> {
    Ok(Uuid::from_bytes(row.get(index)?))
}
