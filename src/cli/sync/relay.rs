//! `caro sync relay …`: the relay in use.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{address, consent, parse_address, paths, state};
use crate::cli::{CliError, Home, Ui};
use crate::sync::SyncConfig;

/// The relay in use
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    Show(ShowArgs),
    Set(SetArgs),
}

/// Print the relay's address
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Use another relay from now on
///
/// The next exchange brings it everything that this device has.
#[derive(Debug, Args)]
pub(in crate::cli) struct SetArgs {
    /// wss://… or ws://…, or `none`
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
    relay_certificate: Option<&'a std::path::Path>,
}

impl Command {
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        state(home)?;
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
        }
    }
}

fn set(ui: &mut Ui, home: &Home, args: &SetArgs, mut config: SyncConfig) -> Result<(), CliError> {
    let relay = match args.url.trim() {
        "none" => None,
        url => Some(parse_address(url, args.relay_certificate.clone())?),
    };
    if relay.is_some() {
        let records = home.open_history()?.count()?;
        consent::ask(ui, relay.as_ref(), records, args.yes)?;
    }
    config.relay = relay.as_ref().map(|relay| relay.url().to_owned());
    config.relay_certificate = relay.as_ref().and_then(|_| args.relay_certificate.clone());
    config.save(&paths(home).config)?;
    ui.status(if relay.is_some() {
        "The relay is set; `caro sync now` brings it up to date."
    } else {
        "No relay is used any more."
    });
    Ok(())
}
