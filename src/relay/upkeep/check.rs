//! Whether what a relay's store holds is what was written to it. Reads only, also beside a relay that writes.

use std::path::Path;

use rusqlite::Connection;

use super::{Trouble, database, failed, open_to_read};
use crate::relay::RelayError;
use crate::runtime::{Flaw, StoreExamined, examine_store, is_damage};

/// How much of what the database says of its structure is told.
const TOLD: u32 = 20;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// CoValues that were looked at.
    pub covalues: u64,
    /// Accounts among them.
    pub accounts: u64,
    /// Logs of sessions that were looked at.
    pub sessions: u64,
    /// Logs whose author's account is not in the store, so that no signature could be checked.
    pub unsigned: u64,
    /// Rows that belong to nothing.
    pub orphans: u64,
    /// What the database says of its own structure, where that is broken.
    pub structure: Vec<String>,
    /// CoValues that are not as they were written.
    pub damaged: Vec<Damage>,
}

/// A CoValue of which something is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its id, where that can be read.
    pub id: String,
    /// Whether all of it is lost, or one device's part.
    pub whole: bool,
    /// What is wrong.
    pub what: &'static str,
}

impl Checked {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.structure.is_empty() && self.damaged.is_empty() && self.orphans == 0
    }
}

/// Checks the store in a folder; `looked` hears how many CoValues were looked at, and of how many.
///
/// # Errors
///
/// Where there is none, or it cannot be read for another reason than damage.
pub fn check(data_dir: &Path, looked: impl FnMut(u64, u64)) -> Result<Checked, RelayError> {
    let path = database(data_dir)?;
    examine(&path, looked).map(|(checked, _)| checked).map_err(failed(data_dir))
}

/// Checks a database, and says where in it the flaws are.
pub(super) fn examine(path: &Path, looked: impl FnMut(u64, u64)) -> Result<(Checked, Vec<Flaw>), Trouble> {
    let mut checked = Checked::default();
    let looked = open_to_read(path).and_then(|db| {
        // All of it sees one moment.
        let db = db.unchecked_transaction()?;
        checked.structure = structure(&db)?;
        let found = examine_store(&db, looked)?;
        Ok((found, orphans(&db)?))
    });
    match looked {
        Ok((found, orphans)) => {
            checked.orphans = orphans;
            Ok((with(checked, &found), found.flaws))
        }
        Err(error) if is_damage(&error) => {
            checked.structure.push(error.to_string());
            Ok((checked, Vec::new()))
        }
        Err(error) => Err(error.into()),
    }
}

fn with(mut checked: Checked, found: &StoreExamined) -> Checked {
    checked.covalues = found.values;
    checked.accounts = found.accounts;
    checked.sessions = found.sessions;
    checked.unsigned = found.unsigned;
    let damage = |flaw: &Flaw| Damage { id: flaw.id.clone(), whole: flaw.session.is_none(), what: flaw.what };
    checked.damaged = found.flaws.iter().map(damage).collect();
    checked
}

/// What the database says that is wrong with it.
fn structure(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare(&format!("PRAGMA integrity_check({TOLD})"))?;
    let said: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(if said == ["ok"] { Vec::new() } else { said })
}

/// Rows of sessions that no CoValue has, and of logs that no session has.
fn orphans(db: &Connection) -> rusqlite::Result<u64> {
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    Ok(count("SELECT count(*) FROM sessions WHERE coValue NOT IN (SELECT rowID FROM coValues)")?
        + count("SELECT count(*) FROM transactions WHERE ses NOT IN (SELECT rowID FROM sessions)")?
        + count("SELECT count(*) FROM signatureAfter WHERE ses NOT IN (SELECT rowID FROM sessions)")?)
}
