//! What runs the SQL of the SDK: the isolate's store, whatever keeps it.

use std::io;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::Value;

/// The names of the columns of what was read, and the values of each row.
pub type Rows = (Vec<String>, Vec<Vec<Value>>);

/// Why a store did not do what it was asked for; goes to the script as it is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed the same at the same time, or the connection was lost: the transaction may be tried again.
    /// The script knows it by how it begins.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The disk takes nothing: it is full, broken or can only be read.
    #[error("{0}")]
    Refused(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{CannotOpen, DiskFull, ReadOnly, SystemIoFailure};
        match error.sqlite_error_code() {
            Some(DiskFull | SystemIoFailure | ReadOnly | CannotOpen) => Self::Refused(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Brings to disk what was committed, on any thread.
pub type Flush = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// A store for one isolate, which alone uses it.
pub trait Store: Send {
    /// Runs one statement for its effect.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn run(&self, sql: &str, params: &[Value]) -> Result<(), StoreError>;

    /// Runs a query and reads everything that it gives.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, StoreError>;

    /// What has to be done before a transaction is on disk that has been committed; none where nothing has.
    fn flush(&self) -> Option<Flush> {
        None
    }
}

/// SQLite, which is what the SDK's SQL is written for.
impl Store for Connection {
    fn run(&self, sql: &str, params: &[Value]) -> Result<(), StoreError> {
        Ok(super::ops::storage::run(self, sql, params)?)
    }

    fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, StoreError> {
        Ok(super::ops::storage::query(self, sql, params)?)
    }
}
