//! From the outbox to the relay.
//!
//! A record leaves the outbox after two things are durable in the sync store: its entry, and the line of
//! the index that names the entry's segment. A crash before that sends it again in another entry; readers
//! unite by record id, so nobody sees it twice. What is not to go up leaves the outbox too, and lies in no segment.

use super::engine::{Engine, Progress};
use super::retention::{outgoing, reconsider};
use super::segment::cut;
use super::selection::Selection;
use super::{SyncError, append};

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
    let selection = Selection::begin(engine)?;
    let window = reconsider(engine)?;
    let total = engine.history.pending_count()?;
    let mut passed = 0;
    loop {
        let pending = engine.history.pending(TAKE)?;
        if pending.is_empty() {
            return Ok(pushed);
        }
        let (pending, outside): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|(_, record)| window.holds(record.started_at));
        let outside: Vec<u64> = outside.into_iter().map(|(number, _)| number).collect();
        engine.history.leave_outside(&outside, engine.device)?;
        passed += outside.len() as u64;
        let mut stay = Vec::new();
        let mut go = Vec::with_capacity(pending.len());
        // Whole, as it is here: what would be cut off may be what must not leave.
        for (number, record) in selection.pass(engine, pending)? {
            match outgoing(&engine.settings, record) {
                Some(record) => go.push((number, record)),
                None => stay.push(number),
            }
        }
        let cut = cut(go);
        if !cut.too_large.is_empty() {
            tracing::warn!(count = cut.too_large.len(), "records are too large to sync; they stay on this device");
            pushed.too_large += cut.too_large.len() as u64;
            stay.extend(cut.too_large);
        }
        engine.history.acknowledge(&stay)?;
        passed += stay.len() as u64;
        append::write(engine, cut.batches, false, &[], |run| {
            pushed.records += run.iter().map(|batch| batch.sent.len() as u64).sum::<u64>();
            progress(Progress::Sending { done: passed + pushed.records, total });
        })?;
    }
}
