//! Names for addresses in the log, where they are asked for: the same for one day, and nothing that can be found out.
//!
//! They are hashes with a key that is random for each day (UTC) and is in memory only, so that whoever has yesterday's log and
//! all addresses of the world can tell nothing from it.

use std::sync::{Mutex, PoisonError};

use crate::clock;
use crate::relay::client::Client;

const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;
/// Letters of a name: enough that two clients of a day hardly ever share one.
const LENGTH: usize = 12;

/// The names of one day after the other.
#[derive(Default)]
pub(in crate::relay) struct Pseudonyms(Mutex<Option<(i64, [u8; 32])>>);

impl Pseudonyms {
    /// What a client is called today.
    pub(in crate::relay) fn of(&self, client: Client) -> String {
        self.at(client, clock::now().0.div_euclid(DAY_NS))
    }

    fn at(&self, client: Client, day: i64) -> String {
        let Client::Network(address) = client else { return "local".into() };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match *known {
            Some((of, key)) if of == day => key,
            _ => {
                let mut key = [0; 32];
                if getrandom::fill(&mut key).is_err() {
                    return "unnamed".into();
                }
                *known = Some((day, key));
                key
            }
        };
        let hash = blake3::keyed_hash(&key, address.to_string().as_bytes()).to_hex();
        hash[..LENGTH].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_one_name_a_day_that_says_nothing() {
        let (one, other) = (Pseudonyms::default(), Pseudonyms::default());
        let client = |text: &str| Client::at(text.parse().unwrap());
        let (a, b) = (client("198.51.100.7"), client("198.51.100.8"));
        let today = one.at(a, 1);
        assert_eq!(one.at(a, 1), today);
        assert_ne!(one.at(b, 1), today);
        assert_ne!(other.at(a, 1), today, "another relay calls him otherwise");
        assert_ne!(one.at(a, 2), today);
        assert_ne!(one.at(a, 1), today, "yesterday's key is gone");
        assert!(!today.contains("198"));
    }
}
