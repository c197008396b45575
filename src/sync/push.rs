//! From the outbox to the relay.
//!
//! A record leaves the outbox after two things are durable in the sync store: its entry, and the line of
//! the index that names the entry's segment. A crash before that sends it again in another entry; readers
//! unite by record id, so nobody sees it twice.

use super::engine::{Engine, Progress};
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
    let total = engine.history.pending_count()?;
    loop {
        let pending = engine.history.pending(TAKE)?;
        if pending.is_empty() {
            return Ok(pushed);
        }
        let pending = selection.pass(engine, pending)?;
        let cut = cut(pending);
        if !cut.too_large.is_empty() {
            tracing::warn!(count = cut.too_large.len(), "records are too large to sync; they stay on this device");
            pushed.too_large += cut.too_large.len() as u64;
            engine.history.acknowledge(&cut.too_large)?;
        }
        append::write(engine, cut.batches, false, &[], |run| {
            pushed.records += run.iter().map(|batch| batch.sent.len() as u64).sum::<u64>();
            progress(Progress::Sending { done: pushed.records, total });
        })?;
    }
}
