//! Segments written anew: without the records that were deleted, with many small entries as few large ones, or because what
//! the relay holds of them is damaged.
//!
//! Whoever finds such a segment writes what stays to a segment of his own, in the same line-up of the index says
//! that the old one is gone and what replaces it, and erases it once the relay has both. Two devices that do so at once do no
//! harm: readers unite by record id, and `copies` unites the segments later. So that not all of them do, deleted records are for
//! whoever deleted them; should he not have come so far after a while, the segment's writer steps in, then the others
//! one after the other. What the old segment's writer had added since this device last read it is taken in here first, since
//! nobody reads what he has written himself; what he adds until it is erased follows it (`follow`), or goes up again from
//! his own history (see `gone`). A segment that cannot be read whole is left as it is.

use std::collections::{BTreeMap, BTreeSet};

use super::alive::Alive;
use super::copies::{Copies, Staying};
use super::engine::Engine;
use super::index::{Description, ERASED, Segment};
use super::month::Month;
use super::pull::{LINES, Opened, Pulled, key, open};
use super::segment::{Batch, RECORDS_IN_ENTRY, cut};
use super::{SyncError, append};
use crate::history::{Record, UnixNanos};
use crate::runtime::protocol::{Exchange, Items, Outcome, Release};

/// A full segment is compacted if its entries hold fewer records than this on average.
const SPARSE: u64 = RECORDS_IN_ENTRY as u64 / 5;
/// How long a segment's writer has known of another device's deletion before it rewrites for it, nanoseconds; every other device
/// waits as long once more for each that comes before it.
const PATIENCE: i64 = 600_000_000_000;
/// Segments of one month that this device left open in earlier sessions.
const LEFT_OPEN: usize = 3;
/// Segments whose records are in memory at once.
const AT_ONCE: usize = 32;

/// Rewrites whatever has to be.
pub(super) fn run(engine: &mut Engine, pulled: &mut Pulled) -> Result<(), SyncError> {
    let mut due: BTreeMap<Month, Vec<Segment>> = BTreeMap::new();
    let alive = Alive::of(engine)?;
    let own = holding_deleted(engine, PATIENCE)?;
    let others = holding_deleted(engine, PATIENCE.saturating_mul(alive.rank().saturating_add(2)))?;
    let copies = Copies::due(engine, &alive)?;
    let loose = loose(engine)?;
    let mut only_copies = BTreeSet::new();
    for segment in engine.index.live() {
        let holding = if segment.device == engine.device { &own } else { &others };
        let damaged = segment.description.damaged && alive.acts_for(segment.device);
        let is_due = damaged || holding.contains(&segment.id) || loose.contains(&segment.id);
        if !is_due && copies.contains(&segment.id) {
            only_copies.insert(segment.id.clone());
        }
        if is_due || copies.contains(&segment.id) {
            due.entry(segment.description.month).or_default().push(segment.clone());
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    let copies = Copies::load(engine)?;
    let mut written = false;
    for segments in due.into_values().rev() {
        for some in segments.chunks(AT_ONCE) {
            let must = !some.iter().all(|segment| only_copies.contains(&segment.id));
            written |= rewrite(engine, &copies, some, must, pulled)?;
        }
    }
    if !written {
        Copies::looked(engine, &alive)?;
    }
    Ok(())
}

/// Rewrites a segment that this device can read whole, and that another one cannot.
pub(super) fn anew(engine: &mut Engine, segment: &Segment) -> Result<(), SyncError> {
    rewrite(engine, &Copies::default(), std::slice::from_ref(segment), true, &mut Pulled::default())?;
    Ok(())
}

/// The segments with records that were deleted here, or whose deletion has been known here for so long.
fn holding_deleted(engine: &Engine, patience: i64) -> Result<BTreeSet<String>, SyncError> {
    let now = (engine.now)();
    let since = UnixNanos(now.0.saturating_sub(patience));
    Ok(engine.history.segments_with_deleted_outside(since, now)?.into_iter().collect())
}

/// Segments of this device that take more room than their records need.
fn loose(engine: &Engine) -> Result<BTreeSet<String>, SyncError> {
    let this_month = Month::of((engine.now)());
    let mut loose = BTreeSet::new();
    let mut left: BTreeMap<Month, Vec<String>> = BTreeMap::new();
    for segment in engine.index.live().filter(|segment| segment.device == engine.device) {
        let Description { month, full, entries, compact, .. } = segment.description;
        if full {
            let records = engine.history.count_in(&segment.id)?;
            if records < entries * SPARSE && entries > records.div_ceil(RECORDS_IN_ENTRY as u64) + 1 {
                loose.insert(segment.id.clone());
            }
        } else if !compact && month < this_month {
            loose.insert(segment.id.clone());
        } else if !engine.writes_to(&segment.id)? {
            left.entry(month).or_default().push(segment.id.clone());
        }
    }
    loose.extend(left.into_values().filter(|ids| ids.len() > LEFT_OPEN).flatten());
    Ok(loose)
}

/// Writes what stays of segments of one month to another one, and says in the index that they are gone; unless it
/// must, only where fewer records stay. Says whether it did.
fn rewrite(
    engine: &mut Engine,
    copies: &Copies,
    segments: &[Segment],
    must: bool,
    pulled: &mut Pulled,
) -> Result<bool, SyncError> {
    let mut held = 0;
    let mut stay = Staying::new();
    let mut gone = Vec::new();
    // By their ids, so that the first to have a record is the smallest.
    let by_id: BTreeMap<&str, &Segment> = segments.iter().map(|segment| (segment.id.as_str(), segment)).collect();
    for segment in by_id.into_values() {
        let Some(Whole { records, read }) = read_whole(engine, segment)? else {
            tracing::warn!("a segment cannot be read whole and is not rewritten");
            continue;
        };
        engine.rewritten.insert(segment.id.clone(), read);
        held += records.len();
        let taken_in = engine.history.ingest_from(&segment.id, &records, None)?;
        pulled.records += taken_in.added + taken_in.updated;
        for record in records {
            if engine.history.is_deleted(record.id)? {
                continue;
            }
            match stay.get_mut(&record.id) {
                Some((newest, _)) if record.supersedes(newest) => *newest = record,
                Some(_) => {}
                None => drop(stay.insert(record.id, (record, segment.id.clone()))),
            }
        }
        gone.push(segment.clone());
    }
    let ids: Vec<String> = gone.iter().map(|segment| segment.id.clone()).collect();
    copies.leave_out(engine, &ids, &mut stay)?;
    if !must && stay.len() == held {
        ids.iter().for_each(|id| drop(engine.rewritten.remove(id)));
        engine.ask(&Release { ids })?;
        return Ok(false);
    }
    tracing::info!(segments = ids.len(), records = stay.len(), "rewriting part of the history");
    let batches = batches_of(stay.into_values().map(|(record, _)| record).collect());
    let replaced_by: Vec<String> = append::write(engine, batches, true, &ids, |_| {})?.into_iter().collect();
    let mut lines: Vec<Segment> = gone.iter().map(|segment| segment.gone(ERASED)).collect();
    for line in &mut lines {
        line.description.replaced_by.clone_from(&replaced_by);
    }
    for lines in lines.chunks(LINES) {
        append::announce(engine, lines.to_vec())?;
    }
    engine.flush()?;
    for segment in &gone {
        let only = (segment.device != engine.device).then_some(engine.device);
        engine.history.release_segment(&segment.id, &key(&segment.id, ""), only, None)?;
    }
    engine.ask(&Release { ids })?;
    Ok(true)
}

/// Writes what was added to a segment since this device rewrote it to what replaces it: it is about to be erased.
pub(super) fn follow(engine: &mut Engine, id: &str, pulled: &mut Pulled) -> Result<(), SyncError> {
    let Some(read) = engine.rewritten.remove(id) else { return Ok(()) };
    let Some(mut segment) = engine.index.get(id).cloned() else { return Ok(()) };
    let items = engine.ask(&Items { id: id.to_owned(), after: read })?.items;
    if items.is_empty() {
        return Ok(());
    }
    let Opened::Records(mut records) = open(engine, &segment, &items)? else {
        tracing::warn!("what was added to a segment while it was rewritten cannot be read");
        return Ok(());
    };
    let taken_in = engine.history.ingest(&records, None)?;
    pulled.records += taken_in.added + taken_in.updated;
    let mut deleted = BTreeSet::new();
    for record in &records {
        if engine.history.is_deleted(record.id)? {
            deleted.insert(record.id);
        }
    }
    records.retain(|record| !deleted.contains(&record.id));
    tracing::info!(records = records.len(), "following what was rewritten");
    let written = append::write(engine, batches_of(records), true, &[id.to_owned()], |_| {})?;
    let replaced_by = &mut segment.description.replaced_by;
    let known = replaced_by.len();
    replaced_by.extend(written.into_iter().filter(|id| !replaced_by.contains(id)).collect::<Vec<_>>());
    if replaced_by.len() > known {
        append::announce(engine, vec![segment])?;
    }
    engine.confirm_written()
}

/// Records as they are written anew. No number of the outbox is 0: what is queued of them stays so.
fn batches_of(mut records: Vec<Record>) -> Vec<Batch> {
    records.sort_by_key(|record| (record.started_at, record.id));
    cut(records.into_iter().map(|record| (0, record)).collect()).batches
}

/// A segment with all that its line in the index says.
pub(super) struct Whole {
    pub records: Vec<Record>,
    /// How far it was read, by session.
    read: BTreeMap<String, u64>,
}

/// Every record of a segment; none where not all of it is there or can be read.
pub(super) fn read_whole(engine: &Engine, segment: &Segment) -> Result<Option<Whole>, SyncError> {
    let ids = vec![segment.id.clone()];
    match engine.ask(&Exchange { ids, timeout_ms: engine.patience_ms() })?.outcomes.get(&segment.id) {
        Some(Outcome::Current | Outcome::Local) => {}
        Some(Outcome::Offline | Outcome::Late) => return Err(engine.lost_relay()),
        _ => return Ok(None),
    }
    let items = engine.ask(&Items { id: segment.id.clone(), after: BTreeMap::new() })?.items;
    if (items.len() as u64) < segment.description.entries {
        return Ok(None);
    }
    let mut read = BTreeMap::new();
    for (session, transaction, _) in &items {
        let read: &mut u64 = read.entry(session.clone()).or_default();
        *read = (*read).max(transaction + 1);
    }
    match open(engine, segment, &items)? {
        Opened::Records(records) => Ok(Some(Whole { records, read })),
        Opened::Damaged | Opened::Unreadable => Ok(None),
    }
}
