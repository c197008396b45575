//! The checks, each of one thing.

use std::path::Path;
use std::time::Duration;

use super::super::daemon::doing_in_words;
use super::super::{address, paths, relay_test, service};
use super::{DoctorArgs, Finding, Verdict};
use crate::cli::{CliError, Home, Ui, time};
use crate::identity::Protection;
use crate::sync::daemon::socket::{self, Ask};
use crate::sync::{SyncConfig, SyncError, SyncState, health};

/// Less free room than this is too little to work with, in bytes.
const ROOM: u64 = 64 << 20;
/// A clock that is further off makes certificates invalid and times wrong.
const CLOCK: Duration = Duration::from_secs(60);

/// Looks at everything.
pub(super) fn all(ui: &Ui, home: &Home, args: &DoctorArgs) -> Vec<Finding> {
    let mut findings = vec![version()];
    storage(home, &mut findings);
    let state = match SyncState::load(&paths(home).state) {
        Ok(Some(state)) => state,
        Ok(None) => {
            findings.push(ok("sync", "not set up; nothing leaves this machine"));
            return findings;
        }
        Err(error) => {
            findings.push(wrong("sync", error.into()));
            return findings;
        }
    };
    findings.push(sync(&state));
    findings.push(keys(home, args));
    relay(ui, home, args, &state, &mut findings);
    daemon(home, &mut findings);
    findings.push(last_exchange(&state));
    findings
}

fn ok(check: &'static str, message: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Ok, message: message.into(), remedy: None }
}

fn warning(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Warning, message: message.into(), remedy: Some(remedy.into()) }
}

fn problem(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { check, verdict: Verdict::Problem, message: message.into(), remedy: Some(remedy.into()) }
}

fn wrong(check: &'static str, error: CliError) -> Finding {
    Finding { check, verdict: Verdict::Problem, message: error.message, remedy: error.hint }
}

fn version() -> Finding {
    ok("version", format!("caro {} on {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS))
}

fn sync(state: &SyncState) -> Finding {
    match state.may_exchange() {
        Err(SyncError::Disabled) => {
            warning("sync", "disabled: nothing leaves this machine", "`caro sync enable` gives consent again.")
        }
        Err(error) => wrong("sync", error.into()),
        Ok(()) if state.paused => warning("sync", "paused", "`caro sync resume` goes on."),
        Ok(()) => ok("sync", "on"),
    }
}

fn storage(home: &Home, findings: &mut Vec<Finding>) {
    let paths = paths(home);
    match home.open_history() {
        Ok(_) => {
            let remedy = "Keep a copy of the file and those beside it; then move them away and restore your history \
                          with your phrase.";
            findings.push(database("history", &home.history_path(), remedy));
        }
        Err(error) => findings.push(wrong("history", error)),
    }
    if paths.database.exists() {
        let remedy = "Your history is safe. Move sync.db away; the next `caro sync now` builds it again.";
        findings.push(database("store", &paths.database, remedy));
    }
    match health::free_room(&home.data_dir) {
        Ok(free) if free < ROOM => findings.push(problem(
            "room",
            format!("only {} MiB are free where caro keeps its data", free >> 20),
            "Free some space; nothing is lost meanwhile, but nothing new comes in.",
        )),
        Ok(free) => findings.push(ok("room", format!("{} MiB free", free >> 20))),
        Err(error) => findings.push(problem("room", format!("the data folder cannot be read: {error}"), WRITABLE)),
    }
    let open = health::open_to_others(&[&home.data_dir, &home.config_dir, &home.state_dir]);
    if open.is_empty() {
        findings.push(ok("access", "only you can read what caro keeps"));
    }
    for file in open {
        let shown = file.display();
        findings.push(warning("access", format!("others can read {shown}"), format!("chmod go-rwx '{shown}'")));
    }
}

const WRITABLE: &str = "Make the folder readable and writable for you.";

fn database(check: &'static str, path: &Path, remedy: &str) -> Finding {
    match health::is_whole(path) {
        Ok(()) => ok(check, format!("{} is whole", path.display())),
        Err(reason) => problem(check, format!("{} is damaged: {reason}", path.display()), remedy),
    }
}

fn keys(home: &Home, args: &DoctorArgs) -> Finding {
    let protection = home.open_history().and_then(|history| args.keys.store(home, &history)).and_then(|store| {
        let protection = store.protection().map_err(SyncError::from)?;
        // A sealed one would ask for its passphrase.
        let there = protection == Protection::Sealed || store.load().map_err(SyncError::from)?.is_some();
        Ok((protection, there))
    });
    match protection {
        Ok((_, false)) => problem(
            "keys",
            "the keys of this identity are not in the key store",
            "Set this device up again with your recovery phrase: caro sync restore",
        ),
        Ok((Protection::Os, true)) => ok("keys", "in the system's key store"),
        Ok((Protection::Sealed, true)) => ok("keys", "in a file that a passphrase seals"),
        Ok((Protection::Plain, true)) => warning(
            "keys",
            "in a file that is protected by its permissions alone",
            "CARO_KEYSTORE=os, or --passphrase-file when you set sync up, keeps them better.",
        ),
        Err(error) => wrong("keys", error),
    }
}

fn relay(ui: &Ui, home: &Home, args: &DoctorArgs, state: &SyncState, findings: &mut Vec<Finding>) {
    let relay = match SyncConfig::load(&paths(home).config).map_err(CliError::from).and_then(|c| address(&c)) {
        Ok(Some(relay)) => relay,
        Ok(None) => {
            let remedy = "Name one: caro sync relay set wss://relay.example";
            findings.push(warning("relay", "no relay is named, so nothing is exchanged", remedy));
            return;
        }
        Err(error) => {
            findings.push(wrong("relay", error));
            return;
        }
    };
    if args.offline || !state.is_enabled() {
        findings.push(ok("relay", format!("{}, not tried", relay.shown())));
        return;
    }
    let found = match relay_test::examine(ui, &relay) {
        Ok(found) => found,
        Err(error) => {
            findings.push(wrong("relay", error));
            return;
        }
    };
    for step in &found.steps {
        match &step.result {
            Ok(took) => findings.push(ok("relay", relay_test::well(step.name, *took))),
            Err(reason) => {
                findings.push(problem("relay", format!("{}: {reason}", relay.shown()), relay_test::remedy(step.name)))
            }
        }
    }
    match found.clock_ahead_ms {
        Some(ahead) if Duration::from_millis(ahead.unsigned_abs()) > CLOCK => findings.push(warning(
            "clock",
            format!("this machine's clock and the relay's are {} s apart", ahead.unsigned_abs() / 1000),
            "Set the clock, or have it set by the network (Debian: apt-get install systemd-timesyncd).",
        )),
        Some(_) => findings.push(ok("clock", "agrees with the relay's")),
        None => {}
    }
}

fn daemon(home: &Home, findings: &mut Vec<Finding>) {
    match socket::ask(&paths(home).socket, Ask::Status).and_then(|daemon| daemon.answer.status) {
        Some(status) if status.version != env!("CARGO_PKG_VERSION") => findings.push(warning(
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
            None => findings.push(ok("daemon", doing_in_words(status.doing))),
        },
        None => findings.push(ok("daemon", "not running; commands that you run exchange by themselves")),
    }
    match service::look() {
        Ok((_, false, _)) => findings.push(ok("service", "not installed")),
        Ok((_, true, Some(false))) => findings.push(warning(
            "service",
            "installed, but the system does not run it",
            "systemctl --user status caro-sync says why; `caro sync service install` starts it again.",
        )),
        Ok((_, true, _)) => findings.push(ok("service", "installed")),
        Err(error) => findings.push(wrong("service", error)),
    }
}

fn last_exchange(state: &SyncState) -> Finding {
    match &state.last_exchange {
        None => ok("exchange", "none yet"),
        Some(last) => match &last.error {
            None => ok("exchange", format!("the last went well, at {}", time::local_text(&last.at))),
            Some(error) => Finding {
                check: "exchange",
                verdict: Verdict::Problem,
                message: format!("the last failed, at {}: {error}", time::local_text(&last.at)),
                remedy: last.remedy.clone().or_else(|| Some("`caro sync logs` says more.".into())),
            },
        },
    }
}
