//! Text frames to a relay, or to a relay's clients.
//!
//! The connections themselves live on the program's network thread (`crate::net`); here are only
//! the ends of their queues. A client's isolate can dial one place, the configured relay; a relay's
//! isolate gets connections that the program has accepted and can dial nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use deno_core::{OpState, op2, v8};
use deno_error::JsErrorBox;
use futures::future::BoxFuture;
use tokio::sync::OwnedSemaphorePermit;

use super::session_map::SessionMaps;
use super::{exception, guarded, guarded_async, text};
use crate::runtime::ending::{Ending, HangUp};
use crate::runtime::queue;

/// Dials the configured relay; the error is in plain words.
pub type Dialer = Box<dyn Fn() -> BoxFuture<'static, Result<Frames, String>> + Send>;

/// Says whether an account may write through a connection, and keeps the connection's invitation for it if nobody has it yet.
pub type Claim = Box<dyn Fn(&str) -> bool + Send>;

/// The program's two queues of one connection, as the script's side holds them.
pub struct Frames {
    /// Frames to send; dropping it closes the connection once they are sent.
    pub outgoing: queue::Sender<String>,
    /// Bytes that were queued and not yet written to the network.
    pub buffered: Arc<AtomicUsize>,
    /// Frames received; ends when the connection has.
    pub incoming: queue::Receiver<Received>,
    /// Ends the connection with a reason.
    pub hang_up: HangUp,
    /// The reason with which the other side ended it, before `incoming` ends.
    pub ending: Arc<OnceLock<Ending>>,
    /// What an account has to be let through by that wants to write; none where anybody may.
    pub claim: Option<Claim>,
}

/// A frame that was received, and the room that it takes up until it is dropped.
pub struct Received {
    /// What it says.
    pub text: String,
    /// Given back to the one who reads the network: that of its connection, and of all where they share some.
    pub room: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
    /// Counts it among those that wait, where somebody counts.
    pub waiting: Option<Waiting>,
}

/// Who counts the frames that wait for a script.
pub trait Queue: Send + Sync {
    /// One of this many bytes has come.
    fn came(&self, bytes: usize);
    /// It was taken, or its connection has ended.
    fn left(&self, bytes: usize, waited: Duration);
}

/// One frame among those that wait, until this is dropped.
pub struct Waiting {
    queue: Arc<dyn Queue>,
    bytes: usize,
    since: Instant,
}

impl Waiting {
    /// Counts a frame of this many bytes.
    #[must_use]
    pub fn begin(queue: Arc<dyn Queue>, bytes: usize) -> Self {
        queue.came(bytes);
        Self { queue, bytes, since: Instant::now() }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.queue.left(self.bytes, self.since.elapsed());
    }
}

struct Socket {
    /// None once the script has closed it.
    outgoing: Option<queue::Sender<String>>,
    buffered: Arc<AtomicUsize>,
    incoming: queue::Receiver<Received>,
    hang_up: HangUp,
    ending: Arc<OnceLock<Ending>>,
    claim: Option<Claim>,
}

impl Socket {
    /// Queues a frame, unless the connection has ended.
    fn queue(&self, frame: String) {
        let Some(outgoing) = &self.outgoing else { return };
        let bytes = frame.len();
        self.buffered.fetch_add(bytes, Ordering::Relaxed);
        if outgoing.send(frame).is_err() {
            self.buffered.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// The connections from which something has come that was awaited.
#[derive(Default)]
struct Arrivals(Mutex<Arrived>);

#[derive(Default)]
struct Arrived {
    sockets: Vec<u32>,
    reader: Option<Waker>,
}

/// What tells that something has come from one of them.
struct Bell {
    arrivals: Arc<Arrivals>,
    socket: u32,
}

impl Arrivals {
    fn add(&self, socket: u32) {
        let mut arrived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.sockets.push(socket);
        let reader = arrived.reader.take();
        drop(arrived);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Vec<u32>> {
        let mut arrived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if arrived.sockets.is_empty() {
            arrived.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut arrived.sockets))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.arrivals.add(self.socket);
    }
}

/// The isolate's connections.
pub(crate) struct Sockets {
    dialer: Option<Dialer>,
    open: HashMap<u32, Socket>,
    arrivals: Arc<Arrivals>,
    next: u32,
    /// The one that was dialled last, and why the last of those ended that have.
    dialled: Option<u32>,
    ending: Option<Ending>,
}

impl Sockets {
    pub(crate) fn new(dialer: Option<Dialer>) -> Self {
        Self { dialer, open: HashMap::new(), arrivals: Arc::default(), next: 1, dialled: None, ending: None }
    }

    /// Takes a connection in and names it.
    pub(crate) fn add(&mut self, frames: Frames) -> u32 {
        let handle = self.next;
        self.next = self.next.wrapping_add(1);
        self.open.insert(
            handle,
            Socket {
                outgoing: Some(frames.outgoing),
                buffered: frames.buffered,
                incoming: frames.incoming,
                hang_up: frames.hang_up,
                ending: frames.ending,
                claim: frames.claim,
            },
        );
        handle
    }

    /// Ready with the next frame; with none once the connection has ended.
    fn poll_receive(&mut self, handle: u32, cx: &mut Context<'_>) -> Poll<Option<String>> {
        let Some(socket) = self.open.get_mut(&handle) else { return Poll::Ready(None) };
        let frame = ready!(socket.incoming.poll_recv(cx));
        if frame.is_none() {
            self.ended(handle);
        }
        Poll::Ready(frame.map(|frame| frame.text))
    }

    /// A connection has ended, and nothing more comes from it.
    fn ended(&mut self, handle: u32) {
        let ending = self.open.remove(&handle).and_then(|socket| socket.ending.get().copied());
        if self.dialled == Some(handle) {
            (self.dialled, self.ending) = (None, ending);
        }
    }
}

/// Dials the relay; the handle of the connection.
#[op2]
#[smi]
pub async fn op_socket_connect(state: Rc<RefCell<OpState>>) -> Result<u32, JsErrorBox> {
    let frames = guarded_async(async {
        let dialling = match &state.borrow().borrow::<Sockets>().dialer {
            Some(dial) => dial(),
            None => return Err(JsErrorBox::generic("no relay is configured")),
        };
        dialling.await.map_err(exception)
    })
    .await?;
    let mut state = state.borrow_mut();
    let sockets = state.borrow_mut::<Sockets>();
    let handle = sockets.add(frames);
    sockets.dialled = Some(handle);
    Ok(handle)
}

/// Queues one frame. A frame for a connection that has ended is dropped, as the network would.
#[op2(fast)]
pub fn op_socket_send(
    isolate: &mut v8::Isolate,
    state: &OpState,
    #[smi] socket: u32,
    frame: &v8::String,
) -> Result<(), JsErrorBox> {
    let Some(socket) = state.borrow::<Sockets>().open.get(&socket) else { return Ok(()) };
    socket.queue(text(isolate, frame)?);
    Ok(())
}

/// Queues a message with content of a CoValue, which is written here from its session map
/// ([`SessionMap::content_message`](crate::runtime::crypto::SessionMap::content_message)); false where the map does not hold it, or has been
/// freed.
#[op2(fast)]
pub fn op_socket_send_content(
    state: &OpState,
    #[smi] socket: u32,
    #[smi] map: u32,
    #[string] head: &str,
    #[string] sessions: &str,
) -> Result<bool, JsErrorBox> {
    let Some(socket) = state.borrow::<Sockets>().open.get(&socket) else { return Ok(true) };
    let Ok(map) = state.borrow::<SessionMaps>().get(map) else { return Ok(false) };
    let Some(frame) = guarded(|| map.content_message(head, sessions).map_err(exception))? else { return Ok(false) };
    socket.queue(frame);
    Ok(true)
}

/// Bytes that were queued and not yet written to the network.
#[op2(fast)]
pub fn op_socket_buffered(state: &OpState, #[smi] socket: u32) -> f64 {
    let open = &state.borrow::<Sockets>().open;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    open.get(&socket).map_or(0.0, |socket| socket.buffered.load(Ordering::Relaxed) as f64)
}

/// The next frame; null once the connection has ended.
#[op2]
#[string]
pub async fn op_socket_receive(state: Rc<RefCell<OpState>>, #[smi] socket: u32) -> Option<String> {
    poll_fn(|cx| state.borrow_mut().borrow_mut::<Sockets>().poll_receive(socket, cx)).await
}

/// Has [`op_socket_arrivals`] name a connection once it has a frame, or has ended. One promise then waits for thousands of
/// connections, of which most say nothing.
#[op2(fast)]
pub fn op_socket_await(state: &mut OpState, #[smi] socket: u32) {
    let sockets = state.borrow_mut::<Sockets>();
    let arrivals = &sockets.arrivals;
    let waits = sockets.open.get_mut(&socket).is_some_and(|open| {
        let bell = Arc::new(Bell { arrivals: arrivals.clone(), socket }).into();
        open.incoming.poll_ready(&mut Context::from_waker(&bell)).is_pending()
    });
    if !waits {
        arrivals.add(socket);
    }
}

/// The connections that were awaited and have something now, at least one.
#[op2]
#[serde]
pub async fn op_socket_arrivals(state: Rc<RefCell<OpState>>) -> Vec<u32> {
    let arrivals = state.borrow().borrow::<Sockets>().arrivals.clone();
    poll_fn(|cx| arrivals.poll_take(cx)).await
}

/// The frame that has come from a connection; null once it has ended. An empty one stands for none.
#[op2]
#[string]
pub fn op_socket_take(state: &mut OpState, #[smi] socket: u32) -> Option<String> {
    match state.borrow_mut::<Sockets>().poll_receive(socket, &mut Context::from_waker(Waker::noop())) {
        Poll::Ready(frame) => frame,
        Poll::Pending => Some(String::new()),
    }
}

/// Closes a connection once its queued frames are sent; it then ends.
#[op2(fast)]
pub fn op_socket_close(state: &mut OpState, #[smi] socket: u32) {
    if let Some(socket) = state.borrow_mut::<Sockets>().open.get_mut(&socket) {
        socket.outgoing = None;
    }
}

/// The code with which the relay ended the dialled connection that has ended last; 0 where it gave none.
#[op2(fast)]
#[smi]
pub fn op_socket_ending(state: &OpState) -> u32 {
    state.borrow::<Sockets>().ending.map_or(0, |ending| ending.code().into())
}

/// Ends a connection at once with a reason that its client hears; what is queued is never sent.
#[op2(fast)]
pub fn op_socket_refuse(state: &mut OpState, #[smi] socket: u32, #[smi] code: u32) {
    let Some(socket) = state.borrow_mut::<Sockets>().open.get_mut(&socket) else { return };
    let ending = u16::try_from(code).ok().and_then(Ending::of).unwrap_or(Ending::Malformed);
    socket.hang_up.end(ending);
    socket.outgoing = None;
}

/// Whether an account may write through a connection. Its invitation is that account's from then on.
#[op2(fast)]
pub fn op_socket_claim(state: &mut OpState, #[smi] socket: u32, #[string] account: &str) -> bool {
    let Some(socket) = state.borrow::<Sockets>().open.get(&socket) else { return false };
    socket.claim.as_ref().is_none_or(|claim| claim(account))
}
