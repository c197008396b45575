//! `caro sync now`: one full exchange.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::{
    KeyArgs, PATIENCE, address, as_whoever_this_is, background, local_only, note, parts_are, paths, say_what_stays,
    setting, show_progress, standing, state,
};
use crate::cli::{CliError, Home, Ui, config};
use crate::history::History;
use crate::prefs::PreferenceStore;
use crate::sync::daemon::socket::{self, Ask};
use crate::sync::{Ending, Engine, LocalOnly, Report, SyncConfig, SyncError};

/// Exchange with the relay once: what others wrote comes down, what waits here goes up.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync now
  caro sync now --timeout 10 --json
")]
pub(in crate::cli) struct NowArgs {
    /// Give up when the relay stays silent for so long
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: Option<u64>,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    /// Let values of other devices that wait to be seen take effect, also where nobody reads the warning
    #[arg(long)]
    accept: bool,

    /// Wait for more to come, exchange, and say nothing; started by commands that record something
    #[arg(long, hide = true, conflicts_with = "json")]
    background: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

/// What the state file calls an exchange that the user asked for.
const TRIGGER: &str = "manual";

/// The result as JSON, version 1.
#[derive(Serialize)]
struct ReportJson {
    schema_version: u32,
    sent: u64,
    received: u64,
    pending: u64,
    too_large: u64,
    missing: u64,
    unreadable: u64,
    /// Devices of which the relay holds something back.
    withheld: u64,
    /// Commands of this machine that sync leaves on it.
    local_only: LocalOnly,
    duration_ns: u64,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &NowArgs) -> Result<(), CliError> {
    if args.background {
        return background::run(ui, home, &args.keys);
    }
    let begun = Instant::now();
    if let Some(report) = through_daemon(home, args)? {
        return tell(ui, home, args, &report, &home.open_history()?, begun);
    }
    let exchanged = as_whoever_this_is(|| exchange(ui, home, args));
    let outcome = exchanged.as_ref().map(|(report, ..)| (report, begun.elapsed()));
    note::outcome(home, "now", TRIGGER, outcome);
    let (report, ending, history) = exchanged?;
    tell(ui, home, args, &report, &history, begun)?;
    Ok(ending.wait()?)
}

/// Says what came of it, and what else a user should know.
fn tell(
    ui: &mut Ui,
    home: &Home,
    args: &NowArgs,
    report: &Report,
    history: &History,
    begun: Instant,
) -> Result<(), CliError> {
    standing::tell(ui, home)?;
    let preferences = PreferenceStore::open(home.prefs(), history.device_id()?);
    config::announce(ui, home, &preferences, args.accept)?;
    print(ui, args, report, local_only(home, history)?, begun.elapsed())
}

/// Has the daemon exchange, if one answers; none where this command has to do it itself.
fn through_daemon(home: &Home, args: &NowArgs) -> Result<Option<Report>, CliError> {
    // With its own patience it does its own work.
    if args.timeout.is_some() {
        return Ok(None);
    }
    state(home)?;
    let Some(answer) = socket::ask(&paths(home).socket, Ask::Exchange).and_then(|daemon| daemon.outcome()) else {
        return Ok(None);
    };
    match (answer.report, answer.error) {
        (Some(report), _) => Ok(Some(report)),
        (None, Some(failed)) => Err(failed.into()),
        (None, None) => Ok(None),
    }
}

/// Exchanges; the engine closes while its outcome is told.
fn exchange(ui: &mut Ui, home: &Home, args: &NowArgs) -> Result<(Report, Ending, History), CliError> {
    let state = state(home)?;
    let config = SyncConfig::load(&paths(home).config)?;
    let relay = address(&config)?.ok_or(SyncError::NoRelay)?;
    let history = home.open_history()?;
    let credentials = args.keys.load(ui, home, &history)?;
    let patience = args.timeout.map_or(PATIENCE, Duration::from_secs);

    let setting = setting(home, history, Some(relay), patience)?;
    let mut engine = Engine::open(setting, &state, credentials.master(), TRIGGER)?;
    let report = engine.exchange(TRIGGER, &mut show_progress(ui))?;
    let (ending, history) = engine.close_meanwhile()?;
    Ok((report, ending, history))
}

fn print(ui: &mut Ui, args: &NowArgs, report: &Report, local: LocalOnly, took: Duration) -> Result<(), CliError> {
    let Report { sent, received, pending, too_large, missing, unreadable, withheld } = *report;
    if args.json {
        let duration_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        return ui.json(&ReportJson {
            schema_version: 1,
            sent,
            received,
            pending,
            too_large,
            missing,
            unreadable,
            withheld,
            local_only: local,
            duration_ns,
        });
    }
    ui.line(format_args!("sent {sent}, received {received}, pending {pending}"))?;
    say_what_stays(ui, local);
    if missing > 0 {
        ui.warn(format_args!("{} not on the relay yet", parts_are(missing)));
        ui.hint("Run `caro sync now` on the device that wrote them.");
    }
    if withheld > 0 {
        ui.warn("the relay holds back commands that other devices of yours say they have sent");
        ui.hint("`caro sync verify` says of which; try another relay if it stays so.");
    }
    if unreadable > 0 {
        ui.warn(format_args!("{} not readable here yet", parts_are(unreadable)));
        ui.hint("Upgrade caro on this machine, or sync again once your other devices have; they are kept until then.");
    }
    Ok(())
}
