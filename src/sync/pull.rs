//! From the relay to the history.
//!
//! Of each segment the position is kept up to which it was read, by session, and moves in the same
//! transaction that stores the records. Full segments that were read to their end, and that this relay
//! has whole, are not touched again; another relay gets them in the next exchange with it.

use std::collections::BTreeMap;

use super::SyncError;
use super::engine::{Engine, Progress};
use super::index::{self, Segment};
use super::vault::Opening;
use crate::history::{Cursor, Record, decode_batch};
use crate::runtime::protocol::{Exchange, Item, Items, Outcome, Release, Set};
use crate::seal::Purpose;

/// Begins the name of the note that a segment is done with.
const DONE: &str = "done/";
/// Segments that are fetched at a time.
const FETCH: usize = 8;

/// What came down.
#[derive(Default)]
pub(super) struct Pulled {
    pub records: u64,
    /// Segments that the index names and the relay does not have (yet).
    pub missing: u64,
    /// Segments with content that cannot be trusted.
    pub damaged: Vec<String>,
    /// Segments with content of a newer version, or whose key has not arrived.
    pub unreadable: u64,
}

/// Reads everything new, newest month first.
pub(super) fn pull(engine: &mut Engine, progress: &mut dyn FnMut(Progress)) -> Result<Pulled, SyncError> {
    let mut pulled = Pulled::default();
    if store_was_set_back(engine)? {
        engine.start_over()?;
    }
    let wanted = unfinished(engine)?;
    let total = wanted.len() as u64;
    let mut fetched = 0;
    for group in wanted.chunks(FETCH) {
        let ids: Vec<String> = group.iter().map(|segment| segment.id.clone()).collect();
        let outcomes = engine.ask(&Exchange { ids: ids.clone(), timeout_ms: engine.patience_ms() })?.outcomes;
        for segment in group {
            match outcomes.get(&segment.id).copied().unwrap_or(Outcome::Late) {
                Outcome::Current | Outcome::Local => read(engine, segment, &mut pulled)?,
                Outcome::Deleted => engine.mark_done(&segment.id)?,
                // This device wrote it, and neither its store nor the relay has it: only the index got through.
                Outcome::Absent if segment.device == engine.device => abandon(engine, segment)?,
                Outcome::Absent => pulled.missing += 1,
                Outcome::Damaged => pulled.damaged.push(segment.id.clone()),
                Outcome::Offline | Outcome::Late => return Err(engine.lost_relay()),
            }
        }
        // Segments that are still written to stay in memory: push() appends to them.
        let closed = group.iter().filter(|s| s.description.full).map(|s| s.id.clone()).collect();
        engine.ask(&Release { ids: closed })?;
        fetched += group.len() as u64;
        progress(Progress::Receiving { records: pulled.records, done: fetched, total });
    }
    Ok(pulled)
}

/// The segments that may still bring something, newest month first.
pub(super) fn unfinished(engine: &Engine) -> Result<Vec<Segment>, SyncError> {
    let mut unfinished = Vec::new();
    for segment in &engine.index.segments {
        if !segment.description.is_abandoned() && engine.history.cursor(&engine.done(&segment.id))?.is_none() {
            unfinished.push(segment.clone());
        }
    }
    Ok(unfinished)
}

/// Gives up a segment of this device that is lost, and sends again what was in it.
fn abandon(engine: &mut Engine, segment: &Segment) -> Result<(), SyncError> {
    engine.start_over()?;
    let description = segment.description.abandoned();
    let map = engine.registries.index.clone();
    let sealed = index::sealed(&engine.vault, &map, &segment.id, &description)?;
    engine.ask(&Set { id: map.clone(), entries: BTreeMap::from([(segment.id.clone(), sealed)]) })?;
    engine.index.note(Segment { description, ..segment.clone() });
    engine.confirm(vec![map])
}

/// Reads one segment from where it was left.
fn read(engine: &mut Engine, segment: &Segment, pulled: &mut Pulled) -> Result<(), SyncError> {
    let mut read = positions(engine, &segment.id)?;
    // A full segment is asked for whole: the index may have overtaken its last entries, and only when all
    // of them are there is it done with.
    let full = segment.description.full;
    let own = segment.device == engine.device;
    // Of what this device has written, the last is asked for again, to see that it is still there.
    let known = |(session, read): (&String, &u64)| (session.clone(), read.saturating_sub(u64::from(own)));
    let after = if full { BTreeMap::new() } else { read.iter().map(known).collect() };
    let mut items = engine.ask(&Items { id: segment.id.clone(), after })?.items;
    let holds = |session: &String, written: u64| items.iter().any(|item| item.0 == *session && item.1 + 1 >= written);
    if own && !read.iter().all(|(session, written)| holds(session, *written)) {
        // The store is older than the history; what it lacks and no relay has is in no segment any more.
        engine.start_over()?;
        read.clear();
    }
    let mut complete = full && items.len() as u64 >= segment.description.entries;
    if full && !complete {
        pulled.missing += 1;
    }
    items.retain(|(session, transaction, _)| read.get(session).is_none_or(|read| transaction >= read));
    // One transaction of the writer may hold many entries; its records and the position go together.
    for entries in items.chunk_by(|a, b| (&a.0, a.1) == (&b.0, b.1)) {
        let (session, transaction) = (&entries[0].0, entries[0].1);
        match open(engine, segment, entries)? {
            Opened::Records(records) => {
                let key = key(&segment.id, session);
                let cursor = Cursor { key: &key, value: transaction + 1 };
                let ingested = engine.history.ingest(&records, Some(cursor))?;
                pulled.records += ingested.added + ingested.updated;
            }
            Opened::Damaged => {
                complete = false;
                pulled.damaged.push(segment.id.clone());
                break;
            }
            Opened::Unreadable => {
                complete = false;
                pulled.unreadable += 1;
                break;
            }
        }
    }
    if complete {
        engine.mark_done(&segment.id)?;
    }
    Ok(())
}

enum Opened {
    Records(Vec<Record>),
    Damaged,
    Unreadable,
}

fn open(engine: &Engine, segment: &Segment, entries: &[Item]) -> Result<Opened, SyncError> {
    let mut records = Vec::new();
    for (_, _, value) in entries {
        let plaintext = match engine.vault.open(Purpose::History, &segment.id, value) {
            Ok(Opening::Opened { device, plaintext }) if device == segment.device => plaintext,
            // A segment has one writer: an entry in another's name was not put there by its owner.
            Ok(Opening::Opened { .. }) | Err(SyncError::Damaged { .. }) => return Ok(Opened::Damaged),
            Ok(Opening::Newer | Opening::KeyMissing) => return Ok(Opened::Unreadable),
            Err(error) => return Err(error),
        };
        match decode_batch(&plaintext) {
            Ok(batch) => records.extend(batch),
            Err(_) => return Ok(Opened::Unreadable),
        }
    }
    Ok(Opened::Records(records))
}

/// Positions in a segment by session.
fn positions(engine: &Engine, segment: &str) -> Result<BTreeMap<String, u64>, SyncError> {
    let prefix = key(segment, "");
    let cursors = engine.history.cursors()?;
    Ok(cursors
        .into_iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value)))
        .filter(|(session, read)| !session.starts_with(DONE) && *read > 0)
        .collect())
}

/// Whether segments that were read or written here are unknown to the index: then the store is older than
/// the history, and what never reached the relay is in no segment any more.
fn store_was_set_back(engine: &Engine) -> Result<bool, SyncError> {
    if engine.index.newer > 0 {
        // Not all of the index can be read, so nothing follows from what is not seen in it.
        return Ok(false);
    }
    let segment = |key: &str| Some(key.strip_prefix("segment/")?.split_once('/')?.0.to_owned());
    let known = |id: &String| engine.index.segments.iter().any(|segment| segment.id == *id);
    Ok(engine.history.cursors()?.iter().filter_map(|(key, _)| segment(key)).any(|id| !known(&id)))
}

/// Notes that this device's own transaction need not be read back.
pub(super) fn skip_own(engine: &Engine, segment: &str, transaction: u64) -> Result<(), SyncError> {
    let key = key(segment, &engine.session);
    let read = engine.history.cursor(&key)?.unwrap_or(0);
    if read > transaction {
        // More had been written here: the store is older than the history.
        engine.start_over()?;
    }
    // Only where everything before was read as well.
    if read >= transaction {
        engine.history.ingest(&[], Some(Cursor { key: &key, value: transaction + 1 }))?;
    }
    Ok(())
}

/// The name of a position in the history's table of cursors.
pub(super) fn key(segment: &str, session: &str) -> String {
    format!("segment/{segment}/{session}")
}

impl Engine {
    /// Notes that a segment has been read to its end and will not grow.
    fn mark_done(&self, segment: &str) -> Result<(), SyncError> {
        self.history.ingest(&[], Some(Cursor { key: &self.done(segment), value: 1 }))?;
        Ok(())
    }

    /// The name of the note that a segment is done with, as far as the relay in use goes.
    fn done(&self, segment: &str) -> String {
        key(segment, &format!("{DONE}{}", self.relay_fingerprint()))
    }

    /// Whether this device has written to a segment in the session it uses now.
    pub(super) fn writes_to(&self, segment: &str) -> Result<bool, SyncError> {
        Ok(self.history.cursor(&key(segment, &self.session))?.is_some())
    }
}
