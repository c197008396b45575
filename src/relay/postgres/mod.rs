//! A relay's store in PostgreSQL, or in what speaks its protocol: for several relays that share what they hold.
//!
//! Every engine has a connection of its own. Erased content is gone for whoever asks the database; it leaves the
//! database's files, logs and backups when its own upkeep (vacuum, the end of a log) comes to them.

mod counted;
mod dialect;
mod holdings;
mod invitations;
mod lease;
mod news;
mod schema;
mod session;
mod store;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::runtime::Handle;

pub(super) use holdings::{holdings, stored};
pub(super) use invitations::Invitations;
pub(super) use lease::Lease;
pub(super) use news::{Happened, News};
pub(super) use schema::Old;
pub(super) use store::PostgresStore;

use crate::server::{Connector, DatabaseAddress, in_words};

/// How long one thing may take in all, with connecting again. An engine that waits longer in one turn is ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// The database that a relay was told of.
pub(super) struct Database {
    connector: Connector,
    runtime: Handle,
    /// Whether it did not answer when it was last asked.
    is_away: AtomicBool,
}

impl Database {
    /// The database at an address; certificates are checked with those in a file, or with the system's.
    pub(super) fn at(
        address: &DatabaseAddress,
        root_certificate: Option<&Path>,
        runtime: Handle,
    ) -> Result<Arc<Self>, String> {
        let connector = Connector::new(address, root_certificate, "caro relay")?;
        Ok(Arc::new(Self { connector, runtime, is_away: AtomicBool::new(false) }))
    }

    /// Makes the tables where they are missing, and those of an earlier version like ours where that is wanted.
    pub(super) async fn prepare(&self, old: Old) -> Result<(), String> {
        schema::prepare(self, old).await
    }

    /// Runs something on the network thread, and waits for it on this one, which is another.
    fn wait<T: Send + 'static>(&self, what: impl Future<Output = T> + Send + 'static) -> Result<T, &'static str> {
        let (done, outcome) = mpsc::sync_channel(1);
        let task = self.runtime.spawn(async move {
            // Fails where nobody waits any more.
            let _ = done.send(what.await);
        });
        outcome.recv_timeout(PATIENCE).map_err(|error| {
            task.abort();
            match error {
                RecvTimeoutError::Timeout => "the database does not answer",
                RecvTimeoutError::Disconnected => "the relay is stopping",
            }
        })
    }

    /// Whether it answers, as far as is known.
    pub(super) fn answers(&self) -> bool {
        !self.is_away.load(Ordering::Relaxed)
    }
}
