//! `caro sync delete --everywhere`: erases what was synced, on all devices and the relay, and shows what is left.

use clap::Args;
use serde::Serialize;

use super::{KeyArgs, PATIENCE, account_settings, paths, setting, state};
use crate::cli::{CliError, Home, Ui};
use crate::sync::{self, Erasing, SyncConfig, SyncError};

/// What has to be typed.
const WORDS: &str = "delete everything";

/// Erase everything that was synced, on all your devices and the relay
///
/// Commands that never left a device stay on it. Other devices erase theirs when they next reach the relay.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync delete --everywhere
  caro sync delete --everywhere --yes --json
")]
pub(in crate::cli) struct DeleteArgs {
    /// On all devices and the relay; there is no other way to use this command
    #[arg(long, required = true)]
    everywhere: bool,

    /// Erase without being asked
    #[arg(long, short)]
    yes: bool,

    /// Print what is left as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

/// What is left, version 1.
#[derive(Serialize)]
struct LeftJson {
    schema_version: u32,
    headers: u64,
    unknown: u64,
    with_content: u64,
    marked: bool,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &DeleteArgs) -> Result<(), CliError> {
    let state = state(home)?;
    if !state.is_enabled() {
        return Err(SyncError::Disabled.into());
    }
    let resumed = state.closing.is_some();
    if !args.yes && !resumed {
        ask(ui)?;
    }
    let history = home.open_history()?;
    if SyncConfig::load(&paths(home).config)?.relay.is_none() && state.last_exchange.is_none() {
        sync::delete_here(setting(home, home.open_history()?, None, PATIENCE)?)?;
        args.keys.store(home, &history)?.delete().map_err(SyncError::from)?;
        if args.json {
            ui.json(&LeftJson { schema_version: 1, headers: 0, unknown: 0, with_content: 0, marked: false })?;
        }
        ui.status("Erased. No relay ever had anything of it; your commands are still on this machine.");
        return Ok(());
    }
    let credentials = args.keys.load(ui, home, &history)?;
    let settings = account_settings(home)?;
    let mut bar = ui.progress(0, "Erasing");
    let proof = sync::delete_everywhere(&settings, credentials.master(), &mut |Erasing { done, total }| {
        bar.set_of(done, total)
    })?;
    drop(bar);
    if proof.is_clean() {
        // They open nothing any more.
        args.keys.store(home, &history)?.delete().map_err(SyncError::from)?;
    }
    if args.json {
        let sync::Proof { headers, unknown, with_content, marked } = proof;
        ui.json(&LeftJson { schema_version: 1, headers, unknown, with_content, marked })?;
    } else {
        ui.line(format_args!("Erased. The relay was asked anew; of this account it still has:"))?;
        ui.line(format_args!(
            "  {} ids with an empty header and the note of their deletion, so that no device brings them back",
            proof.headers
        ))?;
        ui.line("  the account's own id, public keys and encrypted key list, which the protocol cannot delete")?;
        ui.line("  one encrypted mark, which tells your other devices to erase what they have")?;
    }
    if !proof.is_clean() {
        return Err(SyncError::NotErased { values: proof.with_content }.into());
    }
    ui.status(
        "Your other devices erase theirs when they next reach the relay. A relay of another make may keep encrypted\n\
         blocks that it does not hand out. Commands that had never been synced are still on this machine.",
    );
    Ok(())
}

fn ask(ui: &Ui) -> Result<(), CliError> {
    let mut terminal = ui.terminal("--yes")?;
    terminal.show(
        "This erases every command, preference and device record that was ever synced: on the relay now, on this\n\
         machine now, and on your other devices when they next reach the relay. It cannot be undone.\n\
         Commands that never left a device stay on it.\n",
    )?;
    let typed = terminal.ask(&format!("Type `{WORDS}` to go on: "))?;
    if typed.trim() == WORDS { Ok(()) } else { Err(CliError::declined("nothing was erased")) }
}
