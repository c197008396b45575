//! Segments written anew: without the records that were deleted, or with many small entries as few large ones.
//!
//! Whoever finds such a segment writes what stays to a segment of his own, in the same line-up of the index says
//! that the old one is gone, and erases it once the relay has both. Two devices that do so at once do no
//! harm: readers unite by record id. So that not all of them do, deleted records are for whoever deleted them and for the
//! segment's writer; others step in after a while, should neither have come so far. What the old segment's writer added meanwhile goes up again from his own
//! history (see `gone`). A segment that cannot be read whole is left as it is.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::engine::Engine;
use super::index::{Description, ERASED, Segment};
use super::month::Month;
use super::pull::{LINES, Opened, key, open};
use super::segment::{RECORDS_IN_ENTRY, cut};
use super::{SyncError, append};
use crate::history::{Record, UnixNanos};
use crate::runtime::protocol::{Exchange, Items, Outcome, Release};

/// A full segment is compacted if its entries hold fewer records than this on average.
const SPARSE: u64 = RECORDS_IN_ENTRY as u64 / 5;
/// How long a device has known of another one's deletion before it rewrites for it, nanoseconds.
const PATIENCE: i64 = 600_000_000_000;
/// Segments of one month that this device left open in earlier sessions.
const LEFT_OPEN: usize = 3;

/// Rewrites whatever has to be.
pub(super) fn run(engine: &mut Engine) -> Result<(), SyncError> {
    let mut due: BTreeMap<Month, Vec<Segment>> = BTreeMap::new();
    let holding: BTreeSet<String> = engine.history.segments_with_deleted()?.into_iter().collect();
    let now = (engine.now)();
    let since = UnixNanos(now.0.saturating_sub(PATIENCE));
    let ours: BTreeSet<String> = engine.history.segments_with_deleted_outside(since, now)?.into_iter().collect();
    let loose = loose(engine)?;
    for segment in engine.index.live() {
        let own = segment.device == engine.device;
        let holds_deleted = if own { &holding } else { &ours }.contains(&segment.id);
        if holds_deleted || loose.contains(&segment.id) {
            due.entry(segment.description.month).or_default().push(segment.clone());
        }
    }
    for segments in due.into_values().rev() {
        // A bounded number at a time, since all of their records are in memory.
        for some in segments.chunks(LEFT_OPEN + 1) {
            rewrite(engine, some)?;
        }
    }
    Ok(())
}

/// Segments of this device that take more room than their records need.
fn loose(engine: &Engine) -> Result<BTreeSet<String>, SyncError> {
    let this_month = Month::of((engine.now)());
    let mut loose = BTreeSet::new();
    let mut left: BTreeMap<Month, Vec<String>> = BTreeMap::new();
    for segment in engine.index.live().filter(|segment| segment.device == engine.device) {
        let Description { month, full, entries, compact, .. } = segment.description;
        if full {
            let records = engine.history.records_in(&segment.id)?.len() as u64;
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

/// Writes what stays of segments of one month to another one, and says in the index that they are gone.
fn rewrite(engine: &mut Engine, segments: &[Segment]) -> Result<(), SyncError> {
    let mut stay: BTreeMap<Uuid, Record> = BTreeMap::new();
    let mut gone = Vec::new();
    for segment in segments {
        let Some(records) = read_whole(engine, segment)? else {
            tracing::warn!("a segment cannot be read whole and is not rewritten");
            continue;
        };
        for record in records {
            if engine.history.is_deleted(record.id)? {
                continue;
            }
            match stay.get(&record.id) {
                Some(other) if !record.supersedes(other) => {}
                _ => drop(stay.insert(record.id, record)),
            }
        }
        gone.push(segment.clone());
    }
    let ids: Vec<String> = gone.iter().map(|segment| segment.id.clone()).collect();
    tracing::info!(segments = ids.len(), records = stay.len(), "rewriting part of the history");
    let mut records: Vec<Record> = stay.into_values().collect();
    records.sort_by_key(|record| (record.started_at, record.id));
    // No number of the outbox is 0: what is queued of them stays so.
    let batches = cut(records.into_iter().map(|record| (0, record)).collect()).batches;
    append::write(engine, batches, true, &ids, |_| {})?;
    let lines: Vec<Segment> = gone.iter().map(|segment| segment.gone(ERASED)).collect();
    for lines in lines.chunks(LINES) {
        append::announce(engine, lines.to_vec())?;
    }
    engine.flush()?;
    for segment in &gone {
        let only = (segment.device != engine.device).then_some(engine.device);
        engine.history.release_segment(&segment.id, &key(&segment.id, ""), only, None)?;
    }
    engine.ask(&Release { ids })?;
    Ok(())
}

/// Every record of a segment; none where not all of it is there or can be read.
pub(super) fn read_whole(engine: &Engine, segment: &Segment) -> Result<Option<Vec<Record>>, SyncError> {
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
    match open(engine, segment, &items)? {
        Opened::Records(records) => Ok(Some(records)),
        Opened::Damaged | Opened::Unreadable => Ok(None),
    }
}
