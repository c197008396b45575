//! A self-hosted relay: the listener in front of an isolate that speaks the Jazz protocol.
//!
//! It stores what clients send, gives it to whoever asks by id, erases the content of what its owner
//! has deleted, and can read none of it. Peers are named at random, so neither logs nor the store
//! know addresses. A change is acknowledged when it is on disk.

mod listener;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::net::Network;
use crate::runtime::protocol::{Close, Serve};
use crate::runtime::{Isolate, IsolateError, IsolateOptions};

/// How long the isolate may take to start, and at the end to write what is outstanding.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a hanging script is looked for.
const WATCH_EVERY: Duration = Duration::from_secs(5);
/// Heap of the relay's isolate. Values that nobody has touched for a while leave it.
const MEMORY_LIMIT: usize = 2 << 30;

/// How a relay is to run.
pub struct RelayOptions {
    /// Where it listens; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The folder of its store; none keeps everything in memory.
    pub data_dir: Option<PathBuf>,
}

/// Why a relay could not start or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The address is taken, or not one of this machine.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store's folder or file cannot be used.
    #[error("cannot use the relay's store in {}: {reason}", folder.display())]
    Store {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The store is no database, or a broken one.
    #[error("the relay's store in {} is damaged", .0.display())]
    Damaged(PathBuf),
    /// Another relay uses the same folder.
    #[error("another relay is using {}", .0.display())]
    InUse(PathBuf),
    /// The isolate did not start, or it ended.
    #[error(transparent)]
    Isolate(#[from] IsolateError),
    /// The system refused a thread, an event queue or a signal handler.
    #[error("the system refused a resource: {0}")]
    System(#[from] std::io::Error),
}

/// Runs a relay until SIGINT or SIGTERM. `ready` is told the address once connections are accepted.
///
/// # Errors
///
/// See [`RelayError`].
pub fn serve(options: RelayOptions, ready: impl FnOnce(SocketAddr)) -> Result<(), RelayError> {
    let store = store::open(options.data_dir)?;
    let network = Network::start()?;
    let isolate = Arc::new(Isolate::start(IsolateOptions {
        database: store.database,
        dialer: None,
        memory_limit: MEMORY_LIMIT,
    })?);
    isolate.call(&Serve {}, PATIENCE)?;

    network.block_on(async {
        let listener = listener::bind(options.listen).await?;
        // Before anyone is told: a signal that comes right after must not end it in the middle.
        let stopped = stop_signal()?;
        ready(listener.address());
        tokio::select! {
            ended = listener.run(isolate.clone()) => ended?,
            ended = watch(&isolate) => return Err(ended.into()),
            stopped = stopped => stopped?,
        }
        tracing::info!("stopping: writing what is outstanding");
        isolate.call_async(&Close {}, PATIENCE).await?;
        Ok(())
    })
}

/// Resolves when the isolate has ended by itself, which it never should.
async fn watch(isolate: &Isolate) -> IsolateError {
    let mut ticks = tokio::time::interval(WATCH_EVERY);
    while !isolate.has_ended() {
        ticks.tick().await;
        isolate.stop_endless_turn();
    }
    isolate.stopped()
}

/// Resolves when the process is asked to stop, from this call on and not only once it is awaited.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = std::io::Result<()>>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        }
    })
}

/// Resolves when the process is asked to stop.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = std::io::Result<()>>> {
    Ok(tokio::signal::ctrl_c())
}
