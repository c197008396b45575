//! Who may ask a relay for something: how many at the same time, and how often one client.
//!
//! It is found out before TLS is agreed on, and again for each request, of which a proxy brings those of many clients: agreeing
//! and looking invitations up is work that anybody can cause.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::pace::Bucket;
use crate::server::{Admission, Admitted, Client, ConnectionLimits};

/// How many of one IPv6 site, which has many networks.
const OF_A_SITE: usize = 512;
/// The bits of an address that say which site it is.
const SITE: u32 = 48;
/// So often a second one client may ask, and so many seconds' worth at once: a household's devices after the relay was away.
const A_SECOND: f64 = 50.0;
const BURST: f64 = 10.0;
/// How many clients are remembered before those are looked for that may ask as often as anybody.
const SWEEP_AT: usize = 1024;

/// Those who ask.
pub(super) struct Arrivals {
    asking: Arc<Admission>,
    of_sites: Arc<Admission>,
    rates: Mutex<HashMap<Client, Bucket>>,
}

/// A place among those who ask, until this is dropped.
pub(super) struct Place {
    _one: Admitted,
    _of_site: Option<Admitted>,
}

impl Arrivals {
    /// So many may ask at the same time, in all and from one address.
    pub(super) fn new(total: usize, per_address: usize) -> Self {
        let limits = |total, per_address| ConnectionLimits { total, per_address, per_account: usize::MAX };
        Self {
            asking: Admission::new(limits(total, per_address)),
            of_sites: Admission::new(limits(usize::MAX, OF_A_SITE)),
            rates: Mutex::default(),
        }
    }

    /// A place for one more, if there is one and he does not come too often.
    pub(super) fn enter(&self, client: Client) -> Option<Place> {
        if !self.may_ask(client) {
            return None;
        }
        let of_site = site(client).map(|site| self.of_sites.admit(site)).transpose().ok()?;
        Some(Place { _one: self.asking.admit(client).ok()?, _of_site: of_site })
    }

    /// Whether a client may ask once more now; one on this machine always may.
    pub(super) fn may_ask(&self, client: Client) -> bool {
        if client == Client::Local {
            return true;
        }
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= SWEEP_AT && rates.len().is_power_of_two() {
            rates.retain(|_, rate| !rate.is_full());
        }
        rates.entry(client).or_insert_with(|| Bucket::new(A_SECOND, BURST)).take_one()
    }
}

/// The site of an IPv6 network.
fn site(client: Client) -> Option<Client> {
    match client {
        Client::Network(IpAddr::V6(network)) => {
            let site = u128::from(network) & (u128::MAX << (u128::BITS - SITE));
            Some(Client::Network(IpAddr::V6(Ipv6Addr::from(site))))
        }
        Client::Network(IpAddr::V4(_)) | Client::Local => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Client {
        Client::at(text.parse().unwrap())
    }

    #[test]
    fn who_comes_too_often_is_kept_out_and_nobody_else() {
        let arrivals = Arrivals::new(100, 100);
        let came = (0..10_000).take_while(|_| arrivals.enter(at("198.51.100.7")).is_some()).count();
        assert!((500..2_000).contains(&came), "{came}");
        assert!(arrivals.enter(at("198.51.100.8")).is_some());
        assert!((0..10_000).all(|_| arrivals.may_ask(Client::Local)));
    }

    #[test]
    fn a_site_with_many_networks_does_not_take_all_places() {
        let arrivals = Arrivals::new(10_000, 64);
        let of = |site: usize, network: usize| at(&format!("2001:db8:{site:x}:{network:x}::1"));
        let held: Vec<_> = (0..OF_A_SITE).map(|network| arrivals.enter(of(1, network)).unwrap()).collect();
        assert!(arrivals.enter(of(1, OF_A_SITE)).is_none() && arrivals.enter(of(2, 0)).is_some());
        drop(held);
        assert!(arrivals.enter(of(1, OF_A_SITE)).is_some());
    }

    #[test]
    fn who_has_not_come_for_a_while_is_forgotten() {
        let arrivals = Arrivals::new(1, 1);
        let come = |number: usize| arrivals.may_ask(at(&format!("10.0.{}.{}", number / 256, number % 256)));
        (0..SWEEP_AT).for_each(|number| assert!(come(number)));
        for rate in arrivals.rates.lock().unwrap().values_mut() {
            *rate = Bucket::new(A_SECOND, BURST);
        }
        assert!(come(SWEEP_AT));
        assert_eq!(arrivals.rates.lock().unwrap().len(), 1);
    }
}
