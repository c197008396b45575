//! `caro community status`: what was ever sent, when, to whom, and whether more will be.

use serde::Serialize;

use super::{SCHEMA_VERSION, explain, place};
use crate::cli::{CliError, Home, Ui, time};
use crate::community::journal::Outcome;

/// Show what was ever sent, when and to whom, and whether more will be
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  caro community status
")]
pub(in crate::cli) struct Args {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// The state, as JSON, version 1.
#[derive(Serialize)]
struct StatusJson<'a> {
    schema_version: u32,
    /// To whom reports go, by hand or by themselves.
    collector: Option<&'a str>,
    /// `weekly` or `monthly`, where reports go by themselves.
    schedule: Option<&'static str>,
    next_after: Option<String>,
    reports_left: usize,
    reports: Vec<ReportJson<'a>>,
}

#[derive(Serialize)]
struct ReportJson<'a> {
    at: String,
    to: &'a str,
    /// None where this version does not know what was asked.
    question: Option<&'static str>,
    told: Option<&'static str>,
    outcome: Outcome,
    body: &'a str,
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, home: &Home, args: &Args) -> Result<(), CliError> {
    let (journal, now) = (place(home).load()?.unwrap_or_default(), time::now());
    if args.json {
        let reports = journal.reports.iter().map(|report| {
            let (question, told) = explain::told(&report.body).unzip();
            ReportJson {
                at: time::rfc3339(crate::history::UnixNanos(report.counted_at)),
                to: &report.to.address,
                question: question.map(|question| question.name),
                told,
                outcome: report.outcome,
                body: &report.body,
            }
        });
        return ui.json(&StatusJson {
            schema_version: SCHEMA_VERSION,
            collector: journal.collector.as_ref().map(|collector| collector.address.as_str()),
            schedule: journal.plan.map(|plan| plan.often.as_str()),
            next_after: journal.plan.map(|plan| time::rfc3339(plan.due())),
            reports_left: journal.left(now),
            reports: reports.collect(),
        });
    }
    let zone = time::local_zone();
    match (&journal.collector, journal.plan) {
        (Some(collector), Some(plan)) => ui.line(format_args!(
            "On: one report goes by itself to {} {}, the next one after {}.",
            collector.address,
            plan.often.as_str(),
            time::local(plan.due(), &zone)
        ))?,
        (Some(collector), None) => {
            ui.line(format_args!("Nothing goes by itself; when you say so, a report goes to {}.", collector.address))?;
        }
        (None, _) => ui.line("Off: nothing is sent.")?,
    }
    if journal.reports.is_empty() {
        return ui.line("Nothing was ever sent from this device.");
    }
    for report in &journal.reports {
        let words = match explain::told(&report.body) {
            Some((question, told)) => format!("{} {told}", question.words),
            None => format!("this version does not know what it asks: {}", report.body),
        };
        let outcome = match report.outcome {
            Outcome::Underway => "not known to have arrived",
            Outcome::GivenUp => "not known to have arrived, given up",
            Outcome::Sent => "sent",
            Outcome::Refused => "not taken",
            Outcome::Revoked => "taken back",
        };
        let at = time::local(crate::history::UnixNanos(report.counted_at), &zone);
        ui.line(format_args!("{at}  {outcome}, {}\n    {words}", report.to.address))?;
    }
    ui.line(format_args!("{} more may be sent now.", journal.left(now)))
}
