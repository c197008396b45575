//! A man in the middle: a WebSocket proxy between a device and a relay that records what passes and may change it.
//!
//! What it is told to do with a message is a [`Tamper`]: it sees each message of the protocol by itself (a frame may
//! hold several) and says what goes on in its place. One with no such orders is a plain recorder.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Sink, SinkExt, Stream, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// As large as the frames that devices and relays take.
const LARGEST_FRAME: usize = 64 << 20;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the device to the relay.
    Up,
    /// From the relay to the device.
    Down,
}

/// What happens to a message.
pub enum Fate {
    /// It goes on as it is.
    Pass,
    /// It never arrives.
    Drop,
    /// These go on in its place.
    Instead(Vec<Value>),
    /// This frame goes before it, whatever it is.
    After(Message),
    /// It goes on so much later, and everything after it as well.
    Late(Duration),
    /// The connection ends.
    Cut,
}

/// Decides what happens to each message.
pub type Tamper = Box<dyn FnMut(Way, &Value) -> Fate + Send>;

/// The proxy. It ends when it goes away.
pub struct Wire {
    address: SocketAddr,
    traffic: Arc<Mutex<Vec<u8>>>,
    seen: Arc<Mutex<Vec<(Way, Value)>>>,
    tamper: Arc<Mutex<Tamper>>,
    runtime: Option<Runtime>,
}

impl Wire {
    /// A proxy in front of this relay that records.
    pub fn recording(relay: &str) -> Self {
        Self::tampering(relay, Box::new(|_, _| Fate::Pass))
    }

    /// A proxy in front of this relay that does with every message what it is told.
    pub fn tampering(relay: &str, tamper: Tamper) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the proxy");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let wire = Self {
            address,
            traffic: Arc::default(),
            seen: Arc::default(),
            tamper: Arc::new(Mutex::new(tamper)),
            runtime: Some(runtime),
        };
        let (relay, traffic, seen, tamper) =
            (relay.to_owned(), wire.traffic.clone(), wire.seen.clone(), wire.tamper.clone());
        let accepting = async move {
            while let Ok((device, _)) = listener.accept().await {
                let between = Between { traffic: traffic.clone(), seen: seen.clone(), tamper: tamper.clone() };
                tokio::spawn(connected(device, relay.clone(), between));
            }
        };
        wire.runtime.as_ref().expect("it runs").spawn(accepting);
        wire
    }

    /// Where devices reach it.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Gives it other orders, from the next message on.
    pub fn tamper(&self, tamper: Tamper) {
        *lock(&self.tamper) = tamper;
    }

    /// Every byte of every frame so far, before tampering.
    pub fn traffic(&self) -> Vec<u8> {
        lock(&self.traffic).clone()
    }

    /// Every message so far, before tampering.
    pub fn seen(&self) -> Vec<(Way, Value)> {
        lock(&self.seen).clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Clone)]
struct Between {
    traffic: Arc<Mutex<Vec<u8>>>,
    seen: Arc<Mutex<Vec<(Way, Value)>>>,
    tamper: Arc<Mutex<Tamper>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connected(device: TcpStream, relay: String, between: Between) {
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(LARGEST_FRAME);
    config.max_frame_size = Some(LARGEST_FRAME);
    let Ok((relay, _)) = tokio_tungstenite::connect_async_with_config(&relay, Some(config), true).await else {
        return;
    };
    let Ok(device) = tokio_tungstenite::accept_async_with_config(device, Some(config)).await else { return };
    let (to_device, from_device) = device.split();
    let (to_relay, from_relay) = relay.split();
    // Either end ends both.
    tokio::select! {
        () = forward(Way::Up, from_device, to_relay, between.clone()) => {}
        () = forward(Way::Down, from_relay, to_device, between) => {}
    }
}

async fn forward(
    way: Way,
    mut from: impl Stream<Item = Result<Message, Error>> + Unpin,
    mut to: impl Sink<Message, Error = Error> + Unpin,
    between: Between,
) {
    while let Some(Ok(message)) = from.next().await {
        let Message::Text(text) = &message else {
            if message.is_close() || to.send(message).await.is_err() {
                return;
            }
            continue;
        };
        lock(&between.traffic).extend_from_slice(text.as_bytes());
        for line in text.as_str().lines() {
            let Verdict { frames, cut, late } = between.judge(way, line);
            tokio::time::sleep(late).await;
            for frame in frames {
                if to.send(frame).await.is_err() {
                    return;
                }
            }
            if cut {
                return;
            }
        }
    }
}

/// What goes on in place of one message.
#[derive(Default)]
struct Verdict {
    frames: Vec<Message>,
    /// Whether the connection ends with it.
    cut: bool,
    /// How long it waits.
    late: Duration,
}

impl Between {
    fn judge(&self, way: Way, line: &str) -> Verdict {
        let as_it_is = || Message::text(line.to_owned());
        let frames = |frames| Verdict { frames, ..Verdict::default() };
        let Ok(value) = serde_json::from_str::<Value>(line) else { return frames(vec![as_it_is()]) };
        let fate = (lock(&self.tamper))(way, &value);
        lock(&self.seen).push((way, value));
        match fate {
            Fate::Pass => frames(vec![as_it_is()]),
            Fate::Drop => frames(vec![]),
            Fate::Instead(values) => frames(values.iter().map(|v| Message::text(v.to_string())).collect()),
            Fate::After(frame) => frames(vec![frame, as_it_is()]),
            Fate::Late(late) => Verdict { late, ..frames(vec![as_it_is()]) },
            Fate::Cut => Verdict { cut: true, ..Verdict::default() },
        }
    }
}
