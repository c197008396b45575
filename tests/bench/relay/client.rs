//! One end of a connection to a relay, as bare as it gets: it sends frames that are ready, and understands of what comes
//! back only how much of which CoValue it speaks of.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// So long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// As large as the frames that relays send.
const LARGEST_FRAME: usize = 64 << 20;
/// Addresses of the loopback interface that clients have.
const ADDRESSES: u32 = 1 << 20;
/// How much a connection reads at once: there are thousands of them.
const READ_BUFFER: usize = 4 << 10;

/// A connection. An error is what went wrong, in words.
pub struct Client(WebSocketStream<TcpStream>);

impl Client {
    /// Connects from an address of its own: there are relays that name their clients by address and time, and end a
    /// connection when another one gets its name.
    pub async fn connect(relay: SocketAddr) -> Result<Self, String> {
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(LARGEST_FRAME);
        config.max_frame_size = Some(LARGEST_FRAME);
        config.read_buffer_size = READ_BUFFER;
        let connected = async {
            let stream = dial(relay).await.map_err(|e| format!("cannot connect: {e}"))?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            let upgraded =
                tokio_tungstenite::client_async_with_config(format!("ws://{relay}/"), stream, Some(config)).await;
            upgraded.map(|(socket, _)| Self(socket)).map_err(|e| format!("no WebSocket: {e}"))
        };
        tokio::time::timeout(PATIENCE, connected).await.map_err(|_| "no connection in time".to_owned())?
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: Utf8Bytes) -> Result<(), String> {
        self.0.send(Message::Text(frame)).await.map_err(|e| format!("cannot send: {e}"))
    }

    /// The next frame of text.
    pub async fn next(&mut self) -> Result<Utf8Bytes, String> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => return Ok(text),
                Ok(Some(Ok(Message::Close(_))) | None) => return Err("the relay ended the connection".into()),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => return Err(format!("connection lost: {error}")),
                Err(_) => return Err("no answer in time".into()),
            }
        }
    }

    /// Sends frames that bring CoValues, each when the one before has been confirmed, and waits until they are stored.
    pub async fn bring(&mut self, frames: &[Utf8Bytes]) -> Result<(), String> {
        for frame in frames {
            let brought = Said::read(frame)?;
            let counts = brought.counts();
            self.send(frame.clone()).await?;
            loop {
                let text = self.next().await?;
                let mut confirmed = false;
                for said in Said::all(&text)? {
                    confirmed |= said.confirms(&brought.id, &counts);
                }
                if confirmed {
                    break;
                }
            }
        }
        // There are relays that confirm a change before they store it, but none that stores the one after first.
        self.send(load(NOBODY, &Counts::new())).await?;
        while !Said::all(&self.next().await?)?.iter().any(|said| said.id == NOBODY) {}
        Ok(())
    }
}

/// Of a CoValue that no relay has.
const NOBODY: &str = "co_z11111111111111111111111111";

/// Connects from the next of many addresses of the loopback interface.
async fn dial(relay: SocketAddr) -> std::io::Result<TcpStream> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed) % ADDRESSES;
    let from = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + next);
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(relay).await
}

/// How many transactions there are, by session.
pub type Counts<'a> = HashMap<Cow<'a, str>, u64>;

/// A message of the protocol.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said<'a> {
    #[serde(borrow, default)]
    action: Cow<'a, str>,
    /// What it is about.
    #[serde(borrow, default)]
    pub id: Cow<'a, str>,
    #[serde(borrow, default)]
    header: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sessions: Counts<'a>,
    #[serde(borrow, default)]
    new: HashMap<Cow<'a, str>, New>,
    #[serde(borrow, default)]
    expect_content_until: Option<Counts<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct New {
    after: u64,
    new_transactions: Vec<IgnoredAny>,
}

impl<'a> Said<'a> {
    /// One message.
    pub fn read(line: &'a str) -> Result<Self, String> {
        serde_json::from_str(line).map_err(|e| format!("what the relay says cannot be read: {e}"))
    }

    /// The messages of a frame.
    pub fn all(frame: &'a str) -> Result<Vec<Self>, String> {
        frame.lines().map(Self::read).collect()
    }

    /// Whether it brings transactions, or the CoValue itself.
    pub fn is_content(&self) -> bool {
        self.action == "content"
    }

    /// Whether the CoValue is there, where this says what is there.
    pub fn has_header(&self) -> bool {
        self.header.is_some_and(|header| !matches!(header.get(), "false" | "null"))
    }

    /// How far the sessions are with what it brings.
    pub fn counts(&self) -> Counts<'a> {
        self.new.iter().map(|(session, new)| (session.clone(), new.after + new.new_transactions.len() as u64)).collect()
    }

    /// How far they will be once everything has come that belongs to it.
    pub fn promised(&self) -> Option<&Counts<'a>> {
        self.expect_content_until.as_ref()
    }

    /// How many transactions of a session the other side says that it has of this CoValue.
    pub fn confirmed(&self, id: &str, session: &str) -> Option<u64> {
        (self.action == "known" && self.id == id).then(|| self.sessions.get(session).copied().unwrap_or(0))
    }

    fn confirms(&self, id: &str, counts: &Counts<'_>) -> bool {
        let has = |session: &str| self.sessions.get(session).copied().unwrap_or(0);
        self.action == "known" && self.id == id && counts.iter().all(|(session, count)| has(session) >= *count)
    }
}

/// The message that asks for a CoValue of which one has so much.
pub fn load(id: &str, has: &Counts<'_>) -> Utf8Bytes {
    let load = serde_json::json!({ "action": "load", "id": id, "header": !has.is_empty(), "sessions": has });
    load.to_string().into()
}
