//! A relay's store in PostgreSQL, or in what speaks its protocol: for several relays that share what they hold.
//!
//! Every engine has a connection of its own. Erased content is gone for whoever asks the database; it leaves the
//! database's files, logs and backups when its own upkeep (vacuum, the end of a log) comes to them.

mod dialect;
mod news;
mod schema;
mod session;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;

pub(super) use news::News;
pub(super) use store::PostgresStore;

use crate::server::{Connector, DatabaseAddress, in_words};

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
        root_certificate: Option<PathBuf>,
        runtime: Handle,
    ) -> Result<Arc<Self>, String> {
        let connector = Connector::new(address, root_certificate.as_deref(), "caro relay")?;
        Ok(Arc::new(Self { connector, runtime, is_away: AtomicBool::new(false) }))
    }

    /// Makes the tables where they are missing.
    pub(super) async fn prepare(&self) -> Result<(), String> {
        schema::prepare(self).await
    }

    /// Whether it answers, as far as is known.
    pub(super) fn answers(&self) -> bool {
        !self.is_away.load(Ordering::Relaxed)
    }
}
