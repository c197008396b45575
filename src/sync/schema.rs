//! The version of the data in the account.
//!
//! It rises only when something that an older build reads changes its meaning. Every sealed value says its own
//! version in front; the root says the newest that any device of the account writes, so that older ones
//! can tell their user what to upgrade before they meet anything that they cannot read. What an older device does not
//! understand it leaves as it is.

use std::collections::BTreeMap;

use super::engine::Engine;
use super::{SyncError, SyncState};
use crate::runtime::protocol::Set;

/// Version of the data that this build writes.
pub const SCHEMA_VERSION: u32 = 1;
/// The root's key of it.
const KEY: &str = "schema";

/// The version that this process writes and reads.
#[cfg(not(debug_assertions))]
pub(super) const fn version() -> u32 {
    SCHEMA_VERSION
}

/// The version that this process writes and reads; tests play a newer build with `CARO_TEST_SCHEMA`.
#[cfg(debug_assertions)]
pub(super) fn version() -> u32 {
    static VERSION: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *VERSION.get_or_init(|| {
        let given = std::env::var("CARO_TEST_SCHEMA").ok();
        given.and_then(|given| given.parse().ok()).unwrap_or(SCHEMA_VERSION)
    })
}

/// The version that a root names; accounts older than this key have the first.
pub(super) fn of(text: Option<&str>) -> u32 {
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Notes what version the account has, and says so to it where this device writes a newer one.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(super) fn meet(engine: &mut Engine) -> Result<(), SyncError> {
    let found = engine.account_schema;
    if found < version() {
        let root = engine.root.clone();
        engine.ask(&Set { id: root.clone(), entries: BTreeMap::from([(KEY.to_owned(), version().to_string())]) })?;
        engine.account_schema = version();
        engine.wrote(root);
    }
    let newest = engine.account_schema;
    SyncState::update(&engine.paths().state, |state| state.newer_schema = Some(newest).filter(|n| *n > version()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_names_no_version_has_the_first() {
        assert_eq!((of(None), of(Some("2")), of(Some("junk"))), (1, 2, 1));
    }
}
