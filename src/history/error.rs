//! Everything that can go wrong with the local history, in words for its user.
//!
//! The messages say what happened; what to do next depends on the caller and is added there. The
//! engine's own errors are sorted into the few cases a user can act on and stay reachable through
//! `source()`.

use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

use super::encoding::DecodeError;

/// The result of an operation on the history.
pub type Result<T> = std::result::Result<T, HistoryError>;

/// Why an operation on the history failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// A newer program has changed the layout of the database; it was left untouched.
    #[error("the history at {} was written by a newer version of caro (layout {found}, this version knows {known})", path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The layout number found.
        found: u32,
        /// The latest layout number this program knows.
        known: u32,
    },
    /// The layout of the database is that of an older program, and to bring it up to date may take a while.
    #[error("the history was written by an older version of caro, and is not brought up to date yet")]
    Older,
    /// The file holds something else; it was left untouched.
    #[error("the file {} is not a caro history", path.display())]
    NotAHistory {
        /// The file.
        path: PathBuf,
    },
    /// A file or directory could not be used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process held the database for longer than this one may wait.
    #[error("the history is in use by another process")]
    Busy(#[source] rusqlite::Error),
    /// The database is damaged.
    #[error("the history database is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no room left on the disk.
    #[error("the disk is full: the history could not be written")]
    DiskFull(#[source] rusqlite::Error),
    /// The database or its directory cannot be written.
    #[error("the history database cannot be opened for writing")]
    NotWritable(#[source] rusqlite::Error),
    /// Any other failure of the storage engine.
    #[error("the history database could not be read or written")]
    Storage(#[source] rusqlite::Error),
    /// No record has this id.
    #[error("no record has an id that begins with `{0}`")]
    NotFound(String),
    /// Several records have ids that begin so.
    #[error("several records have an id that begins with `{0}`")]
    Ambiguous(String),
    /// The text cannot begin an id.
    #[error("`{0}` is not the beginning of an id: ids are hexadecimal digits and dashes")]
    InvalidId(String),
    /// The regular expression is malformed.
    #[error("the pattern is not a valid regular expression: {0}")]
    InvalidPattern(String),
    /// The record has a text beyond [`MAX_TEXT_BYTES`](super::MAX_TEXT_BYTES).
    #[error("the {field} is longer than 1 MiB")]
    TooLong {
        /// The field that is too long.
        field: &'static str,
    },
    /// The file that was to be imported could not be read.
    #[error("the history file could not be read: {0}")]
    Import(#[source] std::io::Error),
}

impl HistoryError {
    /// Whether the file itself may be what is wrong: not what the machine lacks, such as room, handles or a disk that answers.
    pub fn may_be_damage(&self) -> bool {
        match self {
            Self::Damaged(_) | Self::NotAHistory { .. } => true,
            // The engine's word for what it cannot make sense of.
            Self::Storage(error) => error.sqlite_error_code() == Some(ErrorCode::Unknown),
            _ => false,
        }
    }
}

impl From<rusqlite::Error> for HistoryError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
        // A value that nothing here ever stores.
        if let FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..) =
            error
        {
            return Self::Damaged(Box::new(error));
        }
        // The file that processes share grows with the first of them.
        let cannot_share = error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMSIZE);
        match error.sqlite_error_code() {
            _ if cannot_share => Self::DiskFull(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(Box::new(error)),
            Some(ErrorCode::DiskFull) => Self::DiskFull(error),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => Self::NotWritable(error),
            _ => Self::Storage(error),
        }
    }
}

impl From<DecodeError> for HistoryError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(Box::new(error))
    }
}
