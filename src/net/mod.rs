//! Connections: dialling a relay, and moving frames between a socket and an isolate.
//!
//! Sockets live on a network thread of their own, so that encryption and framing overlap with the
//! script. An isolate sees only queues of text frames ([`crate::runtime::Frames`]).

mod dial;
mod examine;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod post;
mod proxy;
mod pump;
mod refusal;
mod ssh;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

pub use dial::{AddressError, Connection, LastFailure, RelayAddress};
pub(crate) use dial::{client_tls, client_tls_for_nobody, is_of_an_authority};
pub use examine::{Examination, Step, examine};
pub use post::{CollectorAddress, CollectorAddressError, post};
pub use proxy::Proxies;
pub(crate) use pump::{Frame, KeepAlive, MAX_FRAME_BYTES, WireMessage, frames_for};
pub(crate) use refusal::{BELOW as BELOW_HEADER, HEADER as REFUSAL_HEADER};
pub use refusal::{Failure, Refusal, Refused};

/// The network thread: a small runtime that ends with its owner, or when it is cut.
pub struct Network {
    handle: tokio::runtime::Handle,
    runtime: Cutter,
}

/// Ends a network from anywhere: every connection is closed at once, and none can be opened any more.
#[derive(Clone)]
pub struct Cutter(Arc<Mutex<Option<tokio::runtime::Runtime>>>);

impl Cutter {
    /// Ends it.
    pub fn cut(&self) {
        let runtime = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            // Lookups of names may hang; nothing of ours waits for them.
            runtime.shutdown_background();
        }
    }
}

impl Network {
    /// Starts the network thread.
    ///
    /// # Errors
    ///
    /// Where the operating system gives no thread or event queue.
    pub fn start() -> std::io::Result<Self> {
        // Without descriptors for its queues of signals and events the runtime would panic rather than say so.
        #[cfg(unix)]
        drop((0..4).map(|_| std::os::unix::net::UnixStream::pair()).collect::<std::io::Result<Vec<_>>>()?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("caro-network")
            .enable_all()
            .build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Cutter(Arc::new(Mutex::new(Some(runtime)))) })
    }

    /// Where tasks of the network thread are started.
    #[must_use]
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.handle.clone()
    }

    /// What ends this network before its owner goes.
    #[must_use]
    pub fn cutter(&self) -> Cutter {
        self.runtime.clone()
    }

    /// Runs something to its end on this thread, with the network available.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.runtime.cut();
    }
}
