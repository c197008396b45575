//! The layout of `history.db`, as numbered steps that are only ever added.
//!
//! `PRAGMA user_version` holds the number of the last step taken; `application_id` marks the file
//! as ours. A released step is never edited: a change is a new step. All steps that are missing
//! run in one transaction, so a process killed half-way leaves the old layout. A database with a
//! later number is refused before anything is written to it.
//!
//! Notes on the layout:
//! - `records.rowid` exists for the full-text index only; the identity of a record is `id`.
//! - `outbox.seq` is `AUTOINCREMENT` so that a number is never used again: acknowledging what was
//!   read earlier cannot drop a newer state of the same record.
//! - `deleted_records` outlives its records: an id in it never comes back. `pending` is 1 for
//!   deletions made here that other devices have not been told of, 2 once they have been, and 0 for those of others.
//! - `outbox.held` is 1 for what the user's rules keep here, 2 for commands that still run and 3 for what waits until
//!   the window begins earlier; `deleted_records.kept` marks what is gone everywhere else and stays here.
//! - `counted` has the id of each record that `usage` counts; it outlives the record, so that nothing counts twice.
//! - `records_text` indexes the text of records up to a row; see `text_index` for how and why.
//!   Rows are therefore numbered once (`AUTOINCREMENT`), and triggers keep the indexed part right
//!   whoever writes. `records_by_time` ends with the id so that equal times have one order on all
//!   devices.
//! - `records.in_segment` says whether a record lies in any segment, so that what lies in none is found without a look at
//!   each (step 6). Triggers keep it right as `placed` changes; whoever adds a record asks `placed` (step 7).
//! - `removed` has what the `removals` of the last minute took away, in the columns of `records`; a column that is added there is
//!   added here too, but for `in_segment`. `held` is its state in the outbox, `marked` the state of a mark with `kept` that it had.
//! - `placed` says in which segments of the synced history a record lies (step 2). Positions are forgotten with
//!   that step: what was read before is read once more, since nobody had noted where it lay.

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::error::Result;

/// `PRAGMA application_id` of a history database: the letters `Caro`.
pub(super) const APPLICATION_ID: u32 = u32::from_be_bytes(*b"Caro");

/// The number of the latest layout.
pub(super) const LATEST: u32 = MIGRATIONS.len() as u32;

/// Step `n` (counted from 1) brings layout `n - 1` to layout `n`.
const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE records (
    rowid         INTEGER PRIMARY KEY AUTOINCREMENT,
    id            BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    version       INTEGER NOT NULL,
    command       TEXT NOT NULL,
    prompt        TEXT,
    explanation   TEXT,
    exit          INTEGER,
    started_at    INTEGER NOT NULL,
    duration_ns   INTEGER,
    cwd           TEXT,
    session       TEXT,
    shell         TEXT,
    host          TEXT,
    device_id     BLOB NOT NULL CHECK (length(device_id) = 16),
    safety        INTEGER,
    tags          TEXT,
    model         TEXT,
    category      TEXT,
    executed      INTEGER,
    imported_from TEXT,
    unknown       BLOB
) STRICT;
CREATE INDEX records_by_time ON records (started_at, id);

CREATE TABLE text_index (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    indexed INTEGER NOT NULL
) STRICT;
INSERT INTO text_index (one, indexed) VALUES (1, 0);
CREATE VIEW indexed_records AS
    SELECT rowid, command, prompt FROM records
    WHERE rowid <= (SELECT indexed FROM text_index);
CREATE VIRTUAL TABLE records_text USING fts5 (
    command, prompt,
    content = 'indexed_records', content_rowid = 'rowid',
    tokenize = 'trigram', detail = 'none', columnsize = 0
);
INSERT INTO records_text (records_text, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER records_text_delete AFTER DELETE ON records
    WHEN old.rowid <= (SELECT indexed FROM text_index) BEGIN
    INSERT INTO records_text (records_text, rowid, command, prompt)
        VALUES ('delete', old.rowid, old.command, old.prompt);
END;
CREATE TRIGGER records_text_update AFTER UPDATE OF command, prompt ON records
    WHEN old.rowid <= (SELECT indexed FROM text_index)
    AND (old.command IS NOT new.command OR old.prompt IS NOT new.prompt) BEGIN
    INSERT INTO records_text (records_text, rowid, command, prompt)
        VALUES ('delete', old.rowid, old.command, old.prompt);
    INSERT INTO records_text (rowid, command, prompt)
        VALUES (new.rowid, new.command, new.prompt);
END;

CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id  BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE deleted_records (
    id         BLOB PRIMARY KEY,
    deleted_at INTEGER NOT NULL,
    pending    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX deletions_pending ON deleted_records (id) WHERE pending = 1;

CREATE TABLE cursors (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
",
    "
CREATE TABLE segments (
    number INTEGER PRIMARY KEY,
    id     TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE placed (
    segment INTEGER NOT NULL,
    id      BLOB NOT NULL,
    PRIMARY KEY (segment, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX placed_by_record ON placed (id);
DELETE FROM cursors;
",
    "
ALTER TABLE outbox ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_ready ON outbox (seq) WHERE held = 0;
ALTER TABLE deleted_records ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;

CREATE TABLE counted (
    id BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE usage (
    device    BLOB NOT NULL,
    day       INTEGER NOT NULL,
    model     TEXT NOT NULL,
    safety    TEXT NOT NULL,
    commands  INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    PRIMARY KEY (device, day, model, safety)
) STRICT, WITHOUT ROWID;
INSERT INTO counted SELECT id FROM records
    WHERE device_id = (SELECT unhex(value, '-') FROM meta WHERE key = 'device_id');
INSERT INTO usage SELECT
        device_id,
        CASE WHEN started_at < 0 THEN (started_at + 1) / 86400000000000 - 1 ELSE started_at / 86400000000000 END,
        coalesce(model, ''),
        CASE safety WHEN 0 THEN 'safe' WHEN 1 THEN 'moderate' WHEN 2 THEN 'high' WHEN 3 THEN 'critical' ELSE '' END,
        count(*), sum(coalesce(exit = 0, 0)), sum(coalesce(exit <> 0, 0))
    FROM records JOIN counted USING (id) GROUP BY 1, 2, 3, 4;
",
    "
ALTER TABLE records ADD COLUMN synced INTEGER NOT NULL DEFAULT 0;
UPDATE records SET synced = 1 WHERE id IN (SELECT id FROM placed) OR (
    device_id <> (SELECT unhex(value, '-') FROM meta WHERE key = 'device_id') AND id NOT IN (SELECT id FROM outbox)
);
INSERT INTO meta (key, value) SELECT 'sync_copies', 'new'
    WHERE EXISTS (SELECT 1 FROM placed GROUP BY id HAVING count(*) > 1);
",
    "
CREATE TABLE removals (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    records INTEGER NOT NULL,
    told    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE removed (
    removal       INTEGER NOT NULL,
    id            BLOB NOT NULL,
    version       INTEGER NOT NULL,
    command       TEXT NOT NULL,
    prompt        TEXT,
    explanation   TEXT,
    exit          INTEGER,
    started_at    INTEGER NOT NULL,
    duration_ns   INTEGER,
    cwd           TEXT,
    session       TEXT,
    shell         TEXT,
    host          TEXT,
    device_id     BLOB NOT NULL,
    safety        INTEGER,
    tags          TEXT,
    model         TEXT,
    category      TEXT,
    executed      INTEGER,
    imported_from TEXT,
    unknown       BLOB,
    synced        INTEGER NOT NULL,
    held          INTEGER,
    marked        INTEGER,
    PRIMARY KEY (removal, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX removed_by_record ON removed (id);
",
    "
ALTER TABLE records ADD COLUMN in_segment INTEGER NOT NULL DEFAULT 0;
UPDATE records SET in_segment = 1, synced = 1 WHERE id IN (SELECT id FROM placed);
CREATE INDEX records_in_segments ON records (started_at, id) WHERE in_segment = 1;
CREATE INDEX records_in_none ON records (device_id, started_at, id) WHERE in_segment = 0;
CREATE INDEX deletions_kept ON deleted_records (id) WHERE kept = 1;
CREATE TRIGGER placed_insert AFTER INSERT ON placed BEGIN
    UPDATE records SET in_segment = 1, synced = 1 WHERE id = new.id AND in_segment = 0;
END;
CREATE TRIGGER placed_delete AFTER DELETE ON placed BEGIN
    UPDATE records SET in_segment = 0
        WHERE id = old.id AND NOT EXISTS (SELECT 1 FROM placed WHERE id = old.id);
END;
CREATE TRIGGER records_insert_placed AFTER INSERT ON records
    WHEN EXISTS (SELECT 1 FROM placed WHERE id = new.id) BEGIN
    UPDATE records SET in_segment = 1, synced = 1 WHERE rowid = new.rowid;
END;
",
    "
DROP TRIGGER records_insert_placed;
",
];

/// What an open database turned out to be.
pub(super) enum Layout {
    /// A history whose layout this program knows; 0 for an empty file.
    Known(u32),
    /// A history with a layout of the future.
    Newer(u32),
    /// Something else.
    Foreign,
}

/// Looks at an open database without changing it, while other processes may be at work on it.
pub(super) fn layout(db: &Connection) -> Result<Layout> {
    // One statement, so that all three are of one moment.
    let read = db.query_row(
        "SELECT (SELECT user_version FROM pragma_user_version), \
         (SELECT application_id FROM pragma_application_id), \
         NOT EXISTS (SELECT 1 FROM sqlite_schema)",
        [],
        |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?)),
    );
    Ok(match read {
        Ok((0, 0, true)) => Layout::Known(0),
        Ok((layout, application, _)) if application == i64::from(APPLICATION_ID) => {
            if layout > LATEST {
                Layout::Newer(layout)
            } else {
                Layout::Known(layout)
            }
        }
        Ok(_) => Layout::Foreign,
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => Layout::Foreign,
        Err(error) => return Err(error.into()),
    })
}

/// Takes the steps that are missing; safe with any number of processes doing so at once.
pub(super) fn apply(db: &Connection) -> Result<()> {
    let transaction = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    // Another process may have taken the steps while this one waited for its turn.
    let done = match layout(&transaction)? {
        Layout::Known(done) => done,
        Layout::Newer(_) | Layout::Foreign => return Ok(()),
    };
    let missing = MIGRATIONS.get(done as usize..).unwrap_or_default();
    for step in missing {
        transaction.execute_batch(step)?;
    }
    if !missing.is_empty() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", LATEST)?;
        tracing::debug!(from = done, to = LATEST, "history layout updated");
    }
    transaction.commit()?;
    Ok(())
}
