//! How much of unfinished frames is in memory: bounded for all connections together.
//!
//! A WebSocket keeps what has come of a frame until all of it has. A little of that is free; beyond it a connection is read on
//! only with room from a budget that all share (`room.rs`). It says how much came, so that a frame that does not go on can be
//! given up, and its room with it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::room::{Budget, More, Room, Whose};

/// What every connection may have of an unfinished frame, in bytes; most frames are smaller.
const FREE: usize = 16 << 10;

/// A stream whose bytes are counted.
pub(super) struct Metered<S> {
    inner: S,
    budget: Budget,
    gauge: Gauge,
    asking: Option<BoxFuture<'static, Option<More>>>,
}

/// What has come of a frame on one connection.
#[derive(Clone, Default)]
pub(super) struct Gauge(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    /// All that has come on the connection.
    came: u64,
    unfinished: usize,
    /// What of it had come when progress was last asked for.
    seen: usize,
    /// Whose room that is; none before there are frames.
    whose: Option<Whose>,
    room: Option<Room>,
    waiting: bool,
}

impl Gauge {
    /// From now on frames come.
    pub(super) fn begin(&self, whose: Whose) {
        self.inside().whose = Some(whose);
    }

    /// A frame is complete: what has come was all of it. Its room is that of whoever has it now.
    pub(super) fn whole(&self) -> Option<Room> {
        let mut inside = self.inside();
        inside.unfinished = 0;
        inside.seen = 0;
        inside.room.take()
    }

    /// A frame of the WebSocket's own has come, between others or within one.
    pub(super) fn control(&self, payload: usize) {
        let mut inside = self.inside();
        // With its header and mask.
        inside.unfinished = inside.unfinished.saturating_sub(payload + 6);
    }

    /// How many bytes have come on the connection.
    pub(super) fn came(&self) -> u64 {
        self.inside().came
    }

    /// Whether nothing is read because there is no room for it.
    pub(super) fn is_held_back(&self) -> bool {
        self.inside().waiting
    }

    /// Whether a frame has begun.
    pub(super) fn is_unfinished(&self) -> bool {
        self.inside().unfinished > 0
    }

    /// What has come of it since this was last asked; none where it waits for room, which others have.
    pub(super) fn progress(&self) -> Option<usize> {
        let mut inside = self.inside();
        let came = inside.unfinished.saturating_sub(inside.seen);
        inside.seen = inside.unfinished;
        (!inside.waiting).then_some(came)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Metered<S> {
    pub(super) fn new(inner: S, budget: Budget) -> (Self, Gauge) {
        let gauge = Gauge::default();
        (Self { inner, budget, gauge: gauge.clone(), asking: None }, gauge)
    }

    /// Ready once there is room for more.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(asking) = &mut self.asking {
                let Poll::Ready(permit) = asking.poll_unpin(cx) else {
                    self.gauge.inside().waiting = true;
                    return Poll::Pending;
                };
                self.asking = None;
                let mut inside = self.gauge.inside();
                let inside = &mut *inside;
                inside.waiting = false;
                match (permit, &mut inside.room) {
                    (None, _) => return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into())),
                    (Some(more), Some(room)) => room.grow(more),
                    (Some(more), none) => {
                        *none = inside.whose.as_ref().map(|whose| Room::begin(self.budget.clone(), whose, more));
                    }
                }
            }
            let inside = self.gauge.inside();
            let room = inside.room.as_ref().map_or(0, Room::bytes);
            let Some(whose) = inside.whose.as_ref().filter(|_| inside.unfinished >= FREE + room) else {
                return Poll::Ready(Ok(()));
            };
            self.asking = Some(self.budget.clone().more(whose.clone()).boxed());
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_room(cx))?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let more = buffer.filled().len() - before;
        let mut inside = self.gauge.inside();
        inside.came += more as u64;
        if inside.whose.is_some() {
            inside.unfinished += more;
            inside.room.iter().for_each(|room| room.came(more));
        }
        drop(inside);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::relay::room::STEP;
    use crate::runtime::HangUp;

    #[tokio::test]
    async fn what_is_unfinished_waits_for_room_and_gives_it_back() {
        let budget = Budget::of_steps(1, 1, Duration::from_secs(60));
        let (mut far, near) = tokio::io::duplex(1 << 20);
        let (mut metered, gauge) = Metered::new(near, budget.clone());
        let (mut other_far, other_near) = tokio::io::duplex(1 << 20);
        let (mut other, other_gauge) = Metered::new(other_near, budget.clone());
        for stream in [&mut far, &mut other_far] {
            stream.write_all(&vec![0; 2 * FREE + 1]).await.unwrap();
        }
        let mut bytes = vec![0; FREE];
        metered.read_exact(&mut bytes).await.unwrap();
        assert!(!gauge.is_unfinished(), "headers are no frame");
        other.read_exact(&mut bytes).await.unwrap();
        for gauge in [&gauge, &other_gauge] {
            gauge.begin(budget.whose(None, HangUp::new()));
        }
        metered.read_exact(&mut bytes).await.unwrap();
        other.read_exact(&mut bytes).await.unwrap();
        assert_eq!(budget.free(), STEP as usize, "a little is free");
        metered.read_u8().await.unwrap();
        assert_eq!(budget.free(), 0);
        assert!(gauge.is_unfinished() && gauge.progress() == Some(FREE + 1) && gauge.progress() == Some(0));
        {
            let waiting = other.read_u8();
            tokio::pin!(waiting);
            assert!((&mut waiting).now_or_never().is_none(), "the other one waits for room");
            assert_eq!(other_gauge.progress(), None, "which is not its fault");
            drop(gauge.whole());
            waiting.await.unwrap();
        }
        assert!(!gauge.is_unfinished());
        drop((other, other_gauge));
        assert_eq!(budget.free(), STEP as usize, "who goes leaves its room");
    }
}
