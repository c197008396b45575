//! `caro sync daemon`: the background process, in the foreground.

use clap::Args;

use super::{KeyArgs, PATIENCE, address, as_whoever_this_is, note, paths, setting, state};
use crate::cli::{CliError, Home, Kind, Ui, rescue, time};
use crate::prefs::Settings;
use crate::sync::daemon::socket::{Doing, Failed};
use crate::sync::daemon::{self, Choices, Options, Told};
use crate::sync::log::{Entry, Level, Log};
use crate::sync::{Engine, SyncConfig, SyncError};

/// Stay connected and exchange every change at once, until stopped.
///
/// Runs in the foreground and tells what it does on standard error and in the log (`caro sync logs`).
/// `caro sync service install` has the system start it when you log in.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro sync daemon
  CARO_LOG=caro::sync=debug caro sync daemon
")]
pub(in crate::cli) struct DaemonArgs {
    #[command(flatten)]
    keys: KeyArgs,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &DaemonArgs) -> Result<(), CliError> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    share_one_pool_of_memory();
    let account = state(home)?.account;
    let history = home.open_history()?;
    let log = Log::new(paths(home).log, "daemon", time::now);
    let credentials = args.keys.load(ui, home, &history).inspect_err(|error| {
        note::not_begun(home, "start", error);
        log.write(Level::Error, format!("could not start: {}", error.message));
    })?;
    drop(history);
    let last = log.clone();
    let (chosen, opened, noted) = (home.clone(), home.clone(), home.clone());
    let options = Options {
        paths: paths(home),
        account,
        history: home.history_path(),
        now: time::now,
        choices: Box::new(move || choices(&chosen).map_err(Into::into)),
        open: Box::new(move |trigger| {
            let open = || -> Result<Engine, CliError> {
                let home = &opened;
                let relay = address(&SyncConfig::load(&paths(home).config)?)?.ok_or(SyncError::NoRelay)?;
                let mut setting = setting(home, home.open_history()?, Some(relay), PATIENCE)?;
                // It does not borrow from itself.
                setting.paths.socket = std::path::PathBuf::new();
                Ok(Engine::open(setting, &state(home)?, credentials.master(), trigger)?)
            };
            as_whoever_this_is(open).map_err(Into::into)
        }),
        explain: |error| CliError::from(error).into(),
        tell: Box::new(move |told| {
            if let Told::Failed { error, .. } = told {
                note::remedy(&noted, error);
                if error.exit_code == Kind::Damaged.code()
                    && let Err(error) = rescue::rebuild(&noted)
                {
                    show(&log.write(Level::Error, error.message));
                }
            }
            let (level, message) = in_words(told);
            show(&log.write(level, message));
        }),
    };
    daemon::run(options).map_err(|error| match error {
        SyncError::OtherKeys => {
            let ended = "this device has new keys, which the daemon takes up when it is started again";
            show(&last.write(Level::Warning, ended));
            CliError::failed(ended).hinted("A daemon of `caro sync service install` is started again by the system.")
        }
        SyncError::Busy => CliError::failed("a daemon of this device runs already").hinted(
            "`caro sync status` says what it does; `caro sync service uninstall` ends one that the system runs.",
        ),
        error => error.into(),
    })
}

/// Starts this program again in its own place, as the same process, with one pool of memory for all threads.
///
/// glibc gives almost each thread a pool of its own, for good. Every engine runs on a new thread, so that in time each pool
/// would hold what an engine needs: together as much again as all the rest of a daemon.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn share_one_pool_of_memory() {
    use std::os::unix::process::CommandExt;
    const POOLS: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(POOLS).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let error = std::env::current_exe().map(|program| {
        let mut again = std::process::Command::new(program);
        if let Some(name) = arguments.next() {
            again.arg0(name);
        }
        again.args(arguments).env(POOLS, "1").exec()
    });
    // Still here, so it goes on as it is.
    tracing::debug!(?error, "the daemon could not limit its pools of memory");
}

/// What the user has chosen, as far as it concerns a daemon.
fn choices(home: &Home) -> Result<Choices, CliError> {
    let mut hash = blake3::Hasher::new();
    for file in [&home.prefs().sync, &home.prefs().config] {
        hash.update(&std::fs::read(file).unwrap_or_default());
        hash.update(b"\0");
    }
    let frequency = Settings::load(&home.prefs().sync)?.frequency;
    let has_relay = address(&SyncConfig::load(&paths(home).config)?)?.is_some();
    Ok(Choices { frequency, has_relay, fingerprint: hash.finalize().into() })
}

fn in_words(told: Told<'_>) -> (Level, String) {
    match told {
        Told::Started => (Level::Info, format!("started, version {}", env!("CARGO_PKG_VERSION"))),
        Told::Exchanged { trigger, report, took } => (Level::Info, note::exchanged(trigger, report, took)),
        Told::Failed { trigger, error, pause } => {
            let level = if error.exit_code == Kind::Unreachable.code() { Level::Warning } else { Level::Error };
            (level, format!("{}; next attempt in {} s", note::failed(trigger, error), pause.as_secs_f32().ceil()))
        }
        Told::Doing(doing) => (Level::Info, doing_in_words(doing).into()),
        Told::Jumped => (Level::Info, "the machine slept or its clock was set; connecting anew".into()),
        Told::Stopped => (Level::Info, "stopped".into()),
    }
}

/// What a daemon does, as a clause.
pub(super) fn doing_in_words(doing: Doing) -> &'static str {
    match doing {
        Doing::Starting => "starting",
        Doing::Exchanging => "exchanging",
        Doing::Listening => "connected, listening for changes",
        Doing::Waiting => "waiting for the next time",
        Doing::Retrying => "waiting to try again",
        Doing::Paused => "paused",
        Doing::Disabled => "disabled: nothing is synced",
        Doing::Left => "not exchanging: `caro sync status` says why",
        Doing::NoRelay => "no relay is named",
        Doing::Lent => "another command uses the connection",
    }
}

/// A line of the log on standard error. If that is closed, the log has it all the same.
#[expect(clippy::print_stderr, reason = "the daemon's thread has no Ui")]
fn show(entry: &Entry) {
    eprintln!("{}", note::line(entry));
}

impl From<CliError> for Failed {
    fn from(error: CliError) -> Self {
        Self { message: error.message, remedy: error.hint, exit_code: error.kind.code(), lasts: error.lasts }
    }
}

impl From<Failed> for CliError {
    fn from(failed: Failed) -> Self {
        let kinds = [Kind::Usage, Kind::NotSetUp, Kind::WrongPhrase, Kind::Unreachable, Kind::Damaged];
        let kind = kinds.into_iter().find(|kind| kind.code() == failed.exit_code).unwrap_or(Kind::Failed);
        let error = Self { lasts: failed.lasts, ..Self::new(kind, failed.message) };
        match failed.remedy {
            Some(remedy) => error.hinted(remedy),
            None => error,
        }
    }
}
