//! The sockets of a server: binds them, and accepts connections until it is dropped.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::address::ListenAddress;
use super::client::Via;
use crate::local_socket;

/// How long accepting rests after the system refused it, for example since there are no descriptors left.
const REST: Duration = Duration::from_millis(200);
/// How often that is told while it goes on.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// How long a client may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A socket that was bound before this process began.
pub enum Inherited {
    /// At an address of the network.
    Tcp(std::net::TcpListener),
    /// At a path.
    Unix(StdUnixListener),
}

/// An address at which nothing can be listened: it is taken, or not one of this machine.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    /// The address that was asked for.
    pub address: ListenAddress,
    /// What the system says.
    pub source: std::io::Error,
}

/// A stream of either kind of socket, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A bound socket.
pub(crate) struct Listener {
    socket: Socket,
    address: ListenAddress,
}

enum Socket {
    Tcp(TcpListener, Option<TlsAcceptor>),
    Unix(UnixListener, Via),
}

impl Listener {
    /// Binds an address.
    pub(crate) async fn bind(address: &ListenAddress, tls: Option<&TlsAcceptor>) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address: address.clone(), source };
        match address {
            ListenAddress::Tcp(wanted) => {
                let socket = TcpListener::bind(wanted).await.map_err(failed)?;
                let address = ListenAddress::Tcp(socket.local_addr().map_err(failed)?);
                Ok(Self { socket: Socket::Tcp(socket, tls.cloned()), address })
            }
            ListenAddress::Unix(path) => {
                let socket = bind_unix(path).and_then(UnixListener::from_std).map_err(failed)?;
                Ok(Self { socket: Socket::Unix(socket, Via::Unix), address: address.clone() })
            }
        }
    }

    /// The socket by which processes of this user reach the server; its folder is private to him.
    pub(crate) fn bind_private(path: &Path) -> Result<Self, ListenError> {
        let address = ListenAddress::Unix(path.to_owned());
        let socket = local_socket::bind(path)
            .and_then(UnixListener::from_std)
            .map_err(|source| ListenError { address: address.clone(), source })?;
        Ok(Self { socket: Socket::Unix(socket, Via::User), address })
    }

    /// Takes over a socket that the system has bound for us.
    pub(crate) fn inherit(inherited: Inherited, tls: Option<&TlsAcceptor>) -> std::io::Result<Self> {
        match inherited {
            Inherited::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                let address = ListenAddress::Tcp(socket.local_addr()?);
                Ok(Self { socket: Socket::Tcp(TcpListener::from_std(socket)?, tls.cloned()), address })
            }
            Inherited::Unix(socket) => {
                socket.set_nonblocking(true)?;
                let path = socket.local_addr()?.as_pathname().unwrap_or(Path::new("/")).to_owned();
                let address = ListenAddress::Unix(path);
                Ok(Self { socket: Socket::Unix(UnixListener::from_std(socket)?, Via::Unix), address })
            }
        }
    }

    /// What was really bound, as a client names it who speaks `scheme` (`ws`, `http`), which gets an `s` where there is TLS.
    pub(crate) fn url(&self, scheme: &str) -> String {
        match (&self.socket, &self.address) {
            (Socket::Tcp(_, Some(_)), address) => format!("{scheme}s://{address}"),
            (Socket::Tcp(_, None), address) => format!("{scheme}://{address}"),
            (Socket::Unix(..), address) => address.to_string(),
        }
    }

    /// Gives each connection that `enter` has a place for to `serve`, with how it came and its place.
    pub(crate) async fn run<T, F>(
        self,
        enter: impl Fn(Via) -> Option<T> + Send + 'static,
        serve: impl Fn(Box<dyn Stream>, Via, T) -> F + Clone + Send + 'static,
    ) where
        T: Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut told: Option<Instant> = None;
        loop {
            let accepted = match &self.socket {
                Socket::Unix(socket, via) => socket.accept().await.map(|(stream, _)| {
                    if let Some(place) = enter(*via) {
                        tokio::spawn(serve(Box::new(stream), *via, place));
                    }
                }),
                Socket::Tcp(socket, tls) => socket.accept().await.map(|(stream, address)| {
                    // Small frames go out at once: waiting to merge them would cost each answer 40 ms.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection stays slow");
                    }
                    let (serve, tls, via) = (serve.clone(), tls.clone(), Via::Network(address.ip()));
                    // Before TLS: agreeing on it takes time and memory.
                    let Some(place) = enter(via) else { return };
                    tokio::spawn(async move {
                        match tls {
                            Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                                Ok(Ok(stream)) => serve(Box::new(stream), via, place).await,
                                Ok(Err(error)) => tracing::debug!(%error, "no agreement on TLS"),
                                Err(_) => tracing::debug!("no agreement on TLS in time"),
                            },
                            None => serve(Box::new(stream), via, place).await,
                        }
                    });
                }),
            };
            if let Err(error) = accepted {
                if told.is_none_or(|at| at.elapsed() > TELL_EVERY) {
                    tracing::warn!(%error, "connections cannot be accepted");
                    told = Some(Instant::now());
                }
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Binds a Unix socket in a folder that others may share, as the proxy before a server does. One that nobody listens at
/// was left by a process that has gone.
fn bind_unix(path: &Path) -> std::io::Result<StdUnixListener> {
    if StdUnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
        local_socket::remove_left(path)?;
    }
    let listener = StdUnixListener::bind(path)?;
    // Who may reach it is the folder's business.
    std::fs::set_permissions(path, Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
