//! Consent, while a connection is open: whoever withdraws it ends the exchanges of every process.
//!
//! `caro sync disable` writes the state file; each engine looks at that file a few times a second while it
//! works. When consent is gone its sockets are closed at once, in the middle of whatever they carry: nothing
//! is lost by that, as by any other interruption. An idle daemon has no such watch: it is told of the change.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::{SyncError, SyncState};

/// How often an engine at work looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Watches while it lives.
pub(super) struct Watch {
    withdrawn: Arc<AtomicBool>,
    // Dropping it ends the thread.
    _end: mpsc::Sender<()>,
}

impl Watch {
    /// Begins to watch; `cut` is called once, if consent is withdrawn.
    pub(super) fn begin(state: PathBuf, cut: impl FnOnce() + Send + 'static) -> Result<Self, SyncError> {
        let (end, ended) = mpsc::channel();
        let withdrawn = Arc::new(AtomicBool::new(false));
        let told = withdrawn.clone();
        std::thread::Builder::new().name("caro-consent".into()).spawn(move || {
            while matches!(ended.recv_timeout(LOOK_EVERY), Err(RecvTimeoutError::Timeout)) {
                // A file that cannot be read says nothing; the exchange itself will meet it.
                if SyncState::load(&state).is_ok_and(|state| state.is_some_and(|state| !state.is_enabled())) {
                    told.store(true, Ordering::SeqCst);
                    cut();
                    return;
                }
            }
        })?;
        Ok(Self { withdrawn, _end: end })
    }

    /// An error as the user should see it: what failed since consent was withdrawn failed for that.
    pub(super) fn explain(&self, error: SyncError) -> SyncError {
        if self.withdrawn.load(Ordering::SeqCst) { SyncError::Disabled } else { error }
    }
}
