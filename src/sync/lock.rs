//! The lock of the one process that may exchange, and how it is borrowed from a daemon.
//!
//! A session may have one writer only, so every engine holds `sync.lock` for as long as it lives. A daemon that
//! has nothing to do gives the lock away to whoever asks over its socket, and takes it back when that
//! connection ends, however it ends.

use std::fs::{File, TryLockError};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::daemon::socket;
use super::{SyncError, SyncPaths};
use crate::private_file;

/// How long whoever has the lock may take to give it away: it may be in the middle of an exchange.
const GIVEN_WITHIN: Duration = Duration::from_secs(15);
/// Pause between two looks at a lock that another process holds.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The lock, for as long as this lives.
pub(super) struct Hold {
    // Given back before the daemon is told, by the order of the fields.
    _file: File,
    _lease: Option<UnixStream>,
}

/// Takes the lock, if need be from the daemon; another process's exchange is waited for.
///
/// # Errors
///
/// [`SyncError::Busy`] while another process exchanges; [`SyncError::File`].
pub(super) fn take(paths: &SyncPaths) -> Result<Hold, SyncError> {
    let give_up = Instant::now() + GIVEN_WITHIN;
    let mut lease = None;
    loop {
        if let Some(file) = attempt(paths)? {
            return Ok(Hold { _file: file, _lease: lease });
        }
        if Instant::now() >= give_up {
            return Err(SyncError::Busy);
        }
        if lease.is_none() {
            lease = socket::borrow(&paths.socket);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Keeps every process of this home from exchanging while what it gives lives; an exchange under way is waited for.
///
/// # Errors
///
/// [`SyncError::Busy`] while another process goes on exchanging; [`SyncError::File`].
pub fn keep_from_exchanging(paths: &SyncPaths) -> Result<impl Sized + use<>, SyncError> {
    take(paths)
}

/// Waits until nobody exchanges, for so long; whether that is so.
///
/// # Errors
///
/// [`SyncError::File`].
pub fn wait_until_free(paths: &SyncPaths, longest: Duration) -> Result<bool, SyncError> {
    let give_up = Instant::now() + longest;
    loop {
        if attempt(paths)?.is_some() {
            return Ok(true);
        }
        if Instant::now() >= give_up {
            return Ok(false);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn attempt(paths: &SyncPaths) -> Result<Option<File>, SyncError> {
    let failed = |source| SyncError::File { file: paths.lock.display().to_string(), action: "written", source };
    let file = private_file::make_folder(private_file::folder_of(&paths.lock))
        .and_then(|()| private_file::open_lock(&paths.lock))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
