//! Moves text frames between a WebSocket and the queues of an isolate.
//!
//! Outgoing frames are counted until the operating system has taken them, so that the SDK's
//! back-pressure sees the truth. Incoming frames wait in a queue that is bounded in number and in
//! bytes; when it is full the socket is not read, and TCP slows the other side down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::{Semaphore, mpsc};

use crate::runtime::{Ending, Frames, HangUp, Queue, Received, Waiting};

/// The largest frame taken: the SDK can merge many messages into one frame.
pub const MAX_FRAME_BYTES: usize = 64 << 20;
/// Incoming frames that may wait for the script.
const INCOMING_QUEUE: usize = 64;
/// Kibibytes that they may have together; one that is larger waits alone.
const INCOMING_KIB: u32 = 1 << 10;
/// How long the other side may take to read one frame. A side that never reads would let its queue grow for ever.
const STALLED: Duration = Duration::from_secs(600);
/// How long a closing connection may take to send what is queued.
const LINGER: Duration = Duration::from_secs(5);

/// A message of either WebSocket implementation in use, as far as the pump cares.
pub trait WireMessage: Send + Sized + 'static {
    /// One that carries text, the only kind the protocol uses.
    fn text(text: String) -> Self;
    /// One that ends the connection with a code and a reason.
    fn close(code: u16, reason: &'static str) -> Self;
    /// What it says.
    fn into_frame(self) -> Frame;
}

/// What a message says.
pub enum Frame {
    /// Text.
    Text(String),
    /// Anything that carries no text: control frames are dealt with by the implementation.
    Other,
    /// The other side closes, with a code where it gave one.
    Close(Option<u16>),
}

/// A frame that says nothing but that we are here.
#[derive(Clone, Copy)]
pub struct KeepAlive {
    /// After how long a silence it is sent.
    pub after: Duration,
    /// What it says.
    pub text: fn() -> String,
}

/// How a connection ended.
enum End {
    /// The script has closed it.
    Closed,
    /// The other side has, or the network.
    Lost(Option<Ending>),
    /// It was ended from here.
    Refused(Ending),
}

/// Starts the task of a connection and gives its queues to be handed to an isolate.
///
/// What waits for the script takes up some of `room` besides, where many connections share some. `keep_alive` says how
/// the other side hears that this one is there, `queue` counts the frames that wait for the script, `hang_up` ends the
/// connection. `at_end` is called once, when the connection is over in both directions, with the reason
/// where either side would not go on; of the other side's, before the script sees that it is over.
pub fn frames_for<S, M, E>(
    socket: S,
    runtime: &tokio::runtime::Handle,
    keep_alive: Option<KeepAlive>,
    queue: Option<Arc<dyn Queue>>,
    room: Option<Arc<Semaphore>>,
    hang_up: HangUp,
    at_end: impl FnOnce(Option<Ending>) + Send + 'static,
) -> Frames
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Send + Unpin + 'static,
    M: WireMessage,
    E: std::fmt::Display + Send + 'static,
{
    let (mut sink, mut stream) = socket.split();
    let (outgoing, mut queued) = mpsc::unbounded_channel::<String>();
    let (received, incoming) = mpsc::channel(INCOMING_QUEUE);
    let buffered = Arc::new(AtomicUsize::new(0));
    let said = Arc::new(OnceLock::new());
    let (counter, ending, heard) = (buffered.clone(), hang_up.clone(), said.clone());
    runtime.spawn(async move {
        let end = {
            let writing = write(&mut sink, &mut queued, keep_alive, &counter);
            let reading = read(&mut stream, &received, queue.as_ref(), room.as_ref());
            // Either end ends both: the queues close, and the script sees a closed socket.
            tokio::select! {
                // In this order: who is to go with a reason hears it.
                biased;
                ending = ending.asked() => End::Refused(ending),
                end = writing => end,
                end = reading => end,
            }
        };
        let ending = match end {
            End::Closed => None,
            End::Refused(ending) => Some(ending),
            End::Lost(ending) => {
                if let Some(ending) = ending {
                    // Set nowhere else.
                    let _ = heard.set(ending);
                }
                return at_end(ending);
            }
        };
        drop((received, queued));
        match ending {
            // Say so, but wait for nobody.
            None => drop(tokio::time::timeout(LINGER, sink.close()).await),
            Some(ending) => {
                let farewell = async {
                    if sink.send(M::close(ending.code(), ending.reason())).await.is_ok() {
                        // What comes has to be read: the system would reset the connection, and the reason be lost.
                        while let Some(Ok(message)) = stream.next().await {
                            if matches!(message.into_frame(), Frame::Close(_)) {
                                break;
                            }
                        }
                    }
                };
                let _ = tokio::time::timeout(LINGER, farewell).await;
            }
        }
        at_end(ending);
    });
    Frames { outgoing, buffered, incoming, hang_up, ending: said, claim: None }
}

/// Sends what is queued, until the script closes or nothing can be sent.
async fn write<M: WireMessage, E: std::fmt::Display>(
    sink: &mut (impl Sink<M, Error = E> + Unpin),
    queued: &mut mpsc::UnboundedReceiver<String>,
    keep_alive: Option<KeepAlive>,
    counter: &AtomicUsize,
) -> End {
    loop {
        let next = match keep_alive {
            Some(keep_alive) => match tokio::time::timeout(keep_alive.after, queued.recv()).await {
                Ok(next) => next,
                Err(_) => {
                    let text = (keep_alive.text)();
                    counter.fetch_add(text.len(), Ordering::Relaxed);
                    Some(text)
                }
            },
            None => queued.recv().await,
        };
        let Some(text) = next else { return End::Closed };
        let bytes = text.len();
        let sent = tokio::time::timeout(STALLED, sink.send(M::text(text))).await;
        counter.fetch_sub(bytes, Ordering::Relaxed);
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "connection lost while sending");
                return End::Lost(None);
            }
            Err(_) => {
                tracing::debug!("the other side does not read; giving it up");
                return End::Lost(None);
            }
        }
    }
}

/// Queues what comes for the script, until nothing comes any more.
async fn read<M: WireMessage, E: std::fmt::Display>(
    stream: &mut (impl Stream<Item = Result<M, E>> + Unpin),
    received: &mpsc::Sender<Box<Received>>,
    queue: Option<&Arc<dyn Queue>>,
    of_all: Option<&Arc<Semaphore>>,
) -> End {
    let own = Arc::new(Semaphore::new(INCOMING_KIB as usize));
    while let Some(message) = stream.next().await {
        match message.map(M::into_frame) {
            Ok(Frame::Text(text)) => {
                let size = u32::try_from(text.len().div_ceil(1024)).unwrap_or(u32::MAX);
                let Ok(own) = own.clone().acquire_many_owned(size.min(INCOMING_KIB)).await else { break };
                let mut room = vec![own];
                if let Some(of_all) = of_all {
                    let Ok(shared) = of_all.clone().acquire_many_owned(size).await else { break };
                    room.push(shared);
                }
                let waiting = queue.map(|queue| Waiting::begin(queue.clone(), text.len()));
                if received.send(Box::new(Received { text, room, waiting })).await.is_err() {
                    break;
                }
            }
            Ok(Frame::Other) => {}
            Ok(Frame::Close(code)) => return End::Lost(code.and_then(Ending::of)),
            Err(error) => {
                tracing::debug!(%error, "connection lost while receiving");
                break;
            }
        }
    }
    End::Lost(None)
}
