//! The collector: takes reports and revocations, keeps what was told, and publishes what is true of many.
//!
//! What it keeps is in `store`; that is all there is: no address is written anywhere, and of times only months. Who asks is known by a
//! hash for as long as an hour (`limit`). Everything else it says is the same for everybody.

mod aggregates;
mod http;
mod intake;
mod limit;
mod page;
mod postgres;
mod publication;
#[cfg(test)]
mod simulation;
mod sqlite;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

pub use aggregates::ENOUGH;

use self::http::Shared;
use self::intake::Intake;
use self::postgres::PostgresStore;
use self::publication::Publication;
use self::sqlite::SqliteStore;
use self::store::{Kept, Store};
use crate::clock;
use crate::net::Network;
use crate::server::{Admission, Asked, Certificate, ConnectionLimits, Listener, Signals, raise_descriptors};
pub use crate::server::{CertificateFiles, DatabaseAddress, Inherited, ListenAddress, ListenError, Told};

/// Connections at the same time, none of them for long.
const CONNECTIONS: ConnectionLimits = ConnectionLimits { total: 4096, per_address: 32, per_account: usize::MAX };
/// How often it is told that it lives, and the store is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often the certificate's files are looked at.
const RENEW_EVERY: Duration = Duration::from_secs(60);
/// How often the store is written anew.
const FORGET_ORDER_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long those may take at the end who are being answered; no connection lasts longer.
const LINGER: Duration = Duration::from_secs(15);

/// How a collector is to run.
pub struct CollectorOptions {
    /// Where it listens.
    pub listen: Vec<ListenAddress>,
    /// Sockets that the system has bound for it.
    pub inherited: Vec<Inherited>,
    /// The folder of its store, unless that is a database.
    pub data_dir: PathBuf,
    /// The database that is its store in place of a file, and the certificates that it is checked with.
    pub database: Option<(DatabaseAddress, Option<PathBuf>)>,
    /// The certificate with which it speaks TLS on addresses of the network.
    pub certificate: Option<CertificateFiles>,
    /// The proxies that are believed about whom they stand for.
    pub trusted_proxies: Vec<IpNet>,
    /// How many reports, and how many revocations, are taken from one address in an hour.
    pub reports_per_hour: u32,
    /// How long the same figures are published before they are counted anew.
    pub publish_every: Duration,
}

/// Why a collector could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectorError {
    /// The address is taken, or not one of this machine.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificate or its key cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// The store's folder or file cannot be used.
    #[error("cannot use the collector's store in {}: {reason}", folder.display())]
    Store {
        /// The folder.
        folder: PathBuf,
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
    /// The system refused a thread, an event queue or a signal handler.
    #[error("the system refused a resource: {0}")]
    System(#[from] std::io::Error),
}

/// Runs a collector until SIGINT or SIGTERM. On SIGHUP it reads its certificate again. `tell` hears what it does.
///
/// # Errors
///
/// See [`CollectorError`].
pub fn collect(options: CollectorOptions, mut tell: impl FnMut(Told)) -> Result<(), CollectorError> {
    let certificate = options.certificate.map(Certificate::load).transpose().map_err(CollectorError::Certificate)?;
    let tls = certificate.as_ref().map(Certificate::acceptor).transpose().map_err(CollectorError::Certificate)?;
    raise_descriptors();
    let network = Network::start()?;
    network.block_on(async {
        let store = open(options.data_dir, options.database).await?;
        store.forget_order().await;
        let mut listeners = Vec::new();
        for inherited in options.inherited {
            listeners.push(Listener::inherit(inherited, tls.as_ref())?);
        }
        for address in &options.listen {
            listeners.push(Listener::bind(address, tls.as_ref()).await?);
        }
        // Before anyone is told: a signal that comes right after must not end it in the middle.
        let mut signals = Signals::listen()?;
        let urls = listeners.iter().map(|listener| listener.url("http")).collect();
        let connections = Admission::new(CONNECTIONS);
        let shared = Arc::new(Shared {
            intake: Intake::new(store, options.reports_per_hour),
            publication: Publication::new(options.publish_every),
            connections: connections.clone(),
            trusted_proxies: options.trusted_proxies,
        });
        let router = http::router(&shared);
        let serve_at = |listener: Listener| {
            let (shared, router) = (shared.clone(), router.clone());
            let serve = move |stream, via, place| http::serve(router.clone(), stream, via, place);
            tokio::spawn(listener.run(move |via| http::enter(&shared, via), serve))
        };
        let mut tasks: Vec<_> = listeners.into_iter().map(serve_at).collect();
        tasks.push(tokio::spawn(tend(shared.clone())));
        tasks.push(tokio::spawn(async move { shared.publication.keep(&shared.intake.store).await }));
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
        tell(Told::Listening { clients: urls, watching: Vec::new() });

        let mut look_every = tokio::time::interval(LOOK_EVERY);
        let mut renew = tokio::time::interval(RENEW_EVERY);
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop => break,
                    Asked::Reload => {
                        tell(Told::Reloading);
                        certificate.iter().for_each(|certificate| certificate.renew());
                        tell(Told::Reloaded);
                    }
                },
                _ = renew.tick() => certificate.iter().for_each(|certificate| certificate.renew_if_changed()),
                _ = look_every.tick() => tell(Told::Alive),
            }
        }
        tell(Told::Stopping);
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        // What was not answered is sent again.
        let _ = tokio::time::timeout(LINGER, connections.none_left()).await;
        tracing::info!("stopped");
        Ok(())
    })
}

async fn open(folder: PathBuf, database: Option<(DatabaseAddress, Option<PathBuf>)>) -> Result<Store, CollectorError> {
    let kept = match database {
        Some((address, root)) => match PostgresStore::open(&address, root.as_deref()).await {
            Ok(store) => Kept::Database(Box::new(store)),
            Err(reason) => return Err(CollectorError::Database { address, reason }),
        },
        None => match SqliteStore::open(&folder) {
            Ok(store) => Kept::File(store),
            Err(reason) => return Err(CollectorError::Store { folder, reason }),
        },
    };
    Ok(Store::new(kept))
}

/// Looks after the store, and forgets in time who came. Does not end.
async fn tend(shared: Arc<Shared>) {
    let store = &shared.intake.store;
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut forget = tokio::time::interval(FORGET_ORDER_EVERY);
    // It was just done.
    forget.reset();
    loop {
        tokio::select! {
            _ = look.tick() => {
                shared.intake.limit.forget(clock::now());
                store.check().await;
            }
            _ = forget.tick() => store.forget_order().await,
        }
    }
}
