//! Preferences: what the user chose, in the files where a person would look for it.
//!
//! - `catalog`: every preference by name, what it may be, where it is kept, whether it follows the user.
//! - `document`: TOML files edited in place, so that comments, order and unknown keys stay.
//! - `settings`: the preferences that sync and recording obey, as typed values.
//! - `store`: those that follow the user: which change wins, what lost, what waits to be shown; `register`: one change;
//!   `content`: the file of all that; `rules`: the sync filter, of which each rule follows by itself.
//!
//! `config.toml` belongs to Caro, whose own writer drops keys that it does not know; so preferences of sync are
//! kept beside it, in `sync.toml`, which [`SyncConfig`](crate::sync::SyncConfig) shares. What is set in neither
//! file has its default.

mod catalog;
mod content;
pub(crate) mod document;
mod error;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod register;
mod rules;
mod settings;
mod store;

use std::path::{Path, PathBuf};

pub use catalog::{ALL, File, Kind, Preference, find, suggestion};
pub use content::{Arrived, Loser};
pub use error::{PrefsError, Result};
pub use register::Register;
pub use settings::{
    DEFAULT_MAX_RECORDS, DEFAULT_RETENTION_DAYS, Frequency, LARGE_RECORD, LargeRecords, Recording, Settings,
};
pub use store::{Merged, PreferenceStore};

/// Where one home keeps its preferences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefsPaths {
    /// Caro's own `config.toml`.
    pub config: PathBuf,
    /// `sync.toml`.
    pub sync: PathBuf,
    /// What is known of each preference that follows the user.
    pub store: PathBuf,
}

impl PrefsPaths {
    /// The paths in a home's folders.
    #[must_use]
    pub fn new(config_dir: &Path, data_dir: &Path) -> Self {
        Self {
            config: config_dir.join("config.toml"),
            sync: config_dir.join("sync.toml"),
            store: data_dir.join("preferences.json"),
        }
    }

    /// The file that a preference is kept in.
    #[must_use]
    pub fn file(&self, preference: &Preference) -> &Path {
        match preference.file {
            File::Caro => &self.config,
            File::Sync => &self.sync,
        }
    }
}

/// The value that a preference is set to; none where its default holds.
///
/// # Errors
///
/// [`PrefsError::Syntax`], [`PrefsError::InvalidInFile`] or [`PrefsError::File`].
pub fn get(paths: &PrefsPaths, preference: &Preference) -> Result<Option<String>> {
    let file = paths.file(preference);
    document::get(&document::read(file)?, preference, file)
}

/// Writes a value, in the form that [`Preference::parse`] gives, into the file of its preference; none removes it.
pub(crate) fn write(paths: &PrefsPaths, preference: &Preference, value: Option<&str>) -> Result<()> {
    let header = match preference.file {
        File::Caro => "",
        File::Sync => document::SYNC_HEADER,
    };
    document::edit(paths.file(preference), header, |document| document::set(document, preference, value))
}

/// Checks that a file, or a copy of it, is sound and holds nothing that a preference cannot be.
///
/// # Errors
///
/// [`PrefsError::Syntax`], [`PrefsError::InvalidInFile`] or [`PrefsError::File`].
pub fn check(path: &Path, file: File) -> Result<()> {
    let document = document::read(path)?;
    ALL.iter().filter(|preference| preference.file == file).try_for_each(|preference| {
        document::get(&document, preference, path)?;
        Ok(())
    })
}
