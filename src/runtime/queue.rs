//! A queue from one task to another that takes up next to nothing while it is empty: a relay has two of them for each
//! connection, and most of those say nothing most of the time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A queue and its two ends. It has no bound: who fills it has to know one.
#[must_use]
pub fn queue<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared(Mutex::new(Inside {
        items: VecDeque::new(),
        reader: None,
        has_sender: true,
        has_receiver: true,
    })));
    (Sender(shared.clone()), Receiver(shared))
}

/// The end that things are put in at. Dropping it ends the queue once it is empty.
pub struct Sender<T>(Arc<Shared<T>>);

/// The end that they are taken out at. Dropping it drops what is in there.
pub struct Receiver<T>(Arc<Shared<T>>);

struct Shared<T>(Mutex<Inside<T>>);

struct Inside<T> {
    items: VecDeque<T>,
    reader: Option<Waker>,
    has_sender: bool,
    has_receiver: bool,
}

impl<T> Shared<T> {
    fn inside(&self) -> MutexGuard<'_, Inside<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inside<T> {
    fn wait(&mut self, cx: &mut Context<'_>) {
        match &mut self.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

impl<T> Sender<T> {
    /// Puts something in.
    ///
    /// # Errors
    ///
    /// Gives it back where nobody will take it out.
    pub fn send(&self, item: T) -> Result<(), T> {
        let mut inside = self.0.inside();
        if !inside.has_receiver {
            return Err(item);
        }
        inside.items.push_back(item);
        wake(inside);
        Ok(())
    }

    /// Whether nobody will take anything out any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.0.inside().has_receiver
    }
}

impl<T> Receiver<T> {
    /// Ready with what comes next; with none once the queue is empty and its sender gone.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut inside = self.0.inside();
        if let Some(item) = inside.items.pop_front() {
            if inside.items.is_empty() {
                inside.items = VecDeque::new();
            }
            return Poll::Ready(Some(item));
        }
        if !inside.has_sender {
            return Poll::Ready(None);
        }
        inside.wait(cx);
        Poll::Pending
    }

    /// Ready once there is something to take out, or the end.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inside = self.0.inside();
        if !inside.items.is_empty() || !inside.has_sender {
            return Poll::Ready(());
        }
        inside.wait(cx);
        Poll::Pending
    }

    /// What comes next; none once the queue is empty and its sender gone.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut inside = self.0.inside();
        inside.has_sender = false;
        wake(inside);
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut inside = self.0.inside();
        inside.has_receiver = false;
        let left = (std::mem::take(&mut inside.items), inside.reader.take());
        // Dropping them may look here again.
        drop(inside);
        drop(left);
    }
}

fn wake<T>(mut inside: MutexGuard<'_, Inside<T>>) {
    let reader = inside.reader.take();
    drop(inside);
    if let Some(reader) = reader {
        reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn what_is_put_in_comes_out_in_order_and_then_the_end() {
        let (sender, mut receiver) = queue();
        for number in 0..100 {
            sender.send(number).unwrap();
        }
        drop(sender);
        for number in 0..100 {
            assert_eq!(block_on(receiver.recv()), Some(number));
        }
        assert_eq!(block_on(receiver.recv()), None);
    }

    #[test]
    fn who_waits_is_woken_by_what_comes_and_by_the_end() {
        let (sender, mut receiver) = queue();
        assert_eq!(receiver.recv().now_or_never(), None);
        let thread = std::thread::spawn(move || (block_on(receiver.recv()), block_on(receiver.recv())));
        sender.send("x").unwrap();
        drop(sender);
        assert_eq!(thread.join().unwrap(), (Some("x"), None));
    }

    #[test]
    fn nothing_can_be_put_in_that_nobody_takes_out_and_what_was_in_is_dropped() {
        let (sender, receiver) = queue();
        let item = Arc::new(());
        sender.send(item.clone()).unwrap();
        assert!(!sender.is_closed());
        drop(receiver);
        assert!(sender.is_closed() && sender.send(item.clone()).is_err());
        assert_eq!(Arc::strong_count(&item), 1);
    }

    #[test]
    fn an_empty_queue_holds_no_memory() {
        let (sender, mut receiver) = queue();
        for _ in 0..1000 {
            sender.send([0; 64]).unwrap();
        }
        while receiver.recv().now_or_never().is_some() {}
        assert_eq!(receiver.0.inside().items.capacity(), 0);
    }
}
