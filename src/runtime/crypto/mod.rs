//! The cryptography of the Jazz protocol, in plain Rust: what the SDK expects of its native core.
//!
//! Pure functions over strings and bytes, and [`SessionMap`], which owns the signed transaction logs
//! of one CoValue. Nothing here does input or output, reads a clock or knows about the isolate; the ops
//! wrap these functions one to one. Texts are JSON that the SDK has serialised with sorted keys.
//!
//! | file | holds |
//! |---|---|
//! | `encoding` | prefixes, base58 and base64url, JSON strings |
//! | `keys` | secrets and public keys as types, ids derived from secrets, randomness |
//! | `hash` | BLAKE3, short hashes, nonces |
//! | `sign`, `cipher`, `seal` | Ed25519; XSalsa20; X25519 with XSalsa20-Poly1305 |
//! | `session_map` | transactions, chained signatures, known states |
//!
//! Whatever comes in may be hostile: every entry point answers junk with a [`CryptoError`] and changes
//! nothing. Results are bit for bit those of the official core 0.20.19 (frozen vectors and a
//! differential test prove it), except where that core is wrong; `session_map` lists those places.

mod cipher;
mod encoding;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod hash;
mod keys;
mod seal;
mod session_map;
mod sign;
#[cfg(test)]
mod tests;

pub use cipher::{decrypt, encrypt};
pub use hash::{blake3_into, short_hash};
pub use keys::{agent_secret, fill_random, sealer_id, signer_id};
pub use seal::{seal, seal_for_group, unseal, unseal_for_group};
pub use session_map::{Extent, SessionMap};
pub use sign::{sign, verify};

/// Why a cryptographic operation was refused. No variant carries a secret or the text of a message.
///
/// The wordings "Wrong tag", "Signature verification failed" and "Transaction too large to be synced"
/// are part of the contract: the SDK and its tests look for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// A key, id or ciphertext lacks the prefix of its kind.
    #[error("{what} does not start with `{prefix}`; give one of that kind")]
    WrongPrefix {
        /// The kind of value that was expected.
        what: &'static str,
        /// The prefix of that kind.
        prefix: &'static str,
    },
    /// The part after the prefix has characters outside the base58 alphabet.
    #[error("{what} is damaged: it is not base58 after its prefix")]
    NotBase58 {
        /// The kind of value that was expected.
        what: &'static str,
    },
    /// A key, id or signature decodes to the wrong number of bytes.
    #[error("{what} is damaged: it must hold exactly {expected} bytes")]
    WrongLength {
        /// The kind of value that was expected.
        what: &'static str,
        /// How many bytes it must hold.
        expected: usize,
    },
    /// A ciphertext is not base64url after its prefix.
    #[error("{what} is damaged: it is not base64url after its prefix")]
    NotBase64 {
        /// The kind of value that was expected.
        what: &'static str,
    },
    /// A signer id whose bytes name no point of the curve.
    #[error("the signer ID is damaged: its bytes are no public key")]
    NotAPublicKey,
    /// A sealed message was made for other keys or another place, or was changed on the way.
    #[error("Wrong tag: the message was sealed for other keys or another place, or it was changed")]
    WrongTag,
    /// A decrypted transaction is not text, so the key is not the one it was encrypted with.
    #[error("the transaction does not decrypt to text: it needs another key")]
    NotText,
    /// The signature does not belong to the session's log with these transactions.
    #[error("Signature verification failed: (hash: {hash})")]
    SignatureVerification {
        /// The hash that had to be signed, as `hash_z…`.
        hash: String,
    },
    /// A new transaction is above the limit of the protocol.
    #[error("Transaction too large to be synced: {size} bytes > {limit} bytes limit")]
    TransactionTooLarge {
        /// Bytes of the changes.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Text that had to be JSON is not.
    #[error("{what} cannot be read as JSON (line {line}, column {column})")]
    InvalidJson {
        /// What was being read.
        what: &'static str,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// JSON that is no transaction, or one that contradicts itself.
    #[error("Invalid transaction: what ends at line {line}, column {column} is not a transaction of the protocol")]
    InvalidTransaction {
        /// Line where the fault was found, from 1.
        line: usize,
        /// Column where the fault was found, from 1.
        column: usize,
    },
    /// There is no transaction at this index of the session.
    #[error("Transaction not found at index {index}")]
    TransactionNotFound {
        /// The index that was asked for.
        index: u32,
    },
    /// A CoValue header that the protocol does not allow.
    #[error("Invalid header: {reason}")]
    InvalidHeader {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The header belongs to another CoValue.
    #[error("CoValue ID mismatch: expected {expected}, got {actual}")]
    IdMismatch {
        /// The id that follows from the header.
        expected: String,
        /// The id that was given.
        actual: String,
    },
    /// The CoValue is deleted; only delete sessions may still grow.
    #[error("Cannot add to deleted CoValue: {id}")]
    Deleted {
        /// The id of the CoValue.
        id: String,
    },
    /// The output buffer of a hash has the wrong size.
    #[error("the buffer for a hash must hold exactly 32 bytes")]
    HashBuffer,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes; try again, and check the system if it persists")]
    NoRandomness,
}
