//! One CoValue's sessions: append-only logs of transactions, each log signed by its author.
//!
//! A session map is the unit the SDK works with: it holds the header, a log for each session (in the
//! order in which they appeared) and what is known of the CoValue here and, while content is still
//! coming in, elsewhere. Every call either happens completely or changes nothing.
//!
//! The results are those of the official core, with these differences, all of them on purpose:
//!
//! - After a failed verification the map is as before. (There the refused transactions stay queued and
//!   are added with the next good ones; failed writes leave empty sessions behind.)
//! - Transactions added without verification count for later signatures. (There they are left out of
//!   the running hash, so that no later signature of that session can be right.)
//! - A session that began with a local or an unverified transaction takes verified ones later. (There
//!   its signer is never known.)
//! - A malformed signer ID is an error, not a crash.
//! - A transaction must be what its `privacy` says. (There the fields decide, and `privacy` is not part
//!   of what is signed: a relay could relabel a private transaction as a trusting one with a text of its
//!   own choosing, under the author's valid signature.)
//! - Keys, ids and signatures must have the prefix of their kind; transactions and headers must be JSON
//!   objects, not arrays of their fields.

mod content;
mod extent;
mod header;
mod known_state;
mod log;
#[cfg(test)]
mod tests;
mod transaction;

use indexmap::IndexMap;

use super::CryptoError;
use super::cipher::{decrypt_field, encrypt_with};
use super::encoding::push_json_string;
use super::hash::nonce;
use super::keys::{KeySecret, SignerSecret};
pub use extent::Extent;
use known_state::KnownState;
use log::{Extension, SessionLog};
use transaction::{Batch, Text, Transaction};

/// Bytes of content after which a signature is kept, unless the caller says otherwise.
const DEFAULT_MAX_TX_SIZE: u32 = 100 * 1024;

/// The largest changes a new transaction may have, in bytes of their JSON.
const MAX_CHANGES: usize = 1024 * 1024;

/// The sessions of one CoValue.
#[derive(Debug)]
pub struct SessionMap {
    id: String,
    header: String,
    max_tx_size: usize,
    sessions: IndexMap<String, SessionLog>,
    known: KnownState,
    extent: Extent,
    deleted: bool,
}

/// Where a transaction's two texts are found, for decryption.
enum Part {
    Changes,
    Meta,
}

impl SessionMap {
    /// An empty map for a CoValue. `max_tx_size` is how many bytes of content a session gathers before
    /// a signature is kept in between (100 KiB unless given). Unless `skip_verify`, the id must be the one
    /// that follows from the header.
    ///
    /// # Errors
    /// When the header is no header, or the id is another one.
    pub fn new(
        co_id: &str,
        header_json: &str,
        max_tx_size: Option<u32>,
        skip_verify: bool,
    ) -> Result<Self, CryptoError> {
        let header = header::canonical(header_json, !skip_verify)?;
        if !skip_verify {
            let expected = header::id(&header);
            if co_id != expected {
                return Err(CryptoError::IdMismatch { expected, actual: co_id.to_owned() });
            }
        }
        Ok(Self {
            id: co_id.to_owned(),
            extent: Extent::of(&header),
            header,
            max_tx_size: usize::try_from(max_tx_size.unwrap_or(DEFAULT_MAX_TX_SIZE)).unwrap_or(usize::MAX),
            sessions: IndexMap::new(),
            known: KnownState::default(),
            deleted: false,
        })
    }

    /// The header as canonical JSON.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// Bytes of the canonical JSON of all transactions.
    #[must_use]
    pub fn content_bytes(&self) -> usize {
        self.sessions.values().map(SessionLog::bytes).sum()
    }

    /// How much it takes up; of a deleted one what its delete sessions do, for the rest is about to go.
    #[must_use]
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Appends transactions that somebody else made: a JSON array, and the author's signature over the
    /// session's log with them. With `skip_verify` the signature is kept unseen.
    ///
    /// # Errors
    /// [`CryptoError::SignatureVerification`] when the signature is not the signer's, or no signer is
    /// known; [`CryptoError::Deleted`] when the CoValue is deleted and this is no delete session; others
    /// when something is malformed. The map is unchanged after an error.
    pub fn add_transactions(
        &mut self,
        session_id: &str,
        signer_id: Option<&str>,
        transactions_json: &str,
        signature: &str,
        skip_verify: bool,
    ) -> Result<(), CryptoError> {
        if self.deleted && !is_delete_session(session_id) {
            return Err(self.is_deleted_error());
        }
        let batch = Batch::parse(transactions_json)?;
        let extension = match self.sessions.get(session_id) {
            Some(log) => log.extend(batch, signer_id, signature, skip_verify)?,
            None => SessionLog::default().extend(batch, signer_id, signature, skip_verify)?,
        };
        let count = self.commit(session_id, extension);
        self.known.added(session_id, count);
        Ok(())
    }

    /// Appends a transaction of our own, encrypted with a read key, and signs it. The result is the JSON
    /// of `{signature, transaction}`. `made_at` is in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`CryptoError::Deleted`], [`CryptoError::TransactionTooLarge`], or a malformed secret.
    /// The map is unchanged after an error.
    #[expect(clippy::too_many_arguments, reason = "the call of the SDK's interface")]
    pub fn make_private(
        &mut self,
        session_id: &str,
        signer_secret: &str,
        changes_json: &str,
        key_id: &str,
        key_secret: &str,
        meta_json: Option<&str>,
        made_at: u64,
    ) -> Result<String, CryptoError> {
        self.check_new(changes_json)?;
        let key = KeySecret::parse(key_secret)?;
        let index = self.transaction_count(session_id).unwrap_or(0);
        let nonce = nonce(&self.place(session_id, index));
        let transaction = Transaction::Private {
            encrypted_changes: encrypt_with(&key, &nonce, changes_json).into(),
            key_used: key_id.into(),
            made_at,
            meta: meta_json.map(|meta| encrypt_with(&key, &nonce, meta).into()),
        };
        self.append(session_id, signer_secret, &transaction)
    }

    /// Appends a transaction of our own that all may read, and signs it; otherwise as
    /// [`SessionMap::make_private`].
    ///
    /// # Errors
    /// As [`SessionMap::make_private`].
    pub fn make_trusting(
        &mut self,
        session_id: &str,
        signer_secret: &str,
        changes_json: &str,
        meta_json: Option<&str>,
        made_at: u64,
    ) -> Result<String, CryptoError> {
        self.check_new(changes_json)?;
        let transaction =
            Transaction::Trusting { changes: changes_json.into(), made_at, meta: meta_json.map(Into::into) };
        self.append(session_id, signer_secret, &transaction)
    }

    /// The session ids as a JSON array, in the order in which the sessions appeared.
    #[must_use]
    pub fn session_ids_json(&self) -> String {
        let mut json = String::from("[");
        for id in self.sessions.keys() {
            if json.len() > 1 {
                json.push(',');
            }
            push_json_string(&mut json, id);
        }
        json.push(']');
        json
    }

    /// How many transactions a session has; `None` where there is no such session.
    #[must_use]
    pub fn transaction_count(&self, session_id: &str) -> Option<u32> {
        self.sessions.get(session_id).map(SessionLog::count)
    }

    /// The canonical JSON of one transaction.
    #[must_use]
    pub fn transaction(&self, session_id: &str, index: u32) -> Option<&str> {
        self.sessions.get(session_id)?.transaction(index)
    }

    /// The transactions from `from` on as a JSON array (empty past the end); `None` where there is no
    /// such session.
    #[must_use]
    pub fn transactions_json(&self, session_id: &str, from: u32) -> Option<String> {
        Some(self.sessions.get(session_id)?.transactions_json(from))
    }

    /// The signature over the whole log of a session.
    #[must_use]
    pub fn last_signature(&self, session_id: &str) -> Option<&str> {
        Some(self.sessions.get(session_id)?.last_signature())
    }

    /// The signature over a session's log up to and with a transaction, where one was kept.
    #[must_use]
    pub fn signature_after(&self, session_id: &str, index: u32) -> Option<&str> {
        self.sessions.get(session_id)?.signature_after(index)
    }

    /// The index of the last transaction for which a signature was kept: `Some(None)` when none was,
    /// `None` where there is no such session.
    #[must_use]
    pub fn last_checkpoint(&self, session_id: &str) -> Option<Option<u32>> {
        self.sessions.get(session_id).map(SessionLog::last_checkpoint)
    }

    /// What is here, as JSON of `{id, header, sessions}`.
    #[must_use]
    pub fn known_state_json(&self) -> String {
        self.known.json(&self.id)
    }

    /// What is here or announced, as [`SessionMap::known_state_json`]; `None` when nothing is awaited.
    #[must_use]
    pub fn known_state_with_streaming_json(&self) -> Option<String> {
        self.known.json_with_streaming(&self.id)
    }

    /// Whether announced content is still missing.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.known.is_streaming()
    }

    /// Notes that content is coming: JSON of session ids and transaction counts. Does nothing once the
    /// CoValue is deleted.
    ///
    /// # Errors
    /// When the JSON is not of this form.
    pub fn set_streaming_known_state(&mut self, sessions_json: &str) -> Result<(), CryptoError> {
        if self.deleted {
            return Ok(());
        }
        self.known.announce(sessions_json)
    }

    /// Marks the CoValue as deleted: from now on nothing but delete sessions may grow, and nothing else
    /// is reported as known. What is here stays readable until the map is dropped.
    pub fn mark_deleted(&mut self) {
        self.deleted = true;
        self.known = KnownState::default();
        self.extent = Extent::of(&self.header);
        for (id, log) in &self.sessions {
            if is_delete_session(id) {
                self.known.added(id, log.count());
                self.extent.add_session(id);
                self.extent.add_transactions(log.len(), log.bytes());
            }
        }
    }

    /// Whether the CoValue is marked as deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// The changes of a transaction, decrypted if it is a private one; `None` where there is no such
    /// session.
    ///
    /// # Errors
    /// [`CryptoError::TransactionNotFound`] past the end of the session, [`CryptoError::NotText`] with a
    /// wrong key (most of the time: nothing authenticates the key), others when something is malformed.
    pub fn decrypt(&self, session_id: &str, index: u32, key_secret: &str) -> Result<Option<String>, CryptoError> {
        self.decrypt_part(session_id, index, key_secret, Part::Changes)
    }

    /// The meta of a transaction, as [`SessionMap::decrypt`]; `None` also when it has none.
    ///
    /// # Errors
    /// As [`SessionMap::decrypt`].
    pub fn decrypt_meta(&self, session_id: &str, index: u32, key_secret: &str) -> Result<Option<String>, CryptoError> {
        self.decrypt_part(session_id, index, key_secret, Part::Meta)
    }

    fn decrypt_part(
        &self,
        session_id: &str,
        index: u32,
        key_secret: &str,
        part: Part,
    ) -> Result<Option<String>, CryptoError> {
        let Some(log) = self.sessions.get(session_id) else {
            return Ok(None);
        };
        let json = log.transaction(index).ok_or(CryptoError::TransactionNotFound { index })?;
        let encrypted = match (Transaction::parse(json)?, part) {
            (Transaction::Trusting { changes, .. }, Part::Changes) => return Ok(Some(changes.into_string())),
            (Transaction::Trusting { meta, .. }, Part::Meta) => return Ok(meta.map(Text::into_string)),
            (Transaction::Private { encrypted_changes, .. }, Part::Changes) => Some(encrypted_changes),
            (Transaction::Private { meta, .. }, Part::Meta) => meta,
        };
        let Some(encrypted) = encrypted else {
            return Ok(None);
        };
        let key = KeySecret::parse(key_secret)?;
        decrypt_field(&key, &nonce(&self.place(session_id, index)), &encrypted).map(Some)
    }

    /// What a new transaction must satisfy whatever it holds.
    fn check_new(&self, changes_json: &str) -> Result<(), CryptoError> {
        if self.deleted {
            return Err(self.is_deleted_error());
        }
        let size = changes_json.len();
        if size > MAX_CHANGES {
            return Err(CryptoError::TransactionTooLarge { size, limit: MAX_CHANGES });
        }
        Ok(())
    }

    /// Signs and appends a new transaction.
    fn append(
        &mut self,
        session_id: &str,
        signer_secret: &str,
        transaction: &Transaction<'_>,
    ) -> Result<String, CryptoError> {
        let secret = SignerSecret::parse(signer_secret)?;
        let batch = Batch::of(transaction);
        let extension = match self.sessions.get(session_id) {
            Some(log) => log.extend_signed(batch, &secret),
            None => SessionLog::default().extend_signed(batch, &secret),
        };
        let result = format!("{{\"signature\":\"{}\",\"transaction\":{}}}", extension.signature(), extension.text());
        let count = self.commit(session_id, extension);
        self.known.made(session_id, count);
        Ok(result)
    }

    /// Appends what was prepared for a session's log, which is begun if there is none, and returns the new count.
    fn commit(&mut self, session_id: &str, extension: Extension) -> u32 {
        if !self.sessions.contains_key(session_id) {
            self.extent.add_session(session_id);
        }
        self.extent.add_transactions(extension.len(), extension.text().len());
        self.sessions.entry(session_id.to_owned()).or_default().commit(extension, self.max_tx_size)
    }

    /// The text from which the nonce of a transaction follows.
    fn place(&self, session_id: &str, index: u32) -> String {
        let mut place = String::from("{\"in\":");
        push_json_string(&mut place, &self.id);
        place.push_str(",\"tx\":{\"sessionID\":");
        push_json_string(&mut place, session_id);
        place.push_str(",\"txIndex\":");
        place.push_str(&index.to_string());
        place.push_str("}}");
        place
    }

    fn is_deleted_error(&self) -> CryptoError {
        CryptoError::Deleted { id: self.id.clone() }
    }
}

/// Whether a session holds the marker of a deletion: `…_session_d…$`.
fn is_delete_session(session_id: &str) -> bool {
    session_id.contains("_session_d") && session_id.ends_with('$')
}
