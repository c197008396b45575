//! The clock, and the log that takes the place of a console.

use std::time::Instant;

use deno_core::{OpState, op2};

/// When the isolate started, for the monotonic clock.
pub(crate) struct Started(pub Instant);

/// Milliseconds since the Unix epoch.
#[op2(fast)]
pub fn op_clock_now() -> f64 {
    crate::clock::now().0 as f64 / 1e6
}

/// Milliseconds since the isolate started.
#[op2(fast)]
pub fn op_clock_monotonic(state: &OpState) -> f64 {
    state.borrow::<Started>().0.elapsed().as_secs_f64() * 1e3
}

/// One line of the script's log; levels as in `js/ops.d.ts`.
#[op2(fast)]
pub fn op_log(level: u32, #[string] message: &str) {
    match level {
        0 => tracing::error!(target: "caro::isolate", "{message}"),
        1 => tracing::warn!(target: "caro::isolate", "{message}"),
        2 => tracing::info!(target: "caro::isolate", "{message}"),
        3 => tracing::debug!(target: "caro::isolate", "{message}"),
        _ => tracing::trace!(target: "caro::isolate", "{message}"),
    }
}
