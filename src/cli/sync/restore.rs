//! `caro sync restore`: join with a phrase, and wait for the whole history.

use std::path::PathBuf;

use clap::Args;

use super::setup::{Left, SetupArgs, leave_first};
use super::{
    PATIENCE, commands, consent, local_only, parts_are, paths, phrase_input, say_what_stays, setting, show_progress,
};
use crate::cli::{CliError, Home, Ui, ui::visible};
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
  caro sync restore --leave --relay wss://relay.example     from an account it is in by mistake
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
    let left = leave_first(ui, home, &args.setup)?;
    let phrase = match (&args.phrase_file, &args.qr_image) {
        (Some(path), _) => phrase_input::read(path)?,
        (None, Some(path)) => phrase_input::read_picture(path)?,
        (None, None) => phrase_input::ask(ui, "--phrase-file FILE or --qr-image FILE")?,
    };
    join(ui, home, &args.setup, phrase, left)
}

/// Joins the identity of a phrase and exchanges everything.
pub(super) fn join(
    ui: &mut Ui,
    home: &Home,
    args: &SetupArgs,
    phrase: Phrase,
    left: Option<Left>,
) -> Result<(), CliError> {
    let relay = args.relay(ui, home)?;
    if relay.is_none() {
        return Err(CliError::from(SyncError::NoRelay)
            .hinted("Joining needs the relay that your other devices use: --relay wss://…"));
    }
    let history = home.open_history()?;
    consent::ask(ui, consent::Step::SetUp, relay.as_ref(), history.count()?, args.yes)?;

    let mut credentials = args.credentials(phrase)?;
    if let Some(left) = &left {
        left.refuse_same(&credentials)?;
    }
    if args.forget_phrase {
        credentials.forget_phrase();
    }
    let key_store = args.key_store(ui, home, &history)?;
    let config = args.config(home, relay.as_ref())?;
    let set_up = SetUp { credentials: &credentials, key_store: &key_store, config: &config, leave: left.is_some() };
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
    say_namesakes(ui, home, &config.device_name)?;
    if report.missing > 0 {
        ui.warn(format_args!(
            "{} not on the relay yet; run `caro sync now` on your other devices, then here",
            parts_are(report.missing)
        ));
    }
    Ok(())
}

/// Says how to tell devices of the same name apart.
fn say_namesakes(ui: &Ui, home: &Home, name: &str) -> Result<(), CliError> {
    let devices = sync::known_devices(&paths(home).devices)?;
    if devices.iter().filter(|device| !device.removed && device.name == name).count() > 1 {
        ui.hint(format_args!(
            "Another device of yours is called {} too. `caro sync devices list` shows their ids; name one of them: caro \
             sync devices rename ID NAME",
            visible(name)
        ));
    }
    Ok(())
}
