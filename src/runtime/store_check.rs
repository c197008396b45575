//! Whether a store of the SDK still holds what was written to it.
//!
//! SQLite notices when its own structure breaks, not when a byte inside a value changes. But every log of a session in
//! a store ends with its author's signature, and every id is the hash of its header: so each is checked as a relay would.
//! That takes as long as reading the store, and is done where something went wrong that a broken store explains.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};

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
        || match open(path).and_then(|db| examine_store(&db, |_, _| ())) {
            // All that a device has hangs from its account.
            Ok(found) => !found.flaws.is_empty() || (found.values > 0 && found.accounts == 0),
            Err(error) => is_damage(&error),
        }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Tells a store whose content is wrong from one that cannot be looked at.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
        || is_of_value(error)
}

/// Whether a value is not of its kind.
fn is_of_value(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..))
}

/// What was found in a store.
#[derive(Clone, Debug, Default)]
pub struct StoreExamined {
    /// CoValues in it.
    pub values: u64,
    /// Accounts among them.
    pub accounts: u64,
    /// Logs of sessions.
    pub sessions: u64,
    /// Logs among them that nobody's signature could be checked of, since their author's account is not in the store.
    pub unsigned: u64,
    /// What is not as it was written.
    pub flaws: Vec<Flaw>,
}

/// Something in a store that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The number of the CoValue's row.
    pub value: i64,
    /// Its id, where that can be read.
    pub id: String,
    /// The number of the row of the session whose log it is; none: the CoValue itself.
    pub session: Option<i64>,
    /// What is wrong.
    pub what: &'static str,
}

/// Looks at everything in a store: whether every header hashes to its id, every log is as long as is noted, and signed by
/// its author as far as it goes. `looked` hears how many CoValues were looked at, and of how many.
///
/// # Errors
///
/// What the database says, other than that a value is not of its kind.
pub fn examine_store(db: &Connection, mut looked: impl FnMut(u64, u64)) -> rusqlite::Result<StoreExamined> {
    let mut found = StoreExamined::default();
    let all: i64 = db.query_row("SELECT count(*) FROM coValues", [], |row| row.get(0))?;
    let signers = signers(db)?;
    found.accounts = signers.len() as u64;
    let mut logs = Logs::prepare(db)?;
    let mut values = db.prepare("SELECT rowID, id, header FROM coValues")?;
    let mut rows = values.query([])?;
    while let Some(row) = rows.next()? {
        found.values += 1;
        looked(found.values, all.unsigned_abs());
        let value: i64 = row.get(0)?;
        let (id, header) = (row.get::<_, String>(1), row.get::<_, String>(2));
        let name = id.as_ref().map_or_else(|_| String::new(), Clone::clone);
        let map = readable(id.and_then(|id| Ok((id, header?))))?;
        let Some(mut map) = map.and_then(|(id, header)| SessionMap::new(&id, &header, None, false).ok()) else {
            found.flaws.push(Flaw { value, id: name, session: None, what: "its header is not what its id says" });
            continue;
        };
        logs.examine(value, &name, &mut map, &signers, &mut found)?;
    }
    Ok(found)
}

/// None for a value that is not of its kind.
fn readable<T>(read: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_of_value(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// By the id of each account in a store, who signs for it.
fn signers(db: &Connection) -> rusqlite::Result<HashMap<String, String>> {
    let mut signers = HashMap::new();
    let mut statement = db.prepare("SELECT id, header FROM coValues")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let read = row.get(0).and_then(|id: String| Ok((id, row.get::<_, String>(1)?)));
        let Some((id, header)) = readable(read)? else { continue };
        if let Some(signer) = signer_of_account(&header) {
            signers.insert(id, signer);
        }
    }
    Ok(signers)
}

/// The account's signer, if this is the header of an account.
fn signer_of_account(header: &str) -> Option<String> {
    let header: serde_json::Value = serde_json::from_str(header).ok()?;
    if header["meta"]["type"] != "account" {
        return None;
    }
    signer_of_agent(header["ruleset"]["initialAdmin"].as_str()?)
}

/// The signer in the id of an agent, `sealer_z…/signer_z…`.
fn signer_of_agent(agent: &str) -> Option<String> {
    let signer = agent.split_once("/signer_z")?.1;
    Some(format!("signer_z{signer}"))
}

/// Reads the logs of sessions.
struct Logs<'db> {
    sessions: Statement<'db>,
    transactions: Statement<'db>,
    signatures: Statement<'db>,
}

/// One log as it is noted.
struct Noted {
    name: String,
    length: i64,
    signature: String,
}

impl<'db> Logs<'db> {
    fn prepare(db: &'db Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            sessions: db.prepare("SELECT rowID, sessionID, lastIdx, lastSignature FROM sessions WHERE coValue = ?1")?,
            transactions: db.prepare("SELECT idx, tx FROM transactions WHERE ses = ?1 ORDER BY idx")?,
            signatures: db.prepare("SELECT idx, signature FROM signatureAfter WHERE ses = ?1 ORDER BY idx")?,
        })
    }

    /// Looks at the logs of one CoValue.
    fn examine(
        &mut self,
        value: i64,
        id: &str,
        map: &mut SessionMap,
        signers: &HashMap<String, String>,
        found: &mut StoreExamined,
    ) -> rusqlite::Result<()> {
        let mut rows = self.sessions.query([value])?;
        while let Some(row) = rows.next()? {
            found.sessions += 1;
            let session: i64 = row.get(0)?;
            let noted = readable(row.get(1).and_then(|name| {
                Ok(Noted { name, length: row.get::<_, Option<i64>>(2)?.unwrap_or(0), signature: row.get(3)? })
            }))?;
            let log = pairs(&mut self.transactions, session)?;
            let between = pairs(&mut self.signatures, session)?;
            let what = match (noted, log, between) {
                (Some(noted), Some(log), Some(between)) => {
                    let author = noted.name.split_once("_session_").map_or("", |(author, _)| author);
                    let signer = signers.get(author).cloned().or_else(|| signer_of_agent(author));
                    found.unsigned += u64::from(signer.is_none());
                    what_is_wrong(map, &noted, signer.as_deref(), &log, &between)
                }
                _ => Some("a value in it is not of its kind"),
            };
            if let Some(what) = what {
                found.flaws.push(Flaw { value, id: id.to_owned(), session: Some(session), what });
            }
        }
        Ok(())
    }
}

/// Numbers and texts; none where one of them is not of its kind.
fn pairs(statement: &mut Statement<'_>, session: i64) -> rusqlite::Result<Option<Vec<(i64, String)>>> {
    readable(statement.query_map([session], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
}

/// What is wrong with a log, if anything. Without a signer, signatures are not looked at.
fn what_is_wrong(
    map: &mut SessionMap,
    noted: &Noted,
    signer: Option<&str>,
    log: &[(i64, String)],
    between: &[(i64, String)],
) -> Option<&'static str> {
    let in_order = (0..).zip(log).all(|(place, (at, _))| place == *at);
    if !in_order || i64::try_from(log.len()) != Ok(noted.length) {
        return Some("transactions are missing");
    }
    let end = (noted.length - 1, noted.signature.clone());
    let mut from = 0;
    // Each signature is over everything up to it, and a client is given the log piece by piece.
    for (last, signature) in between.iter().filter(|(last, _)| *last < end.0).chain([&end]) {
        let until = usize::try_from(last + 1).unwrap_or(0);
        let Some(piece) = log.get(from..until).filter(|piece| !piece.is_empty()) else { continue };
        let texts: Vec<&str> = piece.iter().map(|(_, text)| text.as_str()).collect();
        let json = format!("[{}]", texts.join(","));
        if map.add_transactions(&noted.name, signer, &json, signature, signer.is_none()).is_err() {
            return Some("it is not what its author has signed");
        }
        from = until;
    }
    None
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
        let signer = |meta: &str| signer_of_account(&header.replace("META", meta));
        assert_eq!(signer(r#"{"type":"account"}"#).as_deref(), Some("signer_zB"));
        assert_eq!(signer("null"), None);
    }
}
