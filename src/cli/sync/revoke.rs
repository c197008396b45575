//! `caro sync revoke`: a new identity and phrase, everything moved over, the old identity closed.

use std::path::PathBuf;

use clap::Args;

use super::init::{no_randomness, show, words};
use super::setup::{laid_out, write_phrase};
use super::{KeyArgs, account_settings, paths, state};
use crate::cli::{CliError, Home, Kind, Ui, time};
use crate::identity::{Credentials, Phrase, WordCount};
use crate::sync::{self, Erasing, Progress, Revocation, RevokeKeys, SyncError};

/// Replace your recovery phrase, and shut out whoever has the old one.
///
/// Makes a new identity on the same relay, moves everything over and erases the old one. Your other devices keep their
/// history and ask for the new phrase. If it is interrupted, run it again: it goes on where it was.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync revoke
  caro sync revoke --phrase-out phrase.txt --yes
")]
pub(in crate::cli) struct RevokeArgs {
    /// How many words the new phrase has
    #[arg(long, value_name = "12|24", value_parser = words, default_value = "24")]
    words: WordCount,

    /// Write the new phrase to this new file (mode 0600) instead of showing it
    #[arg(long, value_name = "FILE")]
    phrase_out: Option<PathBuf>,

    /// Go on without being asked
    #[arg(long, short)]
    yes: bool,

    /// Go on over parts of the history that have not arrived or that only a newer version reads; they are erased
    #[arg(long)]
    leave_behind: bool,

    /// Give up a revocation that was interrupted, and keep the old phrase; only while nothing was closed yet
    #[arg(long, conflicts_with_all = ["phrase_out", "leave_behind"])]
    abort: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

pub(super) fn run(ui: &Ui, home: &Home, args: &RevokeArgs) -> Result<(), CliError> {
    let state = state(home)?;
    let history = home.open_history()?;
    // Asks for the passphrase of a sealed key file, once for both.
    let (current, next) = args.keys.stores_for_revocation(ui, home, &history)?;
    let keys = RevokeKeys { current, next };
    if args.abort {
        return abort(ui, home, &keys, state.revoking.is_some());
    }
    if state.revoking.is_none() {
        state.may_exchange()?;
        begin(ui, home, args, &keys)?;
    } else {
        ui.status("A revocation was interrupted; it goes on now.");
        if let Some(path) = args.phrase_out.as_deref().filter(|path| !path.exists())
            && let Some(new) = keys.next.load().map_err(SyncError::from)?
            && let Some(phrase) = new.phrase()
        {
            write_phrase(path, phrase)?;
        }
    }
    let settings = account_settings(home)?;
    let mut bar = ui.progress(0, "Moving");
    let met = sync::revoke(&settings, &keys, args.leave_behind, &mut |told| match told {
        Revocation::Moving(
            Progress::Receiving { done, total, .. }
            | Progress::Comparing { done, total }
            | Progress::Sending { done, total },
        ) => bar.set_of(done, total),
        Revocation::Moving(Progress::Confirming) => {}
        Revocation::Erasing(Erasing { done, total }) => {
            bar.say("Erasing".into());
            bar.set_of(done, total);
        }
    })?;
    drop(bar);
    ui.status(
        "Done. The old phrase opens nothing any more. Your other devices keep their history and stop syncing; on each\n\
         of them run `caro sync restore` with the new phrase: what they had not sent goes up then.\n\
         Whoever had the old phrase may have read, and kept, what was there until now.",
    );
    if let Some(met) = met {
        ui.warn(format_args!(
            "meanwhile {}. Both are done now. Where it has a new phrase of its own, join it from here with `caro sync \
             delete --everywhere` and `caro sync restore`, or the other way round; where it was erased, the phrase \
             from here still has all of it",
            met.error()
        ));
    }
    Ok(())
}

/// Keeps the old phrase.
fn abort(ui: &Ui, home: &Home, keys: &RevokeKeys, is_begun: bool) -> Result<(), CliError> {
    if !is_begun {
        return Err(CliError::new(Kind::Usage, "no revocation was interrupted on this device"));
    }
    sync::abandon_revocation(account_settings(home)?()?, keys)?;
    ui.status("Given up: your recovery phrase is the one you had, and the new one opens nothing on this device.");
    Ok(())
}

/// Says what will happen, makes the phrase, and hands it over before anything depends on it.
fn begin(ui: &Ui, home: &Home, args: &RevokeArgs, keys: &RevokeKeys) -> Result<(), CliError> {
    if args.phrase_out.is_none() {
        ui.terminal("--phrase-out FILE")?;
    }
    ui.status(
        "You get a new recovery phrase. Everything that is synced moves to a new account on the same relay, and the\n\
         old one is erased there. Your other devices have to join again with the new phrase.",
    );
    if !args.yes && !ui.terminal("--yes")?.confirm("Go on?")? {
        return Err(CliError::declined("nothing was changed"));
    }
    let phrase = Phrase::generate(args.words).map_err(no_randomness)?;
    match &args.phrase_out {
        Some(path) => {
            write_phrase(path, &phrase)?;
            ui.status(format_args!(
                "The new recovery phrase is in {}. Keep it safe: whoever has it can read your history.",
                path.display()
            ));
        }
        None => show(ui, &laid_out(&phrase))?,
    }
    let forgets = keys.current.load().map_err(SyncError::from)?.is_some_and(|old| old.phrase().is_none());
    let now = u64::try_from(time::now().0 / 1_000_000).unwrap_or(0);
    let mut new = Credentials::from_phrase(phrase, now).map_err(SyncError::from)?;
    if forgets {
        new.forget_phrase();
    }
    Ok(sync::begin_revocation(&paths(home), keys, &new)?)
}
