//! What went wrong with sync, in the user's terms: which exit code, and what to do next.

use crate::cli::{CliError, Kind};
use crate::sync::{Reason, SyncError};

impl From<SyncError> for CliError {
    fn from(error: SyncError) -> Self {
        let (kind, hint) = match error {
            SyncError::History(error) => return error.into(),
            SyncError::Preferences(error) => return error.into(),
            SyncError::NotSetUp => {
                (Kind::NotSetUp, "Begin with `caro sync init`, or bring your history here with `caro sync restore`.")
            }
            SyncError::AlreadySetUp => (
                Kind::Failed,
                "`caro sync status` shows it; `caro sync now` exchanges. If its phrase was replaced on another device, run \
                 `caro sync now` here first, then again. To join another account instead: caro sync restore --leave, \
                 which keeps your history.",
            ),
            SyncError::Disabled => (Kind::Failed, "`caro sync enable` shows what would leave this machine, and asks."),
            SyncError::Removed => (
                Kind::Failed,
                "Your history here is whole. To sync again, join with your phrase: caro sync restore. What had not been \
                 sent goes up then.",
            ),
            SyncError::Closed { reason: Reason::Revoked, .. } => (
                Kind::Failed,
                "Your history here is whole. Join with the new phrase: caro sync restore. What had not been sent goes up \
                 then.",
            ),
            SyncError::Closed { reason: Reason::Deleted, .. } => (
                Kind::Failed,
                "Commands that had never left this machine are still here. `caro sync init` begins anew.",
            ),
            SyncError::Closed { reason: Reason::Newer, .. } => (Kind::Failed, "Upgrade caro on this device."),
            SyncError::OtherKeys => (
                Kind::Failed,
                "Where a daemon says so, restart it: it began before the phrase was replaced. Else join again: caro sync \
                 restore.",
            ),
            SyncError::Twin => {
                (Kind::Failed, "Run it again: this one goes on as a device of its own, and nothing is lost.")
            }
            SyncError::Unread { .. } => (
                Kind::Failed,
                "Run `caro sync now` on your other devices and upgrade caro here, then `caro sync revoke` again. \
                 `--leave-behind` goes on without those parts, which are then erased; `--abort` gives it up.",
            ),
            SyncError::NotErased { .. } => (
                Kind::Failed,
                "Run it again later: the keys stay until nothing is left. Else ask the relay's operator to remove them.",
            ),
            SyncError::TooLate => (Kind::Failed, "Run `caro sync revoke` again: it goes on where it was."),
            SyncError::Unfinished { .. } => (Kind::Failed, "Run it again: it goes on where it was."),
            SyncError::NoRelay => (Kind::Usage, "Name one: caro sync relay set wss://relay.example"),
            SyncError::UnknownPhrase { .. } => (
                Kind::WrongPhrase,
                "Check the words, and that this is the relay your other devices use; if they never \
                 reached it, run `caro sync now` there first.",
            ),
            SyncError::Unreachable { .. } => {
                (Kind::Unreachable, "Check the address and your network, then try again; nothing is lost meanwhile.")
            }
            SyncError::Refused { reason, .. } => {
                let shown = Self::new(Kind::Unreachable, error.to_string()).hinted(reason.remedy());
                let shown = shown.caused_by(error);
                return if reason.lasts() { shown.lasting() } else { shown };
            }
            SyncError::Damaged { .. } => (
                Kind::Damaged,
                "Your local history is safe. Do not trust this relay until you know why; try another \
                 network or relay.",
            ),
            SyncError::StoreDamaged => {
                (Kind::Damaged, "Your history is safe. Move sync.db away; the next `caro sync now` builds it again.")
            }
            SyncError::Newer => (Kind::Failed, "Upgrade caro on this device."),
            SyncError::Busy => (Kind::Failed, "Wait until it has ended, then try again."),
            SyncError::Config { .. } => (Kind::Usage, "Correct the file, or remove it and set sync up again."),
            SyncError::File { .. } | SyncError::Store(_) => {
                (Kind::Failed, "Check that the disk has room and the folder is writable, then try again.")
            }
            // These say themselves what to do.
            SyncError::Keys(error) => return said_with_remedy(Kind::Failed, error),
            SyncError::KeyStore(error) => return said_with_remedy(Kind::Failed, error),
            SyncError::Seal(error) => return said_with_remedy(Kind::Failed, error),
            SyncError::Engine(error) => {
                return Self::failed("the sync engine failed")
                    .hinted("Try again; CARO_LOG=debug shows what led to it.")
                    .caused_by(error);
            }
            _ => (Kind::Failed, "Try again; CARO_LOG=debug shows what happens."),
        };
        Self::new(kind, error.to_string().trim_end_matches('.')).hinted(hint).caused_by(error)
    }
}

/// An error whose text is what happened, a full stop, and what to do.
pub(super) fn said_with_remedy(kind: Kind, error: impl std::error::Error + Send + Sync + 'static) -> CliError {
    let text = error.to_string();
    let (happened, remedy) = text.split_once(". ").unwrap_or((text.trim_end_matches('.'), ""));
    let mut message = String::with_capacity(happened.len());
    // Sentences begin in lower case behind "Error:"; words that do not look like a sentence's first stay.
    let mut letters = happened.chars();
    if let Some(first) = letters.next() {
        message.extend(first.to_lowercase());
        message.push_str(letters.as_str());
    }
    let shown = CliError::new(kind, message).caused_by(error);
    if remedy.is_empty() { shown } else { shown.hinted(remedy) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::HistoryError;
    use crate::identity::{KeyError, KeyStoreError};
    use crate::net::{Refusal, Refused};
    use crate::prefs::PrefsError;
    use crate::runtime::{Ending, IsolateError};
    use crate::seal::SealError;

    fn io() -> std::io::Error {
        std::io::Error::other("no")
    }

    /// One of each kind. A kind that is new does not compile here until it is listed below.
    fn all() -> Vec<SyncError> {
        let _listed = |error: &SyncError| match error {
            SyncError::NotSetUp
            | SyncError::AlreadySetUp
            | SyncError::Disabled
            | SyncError::Closed { .. }
            | SyncError::Unfinished { .. }
            | SyncError::Unread { .. }
            | SyncError::NotErased { .. }
            | SyncError::TooLate
            | SyncError::OtherKeys
            | SyncError::Twin
            | SyncError::Removed
            | SyncError::NoRelay
            | SyncError::UnknownPhrase { .. }
            | SyncError::Unreachable { .. }
            | SyncError::Refused { .. }
            | SyncError::Damaged { .. }
            | SyncError::Newer
            | SyncError::Busy
            | SyncError::Config { .. }
            | SyncError::File { .. }
            | SyncError::StoreDamaged
            | SyncError::Store(_)
            | SyncError::History(_)
            | SyncError::Preferences(_)
            | SyncError::KeyStore(_)
            | SyncError::Keys(_)
            | SyncError::Seal(_)
            | SyncError::Engine(_)
            | SyncError::System(_) => (),
        };
        let relay = || "wss://relay.example".to_owned();
        let closed = |reason| SyncError::Closed { reason, device: "laptop".into() };
        vec![
            SyncError::NotSetUp,
            SyncError::AlreadySetUp,
            SyncError::Disabled,
            closed(Reason::Revoked),
            closed(Reason::Deleted),
            closed(Reason::Newer),
            SyncError::Unfinished { command: "caro sync revoke" },
            SyncError::Unread { missing: 1, unreadable: 2 },
            SyncError::NotErased { values: 3 },
            SyncError::TooLate,
            SyncError::OtherKeys,
            SyncError::Twin,
            SyncError::Removed,
            SyncError::NoRelay,
            SyncError::UnknownPhrase { relay: relay() },
            SyncError::Unreachable { relay: relay(), reason: "nothing listens there".into() },
            SyncError::Refused { relay: relay(), reason: Refused::AtTheDoor(Refusal::Full) },
            SyncError::Refused { relay: relay(), reason: Refused::Ended(Ending::NoRoom) },
            SyncError::Refused { relay: relay(), reason: Refused::Ended(Ending::ValueTooLarge) },
            SyncError::Damaged { what: "what the relay sent".into() },
            SyncError::Newer,
            SyncError::Busy,
            SyncError::Config { file: "sync.toml".into(), reason: "a bracket is open".into() },
            SyncError::File { file: "sync.json".into(), action: "written", source: io() },
            SyncError::StoreDamaged,
            SyncError::Store("it is full".into()),
            SyncError::History(HistoryError::NotFound("018bcfe5".into())),
            SyncError::Preferences(PrefsError::Unknown { name: "colour".into() }),
            SyncError::KeyStore(KeyStoreError::NoService),
            SyncError::Keys(KeyError::NoMemory),
            SyncError::Seal(SealError::Unreadable),
            SyncError::Engine(IsolateError::Stopped("it was closed".into())),
            SyncError::System(io()),
        ]
    }

    #[test]
    fn every_failure_says_what_happened_and_what_to_do() {
        for error in all() {
            let named = format!("{error:?}");
            let shown = CliError::from(error);
            assert!(!shown.message.is_empty() && !shown.message.ends_with('.'), "{named}: {}", shown.message);
            let hint = shown.hint.unwrap_or_else(|| panic!("{named} has no remedy: {}", shown.message));
            assert!(hint.len() > 10, "{named}: {hint}");
            for jargon in ["Err", "::", "unwrap", "CoValue", "isolate", "rusqlite", "src/"] {
                assert!(!shown.message.contains(jargon) && !hint.contains(jargon), "{named}: {} {hint}", shown.message);
            }
        }
    }
}
