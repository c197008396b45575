//! Names for addresses in the log, where they are asked for: the same for one day, and nothing that can be found out.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use crate::clock;
use crate::relay::pace::Bucket;
use crate::server::{Client, DailyHash};

/// Bytes of a name, each two letters: enough that two clients of a day hardly ever share one.
const LENGTH: usize = 6;

/// So many lines of a kind the log gets in a second, and so many seconds' worth at once: a flood would fill a disk.
const A_SECOND: f64 = 2.0;
const BURST: f64 = 60.0;

/// The names of one day after the other, as far as the log may still name anybody.
pub(in crate::relay) struct Pseudonyms {
    names: DailyHash,
    refused: Mutex<Bucket>,
    welcome: Mutex<Bucket>,
}

impl Default for Pseudonyms {
    fn default() -> Self {
        let lines = || Mutex::new(Bucket::new(A_SECOND, BURST));
        Self { names: DailyHash::default(), refused: lines(), welcome: lines() }
    }
}

impl Pseudonyms {
    /// What a client is called today that is not taken in; none where there were too many.
    pub(in crate::relay) fn of_refused(&self, client: Client) -> Option<String> {
        self.within(&self.refused, client)
    }

    /// The same of one that is.
    pub(in crate::relay) fn of_welcome(&self, client: Client) -> Option<String> {
        self.within(&self.welcome, client)
    }

    fn within(&self, lines: &Mutex<Bucket>, client: Client) -> Option<String> {
        let is_one_more = lines.lock().unwrap_or_else(PoisonError::into_inner).take_one();
        is_one_more.then(|| self.of(client))
    }

    fn of(&self, client: Client) -> String {
        if client == Client::Local {
            return "local".into();
        }
        let Some(hash) = self.names.of(client, clock::now()) else { return "unnamed".into() };
        hash.iter().take(LENGTH).fold(String::new(), |mut name, byte| {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
            name
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_one_client_from_another_and_no_address() {
        let names = Pseudonyms::default();
        let name = |text: &str| names.of(Client::at(text.parse().unwrap()));
        assert_eq!(name("198.51.100.7"), name("198.51.100.7"));
        assert_ne!(name("198.51.100.7"), name("198.51.100.8"));
        assert!(name("198.51.100.7").len() == 12 && !name("198.51.100.7").contains("198.51"));
        assert_eq!(name("127.0.0.1"), "local");
    }

    #[test]
    fn a_flood_of_refusals_has_an_end_in_the_log_and_hides_nobody_who_came() {
        let names = Pseudonyms::default();
        let client = Client::at("198.51.100.7".parse().unwrap());
        let named = (0..100_000).filter(|_| names.of_refused(client).is_some()).count();
        assert!((120..1_000).contains(&named), "{named}");
        assert_eq!(names.of_welcome(client), Some(names.of(client)));
    }
}
