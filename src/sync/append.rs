//! Writing sealed entries to this device's segments.
//!
//! A segment is announced in the index before anything is written to it, and what was written counts only when
//! both are on disk. So no entry is ever in a segment that nobody knows, where nobody could erase it.

use std::collections::{BTreeMap, BTreeSet};

use super::engine::Engine;
use super::index::{self, Description, ERASED, Segment};
use super::month::Month;
use super::segment::{Batch, ENTRIES_IN_SEGMENT, SEGMENT_BYTES, TRANSACTION_BYTES};
use super::{SyncError, pull};
use crate::history::Cursor;
use crate::runtime::IsolateError;
use crate::runtime::protocol::{Append, CreateSegment, Exchange, FailureCode, Outcome, Set};
use crate::seal::Purpose;

/// Writes batches into segments of their months, as few transactions as the bounds allow. None goes into
/// a segment of `not`. `each` hears what has been written. Returns the segments.
pub(super) fn write(
    engine: &mut Engine,
    batches: Vec<Batch>,
    compact: bool,
    not: &[String],
    mut each: impl FnMut(&[Batch]),
) -> Result<BTreeSet<String>, SyncError> {
    let mut segments = BTreeSet::new();
    let this_month = Month::of((engine.now)());
    let mut batches = batches.into_iter().peekable();
    while let Some(first) = batches.next() {
        let month = first.month;
        let mut bytes = first.plaintext.len() as u64;
        let mut run = vec![first];
        while let Some(next) =
            batches.next_if(|next| next.month == month && bytes + next.plaintext.len() as u64 <= TRANSACTION_BYTES)
        {
            bytes += next.plaintext.len() as u64;
            run.push(next);
        }
        // What belongs to a month that is over comes seldom: one segment takes it all.
        loop {
            let segment = target(engine, month, compact || month < this_month, not)?;
            if write_run(engine, &segment, &run)? {
                segments.insert(segment.id);
                break;
            }
            // Another device has rewritten it at this moment.
            engine.index.note(segment.gone(ERASED));
        }
        each(&run);
    }
    Ok(segments)
}

/// Writes batches of one month as one transaction; false where the segment has been erased.
fn write_run(engine: &mut Engine, segment: &Segment, run: &[Batch]) -> Result<bool, SyncError> {
    let id = &segment.id;
    let values =
        run.iter().map(|batch| engine.vault.seal(Purpose::History, id, &batch.plaintext)).collect::<Result<_, _>>()?;
    let written = match engine.ask(&Append { id: id.clone(), values }) {
        Ok(written) => written,
        Err(error) if is_misuse(&error) && is_erased(engine, id)? => return Ok(false),
        Err(error) => return Err(error),
    };
    if written.entries >= ENTRIES_IN_SEGMENT || written.bytes >= SEGMENT_BYTES {
        let newest = run.iter().map(|batch| batch.newest.0).max().max(segment.description.newest);
        let description = Description { entries: written.entries, full: true, newest, ..segment.description.clone() };
        announce(engine, vec![Segment { description, ..segment.clone() }])?;
    }
    engine.wrote(id.clone());
    engine.flush()?;
    let sent: Vec<_> = run.iter().flat_map(|batch| batch.sent.iter().copied()).collect();
    let key = pull::key(id, &engine.session);
    let position = pull::own_position(engine, &key, written.transaction)?;
    let cursor = position.map(|value| Cursor { key: &key, value });
    engine.history.acknowledge_in(id, &sent, cursor)?;
    Ok(true)
}

fn is_misuse(error: &SyncError) -> bool {
    matches!(error, SyncError::Engine(IsolateError::Failed(failure)) if failure.code == FailureCode::Misuse)
}

fn is_erased(engine: &Engine, id: &str) -> Result<bool, SyncError> {
    let asked = Exchange { ids: vec![id.to_owned()], timeout_ms: engine.patience_ms() };
    Ok(engine.ask(&asked)?.outcomes.get(id) == Some(&Outcome::Deleted))
}

/// The segment that takes this session's entries of a month, but none of `not`. A copy of this home may fill segments
/// that it began in another session: each has its own, so that a full one is never written to again.
fn target(engine: &mut Engine, month: Month, compact: bool, not: &[String]) -> Result<Segment, SyncError> {
    for segment in engine.index.open_segments(engine.device, month, compact) {
        if !not.contains(&segment.id) && engine.writes_to(&segment.id)? {
            return Ok(segment.clone());
        }
    }
    let id = engine.ask(&CreateSegment { month: Month::of((engine.now)()).first_day() })?.id;
    let segment = Segment { id, device: engine.device, description: Description::new(month, compact) };
    announce(engine, vec![segment.clone()])?;
    // Also where the first write does not come to its end, this session goes on in it.
    let key = pull::key(&segment.id, &engine.session);
    engine.history.ingest(&[], Some(Cursor { key: &key, value: 0 }))?;
    Ok(segment)
}

/// Puts lines into the index, all of them in one transaction.
pub(super) fn announce(engine: &mut Engine, segments: Vec<Segment>) -> Result<(), SyncError> {
    if segments.is_empty() {
        return Ok(());
    }
    let map = engine.registries.index.clone();
    let mut entries = BTreeMap::new();
    for segment in &segments {
        let sealed = index::sealed(&engine.vault, &map, &segment.id, &segment.description)?;
        entries.insert(segment.id.clone(), sealed);
    }
    engine.ask(&Set { id: map.clone(), entries })?;
    engine.wrote(map);
    for segment in segments {
        engine.index.note(segment);
    }
    Ok(())
}
