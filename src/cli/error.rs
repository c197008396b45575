//! Errors as the user meets them: what happened, what to do next, and an exit code.
//!
//! Every failure of a command becomes a [`CliError`]. Its [`Kind`] alone decides the exit code, in
//! the table of `docs/cli.md`. The causes are shown with `--verbose` only: they speak of the
//! program's insides.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::history::HistoryError;
use crate::prefs::{self, PrefsError};

/// The hint where nothing better is known; not given to whoever sees the cause.
pub(super) const SEE_THE_CAUSE: &str = "Run it again with `--verbose` to see the cause.";

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The reader of standard output went away: nothing to say, nobody to say it to.
    BrokenPipe,
    /// It did not work.
    Failed,
    /// The command line, the input or the configuration is wrong.
    Usage,
    /// Sync is not set up.
    NotSetUp,
    /// The recovery phrase is wrong.
    WrongPhrase,
    /// The relay cannot be reached.
    Unreachable,
    /// Data was damaged or tampered with.
    Damaged,
    /// The user answered with no: what was not done is what was asked for.
    Declined,
    /// The user interrupted it.
    Interrupted,
}

impl Kind {
    /// The exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Failed | Self::Declined => 1,
            Self::Usage => 2,
            Self::NotSetUp => 3,
            Self::WrongPhrase => 4,
            Self::Unreachable => 5,
            Self::Damaged => 6,
            Self::Interrupted => 130,
        }
    }
}

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        Self::from(kind.code())
    }
}

/// A failure of a command.
#[derive(Debug)]
pub struct CliError {
    /// What kind of failure it is.
    pub kind: Kind,
    /// What happened, in one plain sentence without its full stop.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// What caused it.
    pub source: Option<Box<dyn Error + Send + Sync>>,
    /// Whether it would be the same again until somebody does something about it.
    pub lasts: bool,
}

impl CliError {
    /// An error of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None, lasts: false }
    }

    /// It did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// The command line, the input or the configuration is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// The user answered with no; says what was not done.
    pub fn declined(message: impl Into<String>) -> Self {
        Self::new(Kind::Declined, message)
    }

    /// Says what to do next.
    #[must_use]
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that trying again soon is of no use.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.lasts = true;
        self
    }

    /// Says what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same failure without a word, for a caller that has something to do instead.
    #[must_use]
    pub fn unsaid(self) -> Self {
        Self { message: String::new(), hint: None, ..self }
    }

    /// The causes, the nearest first; what has been said already, in the message or by the cause before, is left out.
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let comparable = |text: &str| text.trim_end_matches('.').to_lowercase();
        // Errors that say what to do are told in two parts.
        let mut said = comparable(&format!("{}. {}", self.message, self.hint.as_deref().unwrap_or_default()));
        let mut next: Option<&(dyn Error + 'static)> = match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        };
        while let Some(error) = next {
            let text = error.to_string();
            if !said.contains(&comparable(&text)) {
                causes.push(text.clone());
            }
            said = comparable(&text);
            next = error.source();
        }
        causes
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CliError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

/// Failing to write standard output.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::new(Kind::BrokenPipe, "the reader of the output went away")
        } else {
            Self::failed(format!("the output could not be written: {error}"))
        }
    }
}

impl From<HistoryError> for CliError {
    fn from(error: HistoryError) -> Self {
        let (kind, hint) = match &error {
            HistoryError::Newer { .. } => (Kind::Failed, "Upgrade caro on this machine; the file was left as it is."),
            HistoryError::NotAHistory { .. } => (
                Kind::Failed,
                "Move that file away, or set CARO_DATA_DIR to another directory; the file was left \
                 as it is.",
            ),
            HistoryError::Io { .. } | HistoryError::NotWritable(_) => {
                (Kind::Failed, "Make the directory writable, or set CARO_DATA_DIR to one that is.")
            }
            HistoryError::Older => (Kind::Failed, "`caro history last` brings it up to date."),
            HistoryError::Busy(_) => (Kind::Failed, "Try again; if it persists, look for a caro process that hangs."),
            HistoryError::Damaged(_) => (
                Kind::Damaged,
                "Keep a copy of history.db and the files beside it; then move them away and import \
                 or restore your history anew.",
            ),
            HistoryError::DiskFull(_) => (Kind::Failed, "Free some space and try again."),
            HistoryError::NotFound(_) => (Kind::Failed, "`caro history list --format '{id} {command}'` shows the ids."),
            HistoryError::Ambiguous(_) => (Kind::Usage, "Give more of the id."),
            HistoryError::InvalidId(_) => (Kind::Usage, "`caro history list --format '{id} {command}'` shows the ids."),
            HistoryError::InvalidPattern(_) => {
                (Kind::Usage, "Put a backslash before characters that are meant literally, or use `--mode fulltext`.")
            }
            HistoryError::TooLong { .. } => (Kind::Usage, "Shorten it; it was not stored."),
            _ => (Kind::Failed, SEE_THE_CAUSE),
        };
        Self::new(kind, error.to_string()).hinted(hint).caused_by(error)
    }
}

impl From<PrefsError> for CliError {
    fn from(error: PrefsError) -> Self {
        let (kind, hint) = match &error {
            PrefsError::Unknown { name } => {
                let hint = match prefs::suggestion(name) {
                    Some(meant) => format!("Did you mean {meant}? `caro config show` lists all."),
                    None => "`caro config show` lists all.".into(),
                };
                (Kind::Usage, hint)
            }
            PrefsError::Invalid { meant, .. } => {
                let meant = meant.map(|meant| format!("Did you mean {meant}? ")).unwrap_or_default();
                (Kind::Usage, format!("{meant}Nothing was changed."))
            }
            PrefsError::InvalidInFile { name, .. } => {
                (Kind::Usage, format!("Correct the file, or set it anew: caro config set {name} VALUE"))
            }
            PrefsError::Syntax { .. } => (Kind::Usage, "Correct the file; it was left as it is.".into()),
            PrefsError::Newer { .. } => {
                (Kind::Failed, "Upgrade caro on this machine; the file was left as it is.".into())
            }
            PrefsError::File { .. } => {
                (Kind::Failed, "Check that the disk has room and the folder is writable, then try again.".into())
            }
        };
        Self::new(kind, error.to_string()).hinted(hint).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_codes_are_those_of_the_contract() {
        let codes = [
            (Kind::Failed, 1),
            (Kind::Declined, 1),
            (Kind::Usage, 2),
            (Kind::NotSetUp, 3),
            (Kind::WrongPhrase, 4),
            (Kind::Unreachable, 5),
            (Kind::Damaged, 6),
            (Kind::Interrupted, 130),
        ];
        for (kind, code) in codes {
            assert_eq!(kind.code(), code);
        }
    }

    #[test]
    fn causes_leave_out_what_was_said() {
        let import = || HistoryError::Import(io::Error::other("no room"));
        let error = CliError::from(import());
        assert_eq!(error.message, "the history file could not be read: no room");
        assert_eq!(error.causes(), [""; 0]);
        let error = CliError::failed("it did not work").caused_by(import());
        assert_eq!(error.causes(), ["the history file could not be read: no room"]);
        let twofold = CliError::failed("it is locked").hinted("Unlock it.").caused_by("It is locked. Unlock it.");
        assert_eq!(twofold.causes(), [""; 0]);
    }
}
