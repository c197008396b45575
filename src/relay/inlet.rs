//! What comes from one client, as far as it can be judged without understanding it: whole, in time, not too fast, not too
//! large, not nested too deeply; and in pieces, so that no client has the engine to itself for long.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures::{FutureExt, Sink, SinkExt, StreamExt};
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::tungstenite::Error as SocketError;

use super::confirmation::Confirmation;
use super::gauge::Gauge;
use super::outside::Counts;
use super::pace::Pace;
use super::pulse::{Pulse, Silence};
use super::room::Room;
use crate::runtime::{Ending, HangUp};

/// A longer frame goes to the engine in pieces of about this many bytes, between its messages.
pub(super) const PIECE: usize = 64 << 10;
/// The longest message, in bytes: the SDK cuts what it sends after 100 KiB, and no transaction is longer than 2 MiB.
pub(super) const LONGEST_MESSAGE: usize = 4 << 20;
/// A message has objects in objects, but not so many.
const DEEPEST: usize = 64;
/// The least that an unfinished frame has to go on by, in bytes a second.
const SLOWEST: u64 = 16 << 10;
/// How long a client is not read after a control frame: who sends one now and then does not notice, and a flood of them costs little.
const BREATH: Duration = Duration::from_millis(10);

/// How much may be in memory of frames that have not arrived whole, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct FrameLimits {
    /// MiB of all connections together.
    pub memory_mib: u32,
    /// Within this time a frame is there, or goes on by 16 KiB a second.
    pub time: Duration,
}

/// A client's WebSocket, behind all that.
pub(super) struct Inlet {
    socket: WebSocket,
    gauge: Gauge,
    time: Duration,
    pulse: Pulse,
    /// Whether the client has not taken yet what was sent to it.
    is_behind: bool,
    pace: Option<Arc<Pace>>,
    counts: Arc<Counts>,
    confirmation: Confirmation,
    hang_up: HangUp,
    /// What of a frame has not been handed on, and the room that it takes up.
    pieces: VecDeque<String>,
    room: Option<Room>,
    /// Whether the first of them was handed on already.
    is_again: bool,
    rest: Option<Pin<Box<Sleep>>>,
    overdue: Option<Pin<Box<Sleep>>>,
    /// Whether the connection is ending: nothing that comes counts any more.
    ending: bool,
}

impl Inlet {
    /// `time` is in what a frame has to arrive, `patience` for how long a client may be silent.
    pub(super) fn new(
        socket: WebSocket,
        gauge: Gauge,
        time: Duration,
        patience: Duration,
        pace: Option<Arc<Pace>>,
        counts: Arc<Counts>,
        hang_up: HangUp,
    ) -> Self {
        // What has come until now were headers.
        drop(gauge.whole());
        Self {
            socket,
            gauge,
            time,
            pulse: Pulse::new(patience),
            is_behind: false,
            pace,
            counts,
            confirmation: Confirmation::default(),
            hang_up,
            pieces: VecDeque::new(),
            room: None,
            is_again: false,
            rest: None,
            overdue: None,
            ending: false,
        }
    }

    /// Has what was read already come once more.
    pub(super) fn put_back(&mut self, text: String) {
        self.pieces.push_front(text);
        self.is_again = true;
    }

    /// Ends the connection; whoever reads it is told by `hang_up`.
    fn end(&mut self, ending: Ending) -> Poll<Option<Result<Message, axum::Error>>> {
        self.ending = true;
        self.pieces.clear();
        self.room = None;
        self.rest = None;
        self.hang_up.end(ending);
        Poll::Pending
    }

    /// Takes a frame in.
    fn take_in(&mut self, text: &str) -> Result<(), Ending> {
        self.room = self.gauge.whole();
        self.overdue = None;
        if self.ending {
            return Ok(());
        }
        self.counts.incoming.passed(text.len());
        self.pieces = pieces(text).ok_or(Ending::TooLarge)?;
        Ok(())
    }

    /// Hands a piece of a frame on. What has to be looked at byte by byte is looked at now: all of a large frame at once would
    /// keep all others waiting.
    fn hand_on(&mut self, piece: &str) -> Result<(), Ending> {
        if self.pieces.is_empty() {
            (self.pieces, self.room) = (VecDeque::new(), None);
        } else if let Some(room) = &mut self.room {
            room.left(piece.len());
        }
        if std::mem::take(&mut self.is_again) {
            return Ok(());
        }
        if is_nested_too_deeply(piece) {
            return Err(Ending::Malformed);
        }
        self.confirmation.came(piece);
        let messages = messages(piece);
        self.counts.incoming.brought(messages);
        self.slow_down(messages, piece.len(), Duration::ZERO);
        Ok(())
    }

    /// Reads nothing more for as long as this, or longer where the client has sent more than it may.
    fn slow_down(&mut self, messages: usize, bytes: usize, least: Duration) {
        let wait = self.pace.as_ref().map_or(least, |pace| pace.take(messages, bytes).max(least));
        self.rest = (!wait.is_zero()).then(|| Box::pin(sleep(wait)));
    }

    /// Whether an unfinished frame has not gone on in its time.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let time = self.time;
            let overdue = self.overdue.get_or_insert_with(|| Box::pin(sleep(time)));
            ready!(overdue.poll_unpin(cx));
            self.overdue = None;
            let least = self.time.as_secs() * SLOWEST;
            if self.gauge.progress().is_some_and(|came| (came as u64) < least) {
                return Poll::Ready(());
            }
        }
    }

    /// Asks a client that is silent whether it is there; ready once it has gone.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while ready!(self.pulse.poll(cx, self.gauge.came())) == Silence::Ask {
            if self.gauge.is_held_back() {
                self.pulse.heard(self.gauge.came());
            // Behind what it has not taken yet a question would not reach it; that has a time of its own.
            } else if !self.is_behind && self.socket.poll_ready_unpin(cx).is_ready() {
                // Where it cannot be sent the connection is lost, which is seen in reading.
                let _ = self.socket.start_send_unpin(Message::Ping(Bytes::new()));
                let _ = Pin::new(&mut *self).poll_flush(cx);
                self.pulse.asked();
            }
        }
        Poll::Ready(())
    }
}

impl futures::Stream for Inlet {
    type Item = Result<Message, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(rest) = &mut self.rest {
                ready!(rest.poll_unpin(cx));
                self.rest = None;
            }
            if let Some(piece) = self.pieces.pop_front() {
                return match self.hand_on(&piece) {
                    Ok(()) => Poll::Ready(Some(Ok(Message::Text(piece.into())))),
                    Err(ending) => self.end(ending),
                };
            }
            match self.socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(Message::Text(text)))) => {
                    if let Err(ending) = self.take_in(text.as_str()) {
                        return self.end(ending);
                    }
                }
                Poll::Ready(Some(Ok(Message::Ping(payload) | Message::Pong(payload)))) => {
                    self.gauge.control(payload.len());
                    if !self.ending {
                        self.slow_down(1, payload.len(), BREATH);
                    }
                }
                // The protocol has none.
                Poll::Ready(Some(Ok(Message::Binary(_)))) if !self.ending => return self.end(Ending::Malformed),
                Poll::Ready(Some(Ok(Message::Binary(_)))) => drop(self.gauge.whole()),
                Poll::Ready(Some(Err(error))) if is_too_long(&error) && !self.ending => {
                    return self.end(Ending::TooLarge);
                }
                Poll::Ready(closed_or_lost) => return Poll::Ready(closed_or_lost),
                Poll::Pending => {
                    if self.ending {
                        return Poll::Pending;
                    }
                    if !self.gauge.is_unfinished() {
                        self.overdue = None;
                    } else if self.poll_overdue(cx).is_ready() {
                        return self.end(Ending::TooSlow);
                    }
                    ready!(self.poll_gone(cx));
                    tracing::debug!("a client has gone without a word");
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Sink<Message> for Inlet {
    type Error = axum::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.socket.poll_ready_unpin(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        if let Message::Text(text) = &message {
            self.counts.outgoing.passed(text.len());
            self.counts.outgoing.brought(messages(text.as_str()));
            if let Some(took) = self.confirmation.went(text.as_str()) {
                self.counts.confirmed(took);
            }
        }
        self.socket.start_send_unpin(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let flushed = self.socket.poll_flush_unpin(cx);
        self.is_behind = flushed.is_pending();
        flushed
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.socket.poll_close_unpin(cx)
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.and_then(|source| source.downcast_ref()).is_some_and(|error| matches!(error, SocketError::Capacity(_)))
}

/// How many messages a text has.
fn messages(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count() + 1
}

/// A frame in pieces that end with a message; none where one of its messages is too long.
pub(super) fn pieces(text: &str) -> Option<VecDeque<String>> {
    let mut pieces = VecDeque::new();
    let mut piece = String::new();
    for message in text.split_inclusive('\n') {
        if message.len() > LONGEST_MESSAGE {
            return None;
        }
        if !piece.is_empty() && piece.len() + message.len() > PIECE {
            pieces.push_back(std::mem::take(&mut piece));
        }
        piece.push_str(message);
        // The SDK knows no empty message at the end.
        if piece.len() >= PIECE {
            pieces.push_back(std::mem::take(&mut piece));
        }
    }
    if !piece.is_empty() {
        pieces.push_back(piece);
    }
    for piece in &mut pieces {
        if piece.ends_with('\n') {
            piece.pop();
        }
    }
    Some(pieces)
}

/// Whether arrays and objects of JSON lie in each other deeper than any message of the protocol has them: the engine would
/// walk down there.
pub(super) fn is_nested_too_deeply(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            // No string goes on in the next message.
            b'\n' => (depth, in_string) = (0, false),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_cut_between_messages_and_nothing_of_it_is_lost() {
        let message = "x".repeat(PIECE / 3);
        let frame = [message.as_str(); 10].join("\n");
        let cut = pieces(&frame).unwrap();
        assert!(cut.len() > 3 && cut.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(cut.into_iter().collect::<Vec<_>>().join("\n"), frame);
        assert_eq!(pieces("one\ntwo").unwrap(), ["one\ntwo"]);
        let long = "x".repeat(LONGEST_MESSAGE);
        assert_eq!(pieces(&format!("{long}\ny")), None);
        assert_eq!(pieces(&format!("y\n{long}")).map(|pieces| pieces.len()), Some(2));
    }

    #[test]
    fn depth_is_what_lies_in_each_other_outside_of_strings() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_nested_too_deeply(&nested(DEEPEST)) && is_nested_too_deeply(&nested(DEEPEST + 1)));
        assert!(is_nested_too_deeply(&format!(r#"{{"a":"\"]","b":{}}}"#, nested(DEEPEST))));
        assert!(!is_nested_too_deeply(&format!(r#"{{"a":"\"{}"}}"#, "[".repeat(1000))));
        assert!(!is_nested_too_deeply(&"[{}]\n".repeat(1000)) && !is_nested_too_deeply(&"{}".repeat(1000)));
    }
}
