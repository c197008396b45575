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
use crate::history::{Cursor, History, Record, decode_batch};
use crate::runtime::protocol::{Exchange, ExchangeUnread, ExchangedUnread, Item, Items, Outcome, Positions, Release};
use crate::seal::Purpose;

/// Begins the names of all that is noted of segments.
const SEGMENT: &str = "segment/";
/// Begins the name of the note that a segment is done with.
pub(super) const DONE: &str = "done/";
/// The account, and its segments that might have brought something at the last exchange, in the history's small pieces
/// of state.
const OPEN: &str = "sync_open";
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
    /// Segments that are gone, whose replacement never came, and of which not everything could be read here.
    unread_replaced: BTreeSet<String>,
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

    /// Whether the relay does not have what was to replace a segment that is gone, or will never have it and this
    /// device could not read the segment.
    pub(super) fn awaits_what_replaces(&self, gone: &Segment) -> bool {
        self.unread_replaced.contains(&gone.id)
            || gone.description.replaced_by.iter().any(|id| self.missing.iter().any(|segment| segment.id == *id))
    }
}

/// Lines that are put into the index at a time, so that a transaction stays small.
pub(super) const LINES: usize = 500;

/// Reads everything new, newest month first.
pub(super) fn pull(engine: &mut Engine, progress: &mut dyn FnMut(Progress)) -> Result<Pulled, SyncError> {
    let mut pulled = Pulled::default();
    let mut noted = Noted::load(&engine.history)?;
    if store_was_set_back(engine, &noted) {
        engine.start_over()?;
        noted = Noted::default();
    }
    let wanted = unfinished(engine, &noted);
    let total = wanted.len() as u64;
    let mut fetched = 0;
    let mut lost = Vec::new();
    // The very newest alone, so that they are there at once.
    let (first, rest) = wanted.split_at(wanted.len().min(FETCH_FIRST));
    for group in std::iter::once(first).chain(rest.chunks(FETCH)).filter(|group| !group.is_empty()) {
        let mut tell = |segment: &Segment, records, fetched| {
            progress(Progress::Receiving { month: segment.description.month.0, records, done: fetched, total });
        };
        tell(&group[0], pulled.records, fetched);
        // A full segment is asked for whole: only when all of its entries are there is it done with.
        let read_of = |segment: &Segment| match segment.description.full {
            true => BTreeMap::new(),
            false => noted.positions(&segment.id),
        };
        let read_before = group.iter().map(|segment| (segment.id.clone(), read_of(segment))).collect();
        let ExchangedUnread { outcomes, unchanged } =
            engine.ask(&ExchangeUnread { read: read_before, timeout_ms: engine.patience_ms() })?;
        for segment in group {
            if unchanged.contains(&segment.id) {
                fetched += 1;
                if segment.description.full {
                    pulled.missing.push(segment.clone());
                }
                continue;
            }
            match outcomes.get(&segment.id).copied().unwrap_or(Outcome::Late) {
                Outcome::Current | Outcome::Local => {
                    read(engine, segment, &mut noted, &mut pulled, &mut |records| tell(segment, records, fetched))?;
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
        // Segments that are still written to stay in memory: push() may append to them.
        let closed = group.iter().filter(|s| s.description.full).map(|s| s.id.clone()).collect();
        engine.ask(&Release { ids: closed })?;
    }
    for lines in lost.chunks(LINES) {
        append::announce(engine, lines.to_vec())?;
    }
    read_replaced(engine, &mut noted, &mut pulled)?;
    note_open(engine, &wanted)?;
    Ok(pulled)
}

/// Reads what other devices have replaced, where the relay does not have the replacement: it may never come.
fn read_replaced(engine: &mut Engine, noted: &mut Noted, pulled: &mut Pulled) -> Result<(), SyncError> {
    let relay = engine.relay_fingerprint();
    let is_wanted = |segment: &&Segment| {
        pulled.awaits_what_replaces(segment) && segment.device != engine.device && !noted.is_read(segment, &relay)
    };
    let replaced: Vec<Segment> = engine.index.segments.iter().filter(is_wanted).cloned().collect();
    for segments in replaced.chunks(FETCH) {
        let ids: Vec<String> = segments.iter().map(|segment| segment.id.clone()).collect();
        let outcomes = engine.ask(&Exchange { ids: ids.clone(), timeout_ms: engine.patience_ms() })?.outcomes;
        for segment in segments {
            match outcomes.get(&segment.id) {
                Some(Outcome::Current | Outcome::Local) => {
                    // What cannot be read of it keeps nothing else from being read, but must not be erased unread.
                    let mut aside = Pulled::default();
                    read(engine, segment, noted, &mut aside, &mut |_| ())?;
                    pulled.records += aside.records;
                    if !aside.is_complete() {
                        pulled.unread_replaced.insert(segment.id.clone());
                    }
                }
                Some(Outcome::Deleted | Outcome::Absent) => {}
                _ => drop(pulled.unread_replaced.insert(segment.id.clone())),
            }
        }
        engine.ask(&Release { ids })?;
    }
    Ok(())
}

/// Notes which of the segments that were asked for the next exchange will ask for again.
fn note_open(engine: &Engine, asked: &[Segment]) -> Result<(), SyncError> {
    let mut open = engine.account.clone();
    for Segment { id, .. } in asked {
        if engine.history.cursor(&engine.done(id))?.is_none() {
            open.push(' ');
            open.push_str(id);
        }
    }
    Ok(engine.history.meta_note(OPEN, &open)?)
}

/// The segments that the next exchange will probably ask for, and how far they were read: so that it can ask before
/// it has seen the index. None of another account, whose segments must not come into this one's store.
pub(super) fn ahead(history: &History, account: &str) -> Result<Positions, SyncError> {
    let noted = Noted::load(history)?;
    let open = history.meta_get(OPEN)?.unwrap_or_default();
    let Some(open) = open.strip_prefix(account).filter(|_| !account.is_empty()) else { return Ok(Positions::new()) };
    let read = open.split_whitespace().map(|id| (id.to_owned(), noted.positions(id)));
    Ok(read.filter(|(_, read)| !read.is_empty()).collect())
}

/// What the history has noted of segments: how far they were read, and with which relay they are done.
#[derive(Default)]
pub(super) struct Noted {
    segments: BTreeMap<String, OfSegment>,
}

#[derive(Default)]
struct OfSegment {
    /// Transactions that were read, by session.
    read: BTreeMap<String, u64>,
    /// Relays that had it whole when it was read to its end.
    done: BTreeSet<String>,
}

impl Noted {
    /// Everything that was noted, in one go: asking for each segment would take long in an old home.
    pub(super) fn load(history: &History) -> Result<Self, SyncError> {
        let mut noted = Self::default();
        for (note, value) in history.cursors_in(SEGMENT)? {
            let Some((id, of)) = note.split_once('/') else { continue };
            let segment = noted.segments.entry(id.to_owned()).or_default();
            if let Some(relay) = of.strip_prefix(DONE) {
                segment.done.insert(relay.to_owned());
            } else if value > 0 {
                segment.read.insert(of.to_owned(), value);
            }
        }
        Ok(noted)
    }

    /// How far a segment was read.
    fn positions(&self, segment: &str) -> BTreeMap<String, u64> {
        self.segments.get(segment).map(|of| of.read.clone()).unwrap_or_default()
    }

    /// Whether a segment was read to its end, and the relay has it whole.
    fn is_read(&self, segment: &Segment, relay: &str) -> bool {
        self.segments.get(&segment.id).is_some_and(|of| of.done.contains(relay))
    }
}

/// The segments that may still bring something, the newest first.
pub(super) fn unfinished(engine: &Engine, noted: &Noted) -> Vec<Segment> {
    let relay = engine.relay_fingerprint();
    engine.index.live().filter(|segment| !noted.is_read(segment, &relay)).cloned().collect()
}

/// Reads one segment from where it was left, and tells how many records there are so far.
fn read(
    engine: &mut Engine,
    segment: &Segment,
    noted: &mut Noted,
    pulled: &mut Pulled,
    tell: &mut dyn FnMut(u64),
) -> Result<(), SyncError> {
    let mut read = noted.positions(&segment.id);
    // The index may have overtaken the last entries of a full segment.
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
        *noted = Noted::default();
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

/// Whether segments that were read or written here are unknown to the index: then the store is older than
/// the history, and what never reached the relay is in no segment any more.
fn store_was_set_back(engine: &Engine, noted: &Noted) -> bool {
    if engine.index.newer > 0 {
        // Not all of the index can be read, so nothing follows from what is not seen in it.
        return false;
    }
    let known: HashSet<&str> = engine.index.segments.iter().map(|segment| segment.id.as_str()).collect();
    noted.segments.keys().any(|id| !known.contains(id.as_str()))
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
