//! `caro sync pause|resume` and `enable|disable`: stop for now, and withdraw or give consent.

use std::time::Duration;

use clap::Args;

use super::{address, background, consent, paths, state};
use crate::cli::{CliError, Home, Ui, community};
use crate::sync::daemon::socket::{self, Ask};
use crate::sync::{Background, Consent, SyncConfig, SyncError, SyncState, wait_until_free};

/// How long exchanges under way are waited for after consent was withdrawn. They end by themselves, long before.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// Stop exchanging by itself, until `caro sync resume`; `caro sync now` still works.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  caro sync pause
")]
pub(in crate::cli) struct PauseArgs {}

/// Go on exchanging after `caro sync pause`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  caro sync resume
")]
pub(in crate::cli) struct ResumeArgs {}

/// Withdraw consent: nothing is synced any more, and what is under way ends at once.
///
/// Your history stays here, and what the relay holds stays there. To erase that too, run
/// `caro sync delete --everywhere` first, in place of this: while sync is disabled nothing reaches the relay. Anonymous reports,
/// where they go by themselves, end with `caro community revoke`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  caro sync disable
")]
pub(in crate::cli) struct DisableArgs {}

/// Give consent again, after you have seen what leaves this machine.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync enable
  caro sync enable --yes
")]
pub(in crate::cli) struct EnableArgs {
    /// Agree to what is shown without being asked
    #[arg(long, short)]
    yes: bool,
}

pub(super) fn pause(ui: &Ui, home: &Home) -> Result<(), CliError> {
    change(home, |state| state.paused = true)?;
    ui.status("Sync is paused on this device; what you do is sent after `caro sync resume`.");
    Ok(())
}

pub(super) fn resume(ui: &Ui, home: &Home) -> Result<(), CliError> {
    let state = change(home, |state| {
        state.paused = false;
        state.background = Background::default();
    })?;
    if !state.is_enabled() {
        return Err(SyncError::Disabled.into());
    }
    background::after_capture(home);
    ui.status("Sync goes on.");
    Ok(())
}

pub(super) fn disable(ui: &Ui, home: &Home) -> Result<(), CliError> {
    change(home, |state| state.consent = Consent::Disabled)?;
    if wait_until_free(&paths(home), ENDS_WITHIN)? {
        ui.status("Sync is disabled: nothing is synced until `caro sync enable`.");
        if let Some((often, to)) = community::scheduled(home) {
            ui.status(format_args!(
                "An anonymous report still goes by itself {often} to {to}; `caro community revoke` ends that."
            ));
        }
        return Ok(());
    }
    Err(CliError::failed("sync is disabled, but a process that was exchanging does not end")
        .hinted("It may be stopped or hang; end it: look for `caro sync` in the list of processes."))
}

pub(super) fn enable(ui: &Ui, home: &Home, args: &EnableArgs) -> Result<(), CliError> {
    state(home)?;
    let relay = address(&SyncConfig::load(&paths(home).config)?)?;
    consent::ask(ui, consent::Step::Enable, relay.as_ref(), home.open_history()?.count()?, args.yes)?;
    change(home, |state| {
        state.consent = Consent::Enabled;
        state.background = Background::default();
    })?;
    background::after_capture(home);
    ui.status("Sync is enabled on this device.");
    Ok(())
}

/// Changes the state, and has a daemon look at it at once.
fn change(home: &Home, change: impl FnOnce(&mut SyncState)) -> Result<SyncState, CliError> {
    let paths = paths(home);
    let state = SyncState::update(&paths.state, change)?.ok_or(SyncError::NotSetUp)?;
    // One that watches the file knows already.
    drop(socket::ask(&paths.socket, Ask::Captured));
    Ok(state)
}
