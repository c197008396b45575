//! Whether a client is still there. Who says nothing is asked, with pings of the WebSocket that every implementation answers
//! by itself; from whom nothing comes then either is gone, and its place is free. The system would notice late, and
//! behind a proxy never.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, Sleep, sleep};

/// How often a client is asked in the time that it has.
const ASKED: u32 = 2;

/// What comes from one client, and when.
pub(super) struct Pulse {
    every: Duration,
    next: Pin<Box<Sleep>>,
    /// How many bytes had come when it was last looked.
    seen: u64,
    unanswered: u32,
}

/// What is to be done about a client that says nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// It should be asked.
    Ask,
    /// It has gone.
    Gone,
}

impl Pulse {
    /// Of a client that may be silent for so long, and up to a third longer.
    pub(super) fn new(patience: Duration) -> Self {
        let every = patience / (ASKED + 1);
        Self { every, next: Box::pin(sleep(every)), seen: 0, unanswered: 0 }
    }

    /// Ready when a client has been silent; `came` is how many bytes have come from it in all.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, came: u64) -> Poll<Silence> {
        loop {
            ready!(self.next.poll_unpin(cx));
            self.next.as_mut().reset(Instant::now() + self.every);
            if came == self.seen {
                return Poll::Ready(if self.unanswered < ASKED { Silence::Ask } else { Silence::Gone });
            }
            self.heard(came);
        }
    }

    /// It was asked.
    pub(super) fn asked(&mut self) {
        self.unanswered += 1;
    }

    /// It is there, whatever has come.
    pub(super) fn heard(&mut self, came: u64) {
        self.seen = came;
        self.unanswered = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(60);

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn who_answers_stays_and_who_does_not_has_gone() {
        run(async {
            let mut pulse = Pulse::new(PATIENCE);
            let mut came = 0;
            for _ in 0..5 {
                assert_eq!(poll_fn(|cx| pulse.poll(cx, came)).await, Silence::Ask);
                pulse.asked();
                came += 6;
            }
            pulse.heard(came);
            let begun = Instant::now();
            for _ in 0..ASKED {
                assert_eq!(poll_fn(|cx| pulse.poll(cx, came)).await, Silence::Ask);
                pulse.asked();
            }
            assert_eq!(poll_fn(|cx| pulse.poll(cx, came)).await, Silence::Gone);
            assert!(begun.elapsed() >= PATIENCE * 2 / 3, "{:?}", begun.elapsed());
        });
    }

    #[test]
    fn who_cannot_be_asked_has_not_gone() {
        run(async {
            let mut pulse = Pulse::new(PATIENCE);
            for _ in 0..5 {
                assert_eq!(poll_fn(|cx| pulse.poll(cx, 0)).await, Silence::Ask);
            }
        });
    }
}
