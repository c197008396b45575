//! What went wrong with sync, in the user's terms: which exit code, and what to do next.

use crate::cli::{CliError, Kind};
use crate::sync::SyncError;

impl From<SyncError> for CliError {
    fn from(error: SyncError) -> Self {
        let (kind, hint) = match error {
            SyncError::History(error) => return error.into(),
            SyncError::NotSetUp => (
                Kind::NotSetUp,
                "Begin with `caro sync init`, or bring your history here with `caro sync restore`.",
            ),
            SyncError::AlreadySetUp => (Kind::Failed, "`caro sync status` shows it; `caro sync now` exchanges."),
            SyncError::NoRelay => (Kind::Usage, "Name one: caro sync relay set wss://relay.example"),
            SyncError::UnknownPhrase { .. } => (
                Kind::WrongPhrase,
                "Check the words, and that this is the relay your other devices use; if they never \
                 reached it, run `caro sync now` there first.",
            ),
            SyncError::Unreachable { .. } => (
                Kind::Unreachable,
                "Check the address and your network, then try again; nothing is lost meanwhile.",
            ),
            SyncError::Damaged { .. } => (
                Kind::Damaged,
                "Your local history is safe. Do not trust this relay until you know why; try another \
                 network or relay.",
            ),
            SyncError::Newer => (Kind::Failed, "Upgrade caro on this device."),
            SyncError::Busy => (Kind::Failed, "Wait until it has ended, then try again."),
            SyncError::Config { .. } => (Kind::Usage, "Correct the file, or remove it and set sync up again."),
            SyncError::File { .. } | SyncError::Store(_) => {
                (Kind::Failed, "Check that the disk has room and the folder is writable, then try again.")
            }
            SyncError::KeyStore(_) => (Kind::Failed, ""),
            _ => (Kind::Failed, "Try again; CARO_LOG=debug shows what happens."),
        };
        let shown = Self::new(kind, error.to_string().trim_end_matches('.')).caused_by(error);
        if hint.is_empty() { shown } else { shown.hinted(hint) }
    }
}
