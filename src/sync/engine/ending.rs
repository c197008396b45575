//! The end of an engine, and of an exchange in the state file.

use std::path::Path;
use std::thread::JoinHandle;

use super::{Engine, Report};
use crate::history::{History, UnixNanos};
use crate::runtime::is_damaged;
use crate::runtime::protocol::Close;
use crate::sync::daemon::rfc3339;
use crate::sync::lock::Hold;
use crate::sync::state::{LastExchange, SyncState};
use crate::sync::{SyncError, SyncPaths};

/// An engine that is closing on a thread of its own. Dropping this waits for it.
pub struct Ending(Option<JoinHandle<Result<(), SyncError>>>);

impl Ending {
    /// Waits until it is closed.
    ///
    /// # Errors
    ///
    /// As [`Engine::close`].
    pub fn wait(mut self) -> Result<(), SyncError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), SyncError> {
        match self.0.take().map(JoinHandle::join) {
            Some(Ok(closed)) => closed,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Err(error) = self.join() {
            tracing::warn!(%error, "the sync engine was not closed well");
        }
    }
}

impl Engine {
    /// Writes what is outstanding and closes the connection.
    ///
    /// # Errors
    ///
    /// [`SyncError::Engine`] where the isolate does not come to an end in time.
    pub fn close(self) -> Result<(), SyncError> {
        self.ask(&Close {})?;
        Ok(())
    }

    /// Closes on a thread of its own, while the caller has something else to do: emptying the store's log takes a
    /// while. The history is the caller's again.
    ///
    /// # Errors
    ///
    /// [`SyncError::System`] where there is no thread to be had.
    pub fn close_meanwhile(self) -> Result<(Ending, History), SyncError> {
        let Self { isolate, network, consent, history, paths, _lock: hold, .. } = self;
        let closing = std::thread::Builder::new().name("caro-closing".into()).spawn(move || {
            let closed = isolate.call(&Close {}, super::asking::LOCAL).map_err(|error| {
                // What is broken in it may be met only now.
                if is_damaged(&paths.database) { SyncError::StoreDamaged } else { SyncError::Engine(error) }
            });
            drop((isolate, network, consent, hold));
            closed.map(drop)
        })?;
        Ok((Ending(Some(closing)), history))
    }

    /// Ends the isolate and the connection; what is left is where it worked, the history, and the lock.
    pub(in crate::sync) fn shut(self) -> Result<(SyncPaths, History, Hold), SyncError> {
        self.ask(&Close {})?;
        let Self { isolate, network, history, paths, _lock: hold, .. } = self;
        drop(isolate);
        drop(network);
        Ok((paths, history, hold))
    }
}

/// Puts the outcome of an exchange into the state file. Where that fails the outcome stands all the same.
pub(super) fn remember(path: &Path, now: fn() -> UnixNanos, trigger: &str, result: Result<&Report, &SyncError>) {
    let report = result.copied().unwrap_or_default();
    let last = LastExchange {
        at: rfc3339(now()),
        trigger: trigger.into(),
        sent: report.sent,
        received: report.received,
        missing: report.missing + report.unreadable,
        error: result.err().map(ToString::to_string),
        // Whoever runs the exchange knows it, and notes it.
        remedy: None,
    };
    let well = last.error.is_none();
    let noted = SyncState::update(path, |state| {
        state.last_exchange = Some(last);
        if well {
            // Whoever exchanged: the relay is there again.
            state.background = Default::default();
            if let Some(session) = &mut state.session {
                session.unproven = false;
            }
        }
    });
    if let Err(error) = noted {
        tracing::warn!(%error, "the outcome of the exchange could not be noted");
    }
}
