//! The full-text index of commands and prompts, and its upkeep.
//!
//! It indexes trigrams, because what people remember of a command is a piece of it (`kube` finds
//! `minikube`) rather than whole words. It holds no text itself (external content), no positions
//! (`detail=none`; candidates are checked against the text afterwards) and erases what is deleted
//! (`secure-delete`).
//!
//! Indexing one record costs more than storing it, and in bulk a seventh of that. So a record is
//! stored without, and rows up to `text_index.indexed` are indexed; the few after it are looked at
//! one by one when searching. Whoever finds too many of them indexes them all: an import at its
//! end, otherwise one command in some thousands.

use rusqlite::Connection;

use super::error::Result;
use super::store::History;

/// So many rows without an index make a search a few milliseconds slower.
const BACKLOG: i64 = 5_000;
/// Rows indexed in one transaction; other writers wait that long.
const CHUNK: i64 = 20_000;
/// More trigrams than this narrow a query no further.
const MAX_TRIGRAMS: usize = 24;

/// The rows that a full-text query needs to look at.
pub(super) enum Candidates {
    /// These, and all after this row.
    Few(Vec<i64>, i64),
    /// Too many to name, or the index cannot tell.
    Many,
}

impl History {
    /// Indexes what is not, if that has become too much for searching. Failing to is no failure of
    /// what was stored, and the next one tries again.
    pub(super) fn index_backlog(&self) {
        let indexed = (|| {
            while self.backlog()? >= BACKLOG {
                self.write(index_chunk)?;
            }
            Ok::<(), super::HistoryError>(())
        })();
        if let Err(error) = indexed {
            tracing::info!(%error, "the text index is left behind for now");
        }
    }

    fn backlog(&self) -> Result<i64> {
        let backlog = self
            .db
            .prepare_cached("SELECT coalesce((SELECT max(rowid) FROM records), 0) - indexed FROM text_index")?
            .query_row([], |row| row.get(0))?;
        Ok(backlog)
    }

    /// The rows whose command or prompt may contain each of these pieces, if they are no more than `most`.
    pub(super) fn candidates(&self, pieces: &[&str], most: usize) -> Result<Candidates> {
        let query = trigrams(pieces);
        if query.is_empty() {
            return Ok(Candidates::Many);
        }
        // Read first: rows that another process indexes after this are then looked at twice.
        let indexed = self.db.prepare_cached("SELECT indexed FROM text_index")?.query_row([], |row| row.get(0))?;
        let mut statement =
            self.db.prepare_cached("SELECT rowid FROM records_text WHERE records_text MATCH ?1 LIMIT ?2")?;
        let rowids = statement
            .query_map(rusqlite::params![query, i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1)], |row| {
                row.get(0)
            })?
            .collect::<rusqlite::Result<Vec<i64>>>()?;
        Ok(if rowids.len() > most { Candidates::Many } else { Candidates::Few(rowids, indexed) })
    }
}

pub(super) fn index_chunk(db: &Connection) -> Result<()> {
    let indexed: i64 = db.query_row("SELECT indexed FROM text_index", [], |row| row.get(0))?;
    let end: Option<i64> = db.query_row(
        "SELECT max(rowid) FROM (SELECT rowid FROM records WHERE rowid > ?1 ORDER BY rowid LIMIT ?2)",
        [indexed, CHUNK],
        |row| row.get(0),
    )?;
    if let Some(end) = end {
        db.execute(
            "INSERT INTO records_text (rowid, command, prompt) \
             SELECT rowid, command, prompt FROM records WHERE rowid > ?1 AND rowid <= ?2",
            [indexed, end],
        )?;
        db.execute("UPDATE text_index SET indexed = ?1", [end])?;
    }
    Ok(())
}

/// An index query for rows that hold every trigram of every piece. Only trigrams of ASCII
/// characters are asked for: beyond those, the index and this program may fold case differently.
fn trigrams(pieces: &[&str]) -> String {
    let mut query = String::new();
    let mut used = 0;
    for piece in pieces {
        let chars: Vec<char> = piece.chars().collect();
        for trigram in chars.windows(3).filter(|trigram| trigram.iter().all(char::is_ascii)) {
            if used == MAX_TRIGRAMS {
                return query;
            }
            let quoted = trigram.iter().collect::<String>().replace('"', "\"\"");
            query.push_str(&format!("\"{quoted}\" "));
            used += 1;
        }
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::plain;
    use crate::history::{Filter, Search, UnixNanos};

    fn found(history: &History, text: &str) -> u64 {
        let search = Search { text: text.into(), ..Search::default() };
        history.search(&search).unwrap().len() as u64
    }

    fn assert_sound(history: &History) {
        for check in ["PRAGMA integrity_check", "PRAGMA quick_check"] {
            let result: String = history.db.query_row(check, [], |row| row.get(0)).unwrap();
            assert_eq!(result, "ok", "{check}");
        }
        history
            .db
            .execute_batch("INSERT INTO records_text (records_text, rank) VALUES ('integrity-check', 1)")
            .unwrap();
    }

    fn index_all(history: &History) {
        history.write(index_chunk).unwrap();
        assert!(history.backlog().unwrap() <= 0);
    }

    #[test]
    fn a_full_backlog_is_indexed_and_a_small_one_is_not() {
        let history = History::in_memory().unwrap();
        let records: Vec<_> = (0..BACKLOG - 1).map(|second| plain(&format!("echo {second}"), second)).collect();
        history.add_batch(&records).unwrap();
        assert_eq!(history.backlog().unwrap(), BACKLOG - 1);
        assert_eq!(found(&history, "echo"), records.len() as u64);
        history.add(&plain("echo last", BACKLOG)).unwrap();
        assert_eq!(history.backlog().unwrap(), 0);
        assert_eq!(found(&history, "echo"), BACKLOG as u64);
        assert_eq!(found(&history, "last"), 1);
    }

    #[test]
    fn indexed_and_other_rows_are_found_together() {
        let history = History::in_memory().unwrap();
        history.add(&plain("before the index", 1)).unwrap();
        index_all(&history);
        history.add(&plain("after the index", 2)).unwrap();
        assert_sound(&history);
        assert_eq!(found(&history, "index"), 2);
        assert!(matches!(
            history.candidates(&["index"], 10).unwrap(),
            Candidates::Few(rows, 1) if rows == [1]
        ));
    }

    #[test]
    fn the_index_follows_changes_and_deletions_on_both_sides_of_the_line() {
        let history = History::in_memory().unwrap();
        for indexed in [true, false] {
            let mut changed = plain("before", 1);
            let deleted = plain("deleted", 2);
            history.add_batch(&[changed.clone(), deleted.clone()]).unwrap();
            if indexed {
                index_all(&history);
            }
            changed.command = "afterwards".into();
            changed.exit = Some(0);
            history.add(&changed).unwrap();
            history.delete(&[deleted.id], UnixNanos(3)).unwrap();
            index_all(&history);
            assert_eq!(found(&history, "before"), 0);
            assert_eq!(found(&history, "deleted"), 0);
            assert_eq!(found(&history, "afterw"), 1);
            assert_sound(&history);
            history.delete(&[changed.id], UnixNanos(3)).unwrap();
        }
        assert_sound(&history);
        assert!(history.list(&Filter::default()).unwrap().is_empty());
    }
}
