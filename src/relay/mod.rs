//! A self-hosted relay: the listeners in front of an isolate that speaks the Jazz protocol.
//!
//! It stores what clients send, gives it to whoever asks by id, erases the content of what its owner
//! has deleted, and can read none of it. Peers are named at random, so neither logs nor the store
//! know addresses. A change is acknowledged when it is on disk.

mod access;
mod accounts;
mod administration;
mod arrivals;
mod below;
mod confirmation;
mod descriptors;
mod engines;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod gauge;
mod holdings;
mod http;
mod inlet;
mod members;
mod outside;
mod pace;
mod postgres;
mod pulse;
mod refusal;
mod retention;
mod revocation;
mod room;
mod sqlite;
mod store;
mod upkeep;
mod upstream;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{Semaphore, watch};

pub use access::AccessRule;
pub use accounts::{AccountsError, Invitation};
pub use administration::{Administration, Place};
pub use holdings::Held;
pub use inlet::FrameLimits;
pub use outside::{Above, Connections, Engine, Frames, Messages, Mishap, Mishaps, State, Status, Stored, ask};
pub use pace::Rates;
pub use store::Durability;
pub use upkeep::{Backup, Checked, Damage, Quarantined, Restored, backup, check, quarantine, restore};

use self::access::Access;
use self::accounts::Accounts;
use self::arrivals::Arrivals;
use self::below::Below;
use self::engines::Engines;
use self::http::Shared;
use self::outside::{Outside, Pseudonyms};
use self::pace::Paces;
use self::postgres::{Database, Old};
use self::room::Budget;
use self::upstream::Upstream;
use crate::local_socket;
use crate::net::{Network, RelayAddress};
use crate::runtime::IsolateError;
use crate::runtime::protocol::Serve;
use crate::server::{Admission, Asked, Certificate, Listener, Signals, raise_descriptors};
pub use crate::server::{
    CertificateFiles, ConnectionLimits, DatabaseAddress, Inherited, ListenAddress, ListenError, Told,
};

/// How long the isolate may take to start, and at the end to write what is outstanding.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a hanging script is looked for.
const WATCH_EVERY: Duration = Duration::from_secs(5);
/// How often the certificate's files are looked at.
const RENEW_EVERY: Duration = Duration::from_secs(60);
/// Clients that may be asking for something, none of them for long, in all and from one address; and those who watch it.
const ASKING: (usize, usize) = (4096, 64);
const WATCHING: (usize, usize) = (256, 32);
/// What waits for the engine of all connections together, in KiB.
const WAITING_KIB: usize = 256 << 10;
/// How long clients may take to read the last that they are sent.
const LINGER: Duration = Duration::from_secs(5);
/// Heap of the relay's isolate. Values that nobody has touched for a while leave it.
const MEMORY_LIMIT: usize = 2 << 30;

/// How a relay is to run.
pub struct RelayOptions {
    /// Where it listens, besides the socket in its folder.
    pub listen: Vec<ListenAddress>,
    /// Sockets that the system has bound for it.
    pub inherited: Vec<Inherited>,
    /// The folder of its store; none keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// What it waits for before it confirms a change.
    pub durability: Durability,
    /// The database that is its store in place of a file, and the certificates that it is checked with.
    pub database: Option<(DatabaseAddress, Option<PathBuf>)>,
    /// How many engines it has.
    pub engines: usize,
    /// The relay above it, for one with a single engine and a store of its own.
    pub upstream: Option<RelayAddress>,
    /// The certificate with which it speaks TLS on addresses of the network.
    pub certificate: Option<CertificateFiles>,
    /// What the paths of WebSockets begin with: empty, or `/` and a name.
    pub path: String,
    /// Who may use it.
    pub access: AccessRule,
    /// How much one account may store.
    pub storage: Serve,
    /// After how many days without use what an account owns is erased.
    pub forget_after: Option<u32>,
    /// How fast one account or address may send.
    pub rates: Rates,
    /// What unfinished frames may take up.
    pub frames: FrameLimits,
    /// How long a client may be silent that is asked whether it is there.
    pub client_time: Duration,
    /// The web sites whose pages may connect; without any, all may.
    pub origins: Vec<String>,
    /// The proxies that are believed about whom they stand for.
    pub trusted_proxies: Vec<IpNet>,
    /// How many connections it holds.
    pub connections: ConnectionLimits,
    /// For how long it goes on serving after it was asked to stop, while it says that it is not ready.
    pub drain: Duration,
    /// After how long without a connection it ends.
    pub idle_exit: Option<Duration>,
    /// Where those who watch it may ask how it does.
    pub metrics_listen: Vec<ListenAddress>,
    /// Whether the log says who came and who was not taken in, by names that change every day.
    pub log_addresses: bool,
    /// What remembers the last things that went wrong.
    pub mishaps: Mishaps,
}

/// Why a relay could not start or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The address is taken, or not one of this machine.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificate or its key cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// The file of tokens cannot be used.
    #[error("the tokens cannot be used: {0}")]
    Tokens(String),
    /// The list of invitations cannot be used.
    #[error(transparent)]
    Accounts(AccountsError),
    /// A relay in memory has no place for invitations.
    #[error("a relay that keeps everything in memory cannot keep invitations")]
    Nowhere,
    /// The store's folder or file cannot be used.
    #[error("cannot use the relay's store in {}: {reason}", folder.display())]
    Store {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk did not take what had been written to the store, and may have lost it; nobody was told that it is there.
    #[error("the disk with the relay's store in {} did not take a change: {reason}", folder.display())]
    Refused {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The store is no database, or a broken one.
    #[error("the relay's store in {} is damaged", .0.display())]
    Damaged(PathBuf),
    /// There is no store in the folder.
    #[error("there is no relay's store in {}", .0.display())]
    NoStore(PathBuf),
    /// The file that a copy should be written to is there.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// A copy could not be written.
    #[error("{} cannot be written: {source}", file.display())]
    Copy {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is no copy of a store, or not a sound one.
    #[error("{} is no usable backup of a relay: {reason}", file.display())]
    NoBackup {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The database cannot be used.
    #[error("cannot use the database at {address}: {reason}")]
    Database {
        /// Where it is, without a password.
        address: DatabaseAddress,
        /// What it says.
        reason: String,
    },
    /// Another relay uses the same folder.
    #[error("another relay is using {}", .0.display())]
    InUse(PathBuf),
    /// A relay uses the folder and does not answer.
    #[error("the relay that is using {} does not answer", .0.display())]
    Silent(PathBuf),
    /// The isolate did not start, or it ended.
    #[error(transparent)]
    Isolate(#[from] IsolateError),
    /// The system refused a thread, an event queue or a signal handler.
    #[error("the system refused a resource: {0}")]
    System(#[from] std::io::Error),
}

/// The socket at which the relay with its store in this folder listens for processes of its user.
#[must_use]
pub fn private_socket(data_dir: &Path) -> PathBuf {
    local_socket::path(data_dir, "relay.sock")
}

/// Whether a relay uses the store in this folder.
#[must_use]
pub fn is_in_use(data_dir: &Path) -> bool {
    store::is_locked(data_dir)
}

/// Connects to the relay with its store in this folder, if one of this user runs on this machine.
#[must_use]
pub fn connect_privately(data_dir: &Path) -> Option<std::os::unix::net::UnixStream> {
    local_socket::connect(&private_socket(data_dir))
}

/// As [`connect_privately`], for who only asks something: root may ask the relay of another user.
fn connect_to_ask(data_dir: &Path) -> Option<std::os::unix::net::UnixStream> {
    local_socket::connect_as_owner(&private_socket(data_dir))
}

/// Runs a relay until SIGINT or SIGTERM, and until its last client has left where it is to end then. On SIGHUP it reads its
/// certificate and tokens again. `tell` hears what it does.
///
/// # Errors
///
/// See [`RelayError`].
pub fn serve(options: RelayOptions, mut tell: impl FnMut(Told)) -> Result<(), RelayError> {
    let certificate = options.certificate.map(Certificate::load).transpose().map_err(RelayError::Certificate)?;
    let tls = certificate.as_ref().map(Certificate::acceptor).transpose().map_err(RelayError::Certificate)?;
    let private = options.data_dir.as_deref().map(private_socket);
    raise_descriptors();
    descriptors::tell_where_few(options.connections.total);
    let network = Network::start()?;
    let found = options.database.map(|(address, root)| find(&network, &address, root.as_deref(), Old::Renew));
    let database = found.transpose()?;
    let list = || match (&database, &options.data_dir) {
        (Some(database), _) => Ok(Accounts::in_database(database.clone())),
        (None, Some(folder)) => Ok(Accounts::in_folder(folder)?),
        (None, None) => Err(RelayError::Nowhere),
    };
    let access = Access::load(options.access, list, options.origins)?;
    let mut opened = store::open(options.data_dir.as_deref(), database.as_ref(), options.durability, options.engines)?;
    let stores = std::mem::take(&mut opened.stores);

    network.block_on(async {
        let below = Below::new()?;
        let named = |address: RelayAddress| {
            let below = below.clone();
            Upstream::at(address.naming(move || below.names()), network.handle())
        };
        let (upstream, dialer) = options.upstream.map(named).unzip();
        // At a shared database another relay may erase who is not used.
        let notes_use = options.forget_after.is_some() || database.is_some();
        let serve = Serve { notes_use, ..options.storage };
        let engines = Arc::new(Engines::start(stores, database.clone(), dialer, serve)?);
        if let Some(upstream) = &upstream {
            upstream.follow(engines.take_events())?;
        }
        let mut listeners = Vec::new();
        for inherited in options.inherited {
            listeners.push(Listener::inherit(inherited, tls.as_ref())?);
        }
        let own = private.clone().map(ListenAddress::Unix);
        for address in options.listen.iter().filter(|address| Some(*address) != own.as_ref()) {
            listeners.push(Listener::bind(address, tls.as_ref()).await?);
        }
        let mut watching = Vec::new();
        for address in &options.metrics_listen {
            watching.push(Listener::bind(address, None).await?);
        }
        // Before anyone is told: a signal that comes right after must not end it in the middle.
        let mut signals = Signals::listen()?;
        let urls: Vec<String> = listeners.iter().map(|listener| listener.url("ws")).collect();
        let at_own = match private.as_deref().map(Listener::bind_private).transpose() {
            Ok(listener) => listener,
            // Others reach it all the same.
            Err(error) if !listeners.is_empty() => {
                tracing::warn!("processes of this user do not reach it: {error}");
                None
            }
            Err(error) => return Err(error.into()),
        };

        let admission = Admission::new(options.connections);
        let (folder, most) = (options.data_dir.as_deref(), options.connections.total);
        let outside = Outside::new(folder, database.as_ref(), urls.clone(), most, options.mishaps);
        let shared = Arc::new(Shared {
            engines: engines.clone(),
            log: opened.log(),
            database,
            below,
            upstream,
            path: options.path,
            access,
            admission: admission.clone(),
            members: Arc::default(),
            connections_per_account: options.connections.per_account,
            paces: Paces::new(options.rates),
            budget: Budget::new(options.frames.memory_mib, options.frames.time),
            frame_time: options.frames.time,
            client_time: options.client_time,
            waiting: Arc::new(Semaphore::new(WAITING_KIB)),
            asking: Arrivals::new(ASKING.0, ASKING.1),
            watching: Arrivals::new(WATCHING.0, WATCHING.1),
            trusted_proxies: options.trusted_proxies,
            draining: AtomicBool::new(false),
            closing: watch::Sender::new(false),
            outside,
            pseudonyms: options.log_addresses.then(Pseudonyms::default),
        });
        let told =
            Told::Listening { clients: urls, watching: watching.iter().map(|listener| listener.url("http")).collect() };
        let serve_at =
            |listener: Listener, router: axum::Router, of: fn(&Shared) -> &Arrivals| {
                let (shared, budget) = (shared.clone(), shared.budget.clone());
                let enter = move |via| http::enter(&shared, of(&shared), via);
                tokio::spawn(listener.run(enter, move |stream, via, place| {
                    http::serve(router.clone(), budget.clone(), stream, via, place)
                }))
            };
        let mut tasks =
            vec![tokio::spawn(outside::watch(shared.clone())), tokio::spawn(revocation::follow(shared.clone()))];
        if notes_use {
            tasks.push(tokio::spawn(retention::keep(shared.clone(), options.forget_after)));
        }
        // Whoever floods the front door takes nobody else's place.
        let clients = |listener| serve_at(listener, http::for_clients(&shared), |shared| &shared.asking);
        tasks.extend(listeners.into_iter().map(clients));
        tasks.extend(at_own.map(|own| serve_at(own, http::for_its_user(&shared), |shared| &shared.watching)));
        let watched = |listener| serve_at(listener, http::for_watching(&shared), |shared| &shared.watching);
        tasks.extend(watching.into_iter().map(watched));
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
        tell(told);

        let mut watch_every = tokio::time::interval(WATCH_EVERY);
        let mut renew = tokio::time::interval(RENEW_EVERY);
        let idle = async {
            match options.idle_exit {
                Some(time) => admission.idle_for(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(idle);
        loop {
            tokio::select! {
                () = &mut idle => break,
                asked = signals.next() => match asked {
                    Asked::Stop => break,
                    Asked::Reload => {
                        tell(Told::Reloading);
                        shared.access.renew();
                        shared.review().await;
                        certificate.iter().for_each(|certificate| certificate.renew());
                        tell(Told::Reloaded);
                    }
                },
                _ = renew.tick() => certificate.iter().for_each(|certificate| certificate.renew_if_changed()),
                _ = watch_every.tick() => {
                    engines.look()?;
                    opened.look()?;
                    tell(Told::Alive);
                }
            }
        }

        tell(Told::Stopping);
        shared.draining.store(true, Ordering::Relaxed);
        let drained = tokio::time::sleep(options.drain);
        tokio::pin!(drained);
        loop {
            tokio::select! {
                () = &mut drained => break,
                () = admission.none_left() => break,
                // Who asks a second time means it.
                asked = signals.next() => if matches!(asked, Asked::Stop) { break },
                _ = watch_every.tick() => {
                    engines.look()?;
                    opened.look()?;
                    tell(Told::Alive);
                }
            }
        }
        if let Some(private) = private {
            // Fails only where it has been removed.
            let _ = local_socket::remove_left(&private);
        }
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        shared.closing.send_replace(true);
        tracing::info!("stopping: writing what is outstanding");
        engines.close().await?;
        // Who does not read has had his time.
        let _ = tokio::time::timeout(LINGER, admission.none_left()).await;
        engines.end();
        tracing::info!("stopped");
        Ok(())
    })
}

/// The database at an address, ready to be used.
fn find(
    network: &Network,
    address: &DatabaseAddress,
    root_certificate: Option<&Path>,
    old: Old,
) -> Result<Arc<Database>, RelayError> {
    let found = Database::at(address, root_certificate, network.handle());
    let prepared = found.and_then(|database| network.block_on(database.prepare(old)).map(|()| database));
    prepared.map_err(|reason| RelayError::Database { address: address.clone(), reason })
}
