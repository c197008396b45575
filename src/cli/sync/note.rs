//! Exchanges in the words of the log.

use std::time::Duration;

use crate::cli::{CliError, Home, time, ui};
use crate::sync::daemon::rfc3339;
use crate::sync::daemon::socket::Failed;
use crate::sync::log::{Entry, Level, Log};
use crate::sync::{LastExchange, Report, SyncState};

/// An exchange that went well.
pub(super) fn exchanged(trigger: &str, report: &Report, took: Duration) -> String {
    let Report { sent, received, pending, .. } = report;
    format!("exchanged ({trigger}) in {} ms: sent {sent}, received {received}, pending {pending}", took.as_millis())
}

/// One that did not.
pub(super) fn failed(trigger: &str, error: &Failed) -> String {
    let remedy = error.remedy.as_ref().map(|remedy| format!(". {remedy}")).unwrap_or_default();
    format!("the exchange failed ({trigger}): {}{remedy}", error.message)
}

/// Notes the outcome of a command's own exchange.
pub(super) fn outcome(home: &Home, by: &'static str, trigger: &str, result: Result<(&Report, Duration), &CliError>) {
    let log = Log::new(super::paths(home).log, by, time::now);
    match result {
        Ok((report, took)) => log.write(Level::Info, exchanged(trigger, report, took)),
        Err(error) => {
            let error =
                Failed { message: error.message.clone(), remedy: error.hint.clone(), exit_code: 1, lasts: false };
            remedy(home, &error);
            log.write(Level::Warning, failed(trigger, &error))
        }
    };
}

/// Notes as the last exchange one that failed before it began; others are noted by the exchange itself.
pub(super) fn not_begun(home: &Home, trigger: &str, error: &CliError) {
    let note = |state: &mut SyncState| {
        state.last_exchange = Some(LastExchange {
            at: rfc3339(time::now()),
            trigger: trigger.into(),
            missing: state.last_exchange.as_ref().map_or(0, |last| last.missing),
            error: Some(error.message.clone()),
            remedy: error.hint.clone(),
            ..LastExchange::default()
        });
    };
    if let Err(error) = SyncState::update(&super::paths(home).state, note) {
        tracing::debug!(%error, "the failure could not be noted");
    }
}

/// Notes with the last exchange what to do about its failure, for `caro sync status`.
pub(super) fn remedy(home: &Home, error: &Failed) {
    let note = |state: &mut SyncState| {
        if let Some(last) = state.last_exchange.as_mut().filter(|last| last.error.as_ref() == Some(&error.message)) {
            last.remedy.clone_from(&error.remedy);
        }
    };
    if let Err(error) = SyncState::update(&super::paths(home).state, note) {
        tracing::debug!(%error, "the remedy could not be noted");
    }
}

/// A line of the log for people.
pub(super) fn line(entry: &Entry) -> String {
    let Entry { at, level, by, message, .. } = entry;
    let level = match level {
        Level::Info => "",
        Level::Warning => "warning: ",
        Level::Error => "error: ",
    };
    // To the second.
    let at = at.split('.').next().unwrap_or(at).trim_end_matches('Z');
    format!("{at}Z {by}: {level}{}", ui::visible(message).replace('\n', " "))
}
