//! The settings of a relay as any file may have them.

use std::path::Path;

use super::settings::file::understood;
use crate::fuzz::text;

/// What is wrong with a file is said, and never where there is nothing.
pub(crate) fn settings(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Err(error) = understood(text, Path::new("relay.toml")) {
        assert!(error.to_string().contains("relay.toml"), "{error}");
    }
}
