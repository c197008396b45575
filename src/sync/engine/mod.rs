//! One process's hold on the account: the isolate, the connection, the keys and the history, and the
//! exchange between them.

mod asking;
mod ending;
mod opening;
mod registries;
mod report;
mod soundness;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::time::Duration;

use uuid::Uuid;

pub use ending::Ending;
pub use report::{Progress, Report};
pub use soundness::FoundSound;

use self::ending::remember;
use self::opening::watch_consent;
use super::consent::Watch as ConsentWatch;
use super::devices::{self, Devices};
use super::index::Index;
use super::lock::Hold;
use super::twins::Tokens;
use super::vault::Vault;
use super::{
    SyncError, SyncPaths, deletions, gone, heads, orphans, preferences, pull, push, retention, rewrite, schema,
    succession, trusted_time, usage,
};
use crate::history::{History, UnixNanos};
use crate::identity::{KeyEncryptionKey, PreferenceNameKey};
use crate::net::{LastFailure, Network, RelayAddress};
use crate::prefs::{PreferenceStore, Settings};
use crate::runtime::Isolate;
use crate::runtime::protocol::{Event, Registries, Watch};

/// What an engine works with.
pub struct Setting {
    /// Where this home keeps what belongs to sync.
    pub paths: SyncPaths,
    /// The local history, which stays usable by other processes meanwhile.
    pub history: History,
    /// The relay to use; none: everything stays here.
    pub relay: Option<RelayAddress>,
    /// How long the relay may stay silent.
    pub patience: Duration,
    /// The clock.
    pub now: fn() -> UnixNanos,
    /// The preferences that sync obeys.
    pub settings: Settings,
    /// The preferences that follow the user.
    pub preferences: PreferenceStore,
}

/// An account that is open for one exchange, or for many. Dropping it closes the connection.
///
/// After an error it is not used again: what its memory holds may be ahead of what its store has taken.
pub struct Engine {
    pub(super) isolate: Isolate,
    pub(super) history: History,
    pub(super) vault: Vault,
    pub(super) wrapping: KeyEncryptionKey,
    pub(super) preference_names: PreferenceNameKey,
    pub(super) index: Index,
    pub(super) registries: Registries,
    pub(super) devices: Devices,
    pub(super) tokens: Tokens,
    /// The map that names the registries.
    pub(super) root: String,
    /// The newest version of the data that any device of the account writes.
    pub(super) account_schema: u32,
    pub(super) account: String,
    pub(super) session: String,
    pub(super) device: Uuid,
    pub(super) now: fn() -> UnixNanos,
    pub(super) settings: Settings,
    pub(super) preferences: PreferenceStore,
    paths: SyncPaths,
    relay: Option<RelayAddress>,
    patience: Duration,
    last_failure: LastFailure,
    /// Which index was read last, and the name of the state it was in.
    index_state: Option<(String, String)>,
    /// What this exchange has written, to be confirmed by the relay in the end.
    written: BTreeSet<String>,
    /// Segments that this device has written anew and not erased yet, with how far each was read, by session.
    pub(super) rewritten: BTreeMap<String, BTreeMap<String, u64>>,
    /// Whether something was written to the sync store that is not known to be on disk.
    unflushed: Cell<bool>,
    /// Present while it works: nobody looks at the state file for an idle engine.
    consent: Option<ConsentWatch>,
    // Dropped after the isolate, whose sockets live on it.
    network: Network,
    _lock: Hold,
}

impl Engine {
    /// One full exchange: what others wrote comes down, what is pending goes up, and the relay has
    /// confirmed it when this returns.
    ///
    /// # Errors
    ///
    /// See [`SyncError`]. What was exchanged before an error stays exchanged.
    pub fn exchange(&mut self, trigger: &str, progress: &mut dyn FnMut(Progress)) -> Result<Report, SyncError> {
        if self.consent.is_none() {
            self.consent = Some(watch_consent(&self.paths.state, &self.network, &self.isolate)?);
        }
        let result = self.run_exchange(progress).map_err(|error| self.blame(error));
        remember(&self.paths.state, self.now, trigger, result.as_ref());
        result
    }

    /// The steps of an exchange, each in a file of its own. Their order matters: what closes the account or this
    /// device comes first, nothing is written before everything was read, and what was written is
    /// confirmed in the end. Preferences are read before anything is sent: they say what may not leave.
    fn run_exchange(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Report, SyncError> {
        // A command, a person or another device may have changed them since the last exchange.
        self.settings = Settings::load(&self.paths.config)?;
        self.refresh()?;
        let deletions = deletions::pull(self)?;
        let mut pulled = pull::pull(self, progress)?;
        gone::give_up(self, &mut pulled)?;
        gone::release(self, &pulled)?;
        let withheld = heads::check(self, &pulled)?;
        let (mut pushed, mut heads) = (push::Pushed::default(), None);
        if self.relay.is_some() {
            let standing = preferences::pull(self)?;
            self.settings = Settings::load(&self.paths.config)?;
            deletions::push(self)?;
            trusted_time::settle(self)?;
            orphans::adopt(self, &pulled)?;
            pushed = push::push(self, progress)?;
            rewrite::run(self, &mut pulled)?;
            retention::run(self)?;
            heads = heads::due(self)?;
            preferences::push(self, standing.as_ref())?;
            usage::exchange(self)?;
        }
        schema::meet(self)?;
        devices::touch(self, heads)?;
        if !self.written.is_empty() {
            progress(Progress::Confirming);
            self.confirm_written()?;
        }
        gone::erase(self, &mut pulled)?;
        if self.relay.is_some() {
            succession::run(self)?;
        }
        if !pulled.damaged.is_empty() {
            tracing::error!(segments = pulled.damaged.len(), "parts of the history are damaged");
            return Err(self.damage("part of the synced history"));
        }
        if self.relay.is_some() {
            self.history.all_confirmed()?;
        }
        Ok(Report {
            sent: pushed.records,
            received: pulled.records,
            pending: self.history.pending_count()?,
            too_large: pushed.too_large,
            missing: pulled.missing.len() as u64,
            unreadable: pulled.unreadable + deletions.unreadable + self.index.newer,
            withheld,
        })
    }

    /// Has a CoValue confirmed by the relay at the end of the exchange.
    pub(super) fn wrote(&mut self, id: impl Into<String>) {
        self.written.insert(id.into());
    }

    /// Goes on listening after an exchange: says with an event when another device has changed something that
    /// the next one would read, and keeps no more in memory than that takes.
    ///
    /// # Errors
    ///
    /// See [`SyncError`].
    pub fn listen(&mut self) -> Result<(), SyncError> {
        let Registries { index, preferences, deletions, keyring, .. } = &self.registries;
        let mut ids = vec![self.root.clone(), index.clone(), preferences.clone(), deletions.clone(), keyring.clone()];
        // Those that grow, and those that others have announced but not yet brought.
        let unfinished = pull::unfinished(self, &pull::Noted::load(&self.history)?);
        ids.extend(unfinished.into_iter().map(|segment| segment.id));
        self.ask(&Watch { ids })?;
        self.consent = None;
        Ok(())
    }

    /// What the relay's side tells from here on.
    #[must_use]
    pub fn events(&self) -> mpsc::Receiver<Event> {
        self.isolate.take_events()
    }

    /// What comes before anything is read or written: the registries as they are at the relay, and whether this
    /// device still takes part.
    pub(super) fn refresh(&mut self) -> Result<(), SyncError> {
        self.load_index()?;
        devices::check(self)
    }

    pub(super) fn paths(&self) -> &SyncPaths {
        &self.paths
    }

    /// The local history.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }
}
