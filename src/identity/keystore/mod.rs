//! Where a home's credentials are kept: the operating system's key store, or a file.
//!
//! One item for each home, told apart by an identifier or a path that the caller gives: two homes
//! on one machine never see each other's. Which store is used is the caller's choice
//! (`CARO_KEYSTORE`), else [`KeyStore::open`] looks where the credentials already are, else
//! whether the operating system's store answers in time. Nothing here prompts or prints: a sealed
//! file without its passphrase, or a locked keyring, is an error that says what to do.

mod credentials;
mod file;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
#[cfg(target_os = "linux")]
mod kernel_cache;
mod os;
#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios", target_os = "android"))))]
mod secret_service;

use std::path::PathBuf;

use thiserror::Error;

pub use self::{
    credentials::Credentials,
    file::{FileKeyStore, Passphrase},
    os::OsKeyStore,
};

/// Which key store a home uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStoreKind {
    /// Secret Service, macOS Keychain or Windows Credential Manager.
    Os,
    /// A file in one of the home's directories.
    File,
}

/// How well what is stored is protected, for `sync status` and `doctor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// By the operating system's key store.
    Os,
    /// By a passphrase.
    Sealed,
    /// By the file's permissions alone: worth a warning.
    Plain,
}

/// What went wrong, and what to do about it. No message tells a secret.
#[derive(Debug, Error)]
pub enum KeyStoreError {
    /// No key store of the operating system can be reached.
    #[error(
        "There is no system keyring to reach in this session. Log in to a desktop session, \
         or set CARO_KEYSTORE=file to keep the keys in a file."
    )]
    NoService,
    /// The service is there, but no keyring to put something in.
    #[error(
        "The system keyring has no default keyring yet. Create one with your password manager, \
         or set CARO_KEYSTORE=file to keep the keys in a file."
    )]
    NoCollection,
    /// The keyring is locked.
    #[error(
        "The system keyring is locked. Unlock it (log in to the desktop, or open your password \
         manager) and try again, or set CARO_KEYSTORE=file to keep the keys in a file."
    )]
    Locked,
    /// No answer within the deadline.
    #[error(
        "The system keyring did not answer within {} s. If it is asking for your permission, \
         give it and try again; else restart it, or set CARO_KEYSTORE=file to keep the keys in \
         a file.", .deadline.as_secs_f32()
    )]
    NoAnswer {
        /// How long was waited.
        deadline: std::time::Duration,
    },
    /// It answered, with an error.
    #[error(
        "The system keyring refused: {reason}. Check it with your password manager, or set \
         CARO_KEYSTORE=file to keep the keys in a file."
    )]
    Refused {
        /// What the keyring said; never the secret.
        reason: String,
    },
    /// The file is sealed and no passphrase was given.
    #[error(
        "The key file {} is sealed with a passphrase. Give it on a terminal or with \
         --passphrase-file.", .path.display()
    )]
    PassphraseNeeded {
        /// The key file.
        path: PathBuf,
    },
    /// The file is undamaged but does not open.
    #[error("The passphrase does not open the key file {}. Try again.", .path.display())]
    WrongPassphrase {
        /// The key file.
        path: PathBuf,
    },
    /// The stored item is not what was once written.
    #[error(
        "The stored keys are damaged. Set this device up again with the recovery phrase: \
         caro sync restore."
    )]
    Damaged,
    /// Written by a newer version of this program.
    #[error("The stored keys were written by a newer version of caro. Upgrade caro on this device.")]
    FutureVersion,
    /// The file can't be read or written.
    #[error("The key file {} cannot be {action}: {source}. Check the directory and its permissions.", .path.display())]
    File {
        /// The key file.
        path: PathBuf,
        /// What was tried: "read", "written", "removed".
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The passphrase can't be turned into a key for want of memory.
    #[error("Opening the key file takes {mib} MiB of memory, which is not free. Close something and try again.")]
    NoMemory {
        /// How much is needed.
        mib: u32,
    },
    /// The operating system gives no random bytes, or no thread.
    #[error("The system is out of a basic resource ({what}). Try again.")]
    NoResource {
        /// Which: "random data", "threads".
        what: &'static str,
    },
}

/// One home's key store.
#[derive(Debug)]
pub enum KeyStore {
    /// The operating system's.
    Os(OsKeyStore),
    /// A file.
    File(FileKeyStore),
}

impl KeyStore {
    /// The store to use: the kind asked for, else where credentials already are (the file, then
    /// the operating system's store), else the operating system's if it is there to be used, else
    /// the file. A locked keyring counts as being there: falling back to a file would be a
    /// weaker protection that nobody asked for. Takes as long as the store's deadline at most.
    pub fn open(kind: Option<KeyStoreKind>, os: OsKeyStore, file: FileKeyStore) -> Self {
        match kind {
            Some(KeyStoreKind::Os) => Self::Os(os),
            Some(KeyStoreKind::File) => Self::File(file),
            None if file.exists() => Self::File(file),
            None => match os.usable() {
                Ok(()) | Err(KeyStoreError::Locked) => Self::Os(os),
                Err(reason) => {
                    tracing::debug!(%reason, "no system keyring to use, taking the key file");
                    Self::File(file)
                }
            },
        }
    }

    /// Which kind this is.
    pub fn kind(&self) -> KeyStoreKind {
        match self {
            Self::Os(_) => KeyStoreKind::Os,
            Self::File(_) => KeyStoreKind::File,
        }
    }

    /// Puts `credentials` in, in place of what was there.
    pub fn store(&self, credentials: &Credentials) -> Result<(), KeyStoreError> {
        match self {
            Self::Os(os) => os.store(credentials),
            Self::File(file) => file.store(credentials),
        }
    }

    /// What is stored; `None` if nothing is, which is no error: sync is not set up here.
    pub fn load(&self) -> Result<Option<Credentials>, KeyStoreError> {
        match self {
            Self::Os(os) => os.load(),
            Self::File(file) => file.load(),
        }
    }

    /// Removes what is stored. Returns whether there was something.
    pub fn delete(&self) -> Result<bool, KeyStoreError> {
        match self {
            Self::Os(os) => os.delete(),
            Self::File(file) => file.delete(),
        }
    }

    /// How what is stored is protected; for a file that isn't there yet, how it will be.
    pub fn protection(&self) -> Result<Protection, KeyStoreError> {
        match self {
            Self::Os(_) => Ok(Protection::Os),
            Self::File(file) => file.protection(),
        }
    }
}
