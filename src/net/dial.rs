//! Dials a relay: `ws://` or `wss://`, through a proxy where one is configured, or `ssh://`.
//!
//! Certificates are checked against the system's roots, or against one that the user names for a relay
//! of his own. Whatever goes wrong is told in plain words, without those of the libraries underneath.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deno_core::url::Url;
use futures::FutureExt;
use futures::future::BoxFuture;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{Connector, client_async_tls_with_config};

use super::proxy::{Proxies, Stream, connect};
use super::pump::{Frame, MAX_FRAME_BYTES, WireMessage, frames_for};
use super::refusal::{BELOW, Failure, HEADER, Refused};
use super::ssh::Login;
use crate::runtime::{Dialer, Ending, Frames, HangUp};

/// How long one attempt may take at the most, from the name's look-up to the end of the handshake.
const ATTEMPT: Duration = Duration::from_secs(10);

/// How the address of a relay begins that is reached by logging in.
const SSH: &str = "ssh";
/// What a WebSocket through a login is asked for.
const INSIDE: &str = "ws://localhost/";

/// A relay that can be dialled.
#[derive(Clone)]
pub struct RelayAddress {
    url: Url,
    root_certificate: Option<PathBuf>,
    proxies: Proxies,
    login: Option<Login>,
    patience: Duration,
    below: Option<Names>,
}

/// What a relay tells the one above of itself.
type Names = Arc<dyn Fn() -> String + Send + Sync>;

/// Why an address cannot be used. None of it is quoted: it may carry a token, and this goes into logs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// It is not an address at all.
    #[error("an address looks like wss://relay.example")]
    Malformed,
    /// It is one of something else than a relay.
    #[error("a relay's address begins with wss://, ws:// or ssh://")]
    Scheme,
    /// It has more in it than a name, a host, a port and a folder.
    #[error("an address for ssh looks like ssh://me@host, with a port or a folder after it if need be")]
    Login,
    /// It has no host.
    #[error("the address names no host")]
    NoHost,
}

impl RelayAddress {
    /// Reads an address as the user gives it.
    ///
    /// # Errors
    ///
    /// See [`AddressError`].
    pub fn parse(text: &str, root_certificate: Option<PathBuf>, proxies: Proxies) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::Malformed)?;
        if !matches!(url.scheme(), "ws" | "wss" | SSH) {
            return Err(AddressError::Scheme);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(AddressError::NoHost);
        }
        let login = match url.scheme() {
            SSH => Some(Login::of(&url, None).ok_or(AddressError::Login)?),
            _ => None,
        };
        Ok(Self { url, root_certificate, proxies, login, patience: ATTEMPT, below: None })
    }

    /// The same relay, with a program that stands for `ssh`, and its arguments, separated by spaces.
    #[must_use]
    pub fn by_ssh(mut self, program: Option<&str>) -> Self {
        if self.login.is_some() {
            self.login = Login::of(&self.url, program);
        }
        self
    }

    /// The same relay, dialled with this patience; more than ten seconds are never waited.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience.min(ATTEMPT);
        self
    }

    /// The same relay, dialled by one below it that tells these names.
    #[must_use]
    pub(crate) fn naming(mut self, names: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.below = Some(Arc::new(names));
        self
    }

    /// What is asked for at this address.
    fn request(&self, url: &str) -> Result<Request, Failure> {
        let mut request = url.into_client_request().map_err(|error| why(&error))?;
        if let Some(value) = self.below.as_ref().and_then(|names| HeaderValue::from_str(&names()).ok()) {
            request.headers_mut().insert(BELOW, value);
        }
        Ok(request)
    }

    /// The address as it is dialled.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The certificate file that was named for it.
    pub fn root_certificate(&self) -> Option<&Path> {
        self.root_certificate.as_deref()
    }

    /// Host and port for a message: paths and queries may carry a token.
    pub fn shown(&self) -> String {
        if self.login.is_some() {
            return self.url().to_owned();
        }
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.url.scheme(), self.url.host_str().unwrap_or_default())
    }

    /// Names the relay in the sync engine's own records, without its address.
    pub fn fingerprint(&self) -> String {
        format!("relay-{}", &blake3::hash(self.url.as_str().as_bytes()).to_hex()[..16])
    }

    fn is_secure(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// Whether nothing stands between.
    pub(super) fn is_dialled_directly(&self) -> bool {
        if self.login.is_some() {
            return false;
        }
        let (host, port) = self.target();
        self.proxies.find(&host, port, self.is_secure()).is_ok_and(|proxy| proxy.is_none())
    }

    /// Host and port to reach, without the brackets of an IPv6 address.
    pub(super) fn target(&self) -> (String, u16) {
        let host = self.url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (host.into(), self.url.port_or_known_default().unwrap_or(443))
    }
}

/// Why the relay cannot be used, as far as it is known.
#[derive(Clone, Default)]
pub struct LastFailure(Arc<Mutex<Option<Failure>>>);

impl LastFailure {
    /// What it was.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it was, in plain words.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.failure().map(|failure| failure.to_string())
    }

    fn dialled(&self, failure: Option<&Failure>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (failure, &*last) {
            // It lets in whom it refuses as soon as he says something.
            (None, Some(Failure::Refused(Refused::Ended(_)))) => {}
            (failure, _) => *last = failure.cloned(),
        }
    }

    fn ended(&self, ending: Ending) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Failure::Refused(Refused::Ended(ending)));
    }
}

/// A relay that is being dialled ahead of the isolate, so that both get ready at the same time.
pub struct Connection {
    dialer: Dialer,
    first: BoxFuture<'static, Result<(), Failure>>,
}

impl Connection {
    /// Begins to dial; the connection will live on the given runtime.
    pub fn begin(address: RelayAddress, runtime: tokio::runtime::Handle, last_failure: LastFailure) -> Self {
        let attempt = attempts(address, runtime, last_failure);
        let ready: Arc<Mutex<Option<Frames>>> = Arc::default();
        let first = attempt();
        let first = {
            let ready = ready.clone();
            async move {
                let frames = first.await?;
                if let Ok(mut ready) = ready.lock() {
                    *ready = Some(frames);
                }
                Ok(())
            }
        };
        let dialer: Dialer = Box::new(move || match ready.lock().ok().and_then(|mut ready| ready.take()) {
            Some(frames) => async move { Ok(frames) }.boxed(),
            None => attempt().map(|made| made.map_err(|failure| failure.to_string())).boxed(),
        });
        Self { dialer, first: first.boxed() }
    }

    /// What an isolate dials with where nothing is dialled ahead of it.
    pub fn dialer(address: RelayAddress, runtime: tokio::runtime::Handle, last_failure: LastFailure) -> Dialer {
        let attempt = attempts(address, runtime, last_failure);
        Box::new(move || attempt().map(|made| made.map_err(|failure| failure.to_string())).boxed())
    }

    /// What the isolate dials with, and the outcome of the first attempt. The isolate's first dialling
    /// takes the connection over once that outcome is in.
    pub fn split(self) -> (Dialer, BoxFuture<'static, Result<(), Failure>>) {
        (self.dialer, self.first)
    }
}

/// Each call dials once.
fn attempts(
    address: RelayAddress,
    runtime: tokio::runtime::Handle,
    last_failure: LastFailure,
) -> impl Fn() -> BoxFuture<'static, Result<Frames, Failure>> + Send + 'static {
    move || {
        let (address, handle, last_failure) = (address.clone(), runtime.clone(), last_failure.clone());
        let dialling = runtime.spawn(async move {
            let dialled = match tokio::time::timeout(address.patience, dial(&address)).await {
                Ok(dialled) => dialled,
                Err(_) => Err("it did not answer in time".into()),
            };
            last_failure.dialled(dialled.as_ref().err());
            let at_end = move |ending: Option<Ending>| ending.into_iter().for_each(|it| last_failure.ended(it));
            dialled.map(|socket| frames_for(socket, &handle, None, None, None, HangUp::new(), at_end))
        });
        dialling.map(|joined| joined.unwrap_or_else(|_| Err("the program is ending".into()))).boxed()
    }
}

impl WireMessage for Message {
    fn text(text: String) -> Self {
        Self::text(text)
    }

    fn close(code: u16, reason: &'static str) -> Self {
        Self::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
    }

    fn into_frame(self) -> Frame {
        match self {
            Self::Text(text) => Frame::Text(text.as_str().to_owned()),
            Self::Close(close) => Frame::Close(close.map(|close| close.code.into())),
            _ => Frame::Other,
        }
    }
}

pub(super) type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<Box<dyn Stream>>>;

pub(super) async fn dial(address: &RelayAddress) -> Result<Socket, Failure> {
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(MAX_FRAME_BYTES);
    config.max_frame_size = Some(MAX_FRAME_BYTES);
    if let Some(login) = &address.login {
        let (session, ending) = login.connect()?;
        let stream: Box<dyn Stream> = Box::new(session);
        let shaken =
            client_async_tls_with_config(address.request(INSIDE)?, stream, Some(config), Some(Connector::Plain)).await;
        return match shaken {
            Ok((socket, _)) => Ok(socket),
            Err(error) => Err(ending.reason().await.map_or_else(|| why(&error), Failure::Unreachable)),
        };
    }
    let connector = if address.is_secure() {
        Connector::Rustls(Arc::new(client_tls(address.root_certificate.as_deref())?))
    } else {
        Connector::Plain
    };
    let (host, port) = address.target();
    let stream = connect(&host, port, address.is_secure(), &address.proxies).await?;
    let (socket, _) =
        client_async_tls_with_config(address.request(address.url())?, stream, Some(config), Some(connector))
            .await
            .map_err(|error| why(&error))?;
    Ok(socket)
}

/// TLS for a client that believes the certificates in a file, or those that the system does.
pub(crate) fn client_tls(root_certificate: Option<&Path>) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    match root_certificate {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|_| format!("the certificate file {} cannot be read", path.display()))?;
            let (added, _) = roots.add_parsable_certificates(certificates);
            if added == 0 {
                return Err(format!("there is no certificate in {}", path.display()));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(
                    "this system has no root certificates to check it with (Debian: apt-get install ca-certificates)"
                        .into(),
                );
            }
        }
    }
    client_tls_with(roots)
}

/// TLS for a client that believes no certificate, where none will be shown to it.
pub(crate) fn client_tls_for_nobody() -> Result<rustls::ClientConfig, String> {
    client_tls_with(rustls::RootCertStore::empty())
}

fn client_tls_with(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, String> {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
}

/// What went wrong, without the words of the libraries.
fn why(error: &SocketError) -> Failure {
    match error {
        SocketError::Io(error) => plain(error).into(),
        SocketError::Tls(_) => "no secure connection could be agreed on".into(),
        SocketError::Http(response) => {
            let status = response.status().as_u16();
            let reason = response.headers().get(HEADER).and_then(|reason| reason.to_str().ok());
            match (Refused::of(status, reason), status) {
                (Some(refused), _) => Failure::Refused(refused),
                (None, 404) => "it answers, but has no relay at that path".into(),
                (None, status) => format!("it answers, but not as a relay (HTTP {status})").into(),
            }
        }
        SocketError::Protocol(ProtocolError::HandshakeIncomplete) => "it closed the connection".into(),
        SocketError::Protocol(_) | SocketError::HttpFormat(_) => "it answers, but not as a relay".into(),
        _ => "the connection could not be opened".into(),
    }
}

pub(super) fn plain(error: &std::io::Error) -> String {
    use std::io::ErrorKind as Kind;
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return untrusted(error).into();
    }
    match error.kind() {
        Kind::ConnectionRefused => "nothing listens there".into(),
        Kind::TimedOut => "it did not answer in time".into(),
        Kind::HostUnreachable | Kind::NetworkUnreachable => "there is no way to it on this network".into(),
        Kind::ConnectionReset | Kind::UnexpectedEof | Kind::BrokenPipe => "it closed the connection".into(),
        Kind::PermissionDenied => "this machine does not allow the connection".into(),
        _ if error.to_string().contains("lookup") => "its name is not known".into(),
        _ => "the connection could not be opened".into(),
    }
}

/// Whether a certificate was refused since it is one of an authority, which signs others and is none of a server. The
/// library that checks it has no name for that in its interface.
pub(crate) fn is_of_an_authority(error: &rustls::Error) -> bool {
    use rustls::{CertificateError, Error};
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    format!("{other:?}").contains("CaUsedAsEndEntity")
}

/// What is wrong with the other side's identity, or with its TLS.
fn untrusted(error: &rustls::Error) -> &'static str {
    use rustls::{CertificateError as Certificate, Error};
    match error {
        Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => "its certificate is not valid at this time (check this machine's clock)",
        Error::InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => {
            "its certificate is for another name"
        }
        error if is_of_an_authority(error) => {
            "its certificate is one of an authority, as `openssl req -x509` makes it: one for a server has CA:FALSE in it"
        }
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => {
            "its certificate is not one that this machine trusts"
        }
        Error::InvalidMessage(_) => "it answers, but without TLS (is it a ws:// address?)",
        _ => "no secure connection could be agreed on",
    }
}
