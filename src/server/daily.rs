//! Hashes of addresses that are the same for one day, and from which nothing can be found out afterwards.
//!
//! The key is random for each day (UTC) and is in memory only, so that whoever has yesterday's hashes and all addresses of the
//! world can tell nothing from them.

use std::sync::{Mutex, PoisonError};

use super::client::Client;
use crate::history::UnixNanos;

const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// The hashes of one day after the other.
#[derive(Default)]
pub(crate) struct DailyHash(Mutex<Option<(i64, [u8; 32])>>);

impl DailyHash {
    /// The hash of a client on the day of this time; none where the system gives no random data.
    pub(crate) fn of(&self, client: Client, at: UnixNanos) -> Option<[u8; 32]> {
        let day = at.0.div_euclid(DAY_NS);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match *known {
            Some((of, key)) if of == day => key,
            _ => {
                let mut key = [0; 32];
                getrandom::fill(&mut key).ok()?;
                *known = Some((day, key));
                key
            }
        };
        let name = match client {
            Client::Local => "local".to_owned(),
            Client::Network(address) => address.to_string(),
        };
        Some(*blake3::keyed_hash(&key, name.as_bytes()).as_bytes())
    }

    /// Throws the key away if it is not of the day of this time.
    pub(crate) fn forget(&self, at: UnixNanos) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some_and(|(of, _)| of != at.0.div_euclid(DAY_NS)) {
            *known = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_one_hash_a_day_that_says_nothing() {
        let (one, other) = (DailyHash::default(), DailyHash::default());
        let client = |text: &str| Client::at(text.parse().unwrap());
        let (a, b) = (client("198.51.100.7"), client("198.51.100.8"));
        let (monday, tuesday) = (UnixNanos(0), UnixNanos(DAY_NS));
        let today = one.of(a, monday);
        assert_eq!(one.of(a, UnixNanos(DAY_NS - 1)), today);
        assert_ne!(one.of(b, monday), today);
        assert_ne!(other.of(a, monday), today, "another server calls him otherwise");
        assert_ne!(one.of(a, tuesday), today);
        assert_ne!(one.of(a, monday), today, "yesterday's key is gone");
    }

    #[test]
    fn a_key_goes_with_its_day_although_nobody_comes() {
        let hashes = DailyHash::default();
        let client = Client::at("198.51.100.7".parse().unwrap());
        let today = hashes.of(client, UnixNanos(0));
        hashes.forget(UnixNanos(DAY_NS - 1));
        assert_eq!(hashes.of(client, UnixNanos(0)), today);
        hashes.forget(UnixNanos(DAY_NS));
        assert!(hashes.0.lock().unwrap().is_none());
    }
}
