//! Whether the sync store is broken, where something went wrong that this would explain.
//!
//! To know it takes reading all of the store and every signature in it. A relay that stays silent is such a case at every
//! attempt, so a store that was found sound is not read again for a day unless it changed.

use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::history::UnixNanos;
use crate::runtime::is_damaged;
use crate::sync::SyncState;

/// How long a verdict holds, nanoseconds: damage to a file need not show in its time and size.
const HOLDS: i64 = 24 * 3600 * 1_000_000_000;

/// A store that was found sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundSound {
    /// When, nanoseconds since 1970.
    at: i64,
    /// Size and time of its files then.
    files: String,
}

impl Engine {
    /// Whether the store on this device is broken.
    pub(super) fn store_is_damaged(&self) -> bool {
        is_broken(&self.paths.database, &self.paths.state, (self.now)())
    }
}

fn is_broken(database: &Path, state: &Path, now: UnixNanos) -> bool {
    let files = files(database);
    let found = SyncState::load(state).ok().flatten().and_then(|state| state.found_sound);
    if found.is_some_and(|found| found.files == files && (found.at..found.at.saturating_add(HOLDS)).contains(&now.0)) {
        return false;
    }
    if is_damaged(database) {
        return true;
    }
    let noted = SyncState::update(state, |state| state.found_sound = Some(FoundSound { at: now.0, files }));
    if let Err(error) = noted {
        tracing::debug!(%error, "that the store is sound could not be noted");
    }
    false
}

/// Size and time of a database and its log. An empty log is none: one is made whenever the store is opened.
fn files(database: &Path) -> String {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let of = |path: &Path| {
        let metadata = path.metadata().ok().filter(|metadata| metadata.len() > 0)?;
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(format!("{} {}", metadata.len(), changed.as_nanos()))
    };
    [database, Path::new(&log)].map(|path| of(path).unwrap_or_default()).join("; ")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::PathBuf;

    use uuid::Uuid;

    use super::*;
    use crate::sync::state::BoundSession;

    const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

    /// A store and the state beside it.
    fn home(folder: &Path) -> (PathBuf, PathBuf) {
        let (database, state) = (folder.join("sync.db"), folder.join("sync.json"));
        let db = rusqlite::Connection::open(&database).unwrap();
        db.execute_batch(
            "CREATE TABLE coValues (rowID INTEGER PRIMARY KEY, id TEXT, header TEXT);
             CREATE TABLE sessions (rowID INTEGER PRIMARY KEY, coValue, sessionID, lastIdx, lastSignature);
             CREATE TABLE transactions (ses, idx, tx);",
        )
        .unwrap();
        let session = BoundSession::new("s".into(), "here".into());
        SyncState::new("co_zA".into(), Uuid::nil(), session).save(&state).unwrap();
        (database, state)
    }

    /// Breaks the file without a trace in its size and time.
    fn break_unseen(database: &Path) {
        let before = database.metadata().unwrap();
        fs::write(database, vec![0xA5; usize::try_from(before.len()).unwrap()]).unwrap();
        File::options().write(true).open(database).unwrap().set_modified(before.modified().unwrap()).unwrap();
    }

    #[test]
    fn a_store_that_was_found_sound_is_read_again_when_it_changed_or_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let (database, state) = home(folder.path());
        assert!(!is_broken(&database, &state, NOW));
        break_unseen(&database);
        let later = |nanos: i64| UnixNanos(NOW.0 + nanos);
        assert!(!is_broken(&database, &state, later(1)), "it is not read");
        assert!(is_broken(&database, &state, later(HOLDS)), "a day later it is");
        assert!(is_broken(&database, &state, later(-1)), "a verdict from the future is none");
        File::options().write(true).open(&database).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
        assert!(is_broken(&database, &state, later(1)), "it changed");
    }

    #[test]
    fn a_broken_store_is_never_noted_as_sound() {
        let folder = tempfile::tempdir().unwrap();
        let (database, state) = home(folder.path());
        break_unseen(&database);
        assert!(is_broken(&database, &state, NOW) && is_broken(&database, &state, NOW));
        assert_eq!(SyncState::load(&state).unwrap().unwrap().found_sound, None);
    }
}
