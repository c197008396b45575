//! How many connections the system lets a relay have: each takes a descriptor.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What a relay has open besides its connections: its store, for each engine, listeners, event queues, and clients that are
/// only asking for something for a moment.
const BESIDES: u64 = 200;

/// Takes as many descriptors as the system gives this process: mostly it has fewer at first.
pub(super) fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the number of descriptors stays");
    }
}

/// Says so once where there are too few for as many connections as may be.
pub(super) fn tell_where_few(connections: usize) {
    let Some(room) = getrlimit(Resource::Nofile).current.map(|most| most.saturating_sub(BESIDES)) else { return };
    if room < connections as u64 {
        tracing::warn!(
            "the system lets it have some {room} connections, not the {connections} of max_connections: raise `ulimit -n` (in \
             a unit of systemd LimitNOFILE), or lower max_connections"
        );
    }
}
