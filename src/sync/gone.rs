//! Segments that are gone: rewritten without deleted records, compacted, or older than what is kept in sync.
//!
//! Their line stays in the index, so that every device erases what its own store and the relay in use may still
//! hold of them, whoever began it and however far he came. And it notes that their records lie there no more:
//! what a device had written to such a segment without knowing goes up again.
//!
//! A segment that was announced and never came, since its writer was lost before the relay had it, is gone too, after a while
//! (`give_up`): until then nothing that it replaces is erased, and nobody knows what of its month lies where.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::alive::{Alive, SILENCE};
use super::engine::Engine;
use super::index::{ERASED, RETIRED, Segment};
use super::pull::{LINES, Pulled, key};
use super::{SyncError, append, rewrite};
use crate::history::{Cursor, UnixNanos};
use crate::runtime::protocol::{Erase, Exchange, Outcome, Release};

/// Begins the names of the notes that segments are erased.
const GONE: &str = "gone/";
/// Segments that are asked about at a time.
const AT_A_TIME: usize = 32;
/// Since when segments have been missing at the relay, in the history's small pieces of state.
const MISSING: &str = "sync_missing";

/// Gives up segments that the relay does not have and will not get: their writer was taken out, or has been silent for
/// [`SILENCE`] while this device missed them. What lies nowhere then goes up again, see `orphans`.
pub(super) fn give_up(engine: &mut Engine, pulled: &mut Pulled) -> Result<(), SyncError> {
    let noted = engine.history.meta_get(MISSING)?.unwrap_or_default();
    if (pulled.missing.is_empty() && noted.is_empty()) || engine.relay_fingerprint().is_empty() {
        return Ok(());
    }
    let alive = Alive::of(engine)?;
    let now = alive.now.0;
    let known: BTreeMap<&str, i64> = noted
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(id, at)| Some((id, at.parse().ok()?)))
        .collect();
    let (mut lost, mut missing, mut note) = (Vec::new(), Vec::new(), String::new());
    for segment in std::mem::take(&mut pulled.missing) {
        let since = known.get(segment.id.as_str()).map_or(now, |since| now.min(*since));
        let is_over = engine.devices.is_removed(segment.device) || now - since >= SILENCE;
        if is_over && !alive.is_alive(segment.device) {
            lost.push(segment.gone(ERASED));
        } else {
            note += &format!("{} {since}\n", segment.id);
            missing.push(segment);
        }
    }
    pulled.missing = missing;
    if !lost.is_empty() {
        tracing::warn!(
            segments = lost.len(),
            "parts of the history were announced by a device that is gone, and never came"
        );
    }
    for lines in lost.chunks(LINES) {
        append::announce(engine, lines.to_vec())?;
    }
    if note != noted {
        engine.history.meta_set(MISSING, (!note.is_empty()).then_some(note.as_str()))?;
    }
    Ok(())
}

/// Notes which records lie in no segment any more, and queues those that this device has to send again.
pub(super) fn release(engine: &mut Engine, pulled: &Pulled) -> Result<(), SyncError> {
    let mut queued = 0;
    for id in engine.history.placed_segments()? {
        let Some(segment) = engine.index.get(&id) else { continue };
        let description = &segment.description;
        // Where their records lie now may be in what has not been read yet.
        if !description.is_abandoned() || !pulled.is_whole(description.month) {
            continue;
        }
        // What is retired stays away, except for what its last reader had not seen.
        let after = match description.gone.as_deref() {
            Some(RETIRED) => Some(UnixNanos(description.newest.unwrap_or(i64::MAX))),
            _ => None,
        };
        let own = segment.device == engine.device;
        // Whoever rewrote it had not seen what this device added last, and nobody else adds anything.
        let behind = if own && after.is_none() { said_less_elsewhere(engine, &id)? } else { Vec::new() };
        // First, since nobody looks any more once the segment is released.
        engine.history.queue_again(&behind)?;
        queued += behind.len() as u64;
        queued += engine.history.release_segment(&id, &key(&id, ""), (!own).then_some(engine.device), after)?;
    }
    if queued > 0 {
        tracing::info!(queued, "what was in segments that are gone goes up again");
    }
    Ok(())
}

/// The records of a segment that lie in others too, of which all of these say less than is known here.
fn said_less_elsewhere(engine: &Engine, id: &str) -> Result<Vec<Uuid>, SyncError> {
    let mut elsewhere: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for record in engine.history.records_in(id)? {
        if engine.history.is_deleted(record)? {
            continue;
        }
        for segment in engine.history.segments_of(record)?.into_iter().filter(|segment| segment != id) {
            elsewhere.entry(segment).or_default().push(record);
        }
    }
    let (mut behind, mut whole) = (BTreeSet::new(), BTreeSet::new());
    for (id, shared) in elsewhere {
        behind.extend(shared);
        let Some(segment) = engine.index.get(&id).filter(|segment| !segment.description.is_abandoned()) else {
            continue;
        };
        // What cannot be read now may say less: sent twice is better than lost.
        let Ok(Some(read)) = rewrite::read_whole(engine, segment) else { continue };
        for record in read.records {
            if engine.history.get(record.id)?.is_some_and(|here| here.compare(&record).is_le()) {
                whole.insert(record.id);
            }
        }
        if segment.description.full {
            engine.ask(&Release { ids: vec![id] })?;
        }
    }
    Ok(behind.difference(&whole).copied().collect())
}

/// Erases what is still there of segments that are gone, here and on the relay; but not what is to be replaced by something
/// that the relay does not have yet.
pub(super) fn erase(engine: &mut Engine, pulled: &mut Pulled) -> Result<(), SyncError> {
    let noted: BTreeSet<String> = engine.history.cursors_in(GONE)?.into_iter().map(|(note, _)| note).collect();
    let relay = engine.relay_fingerprint();
    let is_due = |segment: &&Segment| {
        segment.description.gone.is_some()
            && !pulled.awaits_what_replaces(segment)
            && !noted.contains(&format!("{}/{relay}", segment.id))
    };
    let ids: Vec<String> = engine.index.segments.iter().filter(is_due).map(|segment| segment.id.clone()).collect();
    for ids in ids.chunks(AT_A_TIME) {
        let mut left = settle(engine, ids.to_vec())?;
        for id in &left {
            rewrite::follow(engine, id, pulled)?;
        }
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
    format!("{GONE}{segment}/{}", engine.relay_fingerprint())
}
