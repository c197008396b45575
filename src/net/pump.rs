//! Moves text frames between a WebSocket and the queues of an isolate.
//!
//! Outgoing frames are counted until the operating system has taken them, so that the SDK's
//! back-pressure sees the truth. Incoming frames wait in a queue that is bounded in number and in
//! bytes; when it is full the socket is not read, and TCP slows the other side down.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::runtime::queue::{self, queue};
use crate::runtime::{Ending, Frames, HangUp, Queue, Received, Waiting};

/// The largest frame taken: the SDK can merge many messages into one frame.
pub const MAX_FRAME_BYTES: usize = 64 << 20;
/// Kibibytes that incoming frames may have together that wait for the script; one that is larger waits alone.
const INCOMING_KIB: u32 = 1 << 10;
/// No frame counts for less, so that there are no more than 64.
const LEAST_KIB: u32 = INCOMING_KIB / 64;
/// One of no more than this may always wait, however much those of other connections take up of what they share.
const FREE_KIB: u32 = 64;
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
/// What waits for the script takes up some of `of_all` besides, where many connections share some. `keep_alive` says how
/// the other side hears that this one is there, `counted` counts the frames that wait for the script, `hang_up` ends the
/// connection. `at_end` is called once, when the connection is over in both directions, with the reason
/// where either side would not go on; of the other side's, before the script sees that it is over.
pub fn frames_for<S, M, E>(
    socket: S,
    runtime: &tokio::runtime::Handle,
    keep_alive: Option<KeepAlive>,
    counted: Option<Arc<dyn Queue>>,
    of_all: Option<Arc<Semaphore>>,
    hang_up: HangUp,
    at_end: impl FnOnce(Option<Ending>) + Send + 'static,
) -> Frames
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Send + Unpin + 'static,
    M: WireMessage,
    E: std::fmt::Display + Send + 'static,
{
    let (outgoing, queued) = queue();
    let (received, incoming) = queue();
    let buffered = Arc::new(AtomicUsize::new(0));
    let said = Arc::new(OnceLock::new());
    let mut pump = Pump {
        socket,
        queued: Some(queued),
        buffered: buffered.clone(),
        sending: None,
        since: Instant::now(),
        timer: None,
        keep_alive,
        received: Some(received),
        arriving: None,
        own: Arc::new(Semaphore::new(INCOMING_KIB as usize)),
        of_all,
        counted,
    };
    let (ending, heard) = (hang_up.clone(), said.clone());
    runtime.spawn(async move {
        let end = {
            let mut asked = pin!(ending.asked());
            // Either end ends both: the queues close, and the script sees a closed socket.
            poll_fn(|cx| {
                // First: who is to go with a reason hears it.
                if let Poll::Ready(ending) = asked.as_mut().poll(cx) {
                    return Poll::Ready(End::Refused(ending));
                }
                match pump.poll_write(cx) {
                    Poll::Ready(end) => Poll::Ready(end),
                    Poll::Pending => pump.poll_read(cx),
                }
            })
            .await
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
        // On the heap, where it is only at the end.
        let _ = tokio::time::timeout(LINGER, pump.say_good_bye(ending).boxed()).await;
        at_end(ending);
    });
    Frames { outgoing, buffered, incoming, hang_up, ending: said, claim: None }
}

/// One connection between a WebSocket and its queues. There are thousands that do nothing, so it is no larger than that needs.
struct Pump<S> {
    socket: S,
    /// What the script sends; none at the end.
    queued: Option<queue::Receiver<String>>,
    buffered: Arc<AtomicUsize>,
    sending: Option<Sending>,
    /// When it began to send what it sends, or has sent what it sent last.
    since: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    keep_alive: Option<KeepAlive>,
    /// What comes for the script; none at the end.
    received: Option<queue::Sender<Received>>,
    /// What has come, and waits for room.
    arriving: Option<BoxFuture<'static, Option<Received>>>,
    /// The room for what waits for the script: that of this connection, and of all.
    own: Arc<Semaphore>,
    of_all: Option<Arc<Semaphore>>,
    counted: Option<Arc<dyn Queue>>,
}

/// A frame on its way to the network.
struct Sending {
    bytes: usize,
    /// Until the socket has taken it.
    text: Option<String>,
}

impl<S, M, E> Pump<S>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Send + Unpin,
    M: WireMessage,
    E: std::fmt::Display,
{
    /// Sends what is queued; ready when the script has closed or nothing can be sent.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            match self.poll_sent(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, "connection lost while sending");
                    return Poll::Ready(End::Lost(None));
                }
                Poll::Pending => {
                    ready!(self.poll_time(STALLED, cx));
                    tracing::debug!("the other side does not read; giving it up");
                    return Poll::Ready(End::Lost(None));
                }
            }
            let Some(queued) = &mut self.queued else { return Poll::Ready(End::Closed) };
            let text = match (queued.poll_recv(cx), self.keep_alive) {
                (Poll::Ready(Some(text)), _) => text,
                (Poll::Ready(None), _) => return Poll::Ready(End::Closed),
                (Poll::Pending, None) => return Poll::Pending,
                (Poll::Pending, Some(keep_alive)) => {
                    ready!(self.poll_time(keep_alive.after, cx));
                    let text = (keep_alive.text)();
                    self.buffered.fetch_add(text.len(), Ordering::Relaxed);
                    text
                }
            };
            self.sending = Some(Sending { bytes: text.len(), text: Some(text) });
            self.since = Instant::now();
        }
    }

    /// Ready once nothing is on its way to the network.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let Some(sending) = &mut self.sending else { return Poll::Ready(Ok(())) };
        if sending.text.is_some() {
            ready!(self.socket.poll_ready_unpin(cx))?;
        }
        if let Some(text) = sending.text.take() {
            self.socket.start_send_unpin(M::text(text))?;
        }
        ready!(self.socket.poll_flush_unpin(cx))?;
        self.buffered.fetch_sub(sending.bytes, Ordering::Relaxed);
        self.sending = None;
        self.since = Instant::now();
        Poll::Ready(Ok(()))
    }

    /// Ready when so much time has passed since it began to send, or had sent.
    fn poll_time(&mut self, time: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.since + time;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.poll_unpin(cx)
    }

    /// Queues what comes for the script; ready when nothing comes any more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Some(arriving) = &mut self.arriving {
                let arrived = ready!(arriving.poll_unpin(cx));
                self.arriving = None;
                let Some(received) = &self.received else { return Poll::Ready(End::Lost(None)) };
                if arrived.is_none_or(|arrived| received.send(arrived).is_err()) {
                    return Poll::Ready(End::Lost(None));
                }
            }
            match ready!(self.socket.poll_next_unpin(cx)).map(|message| message.map(M::into_frame)) {
                Some(Ok(Frame::Text(text))) => {
                    let arriving = admit(text, self.own.clone(), self.of_all.clone(), self.counted.clone());
                    self.arriving = Some(arriving.boxed());
                }
                Some(Ok(Frame::Other)) => {}
                Some(Ok(Frame::Close(code))) => return Poll::Ready(End::Lost(code.and_then(Ending::of))),
                Some(Err(error)) => {
                    tracing::debug!(%error, "connection lost while receiving");
                    return Poll::Ready(End::Lost(None));
                }
                None => return Poll::Ready(End::Lost(None)),
            }
        }
    }

    /// Closes the connection, with the reason where there is one.
    async fn say_good_bye(&mut self, ending: Option<Ending>) {
        drop((self.received.take(), self.queued.take(), self.arriving.take()));
        let Some(ending) = ending else {
            // Say so, but wait for nobody.
            return drop(self.socket.close().await);
        };
        if self.socket.send(M::close(ending.code(), ending.reason())).await.is_ok() {
            // What comes has to be read: the system would reset the connection, and the reason be lost.
            while let Some(Ok(message)) = self.socket.next().await {
                if matches!(message.into_frame(), Frame::Close(_)) {
                    break;
                }
            }
        }
    }
}

/// A frame for the script once there is room for it; none where the program is ending.
async fn admit(
    text: String,
    own: Arc<Semaphore>,
    of_all: Option<Arc<Semaphore>>,
    counted: Option<Arc<dyn Queue>>,
) -> Option<Received> {
    let size = u32::try_from(text.len().div_ceil(1024)).unwrap_or(u32::MAX);
    let is_free = size <= FREE_KIB && own.available_permits() == INCOMING_KIB as usize;
    let own = own.acquire_many_owned(size.clamp(LEAST_KIB, INCOMING_KIB)).await.ok()?;
    let of_all = match of_all {
        Some(_) if is_free => None,
        Some(of_all) => Some(of_all.acquire_many_owned(size).await.ok()?),
        None => None,
    };
    let waiting = counted.map(|counted| Waiting::begin(counted, text.len()));
    Some(Received { text, room: (own, of_all), waiting })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::sync::mpsc;

    use super::*;

    /// The near end of a socket from which texts come.
    struct Texts(mpsc::UnboundedReceiver<String>);

    impl Stream for Texts {
        type Item = Result<String, Infallible>;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            self.0.poll_recv(cx).map(|text| text.map(Ok))
        }
    }

    impl Sink<String> for Texts {
        type Error = Infallible;

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn start_send(self: Pin<&mut Self>, _: String) -> Result<(), Infallible> {
            Ok(())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }
    }

    impl WireMessage for String {
        fn text(text: String) -> Self {
            text
        }

        fn close(_: u16, reason: &'static str) -> Self {
            reason.to_owned()
        }

        fn into_frame(self) -> Frame {
            Frame::Text(self)
        }
    }

    #[tokio::test]
    async fn one_ordinary_frame_may_always_wait_whatever_those_of_others_take_up() {
        let taken = Arc::new(Semaphore::new(0));
        let (says, texts) = mpsc::unbounded_channel();
        let (runtime, room) = (tokio::runtime::Handle::current(), Some(taken.clone()));
        let mut frames = frames_for(Texts(texts), &runtime, None, None, room, HangUp::new(), drop);
        let length = FREE_KIB as usize * 1024;
        for text in ["x".repeat(length), "y".into(), "x".repeat(length + 1)] {
            says.send(text).unwrap();
        }
        assert_eq!(frames.incoming.recv().await.map(|frame| frame.text.len()), Some(length));
        // The second one may have been looked at while the first waited.
        taken.add_permits(1);
        assert_eq!(frames.incoming.recv().await.map(|frame| frame.text), Some("y".into()));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(frames.incoming.recv().now_or_never().is_none(), "a large one waits for room");
        taken.add_permits(FREE_KIB as usize + 1);
        assert!(frames.incoming.recv().await.is_some());
    }
}
