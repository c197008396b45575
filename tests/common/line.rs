//! The line between a device and a relay, which breaks as a test asks: refused, or cut after any byte.
//!
//! It forwards bytes and knows nothing of what they mean; `wire` is the one that reads messages.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What the line does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// It carries them.
    Fair,
    /// Connections end as soon as they begin, and those that exist end.
    Refused,
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
    relay: SocketAddr,
    weather: watch::Sender<Weather>,
    left: AtomicU64,
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
        let shared = Arc::new(Shared { relay, weather: watch::Sender::new(Weather::Fair), left: AtomicU64::new(0) });
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
        if let Weather::CutAfter(bytes) | Weather::BreakAfter(bytes) = weather {
            self.shared.left.store(bytes, Ordering::SeqCst);
        }
        self.shared.weather.send_replace(weather);
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
        if self.weather() == Weather::Refused {
            return;
        }
        let Ok(relay) = TcpStream::connect(self.relay).await else { return };
        drop((device.set_nodelay(true), relay.set_nodelay(true)));
        let (from_device, to_device) = device.into_split();
        let (from_relay, to_relay) = relay.into_split();
        let mut weather = self.weather.subscribe();
        // Either end ends both, and so does the weather.
        tokio::select! {
            () = self.carry(from_device, to_relay) => {}
            () = self.carry(from_relay, to_device) => {}
            _ = weather.wait_for(|weather| *weather == Weather::Refused) => {}
        }
    }

    fn weather(&self) -> Weather {
        *self.weather.borrow()
    }

    async fn carry(&self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
            let (passes, afterwards) = self.admit(read as u64);
            let sent = to.write_all(&buffer[..passes]).await;
            if let Some(afterwards) = afterwards {
                self.weather.send_replace(afterwards);
                return;
            }
            if sent.is_err() {
                return;
            }
        }
    }

    /// How many of these bytes still pass, and the weather after them if they are the last.
    fn admit(&self, read: u64) -> (usize, Option<Weather>) {
        let afterwards = match self.weather() {
            Weather::CutAfter(_) => Weather::Refused,
            Weather::BreakAfter(_) => Weather::Fair,
            _ => return (usize::try_from(read).unwrap_or(usize::MAX), None),
        };
        let take = |left: u64| Some(left.saturating_sub(read));
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).unwrap_or(0);
        (usize::try_from(left.min(read)).unwrap_or(0), (left <= read).then_some(afterwards))
    }
}
