//! From the relay to the history.
//!
//! Of each segment the position is kept up to which it was read, by session, and moves in the same
//! transaction that stores the records. Full segments that were read to their end, and that this relay
//! has whole, are not touched again; another relay gets them in the next exchange with it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::engine::{Engine, Progress};
use super::index::{ERASED, Segment};
use super::month::Month;
use super::vault::Opening;
use super::{SyncError, append};
use crate::history::{Cursor, Record, decode_batch};
use crate::runtime::protocol::{Exchange, Item, Items, Outcome, Release};
use crate::seal::Purpose;

/// Begins the name of every position in a segment.
const SEGMENT: &str = "segment/";
/// Begins the name of the note that a segment is done with.
pub(super) const DONE: &str = "done/";
/// Segments that are fetched at a time.
const FETCH: usize = 8;
/// Segments that are fetched before all others.
const FETCH_FIRST: usize = 4;

/// What came down.
#[derive(Default)]
pub(super) struct Pulled {
    pub records: u64,
    /// Segments that the index names and the relay does not have (yet), or not whole.
    pub missing: Vec<Segment>,
    /// Segments with content that cannot be trusted.
    pub damaged: Vec<String>,
    /// Segments with content of a newer version, or whose key has not arrived.
    pub unreadable: u64,
    /// Of these, and of what cannot be trusted, the segments.
    pub unread: BTreeSet<String>,
    /// Months of which something that is there could not be read.
    unread_months: BTreeSet<Month>,
    /// Where everything lies was forgotten in the middle of it.
    started_over: bool,
}

impl Pulled {
    /// Whether everything of a month was read that any device has announced.
    pub(super) fn is_whole(&self, month: Month) -> bool {
        !self.unread_months.contains(&month) && !self.missing.iter().any(|s| s.description.month == month)
    }

    /// Whether everything was read that any device has announced, and where it lies is known.
    pub(super) fn is_complete(&self) -> bool {
        self.unread_months.is_empty() && self.missing.is_empty() && !self.started_over
    }

    /// Whether the relay does not have what was to replace a segment that is gone.
    pub(super) fn awaits_what_replaces(&self, gone: &Segment) -> bool {
        gone.description.replaced_by.iter().any(|id| self.missing.iter().any(|segment| segment.id == *id))
    }
}

/// Lines that are put into the index at a time, so that a transaction stays small.
pub(super) const LINES: usize = 500;

/// Reads everything new, newest month first.
pub(super) fn pull(engine: &mut Engine, progress: &mut dyn FnMut(Progress)) -> Result<Pulled, SyncError> {
    let mut pulled = Pulled::default();
    if store_was_set_back(engine)? {
        engine.start_over()?;
    }
    let wanted = unfinished(engine)?;
    let total = wanted.len() as u64;
    let mut fetched = 0;
    let mut lost = Vec::new();
    // The very newest alone, so that they are there at once.
    let (first, rest) = wanted.split_at(wanted.len().min(FETCH_FIRST));
    for group in std::iter::once(first).chain(rest.chunks(FETCH)).filter(|group| !group.is_empty()) {
        let ids: Vec<String> = group.iter().map(|segment| segment.id.clone()).collect();
        let mut tell = |segment: &Segment, records, fetched| {
            progress(Progress::Receiving { month: segment.description.month.0, records, done: fetched, total });
        };
        tell(&group[0], pulled.records, fetched);
        let outcomes = engine.ask(&Exchange { ids: ids.clone(), timeout_ms: engine.patience_ms() })?.outcomes;
        for segment in group {
            match outcomes.get(&segment.id).copied().unwrap_or(Outcome::Late) {
                Outcome::Current | Outcome::Local => {
                    read(engine, segment, &mut pulled, &mut |records| tell(segment, records, fetched))?;
                }
                // Erased, and then a device that did not know has written the line in the index once more.
                Outcome::Deleted => lost.push(segment.gone(ERASED)),
                // This device wrote it, and neither its store nor the relay has it: only the index got through.
                Outcome::Absent if segment.device == engine.device => lost.push(segment.gone(ERASED)),
                Outcome::Absent => pulled.missing.push(segment.clone()),
                Outcome::Damaged => {
                    pulled.damaged.push(segment.id.clone());
                    pulled.unread_months.insert(segment.description.month);
                }
                Outcome::Offline | Outcome::Late => return Err(engine.lost_relay()),
            }
            fetched += 1;
            tell(segment, pulled.records, fetched);
        }
        // Segments that are still written to stay in memory: push() appends to them.
        let closed = group.iter().filter(|s| s.description.full).map(|s| s.id.clone()).collect();
        engine.ask(&Release { ids: closed })?;
    }
    for lines in lost.chunks(LINES) {
        append::announce(engine, lines.to_vec())?;
    }
    read_replaced(engine, &mut pulled)?;
    Ok(pulled)
}

/// Reads what other devices have replaced, where the relay does not have the replacement: it may never come.
fn read_replaced(engine: &mut Engine, pulled: &mut Pulled) -> Result<(), SyncError> {
    let mut replaced = Vec::new();
    for segment in engine.index.segments.iter().filter(|segment| pulled.awaits_what_replaces(segment)) {
        if segment.device != engine.device && engine.history.cursor(&engine.done(&segment.id))?.is_none() {
            replaced.push(segment.clone());
        }
    }
    for segments in replaced.chunks(FETCH) {
        let ids: Vec<String> = segments.iter().map(|segment| segment.id.clone()).collect();
        let outcomes = engine.ask(&Exchange { ids: ids.clone(), timeout_ms: engine.patience_ms() })?.outcomes;
        for segment in segments {
            if let Some(Outcome::Current | Outcome::Local) = outcomes.get(&segment.id) {
                // What cannot be read of it concerns nobody.
                let mut aside = Pulled::default();
                read(engine, segment, &mut aside, &mut |_| ())?;
                pulled.records += aside.records;
            }
        }
        engine.ask(&Release { ids })?;
    }
    Ok(())
}

/// The segments that may still bring something, the newest first.
pub(super) fn unfinished(engine: &Engine) -> Result<Vec<Segment>, SyncError> {
    let mut unfinished = Vec::new();
    for segment in engine.index.live() {
        if engine.history.cursor(&engine.done(&segment.id))?.is_none() {
            unfinished.push(segment.clone());
        }
    }
    Ok(unfinished)
}

/// Reads one segment from where it was left, and tells how many records there are so far.
fn read(
    engine: &mut Engine,
    segment: &Segment,
    pulled: &mut Pulled,
    tell: &mut dyn FnMut(u64),
) -> Result<(), SyncError> {
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
        pulled.started_over = true;
        read.clear();
    }
    let mut complete = full && items.len() as u64 >= segment.description.entries;
    if full && !complete {
        pulled.missing.push(segment.clone());
    }
    items.retain(|(session, transaction, _)| read.get(session).is_none_or(|read| transaction >= read));
    // One transaction of the writer may hold many entries; its records and the position go together.
    for entries in items.chunk_by(|a, b| (&a.0, a.1) == (&b.0, b.1)) {
        let (session, transaction) = (&entries[0].0, entries[0].1);
        match open(engine, segment, entries)? {
            Opened::Records(records) => {
                let key = key(&segment.id, session);
                let cursor = Cursor { key: &key, value: transaction + 1 };
                let ingested = engine.history.ingest_from(&segment.id, &records, Some(cursor))?;
                pulled.records += ingested.added + ingested.updated;
                tell(pulled.records);
            }
            Opened::Damaged => {
                complete = false;
                pulled.damaged.push(segment.id.clone());
                pulled.unread.insert(segment.id.clone());
                pulled.unread_months.insert(segment.description.month);
                break;
            }
            Opened::Unreadable => {
                complete = false;
                pulled.unreadable += 1;
                pulled.unread.insert(segment.id.clone());
                pulled.unread_months.insert(segment.description.month);
                break;
            }
        }
    }
    if complete {
        engine.mark_done(&segment.id)?;
    }
    Ok(())
}

/// What the entries of one transaction of a segment turned out to be.
pub(super) enum Opened {
    Records(Vec<Record>),
    Damaged,
    Unreadable,
}

/// Opens entries of a segment.
pub(super) fn open(engine: &Engine, segment: &Segment, entries: &[Item]) -> Result<Opened, SyncError> {
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
    let cursors = engine.history.cursors_in(&key(segment, ""))?;
    Ok(cursors.into_iter().filter(|(session, read)| !session.starts_with(DONE) && *read > 0).collect())
}

/// Whether segments that were read or written here are unknown to the index: then the store is older than
/// the history, and what never reached the relay is in no segment any more.
fn store_was_set_back(engine: &Engine) -> Result<bool, SyncError> {
    if engine.index.newer > 0 {
        // Not all of the index can be read, so nothing follows from what is not seen in it.
        return Ok(false);
    }
    let known: HashSet<&str> = engine.index.segments.iter().map(|segment| segment.id.as_str()).collect();
    let cursors = engine.history.cursors_in(SEGMENT)?;
    Ok(cursors.iter().filter_map(|(key, _)| key.split_once('/')).any(|(id, _)| !known.contains(id)))
}

/// The position in an own segment after a transaction that this device has just written, which it need not read
/// back; none where something before was not read yet.
pub(super) fn own_position(engine: &Engine, key: &str, transaction: u64) -> Result<Option<u64>, SyncError> {
    let read = engine.history.cursor(key)?.unwrap_or(0);
    if read > transaction {
        // More had been written here: the store is older than the history.
        engine.start_over()?;
    }
    Ok((read >= transaction).then_some(transaction + 1))
}

/// The name of a position in the history's table of cursors.
pub(super) fn key(segment: &str, session: &str) -> String {
    format!("{SEGMENT}{segment}/{session}")
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
