//! The SDK's SQL is SQLite's; what of it PostgreSQL writes otherwise.

use std::sync::LazyLock;

use regex::Regex;

/// Names in which PostgreSQL would take capitals for small letters.
static NAMES: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b[a-z]+[A-Z]\w*\b").ok());

/// What `INSERT OR REPLACE` becomes, by table: what follows the values.
const REPLACING: [(&str, &str); 2] = [
    ("unsynced_covalues", " ON CONFLICT (co_value_id, peer_id) DO NOTHING"),
    (
        "storageReconciliationLocks",
        " ON CONFLICT (key) DO UPDATE SET holderSessionId = excluded.holderSessionId, acquiredAt = excluded.acquiredAt, \
         releasedAt = excluded.releasedAt, lastProcessedOffset = excluded.lastProcessedOffset",
    ),
];

/// What a statement is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Begin,
    Commit,
    RollBack,
    /// Something that only SQLite needs.
    Upkeep,
    /// It makes or changes tables.
    Tables,
    Other,
}

pub(super) fn kind(sql: &str) -> Kind {
    let mut words = sql.split_ascii_whitespace();
    match words.next() {
        Some("BEGIN") => Kind::Begin,
        Some("COMMIT") => Kind::Commit,
        Some("ROLLBACK") => Kind::RollBack,
        Some("PRAGMA") if words.next() == Some("user_version") && words.next().is_some() => Kind::Tables,
        Some("PRAGMA") => Kind::Upkeep,
        Some("CREATE" | "ALTER" | "DROP") => Kind::Tables,
        _ => Kind::Other,
    }
}

/// Whether a statement asks for which of its versions the SDK finds its tables.
pub(super) fn asks_for_version(sql: &str) -> bool {
    sql.trim() == "PRAGMA user_version"
}

/// A statement of the SDK as PostgreSQL writes it.
pub(super) fn translated(sql: &str) -> String {
    let mut sql = sql.to_owned();
    if let Some(rest) = sql.strip_prefix("INSERT OR REPLACE INTO ") {
        let ending = REPLACING.iter().find(|(table, _)| rest.starts_with(table)).map_or("", |(_, ending)| ending);
        sql = format!("INSERT INTO {rest}{ending}");
    }
    let mut text = String::with_capacity(sql.len() + 32);
    let mut number = 0;
    for part in sql.split_inclusive('?') {
        match part.strip_suffix('?') {
            Some(before) => {
                number += 1;
                text.push_str(&format!("{before}${number}"));
            }
            None => text.push_str(part),
        }
    }
    match &*NAMES {
        Some(names) => names.replace_all(&text, "\"$0\"").into_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_capitals_and_parameters_have_numbers() {
        assert_eq!(
            translated("SELECT sessionID, lastIdx FROM sessions WHERE coValue = ? AND sessionID NOT LIKE '%$' LIMIT ?"),
            "SELECT \"sessionID\", \"lastIdx\" FROM sessions WHERE \"coValue\" = $1 AND \"sessionID\" NOT LIKE '%$' LIMIT $2"
        );
        assert_eq!(
            translated("INSERT OR REPLACE INTO unsynced_covalues (co_value_id, peer_id) VALUES (?, ?)"),
            "INSERT INTO unsynced_covalues (co_value_id, peer_id) VALUES ($1, $2) ON CONFLICT (co_value_id, peer_id) DO NOTHING"
        );
    }

    #[test]
    fn what_makes_tables_is_told_from_what_uses_them() {
        assert_eq!(kind("BEGIN IMMEDIATE"), Kind::Begin);
        assert_eq!(kind("PRAGMA wal_checkpoint(TRUNCATE)"), Kind::Upkeep);
        assert_eq!(kind("PRAGMA user_version = 8;"), Kind::Tables);
        assert_eq!(kind("ALTER TABLE sessions ADD COLUMN more"), Kind::Tables);
        assert_eq!(kind("\n  INSERT INTO coValues (id, header) VALUES (?, ?)"), Kind::Other);
        assert!(asks_for_version("PRAGMA user_version"));
    }
}
