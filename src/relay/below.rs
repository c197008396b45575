//! The relays below this one. Each has a name at random for as long as it runs, and tells the one above its own and those of
//! the relays below it when it connects. One that meets its own name is in a circle, where each would wait for the others.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// More relays than anybody has below each other; what somebody made up is no longer.
const MOST: usize = 64;
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
    by_connection: HashMap<u64, BTreeSet<String>>,
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

    /// What it tells the relay above.
    pub(super) fn names(&self) -> String {
        let known = self.known();
        let all: BTreeSet<&str> = known.by_connection.values().flatten().map(String::as_str).collect();
        let names: Vec<&str> = std::iter::once(self.own.as_str()).chain(all).take(MOST).collect();
        names.join(",")
    }

    /// A relay connects that tells these; none where this one is among them.
    pub(super) fn enter(self: &Arc<Self>, names: &str) -> Option<Behind> {
        let is_name = |name: &&str| name.len() == LENGTH && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let names: BTreeSet<String> =
            names.split(',').map(str::trim).filter(is_name).take(MOST).map(str::to_owned).collect();
        if names.contains(&self.own) {
            return None;
        }
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
        assert_eq!(below.names().split(',').count(), MOST);
    }
}
