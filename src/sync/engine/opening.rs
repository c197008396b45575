//! Opening an account: the lock, the isolate and the connection, which get ready at the same time, and what is at
//! the relay.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use uuid::Uuid;

use super::ending::remember;
use super::{Engine, Setting};
use crate::identity::MasterKey;
use crate::net::{Connection, LastFailure, Network, RelayAddress};
use crate::runtime::protocol::{Open, Positions, Registries};
use crate::runtime::{Isolate, IsolateOptions, open_database_deferred};
use crate::sync::consent::Watch as ConsentWatch;
use crate::sync::devices::Devices;
use crate::sync::index::Index;
use crate::sync::lock::{self, Hold};
use crate::sync::month::Month;
use crate::sync::state::{BoundSession, SyncState, fingerprint};
use crate::sync::twins::Tokens;
use crate::sync::vault::Vault;
use crate::sync::{SyncError, account, closing, forks, pull};

/// Heap of a device's isolate.
const MEMORY_LIMIT: usize = 1 << 30;

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
        // A session that begins meets a relay, or a store, of which nothing is known.
        let ahead = match session {
            Some(_) => pull::ahead(&setting.history, &state.account)?,
            None => Positions::new(),
        };
        let mut engine = Self::connect_ahead(setting, lock, master, state.device, session, false, &ahead)?;
        if engine.account != state.account {
            // Keys that were read before this device took another phrase.
            return Err(SyncError::OtherKeys);
        }
        if let Some(mark) = engine.load_open().map_err(|error| engine.blame(error))? {
            let error = closing::met(&engine, &mark);
            let met = SyncState::load(&engine.paths.state)?.and_then(|state| state.closed);
            if let (SyncError::Closed { .. }, Some(met)) = (&error, met) {
                closing::leave(engine, &met)?;
            }
            return Err(error);
        }
        engine.load_keys().map_err(|error| engine.blame(error))?;
        Ok(engine)
    }

    /// Opens the account with its registries, or makes it.
    pub(in crate::sync) fn start(
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
    pub(in crate::sync) fn connect(
        setting: Setting,
        lock: Hold,
        master: &MasterKey,
        device: Uuid,
        session: Option<&str>,
        create: bool,
    ) -> Result<Self, SyncError> {
        Self::connect_ahead(setting, lock, master, device, session, create, &Positions::new())
    }

    /// [`Engine::connect`], which also asks the relay about segments that will be wanted.
    fn connect_ahead(
        setting: Setting,
        lock: Hold,
        master: &MasterKey,
        device: Uuid,
        session: Option<&str>,
        create: bool,
        ahead: &Positions,
    ) -> Result<Self, SyncError> {
        let network = Network::start()?;
        let last_failure = LastFailure::default();
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
        let isolate = Isolate::start(IsolateOptions { store: Box::new(database), dialer, memory_limit: MEMORY_LIMIT })?;
        let consent = watch_consent(&setting.paths.state, &network, &isolate)?;
        let keys = master.keys()?;
        if let (Some(dialled), Some(relay)) = (dialled, &setting.relay) {
            // Nothing was written yet: a relay that cannot be reached leaves everything as it was.
            network
                .block_on(dialled)
                .map_err(|failure| consent.explain(SyncError::unusable(relay.shown(), failure)))?;
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
            index_state: None,
            written: BTreeSet::new(),
            rewritten: BTreeMap::new(),
            unflushed: Cell::new(false),
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
            ahead,
            timeout_ms: engine.patience_ms(),
        })?;
        engine.account = opened.account;
        engine.session = opened.session;
        Ok(engine)
    }

    /// Counts nothing as sent or read any more, since this store may lack what an earlier one held.
    /// What comes back from the relay leaves the outbox again.
    pub(in crate::sync) fn start_over(&self) -> Result<(), SyncError> {
        tracing::warn!("the sync store is not the one this history knows; comparing everything again");
        self.history.forget_places()?;
        self.history.requeue_all(self.device)?;
        self.history.requeue_deletions()?;
        Ok(())
    }

    /// The session and what it is bound to.
    pub(in crate::sync) fn bound_session(&self) -> Result<BoundSession, SyncError> {
        let mut session = BoundSession::new(self.session.clone(), fingerprint(&self.paths.database)?);
        self.tokens.keep_in(&mut session);
        Ok(session)
    }
}

/// Ends the network and every request when consent is withdrawn.
pub(super) fn watch_consent(state: &Path, network: &Network, isolate: &Isolate) -> Result<ConsentWatch, SyncError> {
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
