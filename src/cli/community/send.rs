//! Sending what was counted: the one place from which a report or a revocation leaves.

use crate::cli::sync::proxies;
use crate::cli::{CliError, Kind};
use crate::community::journal::{Collector, Counted, Outcome};
use crate::community::{REPORT_PATH, REVOKE_PATH, Revocation};
use crate::net::{CollectorAddress, post};

use super::explain;

/// Understands a collector's address.
pub(super) fn address(collector: &Collector) -> Result<CollectorAddress, CliError> {
    CollectorAddress::parse(&collector.address, collector.certificate.clone(), proxies())
        .map_err(|error| CliError::usage(error.to_string()).hinted("Name the collector anew with --to."))
}

/// What a collector said to a report.
pub(super) enum Answer {
    /// It has it.
    Has,
    /// It will not have it.
    Refuses(&'static str),
    /// It is not to be had now.
    Later(String),
}

/// Sends a report, which has to be counted before, and notes what came of it.
pub(super) fn report(report: &mut Counted) -> Result<Answer, CliError> {
    let answer = match post(&address(&report.to)?, REPORT_PATH, explain::bytes(&report.body)) {
        Err(reason) => Answer::Later(reason),
        Ok(status) => match status.as_u16() {
            200..=299 => Answer::Has,
            400 => Answer::Refuses("it takes reports of another version; upgrade caro"),
            409 | 410 => Answer::Refuses("it says that this report was taken back, or that its key was used before"),
            404 | 405 => Answer::Later("it answers, but not as a collector".into()),
            429 => Answer::Later("it has had many reports from this network".into()),
            _ => Answer::Later("it does not work at the moment".into()),
        },
    };
    match answer {
        Answer::Has => report.outcome = Outcome::Sent,
        Answer::Refuses(_) => report.outcome = Outcome::Refused,
        Answer::Later(_) => {}
    }
    Ok(answer)
}

/// Has a report deleted; the error is in plain words. Nothing is to be done where its key is gone.
pub(super) fn revocation(report: &mut Counted) -> Result<(), String> {
    if let Some(key) = report.key() {
        let to = address(&report.to).map_err(|error| error.message)?;
        match post(&to, REVOKE_PATH, Revocation::make(&key).bytes())?.as_u16() {
            // Where it never was, it is not.
            200..=299 | 404 => {}
            429 => return Err("it has had many requests from this network".into()),
            _ => return Err("it does not work at the moment".into()),
        }
    }
    report.revoked();
    Ok(())
}

/// The error of a collector that is not to be had.
pub(super) fn unreachable(reason: &str) -> CliError {
    CliError::new(Kind::Unreachable, format!("the collector cannot be reached: {reason}"))
}
