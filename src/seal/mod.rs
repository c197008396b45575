//! Sealing: turns bytes into blobs that tell nothing to whoever stores or carries them.
//!
//! A blob can be opened only with the right data key, and only for the very purpose, container,
//! device and schema version it was sealed for: one that was moved, changed or cut does not open.
//! What is inside is none of this room's business, and neither is where keys come from: it takes
//! 32 bytes. [`blob`] has the format, [`padding`] hides sizes, [`keyring`] has the data keys and
//! their wrapped form.
//!
//! Invariants: nonces and keys come from the operating system only; a wrong key and a changed blob
//! are one error, so that nothing is learnt from the difference; opening never panics and never takes
//! more memory than the plaintext limit and the blob itself, whatever the blob says.

pub mod blob;
mod cipher;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
pub mod keyring;
pub mod padding;

pub use blob::{Context, EncryptedBlob, MAX_PLAINTEXT, Purpose};
pub use cipher::KEY_LEN;
pub use keyring::{DataKey, KeyId, Keyring, VersionedKey, open_with_identity, seal_with_identity};

use thiserror::Error;

/// Why something can't be sealed or opened.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SealError {
    /// Changed, cut, moved from elsewhere, sealed with another key, or no blob at all: on purpose
    /// one error.
    #[error(
        "Synced data was damaged, tampered with, or belongs to another account. \
         Run caro sync verify to find out what is affected."
    )]
    Unreadable,
    /// Sealed by a newer version of this program.
    #[error("Synced data was written by a newer version of caro (format {version}). Upgrade caro on this device.")]
    FutureVersion {
        /// The format's version.
        version: u8,
    },
    /// The data key it was sealed with is not in the keyring; it may still be on its way.
    #[error("The key {0} for this data has not arrived on this device yet. Sync again.")]
    UnknownKey(KeyId),
    /// The keyring holds no key to seal with.
    #[error("This device has no data key yet. Sync once before writing.")]
    NoKey,
    /// More than a blob may hold.
    #[error(
        "The data is larger than {limit} bytes, the most that is synced in one piece. Leave it out of sync or split it."
    )]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A key with a known id but other content.
    #[error("Two different keys claim the name {0}. The account's keys were tampered with.")]
    KeyConflict(KeyId),
    /// No further generation of keys is possible.
    #[error("The data key was replaced too often. Set up a new identity with caro sync revoke.")]
    NoGenerationLeft,
    /// The operating system gives no random bytes.
    #[error("The system's random source gives no data, so nothing can be sealed safely.")]
    NoRandomness,
    /// The compressor failed, for want of memory.
    #[error("There is not enough free memory to seal this data. Close something and try again.")]
    NoMemory,
}

#[cfg(test)]
mod tests;
