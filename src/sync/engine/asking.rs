//! Asking the isolate: with which patience, what has to be confirmed, and what its failures mean to the user.

use std::time::Duration;

use super::Engine;
use crate::net::RelayAddress;
use crate::runtime::protocol::{Exchange, FailureCode, Outcome, Request};
use crate::runtime::{IsolateError, flush_database};
use crate::sync::{SyncError, twins};

/// How long the script may take over what needs no relay.
pub(super) const LOCAL: Duration = Duration::from_secs(120);
/// How long a request may wait for the relay in all. The script gives up long before, when the relay is
/// silent; but a large history on a slow line takes its time.
const LONGEST: Duration = Duration::from_secs(2 * 3600);

impl Engine {
    /// Brings what was written to the sync store to disk, before anything counts on it.
    ///
    /// The store is not synced with each of its transactions: what a power cut takes from a download comes down
    /// again, and nothing is written to the account before this device has caught up with the relay.
    pub(in crate::sync) fn flush(&self) -> Result<(), SyncError> {
        if !self.unflushed.get() {
            return Ok(());
        }
        flush_database(&self.paths.database).map_err(|source| SyncError::File {
            file: self.paths.database.display().to_string(),
            action: "written",
            source,
        })?;
        self.unflushed.set(false);
        Ok(())
    }

    /// Waits until the relay has all of these.
    pub(in crate::sync) fn confirm(&self, ids: Vec<String>) -> Result<(), SyncError> {
        for outcome in self.ask(&Exchange { ids, timeout_ms: self.patience_ms() })?.outcomes.into_values() {
            self.expect_current(outcome, "what this device wrote")?;
        }
        Ok(())
    }

    /// Waits until the relay has everything that was written.
    pub(in crate::sync) fn confirm_written(&mut self) -> Result<(), SyncError> {
        self.flush()?;
        let ids = std::mem::take(&mut self.written).into_iter().collect();
        for (id, outcome) in self.ask(&Exchange { ids, timeout_ms: self.patience_ms() })?.outcomes {
            // A segment that another device has erased meanwhile: the next exchange finds it gone, and what was in
            // it goes up again.
            if outcome != Outcome::Deleted || self.index.get(&id).is_none() {
                self.expect_current(outcome, "what this device wrote")?;
            }
        }
        Ok(())
    }

    pub(in crate::sync) fn expect_current(&self, outcome: Outcome, what: &str) -> Result<(), SyncError> {
        match outcome {
            Outcome::Current | Outcome::Local => Ok(()),
            Outcome::Offline | Outcome::Late => Err(self.lost_relay()),
            Outcome::Damaged | Outcome::Absent | Outcome::Deleted => Err(self.damage(what)),
        }
    }

    /// Asks the isolate; its failures become ours.
    pub(in crate::sync) fn ask<R: Request>(&self, request: &R) -> Result<R::Answer, SyncError> {
        if R::WRITES {
            self.unflushed.set(true);
        }
        let deadline = if R::WAITS_FOR_RELAY { LONGEST } else { LOCAL };
        let explain = |error| match &self.consent {
            Some(consent) => consent.explain(error),
            None => error,
        };
        self.isolate.call(request, deadline).map_err(|error| {
            explain(match error {
                IsolateError::Failed(failure) => match failure.code {
                    FailureCode::AccountUnknown => SyncError::UnknownPhrase { relay: self.relay_shown() },
                    FailureCode::Offline | FailureCode::Late | FailureCode::Refused => self.lost_relay(),
                    FailureCode::Damaged => self.damage("what the relay sent"),
                    FailureCode::Forked => twins::forked(self).unwrap_or_else(|| self.lost_relay()),
                    _ if self.store_is_damaged() => SyncError::StoreDamaged,
                    FailureCode::Storage => SyncError::Store(failure.message),
                    FailureCode::Misuse | FailureCode::Failed => SyncError::Engine(IsolateError::Failed(failure)),
                },
                error => SyncError::Engine(error),
            })
        })
    }

    /// How long the script may wait for the relay, milliseconds.
    pub(in crate::sync) fn patience_ms(&self) -> u64 {
        u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX)
    }

    /// Something is not what its owner wrote.
    pub(in crate::sync) fn damage(&self, what: &str) -> SyncError {
        self.blame(SyncError::Damaged { what: what.into() })
    }

    /// What met damage met that of the store on this device, where that is broken.
    pub(super) fn blame(&self, error: SyncError) -> SyncError {
        match error {
            SyncError::Damaged { .. } if self.store_is_damaged() => SyncError::StoreDamaged,
            error => error,
        }
    }

    /// The relay stopped answering.
    pub(in crate::sync) fn lost_relay(&self) -> SyncError {
        let failure = self.last_failure.failure();
        if failure.is_none() && self.store_is_damaged() {
            // What it says to the relay makes no sense, and so there is no answer.
            return SyncError::StoreDamaged;
        }
        SyncError::unusable(self.relay_shown(), failure.unwrap_or_else(|| "it does not answer".into()))
    }

    /// Tells relays apart in what is noted about them; empty without one.
    pub(in crate::sync) fn relay_fingerprint(&self) -> String {
        self.relay.as_ref().map(RelayAddress::fingerprint).unwrap_or_default()
    }

    pub(super) fn relay_shown(&self) -> String {
        self.relay.as_ref().map_or_else(|| "this device".into(), RelayAddress::shown)
    }
}
