//! `caro sync phrase …`: the recovery phrase of this identity, on the terminal or in a file only.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use super::setup::{laid_out, write_phrase};
use super::{KeyArgs, phrase_input, state};
use crate::cli::{CliError, Home, Kind, Ui};
use crate::identity::Phrase;

/// A code is read dark on light, whatever the colours of the terminal.
const DARK_ON_LIGHT: &str = "\x1b[30;107m";
/// Back to the terminal's own colours.
const PLAIN: &str = "\x1b[0m";

/// The recovery phrase of this identity
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    Show(ShowArgs),
    Verify(VerifyArgs),
}

/// Show the phrase, to write it down or to set up another device
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync phrase show
  caro sync phrase show --qr
  caro sync phrase show --phrase-out phrase.txt
")]
pub(in crate::cli) struct ShowArgs {
    /// Draw it as a code for a camera; `caro sync restore --qr-image` reads a picture of it
    #[arg(long)]
    qr: bool,

    /// Write it to this new file (mode 0600) instead of showing it
    #[arg(long, value_name = "FILE", conflicts_with = "qr")]
    phrase_out: Option<PathBuf>,

    #[command(flatten)]
    keys: KeyArgs,
}

/// Check that what you wrote down is this identity's phrase
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync phrase verify
  caro sync phrase verify --phrase-file phrase.txt
")]
pub(in crate::cli) struct VerifyArgs {
    /// Read the phrase from this file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    phrase_file: Option<PathBuf>,

    #[command(flatten)]
    keys: KeyArgs,
}

impl Command {
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        state(home)?;
        match self {
            Self::Show(args) => show(ui, home, &args),
            Self::Verify(args) => verify(ui, home, &args),
        }
    }
}

fn show(ui: &mut Ui, home: &Home, args: &ShowArgs) -> Result<(), CliError> {
    if let Some(path) = &args.phrase_out {
        let credentials = args.keys.load(ui, home, &home.open_history()?)?;
        write_phrase(path, kept(credentials.phrase())?)?;
        ui.status(format_args!("The recovery phrase is in {}. Keep it safe.", path.display()));
        return Ok(());
    }
    let mut terminal = ui.terminal("--phrase-out FILE")?;
    if !terminal.confirm("Whoever sees the phrase can read your whole history. Show it here?")? {
        return Err(CliError::declined("the phrase was not shown"));
    }
    let credentials = args.keys.load(ui, home, &home.open_history()?)?;
    let phrase = kept(credentials.phrase())?;
    if args.qr {
        let code = QrCode::new(phrase.expose_words())
            .map_err(|e| CliError::failed("the code cannot be drawn").caused_by(e))?;
        let drawn = zeroize::Zeroizing::new(code.render::<Dense1x2>().quiet_zone(true).build());
        let mut colored = zeroize::Zeroizing::new(String::with_capacity(2 * drawn.len()));
        for line in drawn.lines() {
            colored.extend([DARK_ON_LIGHT, line, PLAIN, "\n"]);
        }
        terminal.show(&colored)
    } else {
        terminal.show(&laid_out(phrase))
    }
}

fn verify(ui: &mut Ui, home: &Home, args: &VerifyArgs) -> Result<(), CliError> {
    let given = match &args.phrase_file {
        Some(path) => phrase_input::read(path)?,
        None => phrase_input::ask(ui, "--phrase-file FILE")?,
    };
    let credentials = args.keys.load(ui, home, &home.open_history()?)?;
    if kept(credentials.phrase())?.matches(&given) {
        ui.status("This is the recovery phrase of this identity.");
        Ok(())
    } else {
        Err(CliError::new(Kind::WrongPhrase, "this is a valid phrase, but not the one of this identity")
            .hinted("`caro sync phrase show` shows the right one."))
    }
}

fn kept(phrase: Option<&Phrase>) -> Result<&Phrase, CliError> {
    phrase.ok_or_else(|| {
        CliError::failed("this device has forgotten the phrase, as it was told to")
            .hinted("Show it on another device of yours, or look where you wrote it down.")
    })
}
