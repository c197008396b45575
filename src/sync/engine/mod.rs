//! One process's hold on the account: the isolate, the connection, the keys and the history, and the
//! exchange between them.

mod asking;
mod report;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use uuid::Uuid;

pub use report::{Progress, Report};

use super::consent::Watch as ConsentWatch;
use super::daemon::rfc3339;
use super::devices::{self, Devices};
use super::index::Index;
use super::lock::{self, Hold};
use super::state::{BoundSession, LastExchange, SyncState, fingerprint};
use super::twins::Tokens;
use super::vault::Vault;
use super::{
    SyncError, SyncPaths, account, closing, deletions, forks, gone, heads, orphans, preferences, pull, push, retention,
    rewrite, schema, succession, trusted_time, usage,
};
use crate::history::{History, UnixNanos};
use crate::identity::{KeyEncryptionKey, MasterKey, PreferenceNameKey};
use crate::net::{Connection, Network, RelayAddress};
use crate::prefs::{PreferenceStore, Settings};
use crate::runtime::protocol::{
    Close, Entries, Event, LoadRegistries, Open, Outcome, Registries, RegistriesLoaded, Watch,
};
use crate::runtime::{Isolate, IsolateOptions, open_database_deferred};
use crate::sync::month::Month;

/// Heap of a device's isolate.
const MEMORY_LIMIT: usize = 1 << 30;

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
    last_failure: Arc<Mutex<Option<String>>>,
    /// What this exchange has written, to be confirmed by the relay in the end.
    written: BTreeSet<String>,
    /// Present while it works: nobody looks at the state file for an idle engine.
    consent: Option<ConsentWatch>,
    // Dropped after the isolate, whose sockets live on it.
    network: Network,
    _lock: Hold,
}

impl Engine {
    /// Opens the account of a home where sync is set up. `trigger` says what for, as the state file
    /// will tell if it fails.
    ///
    /// # Errors
    ///
    /// See [`SyncError`]; [`SyncError::Busy`] while another process of this home exchanges,
    /// [`SyncError::Disabled`] where the user has withdrawn consent.
    pub fn open(setting: Setting, state: &SyncState, master: &MasterKey, trigger: &str) -> Result<Self, SyncError> {
        let lock = lock::take(&setting.paths)?;
        // Only now: what was decided while the lock was waited for counts.
        if let Some(state) = SyncState::load(&setting.paths.state)? {
            state.may_exchange()?;
        }
        let (path, now) = (setting.paths.state.clone(), setting.now);
        let state = forks::settle(&setting, state)?;
        let session = state.session_of(&setting.paths);
        let mut engine = match Self::resume(setting, lock, master, &state, session.as_deref()) {
            Ok(engine) => engine,
            Err(error) => {
                remember(&path, now, trigger, Err(&error));
                return Err(error);
            }
        };
        let continued = session.as_deref() == Some(&engine.session);
        if let Some(known) = state.session.as_ref().filter(|_| continued || state.rebuild) {
            engine.tokens = Tokens::of(known);
        }
        if !continued {
            engine.start_over()?;
            let session = BoundSession { unproven: state.rebuild, ..engine.bound_session()? };
            SyncState::update(&engine.paths.state, |state| {
                state.session = Some(session);
                state.rebuild = false;
            })?;
        }
        Ok(engine)
    }

    /// Opens the account; where it turns out to be closed, leaves it.
    fn resume(
        setting: Setting,
        lock: Hold,
        master: &MasterKey,
        state: &SyncState,
        session: Option<&str>,
    ) -> Result<Self, SyncError> {
        let mut engine = Self::connect(setting, lock, master, state.device, session, false)?;
        if engine.account != state.account {
            // Keys that were read before this device took another phrase.
            return Err(SyncError::OtherKeys);
        }
        if let Some(mark) = engine.load_root()? {
            let error = closing::met(&engine, &mark);
            let met = SyncState::load(&engine.paths.state)?.and_then(|state| state.closed);
            if let (SyncError::Closed { .. }, Some(met)) = (&error, met) {
                closing::leave(engine, &met)?;
            }
            return Err(error);
        }
        engine.load_registries(true)?;
        engine.load_keys()?;
        Ok(engine)
    }

    /// Opens the account with its registries, or makes it.
    pub(super) fn start(
        setting: Setting,
        lock: Hold,
        master: &MasterKey,
        device: Uuid,
        session: Option<&str>,
        create: bool,
    ) -> Result<Self, SyncError> {
        let mut engine = Self::connect(setting, lock, master, device, session, create)?;
        engine.load_registries(true)?;
        if !create {
            engine.load_keys()?;
        }
        Ok(engine)
    }

    /// Starts the isolate and opens the account, or makes it. The relay is dialled meanwhile.
    pub(super) fn connect(
        setting: Setting,
        lock: Hold,
        master: &MasterKey,
        device: Uuid,
        session: Option<&str>,
        create: bool,
    ) -> Result<Self, SyncError> {
        let network = Network::start()?;
        let last_failure = Arc::new(Mutex::new(None));
        let connection = setting
            .relay
            .clone()
            .map(|relay| Connection::begin(relay.within(setting.patience), network.handle(), last_failure.clone()));
        let database = open_database_deferred(&setting.paths.database).map_err(|e| store_error(&e))?;
        let (dialer, dialled) = match connection {
            Some(connection) => {
                let (dialer, dialled) = connection.split();
                (Some(dialer), Some(dialled))
            }
            None => (None, None),
        };
        let isolate = Isolate::start(IsolateOptions { database, dialer, memory_limit: MEMORY_LIMIT })?;
        let consent = watch_consent(&setting.paths.state, &network, &isolate)?;
        let keys = master.keys()?;
        if let (Some(dialled), Some(relay)) = (dialled, &setting.relay) {
            // Nothing was written yet: a relay that cannot be reached leaves everything as it was.
            network
                .block_on(dialled)
                .map_err(|reason| consent.explain(SyncError::Unreachable { relay: relay.shown(), reason }))?;
        }

        let secret = account::agent_secret(&keys);
        let mut engine = Self {
            vault: Vault::new(device),
            wrapping: keys.key_encryption,
            preference_names: keys.preference_name,
            index: Index::default(),
            registries: Registries::default(),
            devices: Devices::default(),
            tokens: Tokens::default(),
            root: String::new(),
            account_schema: 1,
            account: String::new(),
            session: String::new(),
            device,
            isolate,
            history: setting.history,
            now: setting.now,
            settings: setting.settings,
            preferences: setting.preferences,
            paths: setting.paths,
            relay: setting.relay,
            patience: setting.patience,
            last_failure,
            written: BTreeSet::new(),
            consent: Some(consent),
            network,
            _lock: lock,
        };
        let peer = engine.relay.as_ref().map(RelayAddress::fingerprint);
        let opened = engine.ask(&Open {
            agent_secret: &secret,
            session,
            create,
            peer: peer.as_deref(),
            month: &Month::of((engine.now)()).first_day(),
            timeout_ms: engine.patience_ms(),
        })?;
        engine.account = opened.account;
        engine.session = opened.session;
        Ok(engine)
    }

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
        let result = self.run_exchange(progress);
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
            rewrite::run(self)?;
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
        gone::erase(self, &pulled)?;
        if self.relay.is_some() {
            succession::run(self)?;
        }
        if !pulled.damaged.is_empty() {
            tracing::error!(segments = pulled.damaged.len(), "parts of the history are damaged");
            return Err(self.damage("part of the synced history"));
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
        let unfinished = pull::unfinished(self)?;
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

    /// The registries, up to date.
    ///
    /// # Errors
    ///
    /// [`SyncError::Closed`] where the account is marked as closed; others as [`Engine::exchange`].
    pub(super) fn load_registries(&mut self, first: bool) -> Result<(), SyncError> {
        let loaded = self.ask(&LoadRegistries { timeout_ms: self.patience_ms() })?;
        let (outcome, relay_was_behind) = (loaded.outcome, loaded.relay_was_behind);
        if let Some(mark) = self.take_root(loaded) {
            return Err(closing::met(self, &mark));
        }
        self.expect_current(outcome, "the account")?;
        if first && relay_was_behind {
            // Whatever this relay was known to have whole, it may have lost.
            tracing::warn!("the relay holds less than this device; comparing everything again");
            self.history.clear_cursors()?;
        }
        Ok(())
    }

    /// Whatever is left of the account, also where it is closed: the mark then.
    pub(super) fn load_root(&mut self) -> Result<Option<String>, SyncError> {
        let loaded = self.ask(&LoadRegistries { timeout_ms: self.patience_ms() })?;
        if matches!(loaded.outcome, Outcome::Offline | Outcome::Late) {
            return Err(self.lost_relay());
        }
        Ok(self.take_root(loaded))
    }

    fn take_root(&mut self, loaded: RegistriesLoaded) -> Option<String> {
        self.registries = loaded.registries;
        self.root = loaded.root;
        self.account_schema = schema::of(loaded.schema.as_deref());
        loaded.closed
    }

    fn load_index(&mut self) -> Result<(), SyncError> {
        self.load_registries(false)?;
        self.read_index()
    }

    /// What is in an account that this device has marked as closed, to be read once more before it goes.
    pub(super) fn load_closed(&mut self) -> Result<(), SyncError> {
        self.load_root()?;
        self.read_index()
    }

    fn read_index(&mut self) -> Result<(), SyncError> {
        self.load_keys()?;
        let entries = self.ask(&Entries { id: self.registries.index.clone() })?.entries;
        self.index = Index::open(&self.vault, &self.registries.index, entries)?;
        Ok(())
    }

    fn load_keys(&mut self) -> Result<(), SyncError> {
        let entries = self.ask(&Entries { id: self.registries.keyring.clone() })?.entries;
        self.vault.load_keys(&self.wrapping, &self.registries.keyring, entries)
    }

    /// Counts nothing as sent or read any more, since this store may lack what an earlier one held.
    /// What comes back from the relay leaves the outbox again.
    pub(super) fn start_over(&self) -> Result<(), SyncError> {
        tracing::warn!("the sync store is not the one this history knows; comparing everything again");
        self.history.forget_places()?;
        self.history.requeue_all(self.device)?;
        self.history.requeue_deletions()?;
        Ok(())
    }

    /// The session and what it is bound to.
    pub(super) fn bound_session(&self) -> Result<BoundSession, SyncError> {
        let mut session = BoundSession::new(self.session.clone(), fingerprint(&self.paths.database)?);
        self.tokens.keep_in(&mut session);
        Ok(session)
    }

    /// Writes what is outstanding and closes the connection.
    ///
    /// # Errors
    ///
    /// [`SyncError::Engine`] where the isolate does not come to an end in time.
    pub fn close(self) -> Result<(), SyncError> {
        self.ask(&Close {})?;
        Ok(())
    }

    /// Ends the isolate and the connection; what is left is where it worked, the history, and the lock.
    pub(super) fn shut(self) -> Result<(SyncPaths, History, Hold), SyncError> {
        self.ask(&Close {})?;
        let Self { isolate, network, history, paths, _lock: hold, .. } = self;
        drop(isolate);
        drop(network);
        Ok((paths, history, hold))
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

/// Puts the outcome of an exchange into the state file. Where that fails the outcome stands all the same.
fn remember(path: &Path, now: fn() -> UnixNanos, trigger: &str, result: Result<&Report, &SyncError>) {
    let report = result.copied().unwrap_or_default();
    let last = LastExchange {
        at: rfc3339(now()),
        trigger: trigger.into(),
        sent: report.sent,
        received: report.received,
        missing: report.missing + report.unreadable,
        error: result.err().map(ToString::to_string),
        // Whoever runs the exchange knows it, and notes it.
        remedy: None,
    };
    let well = last.error.is_none();
    let noted = SyncState::update(path, |state| {
        state.last_exchange = Some(last);
        if well {
            // Whoever exchanged: the relay is there again.
            state.background = Default::default();
            if let Some(session) = &mut state.session {
                session.unproven = false;
            }
        }
    });
    if let Err(error) = noted {
        tracing::warn!(%error, "the outcome of the exchange could not be noted");
    }
}

/// Ends the network and every request when consent is withdrawn.
fn watch_consent(state: &Path, network: &Network, isolate: &Isolate) -> Result<ConsentWatch, SyncError> {
    let (cutter, stop) = (network.cutter(), isolate.stopper());
    ConsentWatch::begin(state.to_owned(), move || {
        cutter.cut();
        stop("sync was disabled");
    })
}

/// Tells a store that is no store from one that cannot be reached.
fn store_error(error: &rusqlite::Error) -> SyncError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => SyncError::StoreDamaged,
        _ => SyncError::Store(error.to_string()),
    }
}
