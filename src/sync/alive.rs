//! Which devices still take part, so that of several that could do something one does it, and nobody waits for a dead one.
//!
//! A device counts as gone when it was taken out, or has not been in sync for [`SILENCE`]. It may still come back: what others do in its place
//! harms nothing then, it is only done twice.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::engine::Engine;
use super::{SyncError, trusted_time};
use crate::history::UnixNanos;

/// How long a device may be silent until others act in its place, nanoseconds: a week.
pub(super) const SILENCE: i64 = 7 * 86_400_000_000_000;

/// The devices of the account, by what they have shown of themselves.
pub(super) struct Alive {
    /// The time that counts.
    pub now: UnixNanos,
    own: Uuid,
    /// The other devices, and whether they still take part.
    others: BTreeMap<Uuid, bool>,
}

impl Alive {
    /// As of now.
    pub(super) fn of(engine: &Engine) -> Result<Self, SyncError> {
        let now = trusted_time::at(&engine.history, (engine.now)())?;
        Ok(Self::at(now, engine.device, engine.devices.others(engine.device)))
    }

    fn at(now: UnixNanos, own: Uuid, others: Vec<(Uuid, Option<i64>, bool)>) -> Self {
        // One of which nobody can say when it was there may be of another version, and well.
        let alive =
            |last: Option<i64>, removed: bool| !removed && last.is_none_or(|at| now.0.saturating_sub(at) < SILENCE);
        let others = others.into_iter().map(|(id, last, removed)| (id, alive(last, removed))).collect();
        Self { now, own, others }
    }

    /// Whether a device still takes part. One that is not among the devices of the account does not.
    pub(super) fn is_alive(&self, device: Uuid) -> bool {
        device == self.own || self.others.get(&device).copied().unwrap_or(false)
    }

    /// How many of those that take part come before this device in the order of their ids.
    pub(super) fn rank(&self) -> i64 {
        i64::try_from(self.others.range(..self.own).filter(|(_, alive)| **alive).count()).unwrap_or(i64::MAX)
    }

    /// Whether it falls to this device to keep the segments of another one in order: the first of those that take part.
    pub(super) fn acts_for(&self, device: Uuid) -> bool {
        device == self.own || (self.rank() == 0 && !self.is_alive(device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_those_that_are_heard_of_acts_for_those_that_are_not() {
        let id = Uuid::from_u128;
        let now = UnixNanos(10 * SILENCE);
        let lately = Some(now.0 - SILENCE + 1);
        let long_ago = Some(now.0 - SILENCE);
        let others =
            vec![(id(1), long_ago, false), (id(2), lately, true), (id(4), lately, false), (id(5), None, false)];
        let alive = Alive::at(now, id(3), others.clone());
        assert!(!alive.is_alive(id(1)) && !alive.is_alive(id(2)) && !alive.is_alive(id(9)));
        assert!(alive.is_alive(id(3)) && alive.is_alive(id(4)) && alive.is_alive(id(5)));
        assert_eq!(alive.rank(), 0);
        assert!(alive.acts_for(id(1)) && alive.acts_for(id(3)) && !alive.acts_for(id(4)));
        let second = Alive::at(now, id(6), others);
        assert_eq!(second.rank(), 2);
        assert!(second.acts_for(id(6)) && !second.acts_for(id(1)));
    }
}
