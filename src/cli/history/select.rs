//! The flags that say which records are meant, the same for every command that reads.

use std::path::Path;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::super::time;
use super::super::{CliError, Home, Ui};
use super::hidden;
use crate::history::{Filter, History, RiskLevel, Scope, UnixNanos};

/// Which records are meant.
#[derive(Debug, Clone, PartialEq, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(in crate::cli) struct Selection {
    /// Only those that ran in this directory (`.` is the current one)
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// Only those of this shell session: its id, or `this`
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only those of this device: its id or the beginning of it, or `this`
    #[arg(long, value_name = "ID")]
    device: Option<String>,
    /// Only those that exited with this status
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    exit: Option<i32>,
    /// Only those that failed: with another exit status than 0
    #[arg(long, conflicts_with = "exit")]
    failed: bool,
    /// Only those that began before this moment
    #[arg(long, value_name = "TIME", value_parser = moment)]
    before: Option<UnixNanos>,
    /// Only those that began at this moment or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    after: Option<UnixNanos>,
    /// Only those with this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Only those of this safety level
    #[arg(long, value_name = "LEVEL", value_parser = safety_parser())]
    safety: Option<RiskLevel>,
    /// Only those that were suggested and did not run
    #[arg(long)]
    suggested: bool,
    /// Only those that ran: leave out what was only suggested
    #[arg(long, conflicts_with = "suggested")]
    executed: bool,
}

/// How many of the records are wanted, and in which order.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(in crate::cli) struct Page {
    /// At most so many, counted from the newest (or best)
    #[arg(long, short = 'n', value_name = "N", allow_negative_numbers = true)]
    limit: Option<u64>,
    /// Leave out so many, counted from the newest (or best)
    #[arg(long, value_name = "N", default_value_t, allow_negative_numbers = true)]
    offset: u64,
    /// The newest (or best) first instead of last
    #[arg(long)]
    reverse: bool,
}

impl Selection {
    /// The filter these flags mean.
    ///
    /// # Errors
    /// Where no device, or more than one, is meant.
    pub(in crate::cli) fn filter(&self, page: &Page, history: &History) -> Result<Filter, CliError> {
        let device = match self.device.as_deref() {
            None => None,
            Some("this") => Some(history.device_id()?),
            Some(prefix) => Some(device(history, prefix)?),
        };
        Ok(Filter {
            scope: Scope::Everywhere,
            cwd: self.cwd.as_deref().map(directory).transpose()?,
            session: match self.session.as_deref() {
                Some("this") => Some(this_session()?),
                _ => self.session.clone(),
            },
            device,
            exit: self.exit,
            failed: self.failed,
            without: None,
            before: self.before,
            after: self.after,
            tag: self.tag.clone(),
            safety: self.safety,
            executed: (self.suggested || self.executed).then_some(self.executed),
            limit: page.limit,
            offset: page.offset,
            reverse: page.reverse,
        })
    }

    /// The same in a few words each; `filter` is what [`Self::filter`] made of it.
    pub(super) fn words(&self, filter: &Filter, zone: &TimeZone) -> Vec<String> {
        let at = |when: &str, moment: UnixNanos| format!("{when} {}", time::local(moment, zone));
        let if_so = |so: bool, word: &str| so.then(|| word.to_owned());
        [
            filter.cwd.as_ref().map(|cwd| format!("in {cwd}")),
            self.session.as_ref().map(|session| format!("session {session}")),
            self.device.as_ref().map(|device| format!("device {device}")),
            self.exit.map(|exit| format!("exit {exit}")),
            if_so(self.failed, "failed"),
            self.after.map(|moment| at("since", moment)),
            self.before.map(|moment| at("before", moment)),
            self.tag.as_ref().map(|tag| format!("tag {tag}")),
            self.safety.map(|safety| format!("safety {safety}")),
            if_so(self.suggested, "suggested"),
            if_so(self.executed, "executed"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The shell session that this runs in.
///
/// # Errors
/// Where there is none.
pub(super) fn this_session() -> Result<String, CliError> {
    hidden::current_session().ok_or_else(|| {
        CliError::usage("this shell is not recorded: its integration is not active")
            .hinted("`caro init --help` says how to activate it; --session ID names another session.")
    })
}

/// A command of a shell that runs this program began at most so long ago.
const JUST_BEGUN: i64 = 60_000_000_000;

/// The command of this shell session that runs now: the one that this is part of.
///
/// # Errors
/// Where the history cannot be read.
pub(super) fn running(history: &History) -> Result<Option<Uuid>, CliError> {
    let Some(session) = hidden::current_session() else { return Ok(None) };
    let after = Some(UnixNanos(time::now().0.saturating_sub(JUST_BEGUN)));
    let newest = history.last(&Filter { session: Some(session), after, ..Filter::default() })?;
    Ok(newest.filter(|record| record.exit.is_none() && record.duration_ns.is_none()).map(|record| record.id))
}

/// Says on a terminal why nothing is shown.
pub(super) fn say_nothing_found(ui: &Ui, history: &History) -> Result<(), CliError> {
    if !ui.out_is_terminal() {
        return Ok(());
    }
    if history.count()? == 0 {
        ui.hint(
            "The history is empty. `caro history import auto` takes over what your shells remember; `caro init --help` \
             says how to record what you run.",
        );
    } else {
        ui.hint("No command fits; fewer words or filters find more.");
    }
    Ok(())
}

/// Opens the history for reading. `history.db` is made on the first run, also by a reader.
pub(super) fn open(home: &Home) -> Result<History, CliError> {
    home.open_history()
}

/// The absolute form of a directory the user names.
///
/// # Errors
/// Where it is relative and the working directory is gone.
pub(super) fn directory(given: &str) -> Result<String, CliError> {
    std::path::absolute(Path::new(given)).map(|path| path.to_string_lossy().into_owned()).map_err(|error| {
        CliError::usage("the working directory is unknown")
            .hinted("Give the directory as a path that begins at the root.")
            .caused_by(error)
    })
}

fn device(history: &History, prefix: &str) -> Result<Uuid, CliError> {
    let wanted: String = prefix.to_lowercase().chars().filter(|c| *c != '-').collect();
    let mut known = history
        .count_per_device()?
        .into_iter()
        .map(|(device, _)| device)
        .filter(|device| device.simple().to_string().starts_with(&wanted));
    match (known.next(), known.next()) {
        (Some(device), None) if !wanted.is_empty() => Ok(device),
        (None, _) => {
            Err(CliError::failed(format!("no command was recorded by a device whose id begins with `{prefix}`"))
                .hinted("`caro history list --format '{device} {command}'` shows the devices."))
        }
        _ => Err(CliError::usage(format!("several devices have an id that begins with `{prefix}`"))
            .hinted("Give more of the id.")),
    }
}

/// Parses a moment on the command line.
pub(super) fn moment(text: &str) -> Result<UnixNanos, String> {
    time::parse(text, time::now())
}

/// Parses a safety level on the command line.
pub(super) fn safety_parser() -> impl TypedValueParser<Value = RiskLevel> {
    PossibleValuesParser::new(RiskLevel::ALL.map(RiskLevel::as_str)).try_map(|name| name.parse::<RiskLevel>())
}
