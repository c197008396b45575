//! `caro community`: the optional anonymous report. What it is made of is in [`crate::community`]; here are the words about it.

mod background;
mod collect;
mod contribute;
mod explain;
mod preview;
mod revoke;
mod send;
mod status;

use clap::Subcommand;

pub(super) use background::after_capture;

use super::history::Clock;
use super::{CliError, Home, Kind, Ui, time};
use crate::community::answers::{Device, truth};
use crate::community::journal::{Collector, Counted, Draft, Journal, JournalError, Place};
use crate::community::noise::SystemRandom;
use crate::community::questions::DAYS;
use crate::history::{Habits, UnixNanos};

/// The version of what these commands print as JSON.
const SCHEMA_VERSION: u32 = 1;

/// `caro community …`
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Preview(preview::Args),
    Contribute(contribute::Args),
    Status(status::Args),
    Revoke(revoke::Args),
    Collect(Box<collect::Args>),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// What went wrong, in words for the user.
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        match self {
            Self::Preview(args) => preview::run(ui, home, &args),
            Self::Contribute(args) if args.is_scheduled() => background::run(home),
            Self::Contribute(args) => contribute::run(ui, home, &args),
            Self::Status(args) => status::run(ui, home, &args),
            Self::Revoke(args) => revoke::run(ui, home, &args),
            Self::Collect(args) => collect::run(ui, home, *args),
        }
    }
}

impl Command {
    /// What is logged where CARO_LOG says nothing: nobody watches a server who could try it again with the log on.
    pub(super) fn logged(&self) -> Option<&'static str> {
        matches!(self, Self::Collect(_)).then_some("warn,caro::community=info")
    }
}

fn place(home: &Home) -> Place {
    Place::new(&home.data_dir)
}

/// What this device did in the time that a report looks back on.
fn habits(home: &Home, now: UnixNanos) -> Result<Habits, CliError> {
    let clock = Clock::new();
    let from = UnixNanos(now.0.saturating_sub(DAYS * 86_400_000_000_000));
    Ok(home.open_history()?.habits(from, now, |at| clock.local(at))?)
}

/// How often reports go by themselves, and to which address; none where none does, or nobody can tell.
pub(super) fn scheduled(home: &Home) -> Option<(&'static str, String)> {
    let journal = place(home).load().ok()??;
    Some((journal.plan?.often.as_str(), journal.collector?.address))
}

/// The report that goes next.
enum Next {
    /// One that may not have arrived: the same bytes once more.
    Again(Counted),
    /// One that was drawn.
    Drawn(Draft),
}

impl Next {
    /// The bytes, without their padding.
    fn body(&self) -> &str {
        match self {
            Self::Again(report) => &report.body,
            Self::Drawn(draft) => &draft.body,
        }
    }
}

/// The report that goes to this collector next, as [`Journal::count`] takes it. One that is drawn is kept, so that what is
/// shown is what is sent.
fn next(
    home: &Home,
    place: &Place,
    journal: &mut Journal,
    to: Option<&Collector>,
    now: UnixNanos,
) -> Result<Next, CliError> {
    let underway = to.and_then(|to| journal.underway(&to.address, now));
    if let Some(report) = underway.and_then(|at| journal.reports.get(at)) {
        return Ok(Next::Again(report.clone()));
    }
    let habits = habits(home, now)?;
    let drawn = journal.draft(now, &mut SystemRandom, |question| truth(question, &habits, Device::THIS))?.clone();
    place.save(journal)?;
    Ok(Next::Drawn(drawn))
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        let (kind, hint) = match &error {
            JournalError::Spent { until } => (
                Kind::Failed,
                format!("The next one can be sent from {} on.", time::local(*until, &time::local_zone())),
            ),
            JournalError::Busy => {
                (Kind::Failed, "Answer it if it asks in another terminal, or wait until it has ended; then try again.".into())
            }
            JournalError::Newer { .. } => (Kind::Failed, "Upgrade caro on this machine; the file was left as it is.".into()),
            JournalError::Damaged { .. } => (
                Kind::Damaged,
                "It says what was sent and has the keys to take it back. Bring it back from a backup; without it the count of \
                 a year's reports begins anew."
                    .into(),
            ),
            JournalError::File { .. } => (Kind::Failed, "Check that the disk has room and the folder is writable.".into()),
            JournalError::Random(_) => (Kind::Failed, "Try again later.".into()),
        };
        Self::new(kind, error.to_string()).hinted(hint).caused_by(error)
    }
}
