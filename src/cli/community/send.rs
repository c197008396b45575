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

/// What is said of a server that is none.
const NO_COLLECTOR: &str = "it answers, but not as a collector";

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
            204 => Answer::Has,
            400 => Answer::Refuses("it takes reports of another version; upgrade caro"),
            409 | 410 => Answer::Refuses("it says that this report was taken back, or that its key was used before"),
            200..=399 | 404 | 405 => Answer::Later(NO_COLLECTOR.into()),
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

/// What a collector said to a revocation.
pub(super) enum Deleted {
    /// It has deleted the report, now or before.
    Yes,
    /// It does not know a report that may never have arrived.
    NeverCame,
    /// It does not know a report that it has taken.
    Unknown,
}

/// Has a report deleted; the error is in plain words, and would be the same for any other report of this address.
///
/// Only a collector that says so has deleted it. Its key is kept until then, since without it nobody could ever delete it.
pub(super) fn revocation(report: &mut Counted) -> Result<Deleted, String> {
    let Some(key) = report.key() else { return Ok(Deleted::Yes) };
    let to = address(&report.to).map_err(|error| error.message)?;
    match post(&to, REVOKE_PATH, Revocation::make(&key).bytes())?.as_u16() {
        204 => {
            report.revoked();
            Ok(Deleted::Yes)
        }
        404 if report.outcome == Outcome::Sent => Ok(Deleted::Unknown),
        404 => Ok(Deleted::NeverCame),
        200..=399 | 405 => Err(NO_COLLECTOR.into()),
        429 => Err("it has had many requests from this network".into()),
        _ => Err("it does not work at the moment".into()),
    }
}

/// The error of a collector that is not to be had.
pub(super) fn unreachable(reason: &str) -> CliError {
    CliError::new(Kind::Unreachable, format!("the collector cannot be reached: {reason}"))
}
