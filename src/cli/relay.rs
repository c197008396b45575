//! `caro relay …`: a relay of your own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CliError, Home, Kind, Ui};
use crate::relay::{RelayError, RelayOptions, serve};

/// A relay of your own.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Serve(ServeArgs),
}

/// Serve a relay until stopped.
///
/// Works with every client of the Jazz protocol, and can read nothing of what it stores. Put a
/// reverse proxy with a certificate before it where it is reached from outside.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro relay serve
  caro relay serve --listen 0.0.0.0:4200 --data-dir /var/lib/caro-relay
")]
pub(super) struct ServeArgs {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4200")]
    listen: SocketAddr,

    /// The folder of the relay's store; your data directory's `relay` unless given
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Keep everything in memory and forget it at the end
    #[arg(long, conflicts_with = "data_dir")]
    in_memory: bool,
}

impl Command {
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        match self {
            Self::Serve(args) => run_serve(ui, home, args),
        }
    }
}

fn run_serve(ui: &mut Ui, home: &Home, args: ServeArgs) -> Result<(), CliError> {
    let data_dir =
        if args.in_memory { None } else { Some(args.data_dir.unwrap_or_else(|| home.data_dir.join("relay"))) };
    let mut told = Ok(());
    serve(RelayOptions { listen: args.listen, data_dir }, |address| {
        told = ui.line(format_args!("listening on ws://{address}")).and_then(|()| ui.flush());
    })?;
    told
}

impl From<RelayError> for CliError {
    fn from(error: RelayError) -> Self {
        let hint = match &error {
            RelayError::Damaged(_) => {
                let hint = "Put relay.db back from a backup, or move it away: devices bring again what they hold.";
                return Self::new(Kind::Damaged, error.to_string()).hinted(hint).caused_by(error);
            }
            RelayError::Listen { .. } => "Choose another address with --listen.",
            RelayError::Store { .. } => "Make the folder writable, or name another with --data-dir.",
            RelayError::InUse(_) => "Stop the other one, or name another folder with --data-dir.",
            _ => "CARO_LOG=debug shows what happens.",
        };
        Self::failed(error.to_string()).hinted(hint).caused_by(error)
    }
}
