//! Files of damaged databases.

use std::path::PathBuf;
use std::sync::OnceLock;

use rusqlite::Connection;

use super::{PAGE, Pages, on_page};
use crate::fuzz::Target;

pub(crate) const FUZZED: &[Target] = &[Target { name: "salvage-file", seeds: files, run: file }];

/// Pages at most: an input is a database up to there, and its log from there on.
const MOST: usize = 6;

fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("caro-fuzz-salvage-{}", std::process::id()));
        // Where it cannot be made, nothing can be written to it, which is seen there.
        let _ = std::fs::create_dir_all(&folder);
        folder
    })
}

/// A database with rows of all kinds and one that goes on on other pages; once with what its log has.
fn files() -> Vec<Vec<u8>> {
    let (path, log) = (folder().join("seed.db"), folder().join("seed.db-wal"));
    for old in [&path, &log] {
        let _ = std::fs::remove_file(old);
    }
    let made = || -> rusqlite::Result<Vec<Vec<u8>>> {
        let database = Connection::open(&path)?;
        database.execute_batch(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, b, c); CREATE TABLE d (e PRIMARY KEY, f) WITHOUT ROWID;
             INSERT INTO a VALUES (1, 'text', x'00ff'), (2, 1.5, NULL), (3, -70000, hex(zeroblob(3000)));
             INSERT INTO d VALUES ('k', 1), (zeroblob(900), 0);",
        )?;
        let plain = std::fs::read(&path).unwrap_or_default();
        let _: String = database.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        database.execute_batch("UPDATE a SET b = 'newer'")?;
        let mut both = std::fs::read(&path).unwrap_or_default();
        both.resize(MOST * PAGE, 0);
        both.extend(std::fs::read(&log).unwrap_or_default());
        Ok(vec![plain, both])
    };
    let made = made();
    assert!(made.is_ok(), "{made:?}");
    made.unwrap_or_default()
}

/// Whatever a file holds, reading it ends, and no row is longer than what it lies on.
fn file(bytes: &[u8]) {
    let (path, log) = (folder().join("input.db"), folder().join("input.db-wal"));
    let (database, frames) = bytes.split_at(bytes.len().min(MOST * PAGE));
    let written = std::fs::write(&path, database).and_then(|()| std::fs::write(&log, frames));
    let Ok(pages) = written.and_then(|()| Pages::open(&path, &log)) else { return };
    for number in 1..=pages.count().min(64) {
        for row in on_page(&pages, number) {
            assert!(row.values.len() <= PAGE * MOST * 16, "{}", row.values.len());
        }
    }
    let _ = pages.are_blank();
    pages.close();
}
