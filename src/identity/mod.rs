//! Who the user is to Caro Sync: a phrase of words, and the keys that follow from it.
//!
//! ```text
//! phrase (12 or 24 words) ──Argon2id──► master key ──HKDF-SHA256──► one key for each purpose
//!                                           │
//!                                           └──► key store: the operating system's, or a file
//! ```
//!
//! Invariants: every secret is a type of its own that is wiped when dropped, shows nothing in
//! `Debug`, and can be neither cloned, printed nor serialised by accident; reading one is a call
//! whose name says so (`expose…`). Nothing here knows of history, sync, the network or the
//! JavaScript engine: callers hand over exactly the one derived key that a purpose needs.

#[macro_use]
mod secret;

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
pub mod keys;
pub mod keystore;
pub mod phrase;
mod stretch;
mod suggest;

pub use keys::{DerivedKeys, JazzSeed, KeyEncryptionKey, KeyError, LocalStoreKey, MasterKey, PreferenceNameKey};
pub use keystore::{
    Credentials, FileKeyStore, KeyStore, KeyStoreError, KeyStoreKind, OsKeyStore, Passphrase, Protection,
};
pub use phrase::{Phrase, PhraseError, UnknownWord, UnknownWords, WordCount};
