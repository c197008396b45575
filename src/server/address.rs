//! Where a server listens: at an address of the network, or at a Unix socket.

use std::fmt::{Display, Formatter};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a Unix socket is named.
const UNIX: &str = "unix:";

/// An address to listen at; as text `127.0.0.1:4200`, `[::]:4200` or `unix:/run/caro/relay.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ListenAddress {
    /// An IP address and port; port 0 takes any free one.
    Tcp(SocketAddr),
    /// A Unix socket, by its path from the root.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(UNIX) {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err("the path of a Unix socket begins at the root"),
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| "an address looks like 127.0.0.1:4200, [::]:4200 or unix:/run/caro/relay.sock"),
        }
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> Self {
        address.to_string()
    }
}

impl Display for ListenAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["127.0.0.1:4200", "[::1]:0", "unix:/run/caro/relay.sock"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for text in ["", "4200", "localhost:4200", "unix:relay.sock", "ws://127.0.0.1:4200"] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }
}
