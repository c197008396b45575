//! Connections: dialling a relay, and moving frames between a socket and an isolate.
//!
//! Sockets live on a network thread of their own, so that encryption and framing overlap with the
//! script. An isolate sees only queues of text frames ([`crate::runtime::Frames`]).

mod dial;
mod proxy;
mod pump;

use std::future::Future;

pub use dial::{AddressError, Connection, LastFailure, RelayAddress};
pub use proxy::Proxies;
pub(crate) use pump::{Frame, MAX_FRAME_BYTES, frames_for};

/// The network thread: a small runtime that ends with its owner.
pub struct Network {
    runtime: Option<tokio::runtime::Runtime>,
}

impl Network {
    /// Starts the network thread.
    ///
    /// # Errors
    ///
    /// Where the operating system gives no thread or event queue.
    pub fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("caro-network")
            .enable_all()
            .build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Where tasks of the network thread are started.
    ///
    /// # Panics
    ///
    /// Never: the runtime is there until the owner is dropped.
    pub fn handle(&self) -> tokio::runtime::Handle {
        match &self.runtime {
            Some(runtime) => runtime.handle().clone(),
            None => unreachable!("the runtime is taken only when the owner is dropped"),
        }
    }

    /// Runs something to its end on this thread, with the network available.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle().block_on(future)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Lookups of names may hang; nothing of ours waits for them.
            runtime.shutdown_background();
        }
    }
}
