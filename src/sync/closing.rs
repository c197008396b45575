//! The mark of a closed account, and what a device does that meets it.
//!
//! An account that was erased or replaced leaves one entry in its root map, sealed with the identity's own key so
//! that only its devices can read it. It is written before anything is erased, so a device never finds half an
//! account without being told why. A device that meets the mark erases what of the account only it still
//! had, then its sync store and, where everything was erased, every record that had been synced; what
//! had never left it stays. Each step can be repeated: whatever interrupted it, the next command goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::{SyncError, SyncPaths, SyncState};
use crate::history::History;
use crate::identity::KeyEncryptionKey;
use crate::runtime::protocol::{Entries, Erase, Exchange, Held, Outcome, Set};
use crate::seal::{Context, EncryptedBlob, Purpose, SealError, open_with_identity, seal_with_identity};

/// The root's key of the mark.
const KEY: &str = "closed";
/// CoValues that are erased at a time.
const AT_A_TIME: usize = 32;
/// How often an erasure is tried in one go.
const ATTEMPTS: usize = 2;
/// The mark opens in the version of its own form, whatever the version of the data.
const SCHEMA: u32 = 1;

/// Why an account was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It was replaced by one with a new phrase.
    Revoked,
    /// Everything that was synced was to be erased everywhere.
    Deleted,
    /// Only a newer version knows; nothing of the history is touched.
    #[serde(other)]
    Newer,
}

/// The mark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// Why.
    pub reason: Reason,
    /// When, nanoseconds since 1970.
    pub at: i64,
    /// What the device is called on which it was decided.
    pub device: String,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, ciborium::Value>,
}

/// The mark as the state of a home has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetClosed {
    /// Why.
    pub reason: Reason,
    /// When, nanoseconds since 1970.
    pub at: i64,
    /// What the device is called on which it was decided.
    pub device: String,
    /// Whether this home has done what the mark asks for.
    #[serde(default)]
    pub settled: bool,
}

impl MetClosed {
    fn of(mark: &Closed) -> Self {
        Self { reason: mark.reason, at: mark.at, device: mark.device.clone(), settled: false }
    }

    /// The same as an error.
    #[must_use]
    pub fn error(&self) -> SyncError {
        SyncError::Closed { reason: self.reason, device: self.device.clone() }
    }
}

fn context(container: &str) -> Context<'_> {
    Context { purpose: Purpose::Account, container, device: "", schema_version: SCHEMA }
}

fn place(root: &str) -> String {
    format!("{root}/{KEY}")
}

fn seal(wrapping: &KeyEncryptionKey, root: &str, mark: &Closed) -> Result<String, SyncError> {
    let mut plaintext = Vec::new();
    ciborium::into_writer(mark, &mut plaintext)
        .map_err(|e| SyncError::Store(format!("the mark of a closed account cannot be encoded ({e})")))?;
    let sealed = seal_with_identity(wrapping.expose(), &context(&place(root)), &plaintext).map_err(SyncError::Seal)?;
    Ok(sealed.to_text())
}

fn open(wrapping: &KeyEncryptionKey, root: &str, text: &str) -> Result<Closed, SyncError> {
    let damaged = || SyncError::Damaged { what: "the mark of a closed account".into() };
    let opened = EncryptedBlob::from_text(text)
        .and_then(|blob| open_with_identity(&blob, wrapping.expose(), &context(&place(root))));
    match opened {
        Ok(plaintext) => ciborium::from_reader(plaintext.as_slice()).map_err(|_| damaged()),
        Err(SealError::FutureVersion { .. }) => Err(SyncError::Newer),
        Err(_) => Err(damaged()),
    }
}

/// Reads the mark that came with the registries, notes it in the state, and refuses.
///
/// # Errors
///
/// Always: [`SyncError::Closed`], or [`SyncError::Damaged`] where it is no mark.
pub(super) fn met(engine: &Engine, text: &str) -> SyncError {
    let mark = match open(&engine.wrapping, &engine.root, text) {
        Ok(mark) => mark,
        Err(error) => return error,
    };
    let met = MetClosed::of(&mark);
    let error = met.error();
    let noted = SyncState::update(&engine.paths().state, |state| {
        // Whoever closes it itself has a journal of its own. A reason that only a newer version knew is read again.
        let settled = state.closed.as_ref().is_some_and(|closed| closed.settled);
        if state.account == engine.account && !settled && state.closing.is_none() {
            state.closed = Some(met);
        }
    });
    match noted {
        Ok(_) => error,
        Err(failed) => failed,
    }
}

/// What a device still has to do that met the mark: erases what of the account may have come to the relay from it
/// alone, then settles. The relay has to be there. A reason that this version does not know asks for nothing that it
/// could do: it only stops.
///
/// # Errors
///
/// See [`SyncError`]; what is left to do stays noted.
pub(super) fn leave(engine: Engine, mark: &MetClosed) -> Result<(), SyncError> {
    if mark.reason == Reason::Newer {
        return engine.close();
    }
    let held = engine.ask(&Held {})?.ids;
    erase(&engine, &held, &mut |_| ())?;
    let (paths, history, hold) = engine.shut()?;
    settle(&paths, &history, mark.reason)?;
    SyncState::update(&paths.state, |state| {
        if let Some(closed) = &mut state.closed {
            closed.settled = true;
        }
    })?;
    drop(hold);
    Ok(())
}

/// The local part: the sync store goes, and where everything was erased, every record that had been synced.
///
/// # Errors
///
/// [`SyncError::File`], [`SyncError::History`].
pub(super) fn settle(paths: &SyncPaths, history: &History, reason: Reason) -> Result<(), SyncError> {
    remove_store(&paths.database)?;
    remove(&paths.devices)?;
    history.clear_cursors()?;
    if reason == Reason::Deleted {
        history.forget_synced()?;
    }
    Ok(())
}

/// Writes the mark, which the relay holds when this returns.
///
/// # Errors
///
/// See [`SyncError`].
pub(super) fn mark(engine: &Engine, reason: Reason, at: i64, device: &str) -> Result<(), SyncError> {
    let root = engine.root.clone();
    if !engine.ask(&Entries { id: root.clone() })?.entries.contains_key(KEY) {
        let mark = Closed { reason, at, device: device.to_owned(), unknown: BTreeMap::new() };
        let sealed = seal(&engine.wrapping, &root, &mark)?;
        engine.ask(&Set { id: root.clone(), entries: BTreeMap::from([(KEY.to_owned(), sealed)]) })?;
        engine.flush()?;
    }
    engine.confirm(vec![root])
}

/// Erases CoValues here and at the relay, which has confirmed it when this returns. `done` hears how many.
///
/// Only what the relay itself says of each counts: what could not be found to be erased is asked about all the same, and
/// erased in a second attempt where the relay has it after all.
///
/// # Errors
///
/// See [`SyncError`].
pub(super) fn erase(engine: &Engine, ids: &[String], done: &mut dyn FnMut(u64)) -> Result<(), SyncError> {
    let mut count = 0;
    for some in ids.chunks(AT_A_TIME) {
        let mut left = some.to_vec();
        for _ in 0..ATTEMPTS {
            engine.ask(&Erase { ids: left.clone() })?;
            engine.flush()?;
            left = still_there(engine, left)?;
            if left.is_empty() {
                break;
            }
        }
        if let Some(id) = left.first() {
            tracing::error!(id, "the relay does not erase it");
            return Err(SyncError::Damaged { what: "what the relay says it has erased".into() });
        }
        count += some.len() as u64;
        done(count);
    }
    Ok(())
}

/// Those of which there is content yet, as the relay says itself.
fn still_there(engine: &Engine, ids: Vec<String>) -> Result<Vec<String>, SyncError> {
    let mut left = Vec::new();
    for (id, outcome) in engine.ask(&Exchange { ids, timeout_ms: engine.patience_ms() })?.outcomes {
        match outcome {
            Outcome::Deleted | Outcome::Absent => {}
            Outcome::Current | Outcome::Local | Outcome::Damaged => left.push(id),
            Outcome::Offline | Outcome::Late => return Err(engine.lost_relay()),
        }
    }
    Ok(left)
}

/// Removes a store with its side files.
pub(super) fn remove_store(database: &Path) -> Result<(), SyncError> {
    parts(database).iter().try_for_each(|part| remove(part))
}

/// Gives a store another name, in place of what has that; it stays the same file.
pub(super) fn move_store(from: &Path, to: &Path) -> Result<(), SyncError> {
    remove_store(to)?;
    for (from, to) in parts(from).iter().zip(parts(to)) {
        match std::fs::rename(from, to) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(SyncError::File { file: from.display().to_string(), action: "renamed", source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// The files of a store.
fn parts(database: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        path.into()
    })
}

fn remove(path: &Path) -> Result<(), SyncError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(SyncError::File { file: path.display().to_string(), action: "removed", source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{MasterKey, Phrase};

    fn wrapping(fill: u8) -> KeyEncryptionKey {
        MasterKey::derive(&Phrase::from_entropy(&[fill; 16]).unwrap()).unwrap().keys().unwrap().key_encryption
    }

    #[test]
    fn the_mark_opens_with_the_identity_at_its_root_only_and_keeps_unknown_fields() {
        let mut mark = Closed { reason: Reason::Revoked, at: 7, device: "laptop".into(), unknown: BTreeMap::new() };
        mark.unknown.insert("more".into(), ciborium::Value::Bool(true));
        let key = wrapping(7);
        let sealed = seal(&key, "co_zRoot", &mark).unwrap();
        assert_eq!(open(&key, "co_zRoot", &sealed).unwrap(), mark);
        assert!(matches!(open(&key, "co_zOther", &sealed), Err(SyncError::Damaged { .. })));
        assert!(matches!(open(&wrapping(8), "co_zRoot", &sealed), Err(SyncError::Damaged { .. })));
        assert!(matches!(open(&key, "co_zRoot", "AQAA"), Err(SyncError::Damaged { .. })));
    }

    #[test]
    fn a_sealed_reason_of_a_newer_version_is_known_as_such() {
        #[derive(Serialize)]
        struct Newer {
            reason: &'static str,
            at: i64,
            device: &'static str,
        }
        let (key, mut plaintext) = (wrapping(7), Vec::new());
        ciborium::into_writer(&Newer { reason: "merged", at: 7, device: "laptop" }, &mut plaintext).unwrap();
        let sealed = seal_with_identity(key.expose(), &context(&place("co_zRoot")), &plaintext).unwrap().to_text();
        let met = MetClosed::of(&open(&key, "co_zRoot", &sealed).unwrap());
        assert_eq!((met.reason, met.settled), (Reason::Newer, false));
    }
}
