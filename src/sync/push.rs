//! From the outbox to the relay.
//!
//! A record leaves the outbox after two things are durable in the sync store: its entry, and the line of
//! the index that names the entry's segment. A crash before that sends it again in another entry; readers
//! unite by record id, so nobody sees it twice.

use std::collections::BTreeMap;

use super::engine::{Engine, Progress};
use super::index::{self, Description, Segment};
use super::month::Month;
use super::segment::{Batch, ENTRIES_IN_SEGMENT, SEGMENT_BYTES, cut};
use super::{SyncError, pull};
use crate::runtime::protocol::{Append, CreateSegment, Set};
use crate::seal::Purpose;

/// Pending records taken out of the outbox at a time.
const TAKE: usize = 5_000;

/// What went up.
#[derive(Default)]
pub(super) struct Pushed {
    pub records: u64,
    pub too_large: u64,
}

/// Moves everything in the outbox into the sync store; the SDK sends it on its way to the relay.
pub(super) fn push(engine: &mut Engine, progress: &mut dyn FnMut(Progress)) -> Result<Pushed, SyncError> {
    let mut pushed = Pushed::default();
    let total = engine.history.pending_count()?;
    loop {
        let pending = engine.history.pending(TAKE)?;
        if pending.is_empty() {
            return Ok(pushed);
        }
        let cut = cut(pending);
        if !cut.too_large.is_empty() {
            tracing::warn!(count = cut.too_large.len(), "records are too large to sync; they stay on this device");
            pushed.too_large += cut.too_large.len() as u64;
            engine.history.acknowledge(&cut.too_large)?;
        }
        let mut batches = cut.batches.into_iter().peekable();
        while let Some(first) = batches.next() {
            let month = first.month;
            let mut run = vec![first];
            let mut bytes = run[0].plaintext.len() as u64;
            while let Some(next) =
                batches.next_if(|next| next.month == month && bytes + next.plaintext.len() as u64 <= SEGMENT_BYTES)
            {
                bytes += next.plaintext.len() as u64;
                run.push(next);
            }
            write_run(engine, month, &run, &mut pushed)?;
            progress(Progress::Sending { done: pushed.records, total });
        }
    }
}

/// Writes batches of one month as one transaction.
fn write_run(engine: &mut Engine, month: Month, run: &[Batch], pushed: &mut Pushed) -> Result<(), SyncError> {
    let device = engine.device;
    let id = match open_segment(engine, month)? {
        Some(id) => id,
        None => engine.ask(&CreateSegment { month: Month::of((engine.now)()).first_day() })?.id,
    };
    let values =
        run.iter().map(|batch| engine.vault.seal(Purpose::History, &id, &batch.plaintext)).collect::<Result<_, _>>()?;
    let written = engine.ask(&Append { id: id.clone(), values })?;

    let known = engine.index.segments.iter().find(|s| s.id == id).map(|s| s.description.clone());
    let full = written.entries >= ENTRIES_IN_SEGMENT || written.bytes >= SEGMENT_BYTES;
    if known.as_ref().is_none_or(|description| description.full != full) {
        let unknown = known.map(|description| description.unknown).unwrap_or_default();
        let description = Description { month, entries: written.entries, full, unknown };
        let map = engine.registries.index.clone();
        let sealed = index::sealed(&engine.vault, &map, &id, &description)?;
        engine.ask(&Set { id: map.clone(), entries: BTreeMap::from([(id.clone(), sealed)]) })?;
        engine.wrote(map);
        engine.index.note(Segment { id: id.clone(), device, description });
    }

    engine.flush()?;
    let numbers: Vec<u64> = run.iter().flat_map(|batch| batch.numbers.iter().copied()).collect();
    engine.history.acknowledge(&numbers)?;
    pull::skip_own(engine, &id, written.transaction)?;
    pushed.records += numbers.len() as u64;
    engine.wrote(id);
    Ok(())
}

/// The segment that takes this session's entries of a month. A copy of this home may fill segments that
/// it began in another session: each has its own, so that a full one is never written to again.
fn open_segment(engine: &Engine, month: Month) -> Result<Option<String>, SyncError> {
    for segment in engine.index.open_segments(engine.device, month) {
        if engine.writes_to(&segment.id)? {
            return Ok(Some(segment.id.clone()));
        }
    }
    Ok(None)
}
