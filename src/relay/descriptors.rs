//! How many connections the system lets a relay have: each takes a descriptor.

use rustix::process::{Resource, getrlimit};

/// What a relay has open besides its connections: its store, for each engine, listeners, event queues, and clients that are
/// only asking for something for a moment.
const BESIDES: u64 = 200;

/// Says so where there are too few for as many connections as may be.
pub(super) fn tell_where_few(connections: usize) {
    let Some(room) = getrlimit(Resource::Nofile).current.map(|most| most.saturating_sub(BESIDES)) else { return };
    if room < connections as u64 {
        tracing::warn!(
            "the system lets it have some {room} connections, not the {connections} of max_connections: raise `ulimit -n` (in \
             a unit of systemd LimitNOFILE), or lower max_connections"
        );
    }
}
