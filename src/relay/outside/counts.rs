//! What a relay counts while it serves: numbers that any thread adds to without waiting for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

use crate::relay::refusal::Refusal;
use crate::runtime::{Ending, Queue};

/// Limits of the buckets of what takes time, in seconds.
const BUCKETS: [f64; 12] = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0];

/// A number that only grows, or one that goes up and down.
#[derive(Debug, Default)]
pub(in crate::relay) struct Count(AtomicU64);

impl Count {
    pub(in crate::relay) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn subtract(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Frames one way.
#[derive(Debug, Default)]
pub(in crate::relay) struct Traffic {
    pub(super) frames: Count,
    pub(super) messages: Count,
    pub(super) bytes: Count,
}

impl Traffic {
    /// One more frame.
    pub(in crate::relay) fn passed(&self, bytes: usize) {
        self.frames.add(1);
        self.bytes.add(bytes as u64);
    }

    /// So many messages more in frames.
    pub(in crate::relay) fn brought(&self, messages: usize) {
        self.messages.add(messages as u64);
    }
}

/// All that is counted.
#[derive(Debug)]
pub(in crate::relay) struct Counts {
    /// WebSockets that are open.
    pub(super) connections: Count,
    /// WebSockets that were opened.
    pub(super) opened: Count,
    refused: [Count; Refusal::ALL.len()],
    sent_away: [Count; Ending::ALL.len()],
    pub(in crate::relay) incoming: Traffic,
    pub(in crate::relay) outgoing: Traffic,
    /// Frames that the engine has not taken yet.
    pub(super) waiting: Traffic,
    /// How long each has waited.
    pub(super) waits: Histogram,
    /// How long changes took until they were confirmed.
    pub(super) confirmations: Histogram,
    /// How long the engine took to answer a question that is nothing.
    pub(super) answers: Histogram,
    /// Bytes of the engine's heap, as it was measured last.
    pub(super) heap: Count,
    /// Bytes of content in memory, as it was measured last.
    pub(super) content: Count,
    /// Turns of the engine that took too long.
    pub(super) hangs: Count,
    /// Accounts that were erased since nobody used them.
    pub(in crate::relay) forgotten: Count,
    /// How often something was erased from the store.
    pub(in crate::relay) erasures: Count,
}

impl Counts {
    pub(in crate::relay) fn new() -> Arc<Self> {
        Arc::new(Self {
            connections: Count::default(),
            opened: Count::default(),
            refused: Default::default(),
            sent_away: Default::default(),
            incoming: Traffic::default(),
            outgoing: Traffic::default(),
            waiting: Traffic::default(),
            waits: Histogram::new(BUCKETS),
            confirmations: Histogram::new(BUCKETS),
            answers: Histogram::new(BUCKETS),
            heap: Count::default(),
            content: Count::default(),
            hangs: Count::default(),
            forgotten: Count::default(),
            erasures: Count::default(),
        })
    }

    /// A change was confirmed that came so long ago.
    pub(in crate::relay) fn confirmed(&self, took: Duration) {
        self.confirmations.observe(took.as_secs_f64());
    }

    /// Somebody was not taken in.
    pub(in crate::relay) fn refused(&self, why: Refusal) {
        self.refused[why as usize].add(1);
    }

    /// How many were not taken in, by reason.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refusal::ALL.iter().zip(&self.refused).map(|(why, count)| (why.name(), count.get()))
    }

    /// Somebody who was taken in was sent away.
    pub(in crate::relay) fn sent_away(&self, why: Ending) {
        self.sent_away[why as usize].add(1);
    }

    /// How many were sent away, by reason.
    pub(super) fn endings(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Ending::ALL.iter().zip(&self.sent_away).map(|(why, count)| (why.name(), count.get()))
    }

    /// One more WebSocket, until the result is dropped.
    pub(in crate::relay) fn connected(self: &Arc<Self>) -> Connected {
        self.connections.add(1);
        self.opened.add(1);
        Connected(self.clone())
    }
}

/// One WebSocket among those that are counted.
pub(in crate::relay) struct Connected(Arc<Counts>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.subtract(1);
    }
}

impl Queue for Counts {
    fn came(&self, bytes: usize) {
        self.waiting.passed(bytes);
    }

    fn left(&self, bytes: usize, waited: Duration) {
        self.waiting.frames.subtract(1);
        self.waiting.bytes.subtract(bytes as u64);
        self.waits.observe(waited.as_secs_f64());
    }
}
