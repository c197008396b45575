//! The exchange between the local history and a relay.
//!
//! Everything that leaves is sealed here, and everything that arrives is opened here: the isolate on
//! the one side sees blobs, the history on the other sees records.
//!
//! ```text
//! history.db ── outbox ──► batches ──► sealed entries ──► segments ──► sync.db ──► relay
//!            ◄── ingest ── records ◄── opened entries ◄── segments ◄──
//! ```
//!
//! Nothing is lost: a record leaves the outbox only after the store of the sync engine holds it *and*
//! the index names its segment; what arrives is stored together with the position up to which it was
//! read. Nothing is written to the account before this device's own part of it is known to be what the
//! relay has, so a store that was set back (a restored backup, a rolled-back machine) catches up
//! instead of forking.

mod account;
mod alive;
mod append;
mod closing;
mod config;
mod consent;
mod copies;
pub mod daemon;
mod deletions;
mod devices;
mod engine;
mod erasure;
mod error;
mod forks;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod gone;
mod heads;
pub mod health;
mod index;
mod lock;
pub mod log;
mod month;
pub mod oneshot;
mod orphans;
mod preferences;
mod pull;
mod push;
mod retention;
mod revoke;
mod rewrite;
mod rotation;
mod schema;
mod segment;
mod selection;
mod setup;
mod state;
mod succession;
mod trusted_time;
mod twins;
mod usage;
mod vault;
mod verify;

use std::path::{Path, PathBuf};

pub use closing::{MetClosed, Reason};
pub use config::SyncConfig;
pub use devices::{Device, known as known_devices};
pub use engine::{Ending, Engine, Progress, Report, Setting};
pub use erasure::{Closing, Erasing, Proof, delete_everywhere, delete_here};
pub use error::SyncError;
pub use heads::withheld_devices;
pub use lock::{keep_from_exchanging, wait_until_free};
pub use retention::{LocalOnly, local_only};
pub use revoke::{Revocation, RevokeKeys, Revoking, Step, abandon_revocation, begin_revocation, revoke};
pub use rotation::KeyName;
pub use schema::SCHEMA_VERSION;
pub use setup::{SetUp, create, join, still_takes_part};
pub use state::{Background, Consent, LastExchange, SyncState};
pub use verify::{Tally, Verification};

/// Where one home keeps what belongs to sync.
#[derive(Clone, Debug)]
pub struct SyncPaths {
    /// `sync.toml`: what the user chose.
    pub config: PathBuf,
    /// `sync.json`: which account and session this is, and how the last exchange went.
    pub state: PathBuf,
    /// The sync engine's own store.
    pub database: PathBuf,
    /// The user's devices, as they were known at the last exchange.
    pub devices: PathBuf,
    /// Held by the one process that exchanges.
    pub lock: PathBuf,
    /// Where the daemon listens.
    pub socket: PathBuf,
    /// Held by the daemon.
    pub daemon_lock: PathBuf,
    /// Held by a background exchange that waits for more to come.
    pub waiting_lock: PathBuf,
    /// What sync did.
    pub log: PathBuf,
}

impl SyncPaths {
    /// The paths in a home's folders.
    #[must_use]
    pub fn new(config_dir: &Path, data_dir: &Path, state_dir: &Path) -> Self {
        Self {
            config: config_dir.join("sync.toml"),
            state: data_dir.join("sync.json"),
            database: data_dir.join("sync.db"),
            devices: data_dir.join("devices.json"),
            lock: data_dir.join("sync.lock"),
            socket: daemon::socket::path(state_dir),
            daemon_lock: state_dir.join("daemon.lock"),
            waiting_lock: state_dir.join("waiting.lock"),
            log: state_dir.join("sync.log"),
        }
    }
}
