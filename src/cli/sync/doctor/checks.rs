//! The checks of what sync depends on, each of one thing.

use std::time::Duration;

use super::super::daemon::doing_in_words;
use super::super::{KeyArgs, OPENS_BY_ITSELF, address, paths, relay_test, service};
use crate::cli::doctor::{Finding, Verdict};
use crate::cli::{CliError, Home, Ui, time};
use crate::identity::Protection;
use crate::sync::daemon::socket::{self, Ask};
use crate::sync::{SyncConfig, SyncError, SyncState, health};

/// A clock that is further off makes certificates invalid and times wrong.
const CLOCK: Duration = Duration::from_secs(60);

/// Looks at what sync depends on, beside the history; tries the relay where `online`.
pub(in crate::cli) fn of_sync(ui: &Ui, home: &Home, keys: &KeyArgs, online: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let database = paths(home).database;
    if database.exists() {
        findings.push(match health::is_whole(&database) {
            Ok(()) => Finding::ok("store", format!("{} is whole", database.display())),
            Err(reason) => Finding::problem(
                "store",
                format!("{} is damaged: {reason}", database.display()),
                "Your history is safe. Move sync.db away; the next `caro sync now` builds it again.",
            ),
        });
    }
    let state = match SyncState::load(&paths(home).state) {
        Ok(Some(state)) => state,
        Ok(None) => {
            findings.push(Finding::ok("sync", "not set up; nothing is synced"));
            return findings;
        }
        Err(error) => {
            findings.push(Finding::error("sync", error.into()));
            return findings;
        }
    };
    findings.push(sync(&state));
    findings.push(key_store(home, keys));
    relay(ui, home, online, &state, &mut findings);
    daemon(home, &mut findings);
    findings.push(last_exchange(&state));
    findings
}

fn sync(state: &SyncState) -> Finding {
    match state.may_exchange() {
        Err(SyncError::Disabled) => {
            Finding::warning("sync", "disabled: nothing is synced", "`caro sync enable` gives consent again.")
        }
        Err(error) => Finding::error("sync", error.into()),
        Ok(()) if state.paused => Finding::warning("sync", "paused", "`caro sync resume` goes on."),
        Ok(()) => Finding::ok("sync", "on"),
    }
}

fn key_store(home: &Home, keys: &KeyArgs) -> Finding {
    let protection = home.open_history().and_then(|history| keys.store(home, &history)).and_then(|store| {
        let protection = store.protection().map_err(SyncError::from)?;
        // A sealed one would ask for its passphrase.
        let there = protection == Protection::Sealed || store.load().map_err(SyncError::from)?.is_some();
        Ok((protection, there))
    });
    let locked = || home.open_history().is_ok_and(|history| keys.keep_it_from_happening(home, &history));
    match protection {
        Ok((_, false)) => Finding::problem(
            "keys",
            "the keys of this identity are not in the key store",
            "Set this device up again with your recovery phrase: caro sync restore",
        ),
        Ok((Protection::Os, true)) => Finding::ok("keys", "in the system's key store"),
        Ok((Protection::Sealed, true)) if locked() => Finding::warning(
            "keys",
            "sealed with a passphrase that is not at hand, so nothing is exchanged by itself",
            OPENS_BY_ITSELF,
        ),
        Ok((Protection::Sealed, true)) => Finding::ok("keys", "in a file that a passphrase seals"),
        Ok((Protection::Plain, true)) => Finding::warning(
            "keys",
            "in a file that is protected by its permissions alone",
            "CARO_KEYSTORE=os, or --passphrase-file when you set sync up, keeps them better.",
        ),
        Err(error) => Finding::error("keys", error),
    }
}

fn relay(ui: &Ui, home: &Home, online: bool, state: &SyncState, findings: &mut Vec<Finding>) {
    let relay = match SyncConfig::load(&paths(home).config).map_err(CliError::from).and_then(|c| address(&c)) {
        Ok(Some(relay)) => relay,
        Ok(None) => {
            let remedy = "Name one: caro sync relay set wss://relay.example";
            findings.push(Finding::warning("relay", "no relay is named, so nothing is exchanged", remedy));
            return;
        }
        Err(error) => {
            findings.push(Finding::error("relay", error));
            return;
        }
    };
    if !online || !state.is_enabled() {
        findings.push(Finding::ok("relay", format!("{}, not tried", relay.shown())));
        return;
    }
    let found = match relay_test::examine(ui, &relay) {
        Ok(found) => found,
        Err(error) => {
            findings.push(Finding::error("relay", error));
            return;
        }
    };
    for step in &found.steps {
        match &step.result {
            Ok(took) => findings.push(Finding::ok("relay", relay_test::well(step.name, *took))),
            Err(reason) => findings.push(Finding::problem(
                "relay",
                format!("{}: {reason}", relay.shown()),
                relay_test::remedy(step.name, reason),
            )),
        }
    }
    match found.clock_ahead_ms {
        Some(ahead) if Duration::from_millis(ahead.unsigned_abs()) > CLOCK => findings.push(Finding::warning(
            "clock",
            format!("this machine's clock and the relay's are {} s apart", ahead.unsigned_abs() / 1000),
            "Set the clock, or have it set by the network (Debian: apt-get install systemd-timesyncd).",
        )),
        Some(_) => findings.push(Finding::ok("clock", "agrees with the relay's")),
        None => {}
    }
}

fn daemon(home: &Home, findings: &mut Vec<Finding>) {
    match socket::ask(&paths(home).socket, Ask::Status).and_then(|daemon| daemon.answer.status) {
        Some(status) if status.version != env!("CARGO_PKG_VERSION") => findings.push(Finding::warning(
            "daemon",
            format!("version {} runs, and this is {}", status.version, env!("CARGO_PKG_VERSION")),
            "Restart it: systemctl --user restart caro-sync, or end it and run `caro sync daemon`.",
        )),
        Some(status) => match status.error {
            Some(error) => findings.push(Finding {
                check: "daemon",
                verdict: Verdict::Problem,
                message: format!("{}: {}", doing_in_words(status.doing), error.message),
                remedy: error.remedy,
            }),
            None => findings.push(Finding::ok("daemon", doing_in_words(status.doing))),
        },
        None => findings.push(Finding::ok("daemon", "not running; commands that you run exchange by themselves")),
    }
    match service::look() {
        Ok((_, false, _)) => findings.push(Finding::ok("service", "not installed")),
        Ok((_, true, Some(false))) => findings.push(Finding::warning(
            "service",
            "installed, but the system does not run it",
            "systemctl --user status caro-sync says why; `caro sync service install` starts it again.",
        )),
        Ok((_, true, _)) => findings.push(Finding::ok("service", "installed")),
        Err(error) => findings.push(Finding::error("service", error)),
    }
}

fn last_exchange(state: &SyncState) -> Finding {
    match &state.last_exchange {
        None => Finding::ok("exchange", "none yet"),
        Some(last) => match &last.error {
            None => Finding::ok("exchange", format!("the last went well, at {}", time::local_text(&last.at))),
            Some(error) => Finding {
                check: "exchange",
                verdict: Verdict::Problem,
                message: format!("the last failed, at {}: {error}", time::local_text(&last.at)),
                remedy: last.remedy.clone().or_else(|| Some("`caro sync logs` says more.".into())),
            },
        },
    }
}
