//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::client::Client;

/// How many connections a server holds.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// From one address; those from this machine are not counted.
    pub per_address: usize,
    /// With one invitation, and so of one account.
    pub per_account: usize,
}

/// The connections that there are.
pub(crate) struct Admission {
    limits: ConnectionLimits,
    open: Mutex<Open>,
    /// How many there are, for those who wait until it changes.
    total: watch::Sender<usize>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_client: HashMap<Client, usize>,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// There are too many in all.
    Server,
    /// There are too many from that address.
    Address,
}

/// One connection, counted until this is dropped.
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    client: Client,
}

impl Admission {
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default(), total: watch::Sender::new(0) })
    }

    /// Counts one more connection, if there is room.
    pub(crate) fn admit(self: &Arc<Self>, client: Client) -> Result<Admitted, Full> {
        let mut open = self.open();
        if open.total >= self.limits.total {
            return Err(Full::Server);
        }
        let of_client = open.by_client.entry(client).or_default();
        if *of_client >= self.limits.per_address && client != Client::Local {
            return Err(Full::Address);
        }
        *of_client += 1;
        open.total += 1;
        self.total.send_replace(open.total);
        Ok(Admitted { admission: self.clone(), client })
    }

    /// Resolves when there are none.
    pub(crate) async fn none_left(&self) {
        // Fails only where the sender has gone, which is here.
        let _ = self.total.subscribe().wait_for(|total| *total == 0).await;
    }

    /// Resolves when there have been none for as long as this.
    pub(crate) async fn idle_for(&self, time: Duration) {
        let mut total = self.total.subscribe();
        loop {
            let _ = total.wait_for(|total| *total == 0).await;
            if tokio::time::timeout(time, total.wait_for(|total| *total > 0)).await.is_err() {
                return;
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.open();
        open.total -= 1;
        if let Some(of_client) = open.by_client.get_mut(&self.client) {
            *of_client -= 1;
            if *of_client == 0 {
                open.by_client.remove(&self.client);
            }
        }
        self.admission.total.send_replace(open.total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_the_room() {
        let admission = Admission::new(ConnectionLimits { total: 3, per_address: 2, per_account: 9 });
        let of = |text: &str| Client::at(text.parse().unwrap());
        let (one, two) = (of("198.51.100.7"), of("198.51.100.8"));
        let held: Vec<_> = (0..2).map(|_| admission.admit(one).ok().unwrap()).collect();
        assert_eq!(admission.admit(one).err(), Some(Full::Address));
        let other = admission.admit(two).ok().unwrap();
        assert_eq!(admission.admit(two).err(), Some(Full::Server));
        drop(held);
        assert!(admission.admit(one).is_ok());
        drop(other);
        assert_eq!(*admission.total.borrow(), 0);
        assert!(admission.open().by_client.is_empty(), "who has left is forgotten");
    }

    #[test]
    fn who_is_on_this_machine_is_counted_in_all_only() {
        let admission = Admission::new(ConnectionLimits { total: 3, per_address: 1, per_account: 9 });
        let held: Vec<_> = (0..3).map(|_| admission.admit(Client::Local).ok().unwrap()).collect();
        assert_eq!(admission.admit(Client::Local).err(), Some(Full::Server));
        drop(held);
    }
}
