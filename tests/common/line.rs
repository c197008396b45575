//! The line between a device and a relay, which breaks as a test asks: refused, silent, slow, noisy, or cut
//! after any byte.
//!
//! It forwards bytes and knows nothing of what they mean; `wire` is the one that reads messages.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::wire::Way;

/// What the line does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// It carries them.
    Fair,
    /// Connections end as soon as they begin, and those that exist end.
    Refused,
    /// Connections stay open, and nothing arrives any more.
    Silent,
    /// At most this many bytes at a time.
    Dribble(usize),
    /// One bit of the byte after this many more, in this direction, arrives changed.
    FlipAfter(u64, Way),
    /// Everything ends after this many more bytes, both ways counted together; afterwards it is [`Weather::Refused`].
    CutAfter(u64),
    /// The connection ends after this many more bytes; the next one is well.
    BreakAfter(u64),
}

/// A line to one relay. It ends when it goes away.
pub struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    relay: Mutex<SocketAddr>,
    weather: watch::Sender<Weather>,
    left: AtomicU64,
    carried: AtomicU64,
    connections: AtomicU64,
}

impl Line {
    /// A line to this relay, in fair weather.
    pub fn to(relay: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the line");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            relay: Mutex::new(relay),
            weather: watch::Sender::new(Weather::Fair),
            left: AtomicU64::new(0),
            carried: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let accepting = shared.clone();
        runtime.spawn(async move {
            while let Ok((device, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().connected(device));
            }
        });
        Self { address, shared, runtime: Some(runtime) }
    }

    /// Where devices reach it.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// From now on.
    pub fn set(&self, weather: Weather) {
        if let Weather::CutAfter(bytes) | Weather::BreakAfter(bytes) | Weather::FlipAfter(bytes, _) = weather {
            self.shared.left.store(bytes, Ordering::SeqCst);
        }
        self.shared.weather.send_replace(weather);
    }

    /// Bytes that it carried so far, both ways.
    pub fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::SeqCst)
    }

    /// Connections that were tried so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Leads to another relay, from the next connection on.
    pub fn lead_to(&self, relay: SocketAddr) {
        *self.shared.relay.lock().unwrap_or_else(PoisonError::into_inner) = relay;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    async fn connected(self: Arc<Self>, device: TcpStream) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        if self.weather() == Weather::Refused {
            return;
        }
        let relay = *self.relay.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(relay) = TcpStream::connect(relay).await else { return };
        drop((device.set_nodelay(true), relay.set_nodelay(true)));
        let (from_device, to_device) = device.into_split();
        let (from_relay, to_relay) = relay.into_split();
        let mut weather = self.weather.subscribe();
        // Either end ends both, and so does the weather.
        tokio::select! {
            () = self.carry(Way::Up, from_device, to_relay) => {}
            () = self.carry(Way::Down, from_relay, to_device) => {}
            _ = weather.wait_for(|weather| *weather == Weather::Refused) => {}
        }
    }

    fn weather(&self) -> Weather {
        *self.weather.borrow()
    }

    async fn carry(&self, way: Way, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let room = match self.weather() {
                Weather::Dribble(bytes) => bytes.clamp(1, buffer.len()),
                _ => buffer.len(),
            };
            let Ok(read @ 1..) = from.read(&mut buffer[..room]).await else { return };
            let mut weather = self.weather.subscribe();
            if weather.wait_for(|weather| *weather != Weather::Silent).await.is_err() {
                return;
            }
            let (passes, afterwards) = self.admit(way, &mut buffer[..read]);
            let sent = to.write_all(&buffer[..passes]).await;
            self.carried.fetch_add(passes as u64, Ordering::SeqCst);
            if let Some(afterwards) = afterwards {
                self.weather.send_replace(afterwards);
                if passes < read {
                    return;
                }
            }
            if sent.is_err() {
                return;
            }
        }
    }

    /// How many of these bytes still pass, and the weather after them if it changes with them.
    fn admit(&self, way: Way, bytes: &mut [u8]) -> (usize, Option<Weather>) {
        let afterwards = match self.weather() {
            Weather::CutAfter(_) => Weather::Refused,
            Weather::BreakAfter(_) => Weather::Fair,
            Weather::FlipAfter(_, of) if of == way => Weather::Fair,
            _ => return (bytes.len(), None),
        };
        let take = |left: u64| Some(left.saturating_sub(bytes.len() as u64));
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).unwrap_or(0);
        let Some(last) = usize::try_from(left).ok().filter(|left| *left < bytes.len()) else {
            return (bytes.len(), None);
        };
        if let Weather::FlipAfter(..) = self.weather() {
            bytes[last] ^= 0x01;
            return (bytes.len(), Some(afterwards));
        }
        (last, Some(afterwards))
    }
}
