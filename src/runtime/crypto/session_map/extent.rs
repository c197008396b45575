//! How much a CoValue takes up, kept up to date as it grows: whoever bounds it need not go through its sessions.

/// Bytes that a transaction, and a session, take up in memory besides what they say: the script has objects for them.
const OF_TRANSACTION: usize = 200;
const OF_SESSION: usize = 1_000;

/// How much a CoValue takes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of the canonical JSON of its header and transactions, with some for each transaction and session.
    pub bytes: usize,
    /// Bytes of the names of its sessions: messages about it name all of them.
    pub names: usize,
}

impl Extent {
    /// One with this header and nothing else.
    pub(super) fn of(header: &str) -> Self {
        Self { bytes: header.len(), names: 0 }
    }

    /// A session was begun.
    pub(super) fn add_session(&mut self, id: &str) {
        self.bytes = self.bytes.saturating_add(OF_SESSION);
        self.names = self.names.saturating_add(id.len());
    }

    /// So many transactions came, with so many bytes of JSON.
    pub(super) fn add_transactions(&mut self, count: usize, bytes: usize) {
        self.bytes = self.bytes.saturating_add(count.saturating_mul(OF_TRANSACTION)).saturating_add(bytes);
    }
}
