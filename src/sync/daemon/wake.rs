//! What wakes a daemon: signals, its socket, files that others change, the network, the relay.
//!
//! Each source waits in the kernel, so that an idle daemon costs nothing. Only where the system cannot tell of
//! changed files are they looked at from time to time.

use std::path::PathBuf;
use std::sync::mpsc::Sender;

use tokio::sync::oneshot;

use super::socket::Answer;
use super::{files, network, server};
use crate::net::Network;
use crate::runtime::protocol::Event;
use crate::sync::SyncError;

/// Why the daemon is awake.
#[derive(Debug)]
pub(super) enum Wake {
    /// A command says that there is something to do.
    Captured,
    /// Somebody wrote to the history.
    History,
    /// The settings or the state of sync may have changed.
    Settings,
    /// The machine's addresses or routes have changed.
    Network,
    /// The relay's side, of the engine with this number.
    Relay(u64, Event),
    /// A command waits for an exchange.
    Exchange(oneshot::Sender<Answer>),
    /// A command needs the lock.
    Borrowed,
    /// It needs the lock no more.
    Returned,
    /// The daemon is to end.
    Stop,
    /// Its loop has ended.
    Ended(Result<(), SyncError>),
}

/// What is watched.
pub(super) struct Watched {
    /// The history's folder, with the state of sync in it.
    pub data_dir: PathBuf,
    /// The folder of the settings.
    pub config_dir: PathBuf,
}

/// Begins to listen to everything but the relay.
///
/// # Errors
///
/// Where the socket cannot be made.
pub(super) fn listen(
    network: &Network,
    socket: &std::path::Path,
    watched: Watched,
    status: &server::Shared,
    wakes: &Sender<Wake>,
) -> Result<(), SyncError> {
    let failed = |source| SyncError::File { file: socket.display().to_string(), action: "opened", source };
    let handle = network.handle();
    let _inside = handle.enter();
    let listener = server::bind(socket).map_err(failed)?;
    handle.spawn(server::serve(listener, status.clone(), wakes.clone()));
    handle.spawn(signals(wakes.clone()));
    files::watch(watched, wakes.clone())?;
    network::watch(wakes.clone());
    Ok(())
}

async fn signals(wakes: Sender<Wake>) {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let mut waiting = Vec::new();
    for kind in kinds {
        match signal(kind) {
            Ok(mut signal) => waiting.push(Box::pin(async move { signal.recv().await })),
            Err(error) => tracing::warn!(%error, "a signal cannot be listened to"),
        }
    }
    if waiting.is_empty() {
        return;
    }
    futures::future::select_all(waiting).await;
    drop(wakes.send(Wake::Stop));
}
