//! The wall clock, read in this one place by the program and by the isolate.
//!
//! Builds with debug assertions shift it by the seconds that the file `CARO_TEST_CLOCK` holds, so that tests can
//! let months pass for real binaries, running ones too; a release build knows no such variable.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::history::UnixNanos;

/// The current time.
#[must_use]
pub fn now() -> UnixNanos {
    let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    };
    let shifted = nanos.saturating_add(offset());
    UnixNanos(i64::try_from(shifted).unwrap_or(if shifted < 0 { i64::MIN } else { i64::MAX }))
}

#[cfg(debug_assertions)]
fn offset() -> i128 {
    static FILE: std::sync::OnceLock<Option<std::path::PathBuf>> = std::sync::OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("CARO_TEST_CLOCK").map(Into::into));
    let seconds = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()?.trim().parse::<i64>().ok());
    i128::from(seconds.unwrap_or(0)) * 1_000_000_000
}

#[cfg(not(debug_assertions))]
const fn offset() -> i128 {
    0
}
