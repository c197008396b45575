//! Whether history, sync store and relay hold the same: every record of every live segment is read again and compared
//! by content, not by positions.
//!
//! What lies in a segment is what the relay holds, since a segment is compared only once both agree on it, signatures
//! included. Repair takes in what is missing here, queues what is missing there, and writes anew from the history
//! what a damaged or lost segment held, unless records in it may be known to nobody else: then the index says that it is
//! damaged, and whoever has it whole writes it anew (what a relay has damaged is seen only by those who fetch it from there).
//!
//! Where a record here is not what it is in sync, and neither of the two is further on, it was changed in the file: the sealed
//! one counts.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::engine::{Engine, Progress};
use super::index::{ERASED, Segment};
use super::pull::{DONE, LINES, Opened, key, open};
use super::retention::{Window, outgoing};
use super::{SyncError, append, deletions, heads, rewrite};
use crate::history::{Filter, Record};
use crate::runtime::protocol::{Exchange, Items, Outcome, Release};

/// Segments that are compared at a time.
const AT_A_TIME: usize = 8;

/// How the records of one device compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records in the history.
    pub history: u64,
    /// Records in live segments.
    pub synced: u64,
    /// Records that wait to go up.
    pub pending: u64,
    /// Records in segments that the history lacks, has in an older state, or has changed.
    pub missing_here: u64,
    /// Records that should be in a segment and are not, or in an older state.
    pub missing_there: u64,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// By device.
    pub devices: BTreeMap<Uuid, Tally>,
    /// Live segments.
    pub segments: u64,
    /// Segments that the index names and the relay does not have, or not whole.
    pub absent: u64,
    /// Segments whose content cannot be trusted, here or as another device has found them.
    pub damaged: u64,
    /// Of these the ones that this device wrote itself: it was copied or set back, and has written over itself.
    pub forks: u64,
    /// Segments that only a newer version can read, or whose key has not arrived.
    pub unreadable: u64,
    /// Devices of which the relay holds back something that they say they have written.
    pub withheld: Vec<Uuid>,
}

impl Verification {
    /// Whether everything is where it should be.
    #[must_use]
    pub fn agrees(&self) -> bool {
        let even = |tally: &Tally| tally.missing_here == 0 && tally.missing_there == 0;
        self.absent == 0 && self.damaged == 0 && self.withheld.is_empty() && self.devices.values().all(even)
    }
}

/// What was read on the way, for the repair.
#[derive(Default)]
struct Findings {
    verification: Verification,
    /// Records of which a segment holds the state that the history has, or a later one.
    there: BTreeSet<Uuid>,
    /// Records in segments, by writer.
    synced: BTreeMap<Uuid, BTreeSet<Uuid>>,
    /// Records to take in, by segment.
    take_in: Vec<(String, Vec<Record>)>,
    /// Records that the history has in a later state than any segment: what the segments have.
    behind: BTreeMap<Uuid, Record>,
    /// Records that were changed here, as they are in segments.
    changed: Vec<Record>,
    /// Records to send, and who recorded them.
    send: Vec<(Uuid, Uuid)>,
    /// Segments that are damaged or lost.
    broken: Vec<Broken>,
    /// Segments that another device has found damaged, and this one has not.
    whole: Vec<Segment>,
    /// Transactions in segments, by session.
    seen: BTreeMap<(String, String), u64>,
}

/// A segment that is damaged or lost.
struct Broken {
    segment: Segment,
    /// Whether the relay has it, such as it is.
    is_there: bool,
}

impl Engine {
    /// Compares what history, sync store and relay hold.
    ///
    /// # Errors
    ///
    /// See [`SyncError`].
    pub fn verify(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Verification, SyncError> {
        Ok(compare(self, progress)?.verification)
    }

    /// Brings together what a comparison finds apart, with the exchange that this takes. Returns what a second
    /// comparison finds.
    ///
    /// # Errors
    ///
    /// See [`SyncError`].
    pub fn repair(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Verification, SyncError> {
        let found = compare(self, progress)?;
        if found.verification.agrees() {
            return Ok(found.verification);
        }
        for (segment, records) in &found.take_in {
            self.history.ingest_from(segment, records, None)?;
        }
        self.history.put_back(&found.changed)?;
        for segment in &found.whole {
            rewrite::anew(self, segment)?;
        }
        let mut told = Vec::new();
        for Broken { segment, is_there } in found.broken {
            let known = segment.device == self.device || has_read_whole(self, &segment.id)?;
            if known {
                self.history.release_segment(&segment.id, &key(&segment.id, ""), None, None)?;
                told.push(segment.gone(ERASED));
            } else if is_there && !segment.description.damaged {
                told.push(segment.found_damaged());
            }
        }
        for lines in told.chunks(LINES) {
            append::announce(self, lines.to_vec())?;
        }
        let send: Vec<Uuid> = found.send.iter().map(|(id, _)| *id).collect();
        self.history.queue_again(&send)?;
        match self.exchange("repair", progress) {
            // What stays damaged is told by the second comparison.
            Ok(_) | Err(SyncError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        self.verify(progress)
    }
}

/// Whether a segment was read to its end once, through whatever relay.
fn has_read_whole(engine: &Engine, segment: &str) -> Result<bool, SyncError> {
    Ok(!engine.history.cursors_in(&key(segment, DONE))?.is_empty())
}

fn compare(engine: &mut Engine, progress: &mut dyn FnMut(Progress)) -> Result<Findings, SyncError> {
    engine.refresh()?;
    deletions::pull(engine)?;
    let mut found = Findings::default();
    let live: Vec<Segment> = engine.index.live().cloned().collect();
    found.verification.segments = live.len() as u64;
    found.verification.unreadable = engine.index.newer;
    let mut done = 0;
    for group in live.chunks(AT_A_TIME) {
        let ids: Vec<String> = group.iter().map(|segment| segment.id.clone()).collect();
        let outcomes = engine.ask(&Exchange { ids: ids.clone(), timeout_ms: engine.patience_ms() })?.outcomes;
        for segment in group {
            match outcomes.get(&segment.id).copied().unwrap_or(Outcome::Late) {
                Outcome::Current | Outcome::Local => read(engine, segment, &mut found)?,
                Outcome::Absent | Outcome::Deleted => found.lost(segment),
                Outcome::Damaged => found.damaged(engine, segment),
                Outcome::Offline | Outcome::Late => return Err(engine.lost_relay()),
            }
        }
        engine.ask(&Release { ids })?;
        done += group.len() as u64;
        progress(Progress::Comparing { done, total: live.len() as u64 });
    }
    tally(engine, &mut found)?;
    found.verification.withheld = heads::withheld(engine, |segment, session| {
        Ok(found.seen.get(&(segment.to_owned(), session.to_owned())).copied().unwrap_or(0))
    })?;
    Ok(found)
}

/// Compares the records of a segment.
fn read(engine: &Engine, segment: &Segment, found: &mut Findings) -> Result<(), SyncError> {
    let items = engine.ask(&Items { id: segment.id.clone(), after: BTreeMap::new() })?.items;
    if segment.description.full && (items.len() as u64) < segment.description.entries {
        found.lost(segment);
    }
    let (mut take_in, mut whole) = (Vec::new(), items.len() as u64 >= segment.description.entries);
    for (session, transaction, _) in &items {
        let seen = found.seen.entry((segment.id.clone(), session.clone())).or_default();
        *seen = (*seen).max(transaction + 1);
    }
    for entries in items.chunk_by(|a, b| (&a.0, a.1) == (&b.0, b.1)) {
        let records = match open(engine, segment, entries)? {
            Opened::Records(records) => records,
            Opened::Damaged => {
                found.damaged(engine, segment);
                whole = false;
                break;
            }
            Opened::Unreadable => {
                found.verification.unreadable += 1;
                whole = false;
                break;
            }
        };
        for record in records {
            if engine.history.is_deleted(record.id)? {
                continue;
            }
            found.synced.entry(record.device_id).or_default().insert(record.id);
            let here = engine.history.get(record.id)?;
            let state = here.as_ref().map(|here| here.compare(&record));
            if state != Some(Ordering::Greater) {
                found.there.insert(record.id);
            } else if found.behind.get(&record.id).is_none_or(|known| record.supersedes(known)) {
                found.behind.insert(record.id, record);
                continue;
            }
            if state.is_none_or(Ordering::is_lt) {
                found.verification.devices.entry(record.device_id).or_default().missing_here += 1;
                take_in.push(record);
            }
        }
    }
    if whole && segment.description.damaged {
        found.verification.damaged += 1;
        found.whole.push(segment.clone());
    }
    if !take_in.is_empty() {
        found.take_in.push((segment.id.clone(), take_in));
    }
    Ok(())
}

/// Counts, and looks for records that should be in a segment.
fn tally(engine: &Engine, found: &mut Findings) -> Result<(), SyncError> {
    for (device, ids) in &found.synced {
        found.verification.devices.entry(*device).or_default().synced = ids.len() as u64;
    }
    let queued = engine.history.queued()?;
    let window = Window::of(engine)?;
    engine.history.list_each(&Filter::default(), |record| {
        let (id, device) = (record.id, record.device_id);
        let tally = found.verification.devices.entry(device).or_default();
        tally.history += 1;
        let sealed = found.behind.remove(&id).filter(|sealed| sealed.finished() == record.finished());
        match (queued.get(&id), sealed) {
            (Some(held), _) => tally.pending += u64::from(!held),
            (None, _) if found.there.contains(&id) => {}
            (None, Some(sealed)) => {
                tally.missing_here += 1;
                found.changed.push(sealed);
            }
            (None, None) if window.holds(record.started_at) && outgoing(&engine.settings, record).is_some() => {
                found.send.push((id, device));
            }
            (None, None) => {}
        }
        std::ops::ControlFlow::Continue(())
    })?;
    let send = std::mem::take(&mut found.send);
    for (id, device) in send {
        // Withdrawn from sync: gone everywhere but here.
        if !engine.history.is_deleted(id)? {
            found.verification.devices.entry(device).or_default().missing_there += 1;
            found.send.push((id, device));
        }
    }
    Ok(())
}

impl Findings {
    fn lost(&mut self, segment: &Segment) {
        self.verification.absent += 1;
        self.broken.push(Broken { segment: segment.clone(), is_there: false });
    }

    fn damaged(&mut self, engine: &Engine, segment: &Segment) {
        self.verification.damaged += 1;
        self.verification.forks += u64::from(segment.device == engine.device);
        self.broken.push(Broken { segment: segment.clone(), is_there: true });
    }
}
