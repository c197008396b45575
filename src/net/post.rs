//! One request to a collector of the community: a body of a fixed size, and nothing that says who sends it.
//!
//! Each request has a connection and a TLS configuration of its own, so that no session is taken up again, and the four
//! headers that HTTP cannot do without. Redirections are not followed: an address that was not agreed to is not contacted.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use deno_core::url::{Host, Url};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::Network;
use super::dial::{client_tls, plain};
use super::proxy::{Proxies, Stream, connect};

/// How long a request may take, from looking the name up to the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a collector is.
#[derive(Clone)]
pub struct CollectorAddress {
    url: Url,
    root_certificate: Option<PathBuf>,
    proxies: Proxies,
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CollectorAddressError {
    /// It is not an address at all, or one of something else.
    #[error("an address looks like https://stats.example")]
    Malformed,
    /// It is neither encrypted nor of this machine.
    #[error("a collector on another machine is reached by https:// only")]
    Plain,
    /// It has a name, a password, a query or a mark in it.
    #[error("an address has nothing but a host, a port and a path: what else is in it could say who you are")]
    Personal,
}

impl CollectorAddress {
    /// Reads an address as the user gives it.
    ///
    /// # Errors
    /// See [`CollectorAddressError`].
    pub fn parse(
        text: &str,
        root_certificate: Option<PathBuf>,
        proxies: Proxies,
    ) -> Result<Self, CollectorAddressError> {
        let url = Url::parse(text).map_err(|_| CollectorAddressError::Malformed)?;
        let is_here = match url.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(CollectorAddressError::Malformed),
        };
        match url.scheme() {
            "https" => {}
            "http" if is_here => {}
            "http" => return Err(CollectorAddressError::Plain),
            _ => return Err(CollectorAddressError::Malformed),
        }
        let is_bare =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !is_bare {
            return Err(CollectorAddressError::Personal);
        }
        Ok(Self { url, root_certificate, proxies })
    }

    /// The address, as it is kept and shown.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The certificate file that was named for it.
    #[must_use]
    pub fn root_certificate(&self) -> Option<&Path> {
        self.root_certificate.as_deref()
    }

    fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }
}

/// Sends a body to a path below the collector's address, and says with which status it was answered.
///
/// # Errors
/// Why there was no answer, in plain words.
pub fn post(to: &CollectorAddress, path: &str, body: Vec<u8>) -> Result<StatusCode, String> {
    let network = Network::start().map_err(|error| plain(&error))?;
    network.block_on(async {
        tokio::time::timeout(PATIENCE, exchange(to, path, body))
            .await
            .unwrap_or_else(|_| Err("it did not answer in time".into()))
    })
}

async fn exchange(to: &CollectorAddress, path: &str, body: Vec<u8>) -> Result<StatusCode, String> {
    let host = to.url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = to.url.port_or_known_default().unwrap_or(443);
    let stream = connect(bare, port, to.is_secure(), &to.proxies).await?;
    let stream: Box<dyn Stream> = if to.is_secure() {
        let connector = TlsConnector::from(Arc::new(client_tls(to.root_certificate.as_deref())?));
        let name = match bare.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => ServerName::try_from(bare.to_owned()).map_err(|_| "its address is not valid".to_owned())?,
        };
        Box::new(connector.connect(name, stream).await.map_err(|error| plain(&error))?)
    } else {
        stream
    };
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| "it closed the connection".to_owned())?;
    let connection = tokio::spawn(connection);
    let at = match to.url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}{path}", to.url.path().trim_end_matches('/')))
        .header(header::HOST, at)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .header(header::CONNECTION, "close")
        .body(Body::from(body))
        .map_err(|_| "its address is not valid".to_owned())?;
    let answer = sender.send_request(request).await.map_err(|_| "it answers, but not as a collector".to_owned())?;
    let status = answer.status();
    // The answer's text is nobody's business here.
    connection.abort();
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, CollectorAddressError> {
        CollectorAddress::parse(text, None, Proxies::default()).map(|address| address.url().to_owned())
    }

    #[test]
    fn only_what_is_encrypted_or_of_this_machine_is_an_address() {
        for (text, wanted) in [
            ("https://stats.example", "https://stats.example"),
            ("https://stats.example:8443/caro/", "https://stats.example:8443/caro"),
            ("http://localhost:4300", "http://localhost:4300"),
            ("http://127.0.0.1:1/x", "http://127.0.0.1:1/x"),
            ("http://[::1]:1", "http://[::1]:1"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(wanted));
        }
        assert_eq!(parse("http://stats.example"), Err(CollectorAddressError::Plain));
        assert_eq!(parse("http://127.0.0.1.example"), Err(CollectorAddressError::Plain));
        for text in ["", "stats.example", "wss://stats.example", "file:///etc/passwd"] {
            assert_eq!(parse(text), Err(CollectorAddressError::Malformed), "{text}");
        }
        for text in ["https://me@stats.example", "https://stats.example?id=7", "https://stats.example#me"] {
            assert_eq!(parse(text), Err(CollectorAddressError::Personal), "{text}");
        }
    }
}
