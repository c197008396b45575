//! `caro community contribute`: explains, shows the report, asks, sends it; and, after a second yes, goes on by itself.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use super::send::{self, Answer};
use super::{SCHEMA_VERSION, explain, next, place};
use crate::cli::{CliError, Home, Ui, time};
use crate::community::journal::{Collector, Journal};
use crate::community::noise::SystemRandom;
use crate::community::schedule::{Often, Plan};

/// Send one anonymous report, after showing it and asking
///
/// There is no collector unless you name one; it is remembered for the next report. What it is about, and what protects you:
/// docs/community.md.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caro community contribute --to https://stats.example
  caro community contribute                          to the same collector once more
  caro community contribute --schedule monthly       and by itself from now on, after a second yes
  caro community contribute --schedule never         only when you say so
")]
pub(in crate::cli) struct Args {
    /// The collector's address: https://…, or http://… on this machine [default: the last one]
    #[arg(long, value_name = "URL")]
    to: Option<String>,

    /// PEM file with the root certificate of the collector
    #[arg(long, value_name = "FILE", requires = "to")]
    collector_certificate: Option<PathBuf>,

    /// Also send one by itself, in each week or month at a random time
    #[arg(long, value_enum, value_name = "HOW-OFTEN")]
    schedule: Option<Schedule>,

    /// Agree to what is shown, and to the schedule, without being asked
    #[arg(long, short)]
    yes: bool,

    /// Print what was sent as JSON
    #[arg(long)]
    json: bool,

    /// Be the process that sends a report which is due
    #[arg(long, hide = true, conflicts_with_all = ["to", "schedule", "yes", "json"])]
    scheduled: bool,
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Schedule {
    /// One report in each week, until the year's twelve are sent
    Weekly,
    /// One report in each month
    Monthly,
    /// No report by itself any more, and none now
    Never,
}

impl Schedule {
    fn often(self) -> Option<Often> {
        match self {
            Self::Weekly => Some(Often::Weekly),
            Self::Monthly => Some(Often::Monthly),
            Self::Never => None,
        }
    }
}

/// What was sent, as JSON, version 1; nothing where a schedule was ended.
#[derive(Serialize)]
struct ContributedJson<'a> {
    schema_version: u32,
    to: Option<&'a str>,
    body: Option<&'a str>,
    schedule: Option<&'static str>,
    reports_left: usize,
}

impl Args {
    pub(in crate::cli) fn is_scheduled(&self) -> bool {
        self.scheduled
    }
}

/// Runs it.
pub(super) fn run(ui: &mut Ui, home: &Home, args: &Args) -> Result<(), CliError> {
    let (place, now) = (place(home), time::now());
    if args.schedule == Some(Schedule::Never) && args.to.is_some() {
        return Err(CliError::usage("`--schedule never` sends nothing, so it takes no `--to`").hinted(
            "End the schedule: caro community contribute --schedule never. A report to another collector ends it too.",
        ));
    }
    let _lock = place.lock()?;
    let mut journal = place.load()?.unwrap_or_default();
    if args.schedule == Some(Schedule::Never) {
        journal.plan = None;
        place.save(&journal)?;
        if args.json {
            let reports_left = journal.left(now);
            let (to, body, schedule) = (None, None, None);
            return ui.json(&ContributedJson { schema_version: SCHEMA_VERSION, to, body, schedule, reports_left });
        }
        ui.status("No report goes by itself any more.");
        return Ok(());
    }
    let collector = collector(args, &journal)?;
    let next = next(home, &place, &mut journal, Some(&collector), now)?;
    let shown = explain::preview(&next, &journal, now);
    let to = &collector.address;
    ui.status(format_args!(
        "You can help the makers of caro with one answer about how it is used: counts and kinds of commands, never commands,\n\
         and with chance between what is true and what is told. This is what leaves this machine, once, to\n{to}:\n\n{shown}\n\
         Who sees it       whoever runs {to}, with your network address and the time, as any server.\n\
         To undo it        `caro community revoke` has it deleted by its key.\n"
    ));
    // A yes to reports that go by themselves was one to their address.
    let ended = journal.plan.filter(|_| journal.collector.as_ref().is_some_and(|agreed| agreed.address != *to));
    if let (Some(plan), Some(agreed)) = (ended, &journal.collector) {
        ui.status(format_args!(
            "The schedule      {}, to {}: it ends with a yes to this one, which goes elsewhere.\n",
            plan.often.as_str(),
            agreed.address
        ));
    }
    let asked = |question: &str| -> Result<bool, CliError> { Ok(args.yes || ui.terminal("--yes")?.confirm(question)?) };
    if !asked("Send this report?")? {
        return Err(CliError::declined("nothing was sent"));
    }
    journal.collector = Some(collector.clone());
    if ended.is_some() {
        journal.plan = None;
    }
    if let Some(often) = args.schedule.and_then(Schedule::often) {
        plan(ui, &mut journal, often, &asked)?;
    }
    let at = journal.count(&collector, now);
    // From here on it counts, whatever happens.
    place.save(&journal)?;
    let Some(report) = at.and_then(|at| journal.reports.get_mut(at)) else {
        return Err(CliError::failed("there was no report to send"));
    };
    let answer = send::report(report)?;
    let body = report.body.clone();
    place.save(&journal)?;
    match answer {
        Answer::Has if args.json => ui.json(&ContributedJson {
            schema_version: SCHEMA_VERSION,
            to: Some(to),
            body: Some(&body),
            schedule: journal.plan.map(|plan| plan.often.as_str()),
            reports_left: journal.left(now),
        }),
        Answer::Has => {
            ui.status("Sent. Thank you.");
            Ok(())
        }
        Answer::Refuses(why) => Err(CliError::failed(format!("the collector did not take the report: {why}"))
            .hinted("It counts as sent, since it has left this machine.")),
        Answer::Later(why) => Err(send::unreachable(&why).hinted(
            "The report counts already. `caro community contribute` sends the same bytes again; `caro community revoke` \
             gives it up.",
        )),
    }
}

/// The collector that was named, now or before.
fn collector(args: &Args, journal: &Journal) -> Result<Collector, CliError> {
    let Some(to) = &args.to else {
        return journal.collector.clone().ok_or_else(|| {
            CliError::usage("no collector is named, and there is none by default")
                .hinted("Name one: caro community contribute --to https://stats.example")
        });
    };
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).map_err(|error| CliError::usage("the certificate file has no path").caused_by(error))
    };
    let certificate = args.collector_certificate.as_ref().map(absolute).transpose()?;
    let named = send::address(&Collector { address: to.clone(), certificate: certificate.clone() })?;
    Ok(Collector { address: named.url().to_owned(), certificate })
}

/// Asks whether reports may go by themselves.
fn plan(
    ui: &Ui,
    journal: &mut Journal,
    often: Often,
    asked: &impl Fn(&str) -> Result<bool, CliError>,
) -> Result<(), CliError> {
    let each = match often {
        Often::Weekly => "week, until the year's twelve are sent",
        Often::Monthly => "month",
    };
    ui.status(format_args!(
        "Besides, one report can go by itself in each {each}: drawn anew each time, at a random time, without asking.\n\
         It goes when you next use the command line after that time, up to an hour later.\n"
    ));
    if asked("Send reports by itself from now on?")? {
        let random = |_| CliError::failed("the system gives no random data");
        journal.plan = Some(Plan::begin(often, time::now(), &mut SystemRandom).map_err(random)?);
    } else if let Some(plan) = journal.plan {
        ui.status(format_args!("The schedule stays {}.", plan.often.as_str()));
    } else {
        ui.status("This one only, then.");
    }
    Ok(())
}
