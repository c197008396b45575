//! `caro sync init`: a new identity, or join with an existing phrase.

use std::path::PathBuf;

use clap::Args;

use super::errors::said_with_remedy;
use super::setup::{SetupArgs, is_in_use, laid_out, leave_first, write_phrase};
use super::{PATIENCE, commands, consent, local_only, phrase_input, restore, say_what_stays, setting, show_progress};
use crate::cli::{CliError, Home, Kind, Ui};
use crate::identity::{Phrase, PhraseError, WordCount};
use crate::sync::{self, SetUp};

/// Set sync up on this device.
///
/// Makes a new identity and shows its recovery phrase, or joins one with the phrase of another
/// device. Nothing leaves this machine before you have seen what will, and agreed.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync init
  caro sync init --new --relay wss://relay.example --phrase-out phrase.txt --yes
  caro sync init --phrase-file phrase.txt --relay wss://relay.example --yes
")]
pub(in crate::cli) struct InitArgs {
    /// Make a new identity
    #[arg(long, conflicts_with = "phrase_file")]
    new: bool,

    /// Join with the phrase in this file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    phrase_file: Option<PathBuf>,

    /// How many words a new phrase has
    #[arg(long, value_name = "12|24", value_parser = words, default_value = "24")]
    words: WordCount,

    /// Write the new phrase to this new file (mode 0600) instead of showing it
    #[arg(long, value_name = "FILE")]
    phrase_out: Option<PathBuf>,

    #[command(flatten)]
    setup: SetupArgs,
}

pub(super) fn words(text: &str) -> Result<WordCount, String> {
    text.parse().ok().and_then(WordCount::from_words).ok_or_else(|| "a phrase has 12 or 24 words".into())
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &InitArgs) -> Result<(), CliError> {
    let left = leave_first(ui, home, &args.setup)?;
    if let Some(path) = &args.phrase_file {
        let phrase = phrase_input::read(path)?;
        return restore::join(ui, home, &args.setup, phrase, left);
    }
    if !args.new {
        let mut terminal = ui.terminal("--new or --phrase-file FILE")?;
        terminal.show("If another device of yours syncs already, join it with its recovery phrase.\n")?;
        if terminal.confirm("Do you have a recovery phrase?")? {
            let phrase = phrase_input::ask(ui, "--phrase-file FILE")?;
            return restore::join(ui, home, &args.setup, phrase, left);
        }
    }
    create(ui, home, args, left.is_some())
}

fn create(ui: &mut Ui, home: &Home, args: &InitArgs, leave: bool) -> Result<(), CliError> {
    if args.phrase_out.is_none() {
        // The phrase could not be shown: better to say so before anything is made.
        ui.terminal("--phrase-out FILE")?;
    }
    let relay = args.setup.relay(ui, home)?;
    let history = home.open_history()?;
    consent::ask(ui, consent::Step::SetUp, relay.as_ref(), history.count()?, args.setup.yes)?;

    let phrase = Phrase::generate(args.words).map_err(no_randomness)?;
    if let Some(path) = &args.phrase_out {
        write_phrase(path, &phrase)?;
    }
    let mut shown = args.phrase_out.is_none().then(|| laid_out(&phrase));
    let set_up = || {
        let mut credentials = args.setup.credentials(phrase)?;
        if args.setup.forget_phrase {
            credentials.forget_phrase();
        }
        let key_store = args.setup.key_store(ui, home, &history)?;
        let config = args.setup.config(home, relay.as_ref())?;
        let set_up = SetUp { credentials: &credentials, key_store: &key_store, config: &config, leave };
        Ok::<_, CliError>(sync::create(setting(home, home.open_history()?, relay.clone(), PATIENCE)?, &set_up)?)
    };
    // This device will not be able to show it again: it must be seen before anything depends on it.
    let before = shown.take_if(|_| args.setup.forget_phrase);
    if let Some(words) = before {
        show(ui, &words)?;
    }
    let mut engine = set_up().inspect_err(|_| {
        let made = is_in_use(home, &args.setup.keys);
        if let (Some(path), false) = (&args.phrase_out, made) {
            // It opens nothing: the identity was not made.
            drop(std::fs::remove_file(path));
        }
    })?;
    if let Some(words) = shown {
        show(ui, &words)?;
    }
    if let Some(path) = &args.phrase_out {
        ui.status(format_args!(
            "The recovery phrase is in {}. Keep it safe: whoever has it can read your history.",
            path.display()
        ));
    }

    if relay.is_none() {
        ui.status("Sync is set up. Name a relay with `caro sync relay set`, then run `caro sync now`.");
        return Ok(engine.close()?);
    }
    let report = engine.exchange("init", &mut show_progress(ui))?;
    engine.close()?;
    ui.status(format_args!("Sync is set up, and {} went up to the relay.", commands(report.sent)));
    say_what_stays(ui, local_only(home, &home.open_history()?)?);
    if let Some(relay) = &relay {
        let shown = relay.shown();
        // What an operator put behind the host may let others in.
        let whole = if shown == relay.url() { "" } else { " (the whole address: caro sync relay show)" };
        ui.hint(format_args!("On your other machines, run: caro sync restore --relay {shown}{whole}"));
    }
    Ok(())
}

/// Shows a new phrase on the terminal, and nowhere else.
pub(super) fn show(ui: &Ui, words: &str) -> Result<(), CliError> {
    let mut terminal = ui.terminal("--phrase-out FILE")?;
    terminal.show(
        "\nThis is your recovery phrase. With it you bring your history to another machine; without it\n\
         nobody can. Write it down and keep it safe:\n\n",
    )?;
    terminal.show(words)?;
    terminal.show("\n")
}

pub(super) fn no_randomness(error: PhraseError) -> CliError {
    said_with_remedy(Kind::Failed, error)
}
