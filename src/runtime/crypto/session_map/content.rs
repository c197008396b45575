//! Messages of the protocol with content of a CoValue, written from its logs: they hold the canonical JSON of each transaction,
//! so nothing of it is read and written again.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::CryptoError;
use super::super::encoding::push_json_string;
use super::SessionMap;

/// What of a session goes into a message: its id, the first transaction, how many, and the signature over the log up to there.
#[derive(Deserialize)]
struct Excerpt<'a>(#[serde(borrow)] Cow<'a, str>, u32, u32, #[serde(borrow)] Cow<'a, str>);

/// Bytes around what an excerpt says, at most.
const AROUND: usize = 80;

impl SessionMap {
    /// A message with content. `head` is all that it says besides, a JSON object with at least a field; `sessions` is what of
    /// each session goes into it, a JSON array of `[id, first transaction, how many, signature]`. `None` where not all of
    /// these transactions are here.
    ///
    /// # Errors
    /// When the JSON is not of these forms.
    pub fn content_message(&self, head: &str, sessions: &str) -> Result<Option<String>, CryptoError> {
        let excerpts: Vec<Excerpt<'_>> = serde_json::from_str(sessions).map_err(|error| CryptoError::InvalidJson {
            what: "the list of sessions",
            line: error.line(),
            column: error.column(),
        })?;
        let head = head.strip_suffix('}').filter(|head| head.len() > 1).ok_or(CryptoError::InvalidJson {
            what: "the head of a message",
            line: 1,
            column: head.len(),
        })?;
        let mut parts = Vec::with_capacity(excerpts.len());
        let mut bytes = head.len() + AROUND;
        for Excerpt(id, after, count, signature) in &excerpts {
            let transactions = *after..after.saturating_add(*count);
            let Some(log) = self.sessions.get(&**id) else { return Ok(None) };
            let Some(content) = log.bytes_of(&transactions) else { return Ok(None) };
            bytes += id.len() + content + transactions.len() + signature.len() + AROUND;
            parts.push((id, log, transactions, signature));
        }

        let mut json = String::with_capacity(bytes);
        json.push_str(head);
        json.push_str(",\"new\":{");
        for (number, (id, log, transactions, signature)) in parts.into_iter().enumerate() {
            if number > 0 {
                json.push(',');
            }
            push_json_string(&mut json, id);
            json.push_str(":{\"after\":");
            json.push_str(&transactions.start.to_string());
            json.push_str(",\"newTransactions\":");
            log.write_transactions(&mut json, transactions);
            json.push_str(",\"lastSignature\":");
            push_json_string(&mut json, signature);
            json.push('}');
        }
        json.push_str("}}");
        Ok(Some(json))
    }
}
