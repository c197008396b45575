//! `sync.json`: which account, device and session this home is, and how the last exchange went.
//!
//! A session may have one writer only: two stores that write in one session fork it, and the relay
//! refuses both. So the session is bound to the very file that holds the store and to the machine. A
//! copied home, a restored backup or a disk in another machine does not match, and gets a new session.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::closing::MetClosed;
use super::engine::FoundSound;
use super::erasure::Closing;
use super::revoke::Revoking;
use super::{SyncError, SyncPaths};
use crate::{machine, private_file};

/// What this home is to its account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SyncState {
    /// The account's id.
    pub account: String,
    /// This device, as records and the registries name it.
    pub device: Uuid,
    /// The session that this store writes in.
    pub session: Option<BoundSession>,
    /// How the last exchange went.
    #[serde(default)]
    pub last_exchange: Option<LastExchange>,
    /// Whether the user agrees that anything leaves this device.
    #[serde(default)]
    pub consent: Consent,
    /// Nothing happens by itself for now.
    #[serde(default)]
    pub paused: bool,
    /// When background work may try again after a failure.
    #[serde(default)]
    pub background: Background,
    /// Another device has taken this one out; it may join again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// The account was closed, and what this home has done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<MetClosed>,
    /// The account is being closed from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<Closing>,
    /// The phrase is being replaced from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoking: Option<Revoking>,
    /// This home is a copy of that device's, and the user has not been told yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<Uuid>,
    /// The sessions of devices that this home is when it is elsewhere, by their ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parked: BTreeMap<Uuid, Parked>,
    /// The store is to be built anew from the relay, in a new session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rebuild: bool,
    /// Another device writes data of this version, which is newer than what this program knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer_schema: Option<u32>,
    /// When the sync store was last read whole because something had gone wrong, and was sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_sound: Option<FoundSound>,
    /// Fields of a newer version.
    #[serde(flatten)]
    pub unknown: serde_json::Map<String, serde_json::Value>,
}

/// Whether the user agrees that anything leaves this device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// Given, when sync was set up.
    #[default]
    Enabled,
    /// Withdrawn: no connection is opened.
    Disabled,
}

/// What background exchanges remember of their failures, so that being offline costs little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Background {
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    /// Not before this time, nanoseconds since 1970.
    #[serde(default)]
    pub not_before: i64,
}

/// A session, and where alone it may be continued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundSession {
    /// The session's id.
    pub id: String,
    /// Fingerprint of the store and the machine.
    pub bound_to: String,
    /// The last tokens that were written in it (see `twins`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<String>,
    /// When a token was found that was not written here; 0: none was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub doubted_at: i64,
    /// It began with a store that was built anew, and no exchange has come to its end since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
}

/// What a home that is elsewhere at times was as another device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// What it was called.
    pub name: String,
    /// The session it wrote in, if that can be continued.
    pub session: Option<BoundSession>,
}

impl BoundSession {
    /// A session that begins.
    #[must_use]
    pub fn new(id: String, bound_to: String) -> Self {
        Self { id, bound_to, tokens: Vec::new(), doubted_at: 0, unproven: false }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls it with")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// The outcome of an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastExchange {
    /// When it ended, RFC 3339 UTC.
    pub at: String,
    /// What started it, for example `manual`.
    pub trigger: String,
    /// Records that went up.
    pub sent: u64,
    /// Records that came down.
    pub received: u64,
    /// Parts of the history that are known of and have not come down yet.
    #[serde(default)]
    pub missing: u64,
    /// What went wrong, in plain words.
    pub error: Option<String>,
    /// What to do about it.
    #[serde(default)]
    pub remedy: Option<String>,
}

impl SyncState {
    /// The state of a home that has just been set up.
    #[must_use]
    pub fn new(account: String, device: Uuid, session: BoundSession) -> Self {
        Self {
            account,
            device,
            session: Some(session),
            last_exchange: None,
            consent: Consent::Enabled,
            paused: false,
            background: Background::default(),
            removed: false,
            copy_of: None,
            closed: None,
            closing: None,
            revoking: None,
            parked: BTreeMap::new(),
            rebuild: false,
            newer_schema: None,
            found_sound: None,
            unknown: serde_json::Map::new(),
        }
    }

    /// Reads the state; none where sync is not set up.
    ///
    /// # Errors
    ///
    /// [`SyncError::File`], or [`SyncError::Config`] where the file is damaged.
    pub fn load(path: &Path) -> Result<Option<Self>, SyncError> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| SyncError::Config { file: path.display().to_string(), reason: e.to_string() }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SyncError::File { file: path.display().to_string(), action: "read", source }),
        }
    }

    /// Writes the state, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`SyncError::File`].
    pub fn save(&self, path: &Path) -> Result<(), SyncError> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| SyncError::Config { file: path.display().to_string(), reason: e.to_string() })?;
        write_private(path, &bytes)
    }

    /// Changes the state as it is now; none where sync is not set up. Two processes that change it at the same
    /// time do so one after the other.
    ///
    /// # Errors
    ///
    /// As [`SyncState::load`] and [`SyncState::save`].
    pub fn update(path: &Path, change: impl FnOnce(&mut Self)) -> Result<Option<Self>, SyncError> {
        let failed = |source| SyncError::File { file: path.display().to_string(), action: "written", source };
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let lock = private_file::make_folder(private_file::folder_of(path))
            .and_then(|()| private_file::open_lock(Path::new(&beside)))
            .map_err(failed)?;
        lock.lock().map_err(failed)?;
        let Some(mut state) = Self::load(path)? else { return Ok(None) };
        let before = state.clone();
        change(&mut state);
        if state != before {
            state.save(path)?;
        }
        Ok(Some(state))
    }

    /// Whether the user agrees that anything leaves this device.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.consent == Consent::Enabled
    }

    /// Whether this home may be set up in place of what it was: it takes no part in its account any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.removed || self.closed.as_ref().is_some_and(|closed| closed.settled)
    }

    /// Begins new sessions from here on, on every machine that this home is on.
    pub fn forget_sessions(&mut self) {
        self.session = None;
        for parked in self.parked.values_mut() {
            parked.session = None;
        }
    }

    /// Refuses where nothing may be exchanged, whoever asks.
    ///
    /// # Errors
    ///
    /// [`SyncError::Disabled`], [`SyncError::Removed`], [`SyncError::Closed`], [`SyncError::Unfinished`].
    pub fn may_exchange(&self) -> Result<(), SyncError> {
        if self.revoking.is_some() {
            return Err(SyncError::Unfinished { command: "caro sync revoke" });
        }
        if self.closing.is_some() {
            return Err(SyncError::Unfinished { command: "caro sync delete --everywhere" });
        }
        self.may_take_part()?;
        if self.is_enabled() { Ok(()) } else { Err(SyncError::Disabled) }
    }

    /// Whether this device still belongs to its account.
    ///
    /// # Errors
    ///
    /// [`SyncError::Closed`] or [`SyncError::Removed`].
    pub fn may_take_part(&self) -> Result<(), SyncError> {
        match &self.closed {
            Some(closed) if closed.settled => Err(closed.error()),
            _ if self.removed => Err(SyncError::Removed),
            _ => Ok(()),
        }
    }

    /// The session to continue with the store as it is there.
    pub(super) fn session_of(&self, paths: &SyncPaths) -> Option<String> {
        let print = fingerprint(&paths.database).ok()?;
        self.session_for(&print).map(str::to_owned)
    }

    /// The session to continue with this store, if it is the one the session belongs to.
    #[must_use]
    pub fn session_for(&self, fingerprint: &str) -> Option<&str> {
        self.session.as_ref().filter(|session| session.bound_to == fingerprint).map(|session| session.id.as_str())
    }
}

/// Fingerprint of a store's file and the machine it is on. Copies and restored backups get another
/// one, since a new file has a new number.
///
/// # Errors
///
/// [`SyncError::File`] where the store is not there.
pub(super) fn fingerprint(database: &Path) -> Result<String, SyncError> {
    let failed = |source| SyncError::File { file: database.display().to_string(), action: "read", source };
    let metadata = fs::metadata(database).map_err(failed)?;
    let mut hash = blake3::Hasher::new();
    hash.update(b"caro-sync/store-fingerprint/v1\0");
    if let Some(place) = machine::cloned_place() {
        hash.update(place.as_bytes());
        return Ok(hash.finalize().to_hex()[..32].to_owned());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        hash.update(&metadata.dev().to_le_bytes());
        hash.update(&metadata.ino().to_le_bytes());
    }
    if let Ok(made) = metadata.created().map(|at| at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default()) {
        hash.update(&made.as_nanos().to_le_bytes());
    }
    if let Some(machine) = machine::id() {
        hash.update(machine.as_bytes());
    }
    Ok(hash.finalize().to_hex()[..32].to_owned())
}

/// Replaces a file of sync, whole or not at all; private to its owner.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), SyncError> {
    private_file::replace(path, bytes).map_err(|source| SyncError::File {
        file: path.display().to_string(),
        action: "written",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SyncState {
        let session = BoundSession::new("co_zA_session_zB".into(), "here".into());
        let unknown = serde_json::Map::from_iter([("newer".into(), 1.into())]);
        SyncState { unknown, ..SyncState::new("co_zA".into(), Uuid::from_u128(7), session) }
    }

    #[test]
    fn the_state_survives_with_fields_of_a_newer_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/sync.json");
        assert_eq!(SyncState::load(&path).unwrap(), None);
        sample().save(&path).unwrap();
        assert_eq!(SyncState::load(&path).unwrap(), Some(sample()));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn changes_made_at_the_same_time_all_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.json");
        assert_eq!(SyncState::update(&path, |_| ()).unwrap(), None, "nothing is made where nothing is set up");
        sample().save(&path).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        SyncState::update(&path, |state| state.background.failures += 1).unwrap();
                    }
                });
            }
        });
        assert_eq!(SyncState::load(&path).unwrap().unwrap().background.failures, 160);
    }

    #[test]
    fn the_state_of_an_older_version_is_enabled() {
        let old = r#"{"account":"co_zA","device":"00000000-0000-0000-0000-000000000007","session":null}"#;
        let state: SyncState = serde_json::from_str(old).unwrap();
        assert!(state.is_enabled() && !state.paused);
    }

    #[test]
    fn a_session_continues_only_with_its_own_store() {
        assert_eq!(sample().session_for("here"), Some("co_zA_session_zB"));
        assert_eq!(sample().session_for("elsewhere"), None);
    }

    #[test]
    fn a_copied_store_has_another_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let (original, copy) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&original, b"store").unwrap();
        fs::copy(&original, &copy).unwrap();
        assert_eq!(fingerprint(&original).unwrap(), fingerprint(&original).unwrap());
        assert_ne!(fingerprint(&original).unwrap(), fingerprint(&copy).unwrap());
    }
}
