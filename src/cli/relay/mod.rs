//! `caro relay …`: a relay of your own.

mod accounts;
mod backup;
mod check;
mod folder;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod restore;
mod serve;
mod settings;
mod status;
mod stdio;

use clap::Subcommand;

use super::{CliError, Home, Kind, Ui};
use crate::relay::RelayError;

/// A relay of your own.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Serve(Box<serve::ServeArgs>),
    Status(status::StatusArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Check(check::CheckArgs),
    Invite(accounts::InviteArgs),
    Accounts(accounts::AccountsArgs),
    Revoke(accounts::RevokeArgs),
}

impl Command {
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        match self {
            Self::Serve(args) => serve::run(ui, home, *args),
            Self::Status(args) => status::run(ui, home, args),
            Self::Backup(args) => backup::run(ui, home, args),
            Self::Restore(args) => restore::run(ui, home, args),
            Self::Check(args) => check::run(ui, home, args),
            Self::Invite(args) => accounts::invite(ui, home, args),
            Self::Accounts(args) => accounts::list(ui, home, args),
            Self::Revoke(args) => accounts::revoke(ui, home, args),
        }
    }

    /// Whether it says itself what is logged, and how: that is among its settings.
    pub(super) const fn starts_its_log(&self) -> bool {
        matches!(self, Self::Serve(_))
    }
}

impl From<RelayError> for CliError {
    fn from(error: RelayError) -> Self {
        let (kind, hint) = match &error {
            RelayError::Nowhere => (Kind::Usage, "Name a folder with --data-dir, or leave out --access accounts."),
            RelayError::Damaged(_) => (
                Kind::Damaged,
                "`caro relay restore` puts a backup back; without one, `caro relay check --quarantine` builds the store anew \
                 from what can be read, and devices bring again what they hold.",
            ),
            RelayError::NoStore(_) => (Kind::Failed, "Name its folder with --data-dir."),
            RelayError::Exists(_) => (Kind::Failed, "Name another file, or replace it with --force."),
            RelayError::Copy { .. } => {
                (Kind::Failed, "Name a file in a folder that you can write to and that has room.")
            }
            RelayError::NoBackup { .. } => (Kind::Damaged, "Nothing was changed; try an older backup."),
            RelayError::Listen(_) => (Kind::Failed, "Choose another address with --listen."),
            RelayError::Certificate(_) => (Kind::Usage, "Name PEM files with --tls-certificate and --tls-key."),
            RelayError::Tokens(_) => {
                (Kind::Usage, "Write one token in each line, such as `openssl rand -hex 32` makes.")
            }
            RelayError::Database { .. } => {
                (Kind::Failed, "Look whether it runs, and whether the address and its user are right.")
            }
            RelayError::Store { .. } => (Kind::Failed, "Make the folder writable, or name another with --data-dir."),
            RelayError::Refused { .. } => (
                Kind::Failed,
                "Look after the disk, then start the relay again; devices send once more what it did not confirm.",
            ),
            RelayError::Silent(_) => (
                Kind::Unreachable,
                "Ask as the user whose relay it is; if it hangs, look at its log or start it again.",
            ),
            RelayError::InUse(_) => (Kind::Failed, "Stop the other one, or name another folder with --data-dir."),
            _ => (Kind::Failed, "CARO_LOG=debug shows what happens."),
        };
        Self::new(kind, error.to_string()).hinted(hint).caused_by(error)
    }
}
