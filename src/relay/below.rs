//! The relays below this one. Each has a name at random for as long as it runs, and tells the one above its own and those of
//! the relays below it when it connects. One that meets its own name is in a circle, where each would wait for the others.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More relays than anybody has below each other, in all and behind one connection; what somebody made up is no longer.
const MOST: usize = 256;
const OF_ONE: usize = 64;
/// The length of a name.
const LENGTH: usize = 16;

/// This relay, and those that are connected below it.
pub(super) struct Below {
    own: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    next: u64,
    /// The oldest connection first, each with the names in the order in which it told them: its own is the first.
    by_connection: BTreeMap<u64, Vec<String>>,
}

/// The relays behind one connection, until this is dropped.
pub(super) struct Behind {
    below: Arc<Below>,
    connection: u64,
}

impl Below {
    /// Of a relay that starts now.
    pub(super) fn new() -> std::io::Result<Arc<Self>> {
        let mut random = [0; LENGTH / 2];
        getrandom::fill(&mut random).map_err(|_| std::io::Error::other("the system gives no random data"))?;
        let own = format!("{:016x}", u64::from_le_bytes(random));
        Ok(Arc::new(Self { own, known: Mutex::default() }))
    }

    /// What it tells the relay above. Anybody may call himself a relay, so each connection has its turn: with many names of one
    /// client those of others are still told.
    pub(super) fn names(&self) -> String {
        let known = self.known();
        let turn = |place: usize| known.by_connection.values().filter_map(move |names| names.get(place));
        let mut seen = HashSet::new();
        let all = (0..OF_ONE).flat_map(turn).map(String::as_str).filter(|name| seen.insert(*name));
        let names: Vec<&str> = std::iter::once(self.own.as_str()).chain(all).take(MOST).collect();
        names.join(",")
    }

    /// A relay connects that tells these; none where this one is among them.
    pub(super) fn enter(self: &Arc<Self>, names: &str) -> Option<Behind> {
        let is_name = |name: &&str| name.len() == LENGTH && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let names = || names.split(',').map(str::trim).filter(is_name);
        if names().take(MOST).any(|name| name == self.own) {
            return None;
        }
        let names = names().take(OF_ONE).map(str::to_owned).collect();
        let mut known = self.known();
        let connection = known.next;
        known.next += 1;
        known.by_connection.insert(connection, names);
        Some(Behind { below: self.clone(), connection })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.below.known().by_connection.remove(&self.connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_meets_its_own_name_is_in_a_circle_however_long_it_is() {
        let [a, b, c] = [(); 3].map(|()| Below::new().unwrap());
        assert!(a.enter(&a.names()).is_none());
        let behind_b = b.enter(&a.names()).unwrap();
        let behind_c = c.enter(&b.names()).unwrap();
        assert!(a.enter(&c.names()).is_none() && b.enter(&c.names()).is_none());
        drop((behind_b, behind_c));
        assert!(a.enter(&c.names()).is_some(), "who has left is not below any more");
        assert_eq!(c.names(), c.own);
    }

    #[test]
    fn what_is_no_name_is_left_out() {
        let below = Below::new().unwrap();
        let many = (0..1_000).map(|number| format!("{number:016x}")).collect::<Vec<_>>().join(",");
        let _many = below.enter(&many).unwrap();
        let _none = below.enter("x,,\u{e9},0123456789abcdef0,<script>").unwrap();
        assert_eq!(below.names().split(',').count(), 1 + OF_ONE);
    }

    #[test]
    fn with_names_that_somebody_made_up_those_of_others_are_still_told() {
        let [relay, lower] = [(); 2].map(|()| Below::new().unwrap());
        let made_up =
            |from: usize| (from..from + OF_ONE).map(|number| format!("{number:016x}")).collect::<Vec<_>>().join(",");
        let _many: Vec<_> = (0..10).map(|client| relay.enter(&made_up(client * OF_ONE)).unwrap()).collect();
        let _lower = relay.enter(&lower.names()).unwrap();
        let _more: Vec<_> = (10..20).map(|client| relay.enter(&made_up(client * OF_ONE)).unwrap()).collect();
        assert_eq!(relay.names().split(',').count(), MOST);
        assert!(lower.enter(&relay.names()).is_none(), "the circle is noticed");
    }
}
