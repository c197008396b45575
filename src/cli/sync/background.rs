//! Exchanges after a capture: starting one without waiting for it, and being one.

use std::time::{Duration, Instant};

use super::{KeyArgs, PATIENCE, address, as_whoever_this_is, note, paths, setting, state};
use crate::cli::{CliError, Home, Ui, detached, time};
use crate::sync::oneshot::{self, Ended, Next};
use crate::sync::{Engine, Report, SyncConfig, SyncError, wait_until_free};

/// What the state file calls such an exchange.
const TRIGGER: &str = "capture";
/// How long more is waited for: the commands of a script, or of a fast typist, go together.
const COLLECT: Duration = Duration::from_millis(750);
/// How long another exchange is waited for.
const TURN: Duration = Duration::from_secs(600);

/// Called after something was recorded or a setting was changed: a daemon is told, or a background exchange started.
/// It takes a few milliseconds at the most, and no failure here is one of the command's.
pub(in crate::cli) fn after_capture(home: &Home) {
    if oneshot::after_capture(&paths(home), time::now()) == Next::Start
        && let Err(error) = detached::start(home, &["sync", "now", "--background"])
    {
        tracing::debug!(%error, "a background exchange could not be started");
    }
}

/// Is one: collects, waits for its turn, exchanges, and notes the outcome in the log.
pub(super) fn run(ui: &Ui, home: &Home, keys: &KeyArgs) -> Result<(), CliError> {
    detached::let_go();
    let paths = paths(home);
    let Some(waiting) = oneshot::waiting(&paths)? else { return Ok(()) };
    std::thread::sleep(COLLECT);
    if !wait_until_free(&paths, TURN)? {
        return Ok(());
    }
    // From here on, whatever is recorded may come too late for this exchange.
    drop(waiting);
    // What was waited for may have failed, and the same would happen again.
    if !oneshot::is_still_due(&paths, time::now()) {
        return Ok(());
    }
    let begun = Instant::now();
    let result = as_whoever_this_is(|| exchange(ui, home, keys));
    note::outcome(home, "background", TRIGGER, result.as_ref().map(|report| (report, begun.elapsed())));
    let how = match &result {
        Ok(_) => Ended::Well,
        Err(error) if error.lasts => Ended::ForGood,
        Err(_) => Ended::Failed,
    };
    oneshot::ended(&paths, time::now(), how)?;
    result.map(drop)
}

fn exchange(ui: &Ui, home: &Home, keys: &KeyArgs) -> Result<Report, CliError> {
    let state = state(home)?;
    if state.paused {
        return Ok(Report::default());
    }
    let prepare = || {
        let relay = address(&SyncConfig::load(&paths(home).config)?)?.ok_or(SyncError::NoRelay)?;
        let history = home.open_history()?;
        let credentials = keys.load(ui, home, &history)?;
        Ok::<_, CliError>((setting(home, history, Some(relay), PATIENCE)?, credentials))
    };
    let (setting, credentials) = prepare().inspect_err(|error| note::not_begun(home, TRIGGER, error))?;
    let mut engine = Engine::open(setting, &state, credentials.master(), TRIGGER)?;
    let report = engine.exchange(TRIGGER, &mut |_| {})?;
    engine.close()?;
    Ok(report)
}
