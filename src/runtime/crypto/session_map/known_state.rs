//! How many transactions of each session are here, and how many were announced while content is still
//! coming in.
//!
//! The announcement is kept until all of it has arrived; the SDK reports the larger numbers to storage
//! and peers meanwhile, so that nothing is fetched twice.

use indexmap::IndexMap;

use super::super::CryptoError;
use super::super::encoding::push_json_string;

type Counts = IndexMap<String, u32>;

/// Counts of transactions, by session.
#[derive(Debug, Default)]
pub(super) struct KnownState {
    here: Counts,
    streaming: Option<Streaming>,
}

#[derive(Debug)]
struct Streaming {
    /// What was announced and was not here at that time.
    awaited: Counts,
    /// What is here or announced.
    total: Counts,
}

impl KnownState {
    /// Transactions came in: the session now has `count`.
    pub(super) fn added(&mut self, session_id: &str, count: u32) {
        self.here.insert(session_id.to_owned(), count);
        if let Some(streaming) = &mut self.streaming {
            if is_here(&streaming.awaited, &self.here) {
                self.streaming = None;
            } else {
                raise(&mut streaming.total, session_id, count);
            }
        }
    }

    /// A transaction was made here: the session now has `count`. Announcements stay open, and our own
    /// count stands even if a larger one was announced.
    pub(super) fn made(&mut self, session_id: &str, count: u32) {
        self.here.insert(session_id.to_owned(), count);
        if let Some(streaming) = &mut self.streaming {
            streaming.total.insert(session_id.to_owned(), count);
        }
    }

    /// Content was announced, as JSON of session ids and counts.
    pub(super) fn announce(&mut self, sessions_json: &str) -> Result<(), CryptoError> {
        let announced: Counts = serde_json::from_str(sessions_json).map_err(|error| CryptoError::InvalidJson {
            what: "the announced state",
            line: error.line(),
            column: error.column(),
        })?;
        if is_here(&announced, &self.here) {
            return Ok(());
        }
        let streaming =
            self.streaming.get_or_insert_with(|| Streaming { awaited: Counts::new(), total: self.here.clone() });
        for (session_id, count) in announced {
            if count > self.here.get(&session_id).copied().unwrap_or(0) {
                raise(&mut streaming.awaited, &session_id, count);
                raise(&mut streaming.total, &session_id, count);
            }
        }
        Ok(())
    }

    pub(super) fn is_streaming(&self) -> bool {
        self.streaming.is_some()
    }

    /// What is here, as JSON of `{header, id, sessions}`.
    pub(super) fn json(&self, co_id: &str) -> String {
        json(co_id, &self.here)
    }

    /// What is here or announced; `None` when nothing is awaited.
    pub(super) fn json_with_streaming(&self, co_id: &str) -> Option<String> {
        Some(json(co_id, &self.streaming.as_ref()?.total))
    }
}

/// Whether all that was announced is here. A session we never saw counts as missing even at zero.
fn is_here(announced: &Counts, here: &Counts) -> bool {
    announced.iter().all(|(session_id, count)| here.get(session_id).is_some_and(|have| count <= have))
}

fn raise(counts: &mut Counts, session_id: &str, count: u32) {
    match counts.get_mut(session_id) {
        Some(have) => *have = count.max(*have),
        None => {
            counts.insert(session_id.to_owned(), count);
        }
    }
}

fn json(co_id: &str, counts: &Counts) -> String {
    let mut json = String::from("{\"header\":true,\"id\":");
    push_json_string(&mut json, co_id);
    json.push_str(",\"sessions\":{");
    for (at, (session_id, count)) in counts.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        push_json_string(&mut json, session_id);
        json.push(':');
        json.push_str(&count.to_string());
    }
    json.push_str("}}");
    json
}
