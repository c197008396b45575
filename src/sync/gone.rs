//! Segments that are gone: rewritten without deleted records, compacted, or older than what is kept in sync.
//!
//! Their line stays in the index, so that every device erases what its own store and the relay in use may still
//! hold of them, whoever began it and however far he came. And it notes that their records lie there no more:
//! what a device had written to such a segment without knowing goes up again.

use super::SyncError;
use super::engine::Engine;
use super::index::RETIRED;
use super::pull::{Pulled, key};
use crate::history::{Cursor, UnixNanos};
use crate::runtime::protocol::{Erase, Exchange, Outcome, Release};

/// Segments that are asked about at a time.
const AT_A_TIME: usize = 32;

/// Notes which records lie in no segment any more, and queues those that this device has to send again.
pub(super) fn release(engine: &mut Engine, pulled: &Pulled) -> Result<(), SyncError> {
    let mut queued = 0;
    for id in engine.history.placed_segments()? {
        let Some(segment) = engine.index.get(&id) else { continue };
        let description = &segment.description;
        // Where their records lie now may be in what has not been read yet.
        if !description.is_abandoned() || pulled.incomplete.contains(&description.month) {
            continue;
        }
        // What is retired stays away, except for what its last reader had not seen.
        let after = match description.gone.as_deref() {
            Some(RETIRED) => Some(UnixNanos(description.newest.unwrap_or(i64::MAX))),
            _ => None,
        };
        let only = (segment.device != engine.device).then_some(engine.device);
        queued += engine.history.release_segment(&id, &key(&id, ""), only, after)?;
    }
    if queued > 0 {
        tracing::info!(queued, "what was in segments that are gone goes up again");
    }
    Ok(())
}

/// Erases what is still there of segments that are gone: here, and on the relay.
pub(super) fn erase(engine: &mut Engine) -> Result<(), SyncError> {
    let mut ids = Vec::new();
    for segment in engine.index.segments.iter().filter(|segment| segment.description.gone.is_some()) {
        if engine.history.cursor(&note(engine, &segment.id))?.is_none() {
            ids.push(segment.id.clone());
        }
    }
    for ids in ids.chunks(AT_A_TIME) {
        let mut left = settle(engine, ids.to_vec())?;
        if !left.is_empty() {
            engine.ask(&Erase { ids: left.clone() })?;
            engine.flush()?;
            left = settle(engine, left)?;
        }
        if !left.is_empty() {
            tracing::warn!(segments = left.len(), "segments could not be erased yet");
        }
        engine.ask(&Release { ids: ids.to_vec() })?;
    }
    Ok(())
}

/// Asks about segments and notes those that are erased; returns those that are still there.
fn settle(engine: &Engine, ids: Vec<String>) -> Result<Vec<String>, SyncError> {
    let mut left = Vec::new();
    for (id, outcome) in engine.ask(&Exchange { ids, timeout_ms: engine.patience_ms() })?.outcomes {
        match outcome {
            Outcome::Deleted | Outcome::Absent => {
                let key = note(engine, &id);
                engine.history.ingest(&[], Some(Cursor { key: &key, value: 1 }))?;
            }
            Outcome::Current | Outcome::Local | Outcome::Damaged => left.push(id),
            Outcome::Offline | Outcome::Late => return Err(engine.lost_relay()),
        }
    }
    Ok(left)
}

/// The name of the note that a segment is erased, as far as the relay in use goes.
fn note(engine: &Engine, segment: &str) -> String {
    format!("gone/{segment}/{}", engine.relay_fingerprint())
}
