//! How fast clients may send: so many messages and bytes a second for each account, and for each address of those who need
//! no invitation.
//!
//! Who sends more is read more slowly. The system's buffers then fill, and TCP slows him down: nothing is lost, and nobody
//! else waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::access::{Hash, Pass};
use crate::server::Client;

/// So many seconds' worth may come at once.
const BURST: f64 = 2.0;
/// How many paces are kept before those that nobody needs are looked for.
const SWEEP_AT: usize = 1024;

/// How much may come in a second; none: as much as does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// Messages of the protocol.
    pub messages: Option<u32>,
    /// Bytes of them.
    pub bytes: Option<u32>,
}

/// Whom a connection is counted for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Invitation(Hash),
    Address(Client),
}

impl Owner {
    /// The one of a connection; none where it comes from this machine without an invitation.
    pub(super) fn of(pass: &Pass, client: Client) -> Option<Self> {
        match (pass, client) {
            (Pass::Invitation(token), _) => Some(Self::Invitation(*token)),
            (_, Client::Local) => None,
            (_, client) => Some(Self::Address(client)),
        }
    }
}

/// The paces of all who are connected, and of those who were a moment ago.
pub(super) struct Paces {
    rates: Rates,
    by_owner: Mutex<HashMap<Owner, Arc<Pace>>>,
}

/// What one of them may still send now; he may have several connections.
pub(super) struct Pace {
    messages: Option<Mutex<Bucket>>,
    bytes: Option<Mutex<Bucket>>,
}

/// An amount that grows with time up to a limit, and may be overdrawn.
pub(super) struct Bucket {
    a_second: f64,
    most: f64,
    left: f64,
    at: Instant,
}

impl Paces {
    pub(super) fn new(rates: Rates) -> Self {
        Self { rates, by_owner: Mutex::default() }
    }

    /// The pace of a connection; none where nothing is limited, or where it comes from this machine without an invitation.
    pub(super) fn of(&self, pass: &Pass, client: Client) -> Option<Arc<Pace>> {
        let owner = Owner::of(pass, client)?;
        if self.rates.messages.is_none() && self.rates.bytes.is_none() {
            return None;
        }
        let mut by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        if by_owner.len() >= SWEEP_AT && by_owner.len().is_power_of_two() {
            // Who comes again at once goes on where he was.
            by_owner.retain(|_, pace| Arc::strong_count(pace) > 1 || !pace.is_full());
        }
        Some(by_owner.entry(owner).or_insert_with(|| Arc::new(Pace::new(self.rates))).clone())
    }
}

impl Pace {
    fn new(rates: Rates) -> Self {
        let bucket = |rate: u32| Mutex::new(Bucket::new(rate.max(1).into(), BURST));
        Self { messages: rates.messages.map(bucket), bytes: rates.bytes.map(bucket) }
    }

    /// Notes what has come; how long to read nothing more.
    pub(super) fn take(&self, messages: usize, bytes: usize) -> Duration {
        let take = |bucket: &Option<Mutex<Bucket>>, amount| bucket.as_ref().map(|it| lock(it).take(amount));
        let (messages, bytes) = (take(&self.messages, messages), take(&self.bytes, bytes));
        messages.into_iter().chain(bytes).max().unwrap_or_default()
    }

    fn is_full(&self) -> bool {
        let full = |bucket: &Option<Mutex<Bucket>>| bucket.as_ref().is_none_or(|it| lock(it).take(0).is_zero());
        full(&self.messages) && full(&self.bytes)
    }
}

impl Bucket {
    /// One that grows by so much a second, up to so many seconds' worth.
    pub(super) fn new(a_second: f64, seconds: f64) -> Self {
        let most = a_second * seconds;
        Self { a_second, most, left: most, at: Instant::now() }
    }

    /// Takes some; how long it takes until that had been there.
    fn take(&mut self, amount: usize) -> Duration {
        self.grow();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let amount = amount as f64;
        self.left -= amount;
        Duration::try_from_secs_f64(-self.left / self.a_second).unwrap_or_default()
    }

    /// Takes one, if there is one.
    pub(super) fn take_one(&mut self) -> bool {
        self.grow();
        let is_there = self.left >= 1.0;
        if is_there {
            self.left -= 1.0;
        }
        is_there
    }

    /// Whether it grows no more.
    pub(super) fn is_full(&mut self) -> bool {
        self.grow();
        self.left >= self.most
    }

    fn grow(&mut self) {
        let now = Instant::now();
        let grown = self.left + now.duration_since(self.at).as_secs_f64() * self.a_second;
        (self.left, self.at) = (grown.min(self.most), now);
    }
}

fn lock(bucket: &Mutex<Bucket>) -> std::sync::MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Client {
        Client::at(text.parse().unwrap())
    }

    #[test]
    fn who_sends_more_than_he_may_waits_as_long_as_that_takes() {
        let paces = Paces::new(Rates { messages: Some(10), bytes: Some(1000) });
        let pace = paces.of(&Pass::None, client("198.51.100.7")).unwrap();
        assert!(pace.take(20, 0).is_zero(), "two seconds' worth at once");
        let wait = pace.take(10, 0);
        assert!(wait > Duration::from_millis(900) && wait <= Duration::from_secs(1), "{wait:?}");
        // Another connection of his waits too, others do not.
        assert!(paces.of(&Pass::None, client("198.51.100.7")).unwrap().take(1, 0) > Duration::from_millis(900));
        assert!(paces.of(&Pass::None, client("198.51.100.8")).unwrap().take(1, 1000).is_zero());
        let wait = paces.of(&Pass::Invitation([1; 32]), Client::Local).unwrap().take(1, 12_000);
        assert!(wait > Duration::from_secs(9) && wait <= Duration::from_secs(10), "{wait:?}");
    }

    #[test]
    fn without_limits_and_on_this_machine_nobody_waits() {
        assert!(Paces::new(Rates::default()).of(&Pass::None, client("198.51.100.7")).is_none());
        let paces = Paces::new(Rates { messages: Some(1), bytes: None });
        assert!(paces.of(&Pass::None, Client::Local).is_none());
    }

    #[test]
    fn who_has_left_is_forgotten_once_he_may_send_all_again() {
        let paces = Paces::new(Rates { messages: Some(10), bytes: None });
        for number in 0..SWEEP_AT {
            let mut token = [0; 32];
            token[..8].copy_from_slice(&number.to_le_bytes());
            let _ = paces.of(&Pass::Invitation(token), Client::Local);
        }
        paces.of(&Pass::Invitation([0; 32]), Client::Local).unwrap().take(1000, 0);
        let _ = paces.of(&Pass::Invitation([9; 32]), Client::Local);
        assert!(paces.by_owner.lock().unwrap().len() <= 3);
    }
}
