//! What can go wrong with sync, each kind with its own exit code.

use super::closing::Reason;
use crate::history::HistoryError;
use crate::identity::{KeyError, KeyStoreError};
use crate::net::{Failure, Refused};
use crate::prefs::PrefsError;
use crate::runtime::IsolateError;

/// Why sync could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// There is no identity in this home.
    #[error("sync is not set up on this device")]
    NotSetUp,
    /// There is one already.
    #[error("sync is already set up on this device")]
    AlreadySetUp,
    /// The user has withdrawn consent on this device.
    #[error("sync is disabled on this device")]
    Disabled,
    /// The account was erased, or replaced by another.
    #[error("{}", closed(*reason, device))]
    Closed {
        /// Why.
        reason: Reason,
        /// What the device is called on which it was decided.
        device: String,
    },
    /// Something that closes the account was interrupted here.
    #[error("`{command}` was interrupted on this device")]
    Unfinished {
        /// What goes on with it.
        command: &'static str,
    },
    /// What would be erased unread.
    #[error("{}", unread(*missing, *unreadable))]
    Unread {
        /// Parts that other devices have announced and not sent yet.
        missing: u64,
        /// Parts that only a newer version can read.
        unreadable: u64,
    },
    /// The relay still hands out what it was told to erase.
    #[error("{}", not_erased(*values))]
    NotErased {
        /// How many.
        values: u64,
    },
    /// The old account is closed, and only the new one is left.
    #[error("it is too late to give up: the old recovery phrase has been replaced already")]
    TooLate,
    /// The keys at hand belong to another account than the one this device takes part in.
    #[error("these are not the keys of the account that this device takes part in")]
    OtherKeys,
    /// Another machine writes as this device; this home is another one when it tries again.
    #[error("another machine is a copy of this one and syncs as the same device")]
    Twin,
    /// Another device has taken this one out.
    #[error("this device was removed from your synced devices")]
    Removed,
    /// There is an identity, but no relay.
    #[error("no relay is configured")]
    NoRelay,
    /// The phrase is well formed, but the relay has nothing that belongs to it.
    #[error("this recovery phrase opens nothing on {relay}")]
    UnknownPhrase {
        /// The relay, without path and query.
        relay: String,
    },
    /// There is no connection to the relay.
    #[error("cannot reach {relay}: {reason}")]
    Unreachable {
        /// The relay, without path and query.
        relay: String,
        /// In plain words.
        reason: String,
    },
    /// The relay was reached, and said no.
    #[error("{reason} ({relay})")]
    Refused {
        /// The relay, without path and query.
        relay: String,
        /// Why.
        reason: Refused,
    },
    /// What came from the relay or lies in the store is not what its owner wrote.
    #[error("{what} was damaged or tampered with")]
    Damaged {
        /// What it is.
        what: String,
    },
    /// Written by a newer version of the program.
    #[error("another device uses a newer version of caro, which this one cannot read")]
    Newer,
    /// Another process of this home exchanges.
    #[error("another sync of this device is still running")]
    Busy,
    /// The configuration cannot be read.
    #[error("{file} cannot be used: {reason}")]
    Config {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Preferences cannot be read or written.
    #[error(transparent)]
    Preferences(#[from] PrefsError),
    /// A file or folder of sync cannot be read or written.
    #[error("{file} cannot be {action}: {source}")]
    File {
        /// The file.
        file: String,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store of the sync engine is no database, or a broken one.
    #[error("the sync store (sync.db) is damaged")]
    StoreDamaged,
    /// The store of the sync engine cannot be used.
    #[error("the sync store cannot be used: {0}")]
    Store(String),
    /// The history cannot be read or written.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The keys cannot be read or written.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// The keys cannot be derived.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Something cannot be sealed.
    #[error(transparent)]
    Seal(crate::seal::SealError),
    /// The sync engine failed.
    #[error(transparent)]
    Engine(#[from] IsolateError),
    /// The system refused a thread or an event queue.
    #[error("the system refused a resource: {0}")]
    System(#[from] std::io::Error),
}

impl SyncError {
    /// A relay that cannot be used, and why.
    pub(super) fn unusable(relay: String, failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(reason) => Self::Unreachable { relay, reason },
            Failure::Refused(reason) => Self::Refused { relay, reason },
        }
    }
}

fn unread(missing: u64, unreadable: u64) -> String {
    let mut parts = Vec::new();
    if missing > 0 {
        parts.push(format!("{missing} parts of your history have not arrived at the relay yet"));
    }
    if unreadable > 0 {
        parts.push(format!("{unreadable} parts of it can only be read by a newer version of caro"));
    }
    format!("{}; the old account was not erased", parts.join(", and "))
}

fn not_erased(values: u64) -> String {
    match values {
        0 => "the relay does not hand out the mark that tells your other devices".to_owned(),
        _ => format!("the relay still hands out {values} values that it was told to erase"),
    }
}

fn closed(reason: Reason, device: &str) -> String {
    let by = if device.is_empty() { String::new() } else { format!(" from {device}") };
    match reason {
        Reason::Deleted => format!("everything that was synced was erased on all devices{by}"),
        Reason::Revoked => format!("this recovery phrase was replaced by a new one{by}"),
        Reason::Newer => format!("this account was closed{by} by a newer version of caro"),
    }
}
