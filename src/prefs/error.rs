//! What can go wrong with preferences, in words for their user.

use std::path::PathBuf;

/// The result of an operation on preferences.
pub type Result<T> = std::result::Result<T, PrefsError>;

/// Why a preference could not be read or set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrefsError {
    /// No preference has this name.
    #[error("there is no preference `{name}`")]
    Unknown {
        /// The name that was given.
        name: String,
    },
    /// The value is none that the preference may have.
    #[error("{name} cannot be `{value}`: {allowed}")]
    Invalid {
        /// The preference.
        name: &'static str,
        /// The value that was given.
        value: String,
        /// What it may be.
        allowed: String,
        /// The value that was most likely meant.
        meant: Option<&'static str>,
    },
    /// A file holds a value that its preference cannot have.
    #[error("{} sets {name} to something it cannot be: {allowed}", file.display())]
    InvalidInFile {
        /// The file.
        file: PathBuf,
        /// The preference.
        name: &'static str,
        /// What it may be.
        allowed: String,
    },
    /// A file is not valid TOML.
    #[error("{} cannot be read: {reason}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer program has written what is known of preferences; it was left untouched.
    #[error("{} was written by a newer version of caro", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be {action}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}
