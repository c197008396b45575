//! The relay above this one, as it is seen from here: whether it is connected, since when, and why not.
//!
//! What passes between the two is the script's business (`js/src/upstream.ts`); its address stays here.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::outside::{Above, rfc3339};
use crate::clock;
use crate::history::UnixNanos;
use crate::net::{Connection, LastFailure, RelayAddress};
use crate::runtime::Dialer;
use crate::runtime::protocol::{Agreement, Event};

/// How often it is looked why it cannot be reached.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The relay above.
pub(super) struct Upstream {
    /// Host and port: what else is in the address may be a secret.
    shown: String,
    last_failure: LastFailure,
    seen: Mutex<Seen>,
}

struct Seen {
    is_connected: bool,
    since: UnixNanos,
    connections: u64,
    agreement: Agreement,
}

impl Upstream {
    /// The relay at an address, and what dials it.
    pub(super) fn at(address: RelayAddress, runtime: Handle) -> (Arc<Self>, Dialer) {
        let (shown, last_failure) = (address.shown(), LastFailure::default());
        let dialer = Connection::dialer(address, runtime, last_failure.clone());
        let seen = Seen { is_connected: false, since: clock::now(), connections: 0, agreement: Agreement::default() };
        (Arc::new(Self { shown, last_failure, seen: Mutex::new(seen) }), dialer)
    }

    /// Follows what an engine tells of it, on a thread of its own that ends with the engine.
    pub(super) fn follow(self: &Arc<Self>, events: Receiver<Event>) -> std::io::Result<()> {
        let upstream = self.clone();
        let follow = move || {
            let mut logged = None;
            loop {
                match events.recv_timeout(LOOK_EVERY) {
                    Ok(Event::Connected) => {
                        upstream.became(true);
                        logged = None;
                        tracing::info!(upstream = upstream.shown, "the upstream is connected");
                    }
                    Ok(Event::Disconnected) => upstream.became(false),
                    Ok(_) => {}
                    Err(RecvTimeoutError::Timeout) => upstream.log_failure(&mut logged),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        std::thread::Builder::new().name("caro-upstream".into()).spawn(follow).map(drop)
    }

    /// Says once why it is not connected, however often it is dialled.
    fn log_failure(&self, logged: &mut Option<String>) {
        if self.seen().is_connected {
            return;
        }
        let reason = self.last_failure.reason().unwrap_or_else(|| "the connection was lost".into());
        if logged.as_ref() != Some(&reason) {
            tracing::warn!(upstream = self.shown, "the upstream is away: {reason}");
            *logged = Some(reason);
        }
    }

    fn became(&self, is_connected: bool) {
        let mut seen = self.seen();
        seen.is_connected = is_connected;
        seen.since = clock::now();
        seen.connections += u64::from(is_connected);
        seen.agreement.is_compared = false;
    }

    /// Notes how far the two have come.
    pub(super) fn measured(&self, agreement: Agreement) {
        self.seen().agreement = agreement;
    }

    /// How it does.
    pub(super) fn told(&self) -> Above {
        let seen = self.seen();
        Above {
            address: self.shown.clone(),
            connected: seen.is_connected,
            since: rfc3339(seen.since),
            connections: seen.connections,
            reason: (!seen.is_connected).then(|| self.last_failure.reason()).flatten(),
            compared: seen.is_connected && seen.agreement.is_compared,
            unconfirmed: seen.agreement.unconfirmed,
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
