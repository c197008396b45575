//! `caro relay …`: a relay of your own.

mod serve;
mod settings;
mod stdio;

use clap::Subcommand;

use super::{CliError, Home, Kind, Ui};
use crate::relay::RelayError;

/// A relay of your own.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Serve(Box<serve::ServeArgs>),
}

impl Command {
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        match self {
            Self::Serve(args) => serve::run(ui, home, *args),
        }
    }
}

impl From<RelayError> for CliError {
    fn from(error: RelayError) -> Self {
        let (kind, hint) = match &error {
            RelayError::Damaged(_) => {
                (Kind::Damaged, "Put relay.db back from a backup, or move it away: devices bring again what they hold.")
            }
            RelayError::Listen { .. } => (Kind::Failed, "Choose another address with --listen."),
            RelayError::Certificate(_) => (Kind::Usage, "Name PEM files with --tls-certificate and --tls-key."),
            RelayError::Tokens(_) => {
                (Kind::Usage, "Write one token in each line, such as `openssl rand -hex 32` makes.")
            }
            RelayError::Store { .. } => (Kind::Failed, "Make the folder writable, or name another with --data-dir."),
            RelayError::InUse(_) => (Kind::Failed, "Stop the other one, or name another folder with --data-dir."),
            _ => (Kind::Failed, "CARO_LOG=debug shows what happens."),
        };
        Self::new(kind, error.to_string()).hinted(hint).caused_by(error)
    }
}
