//! What is told of an exchange: how far it has come, and what it did.

use serde::{Deserialize, Serialize};

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Segments are coming down, the newest month first.
    Receiving {
        /// The month that is being read, as a number: 202611.
        month: u32,
        /// Records stored so far.
        records: u64,
        /// Segments read.
        done: u64,
        /// Segments to read.
        total: u64,
    },
    /// What is here is compared with what the relay has.
    Comparing {
        /// Segments compared.
        done: u64,
        /// Segments to compare.
        total: u64,
    },
    /// Records are going up.
    Sending {
        /// Records in the sync store.
        done: u64,
        /// Records to send.
        total: u64,
    },
    /// Waiting until the relay has confirmed everything.
    Confirming,
}

/// What an exchange did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Records that went up.
    pub sent: u64,
    /// Records that came down and were new here.
    pub received: u64,
    /// Records that still wait to go up.
    pub pending: u64,
    /// Records that are too large to leave this device.
    pub too_large: u64,
    /// Parts of the history that other devices have announced and the relay does not have yet.
    pub missing: u64,
    /// Parts of the history that only a newer version can read.
    pub unreadable: u64,
    /// Devices of which the relay holds back something that they say they have written.
    pub withheld: u64,
}
