//! The log of one session: its transactions in order, the running hash over them, and signatures.
//!
//! The transactions are one text without separators, since that is what the hash runs over; `ends` says
//! where each one stops. Growing is done in two steps: `extend` works out everything that can fail
//! without touching the log, `commit` then cannot fail.

use std::collections::BTreeMap;
use std::ops::Range;

use ed25519_dalek::VerifyingKey;

use super::super::CryptoError;
use super::super::encoding::HASH;
use super::super::keys::{SignerSecret, parse_signer_id};
use super::super::sign::{sign_with, verify_with};
use super::transaction::Batch;

/// The log of one session.
#[derive(Debug, Default)]
pub(super) struct SessionLog {
    /// Who signs, once somebody vouched for it. It never changes after that.
    signer: Option<VerifyingKey>,
    hasher: blake3::Hasher,
    text: String,
    ends: Vec<usize>,
    last_signature: String,
    /// Signatures kept in between, by the index of the transaction they follow.
    checkpoints: BTreeMap<u32, String>,
    size_since_checkpoint: usize,
}

/// Transactions that are ready to go into the log they were prepared for.
pub(super) struct Extension {
    batch: Batch,
    hasher: blake3::Hasher,
    signer: Option<VerifyingKey>,
    signature: String,
}

impl Extension {
    /// The signature over the log with these transactions.
    pub(super) fn signature(&self) -> &str {
        &self.signature
    }

    /// How many transactions these are.
    pub(super) fn len(&self) -> usize {
        self.batch.ends.len()
    }

    /// The canonical JSON of these transactions.
    pub(super) fn text(&self) -> &str {
        &self.batch.text
    }
}

impl SessionLog {
    /// Prepares transactions that somebody else signed. Unless `skip_verify`, the signature must be that
    /// of the session's signer; the first signer that is named stays the session's signer.
    pub(super) fn extend(
        &self,
        batch: Batch,
        signer_id: Option<&str>,
        signature: &str,
        skip_verify: bool,
    ) -> Result<Extension, CryptoError> {
        let signer = match (self.signer, signer_id) {
            (Some(signer), _) => Some(signer),
            (None, Some(id)) => Some(parse_signer_id(id)?),
            (None, None) => None,
        };
        let hasher = self.hash_with(&batch);
        if !skip_verify {
            let hash = HASH.encode58(hasher.finalize().as_bytes());
            let good = match signer {
                Some(signer) => verify_with(&signer, signature, &quoted(&hash))?,
                None => false,
            };
            if !good {
                return Err(CryptoError::SignatureVerification { hash });
            }
        }
        Ok(Extension { batch, hasher, signer, signature: signature.to_owned() })
    }

    /// Prepares transactions of our own.
    pub(super) fn extend_signed(&self, batch: Batch, secret: &SignerSecret) -> Extension {
        let hasher = self.hash_with(&batch);
        let signature = sign_with(secret, &quoted(&HASH.encode58(hasher.finalize().as_bytes())));
        Extension { batch, hasher, signer: self.signer, signature }
    }

    /// Appends what was prepared for this log, and returns the new count. After more than `max_tx_size`
    /// bytes of content since the last kept signature, this one is kept.
    pub(super) fn commit(&mut self, extension: Extension, max_tx_size: usize) -> u32 {
        let Extension { batch, hasher, signer, signature } = extension;
        self.signer = signer;
        self.hasher = hasher;
        if self.text.is_empty() {
            self.text = batch.text;
            self.ends = batch.ends;
        } else {
            let start = self.text.len();
            self.text.push_str(&batch.text);
            self.ends.extend(batch.ends.iter().map(|end| start + end));
        }
        self.size_since_checkpoint = self.size_since_checkpoint.saturating_add(batch.size);
        let count = self.count();
        if self.size_since_checkpoint > max_tx_size
            && let Some(last) = count.checked_sub(1)
        {
            self.checkpoints.insert(last, signature.clone());
            self.size_since_checkpoint = 0;
        }
        self.last_signature = signature;
        count
    }

    /// Bytes of the JSON of all transactions.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// How many transactions there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The same, as the protocol counts.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    /// The JSON of one transaction.
    pub(super) fn transaction(&self, index: u32) -> Option<&str> {
        let index = usize::try_from(index).ok()?;
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }

    /// The JSON array of the transactions from `from` on.
    pub(super) fn transactions_json(&self, from: u32) -> String {
        let mut json = String::new();
        self.write_transactions(&mut json, from..self.count());
        json
    }

    /// Appends the JSON array of these transactions, as far as they are here.
    pub(super) fn write_transactions(&self, json: &mut String, range: Range<u32>) {
        json.push('[');
        for (number, transaction) in range.map_while(|index| self.transaction(index)).enumerate() {
            if number > 0 {
                json.push(',');
            }
            json.push_str(transaction);
        }
        json.push(']');
    }

    /// Bytes of these transactions' JSON; `None` where not all of them are here.
    pub(super) fn bytes_of(&self, range: &Range<u32>) -> Option<usize> {
        let at = |index: u32| match index.checked_sub(1) {
            Some(before) => self.ends.get(usize::try_from(before).ok()?).copied(),
            None => Some(0),
        };
        at(range.end)?.checked_sub(at(range.start)?)
    }

    pub(super) fn last_signature(&self) -> &str {
        &self.last_signature
    }

    pub(super) fn signature_after(&self, index: u32) -> Option<&str> {
        self.checkpoints.get(&index).map(String::as_str)
    }

    pub(super) fn last_checkpoint(&self) -> Option<u32> {
        self.checkpoints.last_key_value().map(|(index, _)| *index)
    }

    fn hash_with(&self, batch: &Batch) -> blake3::Hasher {
        let mut hasher = self.hasher.clone();
        hasher.update(batch.text.as_bytes());
        hasher
    }
}

/// What is signed: the hash as a JSON string.
fn quoted(hash: &str) -> String {
    format!("\"{hash}\"")
}
