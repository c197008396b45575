//! Moves text frames between a WebSocket and the queues of an isolate.
//!
//! Outgoing frames are counted until the operating system has taken them, so that the SDK's
//! back-pressure sees the truth. Incoming frames wait in a queue that is bounded in number and in
//! bytes; when it is full the socket is not read, and TCP slows the other side down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::{Semaphore, mpsc};

use crate::runtime::{Frames, Queue, Received, Waiting};

/// The largest frame taken: the SDK can merge many messages into one frame.
pub const MAX_FRAME_BYTES: usize = 64 << 20;
/// Incoming frames that may wait for the script.
const INCOMING_QUEUE: usize = 64;
/// Kibibytes that they may have together: those of the largest frame.
const INCOMING_KIB: u32 = 64 << 10;
/// How long the other side may take to read one frame. A side that never reads would let its queue grow for ever.
const STALLED: Duration = Duration::from_secs(600);
/// How long a closing connection may take to send what is queued.
const LINGER: Duration = Duration::from_secs(5);

/// A frame of either WebSocket implementation in use, as far as the pump cares.
pub enum Frame {
    /// Text, the only kind the protocol uses.
    Text(String),
    /// Anything that carries no text: control frames are dealt with by the implementation.
    Other,
    /// The other side closes.
    Close,
}

/// A frame that says nothing but that we are here.
#[derive(Clone, Copy)]
pub struct KeepAlive {
    /// After how long a silence it is sent.
    pub after: Duration,
    /// What it says.
    pub text: fn() -> String,
}

/// Starts the two tasks of a connection and gives its queues to be handed to an isolate.
///
/// `keep_alive` says how the other side hears that this one is there, `queue` counts the frames that wait for the script.
/// `until_end` is dropped once, when the connection is over in both directions.
pub fn frames_for<S, M, E>(
    socket: S,
    to_message: fn(String) -> M,
    to_frame: fn(M) -> Frame,
    runtime: &tokio::runtime::Handle,
    keep_alive: Option<KeepAlive>,
    queue: Option<Arc<dyn Queue>>,
    until_end: impl Send + 'static,
) -> Frames
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Send + Unpin + 'static,
    M: Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    let (mut sink, mut stream) = socket.split();
    let (outgoing, mut queued) = mpsc::unbounded_channel::<String>();
    let (received, incoming) = mpsc::channel(INCOMING_QUEUE);
    let buffered = Arc::new(AtomicUsize::new(0));

    let room = Arc::new(Semaphore::new(INCOMING_KIB as usize));
    let counter = buffered.clone();
    runtime.spawn(async move {
        let writer = async move {
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
                let Some(text) = next else { break };
                let bytes = text.len();
                let sent = tokio::time::timeout(STALLED, sink.send(to_message(text))).await;
                counter.fetch_sub(bytes, Ordering::Relaxed);
                match sent {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "connection lost while sending");
                        return;
                    }
                    Err(_) => {
                        tracing::debug!("the other side does not read; giving it up");
                        return;
                    }
                }
            }
            // The script has closed; say so, but wait for nobody.
            let _ = tokio::time::timeout(LINGER, sink.close()).await;
        };
        let reader = async move {
            while let Some(message) = stream.next().await {
                match message.map(to_frame) {
                    Ok(Frame::Text(text)) => {
                        let size = u32::try_from(text.len().div_ceil(1024)).unwrap_or(u32::MAX);
                        let Ok(room) = room.clone().acquire_many_owned(size.min(INCOMING_KIB)).await else { return };
                        let waiting = queue.clone().map(|queue| Waiting::begin(queue, text.len()));
                        if received.send(Received { text, room, waiting }).await.is_err() {
                            return;
                        }
                    }
                    Ok(Frame::Other) => {}
                    Ok(Frame::Close) => return,
                    Err(error) => {
                        tracing::debug!(%error, "connection lost while receiving");
                        return;
                    }
                }
            }
        };
        // Either end ends both: the queues close, and the script sees a closed socket.
        tokio::pin!(writer);
        tokio::pin!(reader);
        tokio::select! {
            () = &mut writer => {}
            () = &mut reader => {}
        }
        drop(until_end);
    });
    Frames { outgoing, buffered, incoming }
}
