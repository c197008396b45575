//! Who is at the other end of a connection, as far as limits need to know: an address, or somebody on this machine.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::HeaderMap;
use ipnet::IpNet;

use super::forwarded::outwards;

/// How a connection came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// From an address of the network.
    Network(IpAddr),
    /// Through a Unix socket for the proxy before the relay.
    Unix,
    /// Through the socket that only this user can open.
    User,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// Somebody on this machine.
    Local,
    /// An address; of an IPv6 one the network, which is what one customer gets.
    Network(IpAddr),
}

impl Client {
    /// Who is at an address that a proxy names.
    fn named(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Self::Network(IpAddr::V6(Ipv6Addr::from(network)))
            }
            address => Self::Network(address),
        }
    }

    /// Who connected from an address.
    pub(crate) fn at(address: IpAddr) -> Self {
        if address.to_canonical().is_loopback() { Self::Local } else { Self::named(address) }
    }
}

/// Whether an address is that of a proxy that is believed.
fn is_trusted(address: &IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address.to_canonical()))
}

/// Who connected, before it has said anything: whatever a trusted proxy brings counts as from here.
pub(crate) fn nearest(via: Via, trusted: &[IpNet]) -> Client {
    match via {
        Via::Network(address) if !is_trusted(&address, trusted) => Client::at(address),
        _ => Client::Local,
    }
}

/// Who is behind whoever connected: a proxy that is trusted says for whom it asks, and whoever uses the socket for one is it.
pub(crate) fn behind(via: Via, headers: &HeaderMap, trusted: &[IpNet]) -> Client {
    let nearest = match via {
        Via::Network(address) if is_trusted(&address, trusted) => Client::at(address),
        Via::Network(address) => return Client::at(address),
        Via::Unix => Client::Local,
        Via::User => return Client::Local,
    };
    let mut found = nearest;
    // What stands beyond the first one that is not trusted, anybody may have made up.
    for address in outwards(headers) {
        let Some(address) = address else { break };
        found = Client::named(address);
        if !is_trusted(&address, trusted) {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(via: Via, said: &str) -> Client {
        let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), said.parse().unwrap())]);
        let trusted = ["10.0.0.0/8".parse().unwrap(), "127.0.0.1/32".parse().unwrap()];
        behind(via, &headers, &trusted)
    }

    fn at(text: &str) -> Via {
        Via::Network(text.parse().unwrap())
    }

    fn network(text: &str) -> Client {
        Client::Network(text.parse().unwrap())
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_nobody_else() {
        assert_eq!(seen(at("127.0.0.1"), "198.51.100.7"), network("198.51.100.7"));
        assert_eq!(seen(at("127.0.0.1"), "1.1.1.1, 198.51.100.7, 10.2.3.4"), network("198.51.100.7"));
        assert_eq!(seen(at("203.0.113.9"), "198.51.100.7"), network("203.0.113.9"));
        assert_eq!(seen(at("127.0.0.1"), "nonsense"), Client::Local);
        assert_eq!(seen(at("127.0.0.1"), "127.0.0.1"), network("127.0.0.1"), "it is not here because it says so");
        assert_eq!(seen(Via::Unix, "198.51.100.7"), network("198.51.100.7"));
        assert_eq!(seen(Via::User, "198.51.100.7"), Client::Local);
    }

    #[test]
    fn an_ipv6_customer_is_one_client_and_ports_do_not_matter() {
        assert_eq!(seen(at("127.0.0.1"), "[2001:db8:1:2::5]:9000"), network("2001:db8:1:2::"));
        assert_eq!(Client::at("2001:db8:1:2:3::4".parse().unwrap()), network("2001:db8:1:2::"));
        assert_eq!(Client::at("::ffff:192.0.2.1".parse().unwrap()), network("192.0.2.1"));
        assert_eq!(Client::at("::1".parse().unwrap()), Client::Local);
    }
}
