//! A stream to the relay's host: direct, or through the proxy that the environment names.
//!
//! A proxy is asked to open a tunnel (HTTP `CONNECT`, or SOCKS 5), also for `ws://`, since a
//! WebSocket does not pass a forwarding proxy. A proxy that is named but cannot be used is an error,
//! never a reason to go around it. Loopback addresses are dialled directly: no proxy can reach them.

use std::net::IpAddr;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::Uri;
use tower_service::Service;

use super::dial::plain;

/// What the environment says about proxies (`HTTPS_PROXY` and its kin); the caller reads it.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For `wss://`.
    pub https: Option<String>,
    /// For `ws://`.
    pub http: Option<String>,
    /// Hosts that are dialled directly.
    pub none_for: Option<String>,
}

/// A connection to the relay's host, whatever it runs through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to a host (without the brackets of an IPv6 address); the error is in plain words.
pub(super) async fn connect(host: &str, port: u16, secure: bool, proxies: &Proxies) -> Result<Box<dyn Stream>, String> {
    let Some(proxy) = proxies.find(host, port, secure)? else {
        let stream = TcpStream::connect((host, port)).await.map_err(|e| plain(&e))?;
        stream.set_nodelay(true).map_err(|e| plain(&e))?;
        return Ok(Box::new(stream));
    };
    let target = uri("https", host, port)?;
    let refused = || "the proxy did not let us through".to_owned();
    let stream = match proxy.uri().scheme_str() {
        Some("http") => {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), ViaTcp);
            if let Some(credentials) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(credentials.clone());
            }
            tunnel.call(target).await.map_err(|_| refused())?
        }
        Some(scheme @ ("socks5" | "socks5h")) => {
            let mut tunnel = SocksV5::new(proxy.uri().clone(), ViaTcp).local_dns(scheme == "socks5");
            if let Some((user, password)) = proxy.raw_auth() {
                tunnel = tunnel.with_auth(user.into(), password.into());
            }
            tunnel.call(target).await.map_err(|_| refused())?
        }
        _ => return Err("the proxy is of a kind that is not supported: name an http:// or socks5:// one".into()),
    };
    Ok(Box::new(stream.into_inner()))
}

impl Proxies {
    /// The proxy for a host, if there is one.
    pub(super) fn find(&self, host: &str, port: u16, secure: bool) -> Result<Option<Intercept>, String> {
        let setting = if secure { &self.https } else { &self.http };
        let Some(setting) = setting.as_deref().map(str::trim).filter(|setting| !setting.is_empty()) else {
            return Ok(None);
        };
        let is_loopback =
            host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if is_loopback {
            return Ok(None);
        }
        let target = uri("https", host, port)?;
        let matcher = Matcher::builder().all(setting.to_owned());
        if matcher.build().intercept(&target).is_none() {
            return Err("the proxy that the environment names is not an address".into());
        }
        let none_for = self.none_for.clone().unwrap_or_default();
        Ok(Matcher::builder().all(setting.to_owned()).no(none_for).build().intercept(&target))
    }
}

fn uri(scheme: &str, host: &str, port: u16) -> Result<Uri, String> {
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("{scheme}://{bracketed}:{port}").parse().map_err(|_| "its address is not valid".to_owned())
}

/// Dials the proxy itself.
#[derive(Clone)]
struct ViaTcp;

impl Service<Uri> for ViaTcp {
    type Response = TokioIo<TcpStream>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, proxy: Uri) -> Self::Future {
        async move {
            let host = proxy.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
            let usual = if proxy.scheme_str() == Some("http") { 80 } else { 1080 };
            let stream = TcpStream::connect((host.as_str(), proxy.port_u16().unwrap_or(usual))).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(setting: &str, none_for: &str) -> Proxies {
        Proxies { https: Some(setting.into()), http: None, none_for: Some(none_for.into()) }
    }

    fn goes_through(host: &str, setting: &str, none_for: &str) -> bool {
        proxies(setting, none_for).find(host, 443, true).unwrap().is_some()
    }

    #[test]
    fn hosts_that_are_excepted_are_dialled_directly() {
        let proxy = "http://proxy.example:3128";
        assert!(goes_through("relay.example", proxy, ""));
        assert!(goes_through("relay.example", proxy, "other.example,10.0.0.0/8"));
        assert!(goes_through("notrelay.example", proxy, "relay.example"));
        assert!(goes_through("2001:db8::1", proxy, "2001:db9::/32"));
        for none_for in ["relay.example", "example", ".example", "*", "x, relay.example"] {
            assert!(!goes_through("relay.example", proxy, none_for), "{none_for}");
        }
        assert!(!goes_through("10.1.2.3", proxy, "10.0.0.0/8"));
        assert!(!goes_through("2001:db8::1", proxy, "2001:db8::/32"));
    }

    #[test]
    fn this_machine_is_never_dialled_through_a_proxy() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1"] {
            assert!(!goes_through(host, "http://proxy.example:3128", ""), "{host}");
        }
    }

    #[test]
    fn each_scheme_has_its_own_setting() {
        let both =
            Proxies { https: Some("http://a.example".into()), http: Some("http://b.example".into()), none_for: None };
        let found = |secure| both.find("relay.example", 443, secure).unwrap().unwrap().uri().to_string();
        assert_eq!((found(true).as_str(), found(false).as_str()), ("http://a.example/", "http://b.example/"));
        assert!(proxies("http://a.example", "").find("relay.example", 80, false).unwrap().is_none());
        assert!(proxies("  ", "").find("relay.example", 443, true).unwrap().is_none());
    }

    #[test]
    fn a_setting_that_is_no_address_is_an_error_and_not_ignored() {
        for setting in ["gopher://proxy.example", "http://", "::::"] {
            assert!(proxies(setting, "").find("relay.example", 443, true).is_err(), "{setting}");
        }
    }
}
