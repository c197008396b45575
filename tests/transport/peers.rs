//! The other side of a connection: servers on the loopback interface, and the dialling of them.

use std::net::SocketAddr;
use std::time::Duration;

use caro::net::{Connection, Failure, LastFailure, Network, Proxies, RelayAddress};
use caro::runtime::{Dialer, Frames};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Long enough for anything here on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Takes connections and gives each to a task of its own, until the network ends.
pub fn serve<F>(network: &Network, serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = network.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    network.handle().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Answers a WebSocket handshake, taking frames of any size.
pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Option<WebSocketStream<S>> {
    let mut config = WebSocketConfig::default();
    config.max_message_size = None;
    config.max_frame_size = None;
    tokio_tungstenite::accept_async_with_config(stream, Some(config)).await.ok()
}

/// Sends every text back.
pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let Some(mut socket) = handshake(stream).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Reads a request's head and answers with these bytes.
pub async fn answer(mut stream: TcpStream, answer: &'static str) {
    let _ = head(&mut stream).await;
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The head of an HTTP request; empty where none came.
pub async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A dialled relay.
pub struct Dialled {
    pub dialer: Dialer,
    pub first: Result<(), Failure>,
    pub last_failure: LastFailure,
}

/// An address without proxies.
pub fn address(url: &str) -> RelayAddress {
    RelayAddress::parse(url, None, Proxies::default()).unwrap()
}

/// Dials, and waits for the outcome of the first attempt.
pub fn dial(network: &Network, address: RelayAddress) -> Dialled {
    let last_failure = LastFailure::default();
    let (dialer, first) = Connection::begin(address, network.handle(), last_failure.clone()).split();
    let first = network.block_on(async { tokio::time::timeout(DEADLINE, first).await.expect("an outcome") });
    Dialled { dialer, first, last_failure }
}

/// A connection that must come about.
pub fn connect(network: &Network, address: RelayAddress) -> Frames {
    let dialled = dial(network, address);
    dialled.first.unwrap();
    let Ok(frames) = network.block_on((dialled.dialer)()) else { panic!("the first connection is handed over") };
    frames
}

/// What a failure to connect says.
pub fn failure(network: &Network, address: RelayAddress) -> String {
    let dialled = dial(network, address);
    let said = dialled.first.expect_err("it must not connect").to_string();
    assert_eq!(dialled.last_failure.reason(), Some(said.clone()));
    said
}

/// The next frame; none when the connection has ended.
pub fn receive(network: &Network, frames: &mut Frames) -> Option<String> {
    let next = network.block_on(async { tokio::time::timeout(DEADLINE, frames.incoming.recv()).await });
    next.expect("a frame or the end").map(|received| received.text)
}

/// Sends as the script does, counting what is queued.
pub fn send(frames: &Frames, text: String) {
    frames.buffered.fetch_add(text.len(), std::sync::atomic::Ordering::Relaxed);
    frames.outgoing.send(text).unwrap();
}

/// Sends one text over a server's socket.
pub async fn say<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, text: String) -> bool {
    socket.send(Message::text(text)).await.is_ok()
}
