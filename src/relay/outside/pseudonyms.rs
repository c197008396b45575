//! Names for addresses in the log, where they are asked for: the same for one day, and nothing that can be found out.

use std::fmt::Write;

use crate::clock;
use crate::server::{Client, DailyHash};

/// Bytes of a name, each two letters: enough that two clients of a day hardly ever share one.
const LENGTH: usize = 6;

/// The names of one day after the other.
#[derive(Default)]
pub(in crate::relay) struct Pseudonyms(DailyHash);

impl Pseudonyms {
    /// What a client is called today.
    pub(in crate::relay) fn of(&self, client: Client) -> String {
        if client == Client::Local {
            return "local".into();
        }
        let Some(hash) = self.0.of(client, clock::now()) else { return "unnamed".into() };
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
}
