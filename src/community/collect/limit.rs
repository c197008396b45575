//! How many requests are taken from one address in an hour.
//!
//! Who asked is remembered by a hash, with a key that is new every day and in memory only, and until the hour is over.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::history::UnixNanos;
use crate::server::{Client, DailyHash};

const HOUR_NS: i64 = 3_600_000_000_000;
/// So many addresses are counted in an hour; others than these have to wait for the next.
const ADDRESSES: usize = 1 << 18;

/// What a request is for; each is counted by itself, so that no flood of reports keeps anybody from revoking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    Report,
    Revocation,
}

/// The limit, and what came in this hour.
pub(super) struct Limit {
    an_hour: u32,
    hashes: DailyHash,
    hour: Mutex<Hour>,
}

/// What came in an hour.
#[derive(Default)]
struct Hour {
    number: i64,
    came: HashMap<([u8; 32], Purpose), u32>,
    refused: u64,
}

impl Limit {
    /// So many from one address, for each purpose.
    pub(super) fn new(an_hour: u32) -> Self {
        Self { an_hour, hashes: DailyHash::default(), hour: Mutex::default() }
    }

    /// Counts a request, and says whether it is one that may be.
    pub(super) fn admits(&self, client: Client, purpose: Purpose, now: UnixNanos) -> bool {
        let mut hour = self.hour(now);
        let is_full = hour.came.len() >= ADDRESSES;
        let Some(hash) = self.hashes.of(client, now) else { return false };
        let is_admitted = match hour.came.get_mut(&(hash, purpose)) {
            Some(came) => {
                *came = came.saturating_add(1);
                *came <= self.an_hour
            }
            None if is_full => false,
            None => {
                hour.came.insert((hash, purpose), 1);
                self.an_hour > 0
            }
        };
        hour.refused += u64::from(!is_admitted);
        is_admitted
    }

    /// Forgets who came, once that was in another hour; to be called now and then, since it may be long until somebody comes.
    pub(super) fn forget(&self, now: UnixNanos) {
        drop(self.hour(now));
        self.hashes.forget(now);
    }

    /// The hour of this time, with what came in it.
    fn hour(&self, now: UnixNanos) -> MutexGuard<'_, Hour> {
        let mut hour = self.hour.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.0.div_euclid(HOUR_NS);
        if hour.number != number {
            if hour.refused > 0 {
                tracing::info!(count = hour.refused, "requests of the last hour were too many from their addresses");
            }
            *hour = Hour { number, ..Hour::default() };
        }
        hour
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Client {
        Client::at(text.parse().unwrap())
    }

    #[test]
    fn one_address_waits_for_the_next_hour_and_others_do_not() {
        let (limit, now) = (Limit::new(2), UnixNanos(HOUR_NS * 500_000));
        let admits = |client: &str, now| limit.admits(at(client), Purpose::Report, now);
        assert!(admits("198.51.100.7", now) && admits("198.51.100.7", now) && !admits("198.51.100.7", now));
        assert!(admits("198.51.100.8", now));
        assert!(limit.admits(at("198.51.100.7"), Purpose::Revocation, now), "revoking is counted by itself");
        // Who has a network of addresses is one.
        assert!(admits("2001:db8:1:2::1", now) && admits("2001:db8:1:2::2", now) && !admits("2001:db8:1:2:3::", now));
        assert!(admits("2001:db8:1:3::1", now));
        assert!(admits("198.51.100.7", UnixNanos(now.0 + HOUR_NS)));
    }

    #[test]
    fn nothing_is_remembered_longer_than_an_hour() {
        let (limit, now) = (Limit::new(2), UnixNanos(HOUR_NS * 500_000));
        for number in 0..100 {
            limit.admits(at(&format!("198.51.100.{number}")), Purpose::Report, now);
        }
        assert_eq!(limit.hour.lock().unwrap().came.len(), 100);
        limit.admits(at("203.0.113.1"), Purpose::Report, UnixNanos(now.0 + HOUR_NS));
        assert_eq!(limit.hour.lock().unwrap().came.len(), 1);
        // Nor where nobody comes any more.
        limit.forget(UnixNanos(now.0 + HOUR_NS));
        assert_eq!(limit.hour.lock().unwrap().came.len(), 1, "it is the same hour");
        limit.forget(UnixNanos(now.0 + 2 * HOUR_NS));
        assert!(limit.hour.lock().unwrap().came.is_empty());
    }
}
