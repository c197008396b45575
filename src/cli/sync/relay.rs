//! `caro sync relay …`: the relay in use.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::setup::parse_relay;
use super::{address, consent, paths, relay_test, state};
use crate::cli::{CliError, Home, Ui};
use crate::sync::{Background, SyncConfig, SyncState};

/// The relay in use
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    Show(ShowArgs),
    Set(SetArgs),
    Test(relay_test::TestArgs),
}

/// Print the relay's address
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  caro sync relay show
")]
pub(in crate::cli) struct ShowArgs {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Use another relay from now on
///
/// The next exchange brings it everything that this device has.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync relay set wss://relay.example
  caro sync relay set ws://192.168.1.20:8787 --yes
  caro sync relay set ssh://me@home.example   a machine that you can log in to
  caro sync relay set none                  use no relay for now
")]
pub(in crate::cli) struct SetArgs {
    /// wss://…, ws://… or ssh://…, or `none`
    #[arg(value_name = "URL")]
    url: String,

    /// PEM file with the root certificate of a relay of your own
    #[arg(long, value_name = "FILE")]
    relay_certificate: Option<PathBuf>,

    /// Agree to what is shown without being asked
    #[arg(long, short)]
    yes: bool,
}

#[derive(Serialize)]
struct RelayJson<'a> {
    schema_version: u32,
    relay: Option<&'a str>,
    relay_certificate: Option<&'a Path>,
}

impl Command {
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        if !matches!(self, Self::Test(_)) {
            state(home)?;
        }
        let config = SyncConfig::load(&paths(home).config)?;
        match self {
            Self::Show(args) if args.json => ui.json(&RelayJson {
                schema_version: 1,
                relay: config.relay.as_deref(),
                relay_certificate: config.relay_certificate.as_deref(),
            }),
            Self::Show(_) => match address(&config)? {
                Some(relay) => ui.line(relay.url()),
                None => ui.line("none"),
            },
            Self::Set(args) => set(ui, home, &args, config),
            Self::Test(args) => relay_test::run(ui, home, &args),
        }
    }
}

fn set(ui: &mut Ui, home: &Home, args: &SetArgs, mut config: SyncConfig) -> Result<(), CliError> {
    let relay = parse_relay(&args.url, args.relay_certificate.as_deref())?;
    if relay.is_some() {
        let records = home.open_history()?.count()?;
        let step = consent::Step::Relay { another: config.relay.is_some() };
        consent::ask(ui, step, relay.as_ref(), records, args.yes)?;
    }
    let url = relay.as_ref().map(|relay| relay.url().to_owned());
    if url != config.relay {
        // The new relay may not know all that this session has written; two relays must never see two
        // different continuations of it.
        SyncState::update(&paths(home).state, |state| {
            state.forget_sessions();
            // What failed with the one before may go well with this one.
            state.background = Background::default();
        })?;
    }
    config.relay = url;
    config.relay_certificate = relay.as_ref().and_then(|relay| relay.root_certificate().map(Path::to_owned));
    config.save(&paths(home).config)?;
    ui.status(if relay.is_some() {
        "The relay is set; `caro sync now` brings it up to date."
    } else {
        "No relay is used any more."
    });
    Ok(())
}
