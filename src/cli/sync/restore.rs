//! `caro sync restore`: join with a phrase, and wait for the whole history.

use std::path::PathBuf;

use clap::Args;

use super::setup::{SetupArgs, refuse_second};
use super::{PATIENCE, commands, consent, local_only, parts_are, phrase_input, say_what_stays, setting, show_progress};
use crate::cli::{CliError, Home, Ui};
use crate::identity::Phrase;
use crate::sync::{self, SetUp, SyncError};

/// Bring your history to this machine.
///
/// Joins with your recovery phrase and fetches the whole history, newest first. What this machine
/// has already stays, and is united with it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync restore --relay wss://relay.example
  caro sync restore --relay wss://relay.example --phrase-file phrase.txt --yes
  caro sync restore --relay wss://relay.example --qr-image code.png
")]
pub(in crate::cli) struct RestoreArgs {
    /// Read the phrase from this file; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "qr_image")]
    phrase_file: Option<PathBuf>,

    /// Read the phrase from a picture of the code that `caro sync phrase show --qr` draws
    #[arg(long, value_name = "FILE")]
    qr_image: Option<PathBuf>,

    #[command(flatten)]
    setup: SetupArgs,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &RestoreArgs) -> Result<(), CliError> {
    refuse_second(home, &args.setup.keys)?;
    let phrase = match (&args.phrase_file, &args.qr_image) {
        (Some(path), _) => phrase_input::read(path)?,
        (None, Some(path)) => phrase_input::read_picture(path)?,
        (None, None) => phrase_input::ask(ui, "--phrase-file FILE or --qr-image FILE")?,
    };
    join(ui, home, &args.setup, phrase)
}

/// Joins the identity of a phrase and exchanges everything.
pub(super) fn join(ui: &mut Ui, home: &Home, args: &SetupArgs, phrase: Phrase) -> Result<(), CliError> {
    let relay = args.relay(ui)?;
    if relay.is_none() {
        return Err(CliError::from(SyncError::NoRelay)
            .hinted("Joining needs the relay that your other devices use: --relay wss://…"));
    }
    let history = home.open_history()?;
    consent::ask(ui, consent::Step::SetUp, relay.as_ref(), history.count()?, args.yes)?;

    let mut credentials = args.credentials(phrase)?;
    if args.forget_phrase {
        credentials.forget_phrase();
    }
    let key_store = args.key_store(ui, home, &history)?;
    let config = args.config(home, relay.as_ref())?;
    let set_up = SetUp { credentials: &credentials, key_store: &key_store, config: &config };
    let mut engine = sync::join(setting(home, home.open_history()?, relay, PATIENCE)?, &set_up)?;
    let report = engine.exchange("restore", &mut show_progress(ui))?;
    engine.close()?;

    let devices = history.count_per_device()?.len();
    ui.status(format_args!(
        "Restored {}; this machine now has {} from {devices} device{}.",
        commands(report.received),
        history.count()?,
        if devices == 1 { "" } else { "s" },
    ));
    say_what_stays(ui, local_only(home, &history)?);
    if report.missing > 0 {
        ui.warn(format_args!(
            "{} not on the relay yet; run `caro sync now` on your other devices, then here",
            parts_are(report.missing)
        ));
    }
    Ok(())
}
