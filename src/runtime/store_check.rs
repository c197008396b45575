//! Whether a sync store still holds what was written to it.
//!
//! SQLite notices when its own structure breaks, not when a byte inside a value changes. But every log of a session in
//! the store ends with its author's signature, and an account has one author: so each log is checked as a relay would.
//! That takes as long as reading the store, and is done where something went wrong that a broken store explains.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::crypto::SessionMap;

/// Whether a database is none, or its parts do not fit together any more.
#[must_use]
pub fn is_malformed(path: &Path) -> bool {
    let said = open(path).and_then(|db| db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)));
    match said {
        Ok(said) => said != "ok",
        Err(error) => is_damage(&error),
    }
}

/// Whether the store of a device is malformed, or a log in it is not what its author has signed.
#[must_use]
pub fn is_damaged(path: &Path) -> bool {
    is_malformed(path)
        || match open(path).and_then(|db| all_signed(&db)) {
            Ok(signed) => !signed,
            Err(error) => is_damage(&error),
        }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Tells a store whose content is wrong from one that cannot be looked at.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
        || matches!(
            error,
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
        )
}

/// Whether every header hashes to its id and every log is signed by the account's author.
fn all_signed(db: &Connection) -> rusqlite::Result<bool> {
    let mut values = db.prepare("SELECT rowID, id, header FROM coValues")?;
    let values: Vec<(i64, String, String)> =
        values.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    let Some(author) = values.iter().find_map(|(_, _, header)| author(header)) else { return Ok(values.is_empty()) };
    let mut sessions =
        db.prepare("SELECT rowID, sessionID, lastIdx, lastSignature FROM sessions WHERE coValue = ?1")?;
    let mut transactions = db.prepare("SELECT tx FROM transactions WHERE ses = ?1 ORDER BY idx")?;
    for (row, id, header) in values {
        let Ok(mut map) = SessionMap::new(&id, &header, None, false) else { return Ok(false) };
        let mut rows = sessions.query([row])?;
        while let Some(session) = rows.next()? {
            let (row, name): (i64, String) = (session.get(0)?, session.get(1)?);
            let (count, signature): (i64, String) = (session.get(2)?, session.get(3)?);
            let log: Vec<String> = transactions.query_map([row], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let json = format!("[{}]", log.join(","));
            if i64::try_from(log.len()) != Ok(count)
                || map.add_transactions(&name, Some(&author), &json, &signature, false).is_err()
            {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The account's signer, if this is the header of an account.
fn author(header: &str) -> Option<String> {
    let header: serde_json::Value = serde_json::from_str(header).ok()?;
    if header["meta"]["type"] != "account" {
        return None;
    }
    let signer = header["ruleset"]["initialAdmin"].as_str()?.split_once("/signer_z")?.1;
    Some(format!("signer_z{signer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_database_is_malformed_and_what_is_not_there_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.db");
        assert!(!is_malformed(&path));
        std::fs::write(&path, "this is no database".repeat(100)).unwrap();
        assert!(is_malformed(&path) && is_damaged(&path));
    }

    #[test]
    fn the_author_is_the_signer_of_the_account() {
        let header = r#"{"type":"comap","ruleset":{"type":"group","initialAdmin":"sealer_zA/signer_zB"},"meta":META}"#;
        assert_eq!(author(&header.replace("META", r#"{"type":"account"}"#)).as_deref(), Some("signer_zB"));
        assert_eq!(author(&header.replace("META", "null")), None);
    }
}
