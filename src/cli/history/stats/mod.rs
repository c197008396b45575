//! `caro history stats`: how much was run, over all devices, and what, where and when.
//!
//! How many there were comes from the counters, which outlive the records: deleting commands or a window that moves on does not
//! change them. A device that synced counts as of its last sync. What was run where and when comes from the records that
//! are there, and whatever these know more of than the counters counts too, so what is listed is never more than the total.

mod calendar;
mod page;
mod terminal;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::super::ui::counted;
use super::super::{CliError, Home, Ui, export, time};
use super::output::SCHEMA_VERSION;
use crate::history::{Counts, LocalTime, Statistics, UnixNanos, Usage};

/// Shows how many commands were run, how many succeeded, and which, where and when.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
PERIOD is day, week, month, year, all, or a time to count from, such as 2026-01-31 or `30 days ago`. Days are counted
whole, from midnight on. Days, hours and weekdays are those of this machine's time zone.

How many there were, by device, model and safety level, has the commands too that were deleted since, from counters that
deleting does not lower. The rest comes from the commands that are in the history now. What was only suggested was not run.

Examples:
  caro history stats
  caro history stats month
  caro history stats --html stats.html
  caro history stats --json 2026-01-01
")]
pub struct Args {
    /// What to count [default: all]
    #[arg(value_name = "PERIOD", value_parser = period, default_value = "all", hide_default_value = true)]
    period: Period,
    /// How many commands and directories to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    /// Write a page with charts for a browser; the file is readable by you only
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
}

/// From when on to count; none: from the beginning.
#[derive(Debug, Clone, Copy)]
struct Period(Option<UnixNanos>);

fn period(text: &str) -> Result<Period, String> {
    let now = time::now();
    let from = match text {
        "all" => return Ok(Period(None)),
        "day" => "now",
        "week" => "6 days ago",
        "month" => "29 days ago",
        "year" => "364 days ago",
        other => other,
    };
    time::parse_beside(from, now, &["day", "week", "month", "year", "all"]).map(|from| Period(Some(from)))
}

/// Everything there is to show.
struct Found {
    /// The first day that counts, such as 2026-01-31; none: from the beginning.
    from: Option<String>,
    usage: Usage,
    /// Devices by their names, this one marked.
    devices: Vec<(String, Counts)>,
    /// Commands that were run on this device and not recorded: they held a secret, or the user's rules exclude them.
    left_out: u64,
    records: Statistics,
    /// Today, in days since 1970.
    today: i64,
}

#[derive(Serialize)]
struct CountsJson {
    commands: u64,
    succeeded: u64,
    failed: u64,
    /// Of those whose end is known; null where none is.
    success_rate: Option<f64>,
}

impl From<Counts> for CountsJson {
    fn from(counts: Counts) -> Self {
        let Counts { commands, succeeded, failed } = counts;
        Self { commands, succeeded, failed, success_rate: rate(counts) }
    }
}

#[derive(Serialize)]
struct NamedJson {
    name: String,
    #[serde(flatten)]
    counts: CountsJson,
}

#[derive(Serialize)]
struct DayJson {
    day: String,
    commands: u64,
}

/// The statistics as JSON, version 1.
#[derive(Serialize)]
struct StatsJson {
    schema_version: u32,
    /// The first day that counts; null: from the beginning.
    from: Option<String>,
    #[serde(flatten)]
    total: CountsJson,
    left_out: u64,
    /// Commands in the history that were only suggested; nothing else counts them.
    suggested: u64,
    by_device: BTreeMap<String, CountsJson>,
    by_model: BTreeMap<String, CountsJson>,
    by_safety: BTreeMap<String, CountsJson>,
    /// What the records say that are there now; the lists below are about these.
    recorded: CountsJson,
    /// How many different command lines there are among them.
    different: u64,
    by_command: Vec<NamedJson>,
    by_directory: Vec<NamedJson>,
    by_category: BTreeMap<&'static str, CountsJson>,
    /// From 0 to 23 o'clock, local time.
    by_hour: [u64; 24],
    /// From Monday to Sunday.
    by_weekday: [u64; 7],
    /// Days with commands, the oldest first.
    by_day: Vec<DayJson>,
}

fn rate(counts: Counts) -> Option<f64> {
    let ended = counts.succeeded + counts.failed;
    (ended > 0).then(|| counts.succeeded as f64 / ended as f64)
}

/// Runs `caro history stats`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let found = find(args, home)?;
    let (left_out, suggested) = (found.left_out, found.records.suggested);
    if args.json {
        return ui.json(&json(found));
    }
    match &args.html {
        Some(file) if file.as_os_str() == "-" => ui.out().write_all(page::page(&found).as_bytes())?,
        Some(file) => {
            export::to_file(file, "--html", |out| Ok(out.write_all(page::page(&found).as_bytes())?))?;
            ui.status(format_args!("The page is {}; it names commands and directories of yours.", file.display()));
        }
        None => terminal::show(ui, &found)?,
    }
    if suggested > 0 {
        let were = if suggested == 1 { "was" } else { "were" };
        ui.hint(format_args!(
            "{} {were} only suggested and not run, so not counted: caro history list --suggested",
            counted(suggested, "command")
        ));
    }
    if left_out > 0 {
        let (were, they, them) = if left_out == 1 { ("was", "it", "it") } else { ("were", "they", "them") };
        ui.hint(format_args!(
            "{} {were} not recorded on this device: {they} held a secret, or your rules exclude {them} \
             (`caro config get history.secrets`, `caro config get history.filter`).",
            counted(left_out, "command")
        ));
    }
    Ok(())
}

fn find(args: &Args, home: &Home) -> Result<Found, CliError> {
    let history = home.open_history()?;
    let clock = Clock::new();
    let from = args.period.0.map(|at| time::start_of_day(at, &clock.zone));
    let records = history.statistics(from, args.limit, |at| clock.local(at))?;
    let usage = history.usage_and_records(from, &records.recount)?;
    let own = history.device_id()?;
    let known = crate::sync::known_devices(&super::super::sync::paths(home).devices).unwrap_or_default();
    let devices = usage.by_device.iter().map(|(device, counts)| {
        let name = known.iter().find(|known| known.id == *device).map(|known| known.name.clone());
        let name = name.unwrap_or_else(|| device.to_string().chars().take(8).collect());
        let mark = if *device == own { " (this device)" } else { "" };
        (format!("{name}{mark}"), *counts)
    });
    Ok(Found {
        from: from.map(|from| calendar::date_text(clock.local(from).day)),
        devices: devices.collect(),
        usage,
        left_out: history.left_out()?,
        records,
        today: clock.local(time::now()).day,
    })
}

/// Tells the user's time. Asking the time zone takes longer than reading a record, and what it says holds for most of a day.
pub(in crate::cli) struct Clock {
    zone: TimeZone,
    /// The last day in UTC that it was asked about, and the offset of all of it.
    asked: Cell<Option<(i64, i64)>>,
}

impl Clock {
    pub(in crate::cli) fn new() -> Self {
        Self { zone: time::local_zone(), asked: Cell::new(None) }
    }

    pub(in crate::cli) fn local(&self, at: UnixNanos) -> LocalTime {
        let seconds = at.0.div_euclid(1_000_000_000);
        let hours = seconds.saturating_add(self.offset(seconds)).div_euclid(3600);
        LocalTime { day: hours.div_euclid(24), hour: u8::try_from(hours.rem_euclid(24)).unwrap_or_default() }
    }

    /// How many seconds the local time is ahead.
    fn offset(&self, seconds: i64) -> i64 {
        let day = seconds.div_euclid(86_400);
        if let Some((_, offset)) = self.asked.get().filter(|(asked, _)| *asked == day) {
            return offset;
        }
        let at = |seconds: i64| {
            let timestamp = jiff::Timestamp::from_second(seconds).unwrap_or_default();
            i64::from(self.zone.to_offset(timestamp).seconds())
        };
        let offset = at(seconds);
        // On a day on which it changes, each moment is asked about.
        if at(day * 86_400) == at(day * 86_400 + 86_399) {
            self.asked.set(Some((day, offset)));
        }
        offset
    }
}

fn json(found: Found) -> StatsJson {
    let named = |counts: BTreeMap<String, Counts>| counts.into_iter().map(|(name, c)| (name, c.into())).collect();
    let listed = |counts: Vec<(String, Counts)>| {
        counts.into_iter().map(|(name, counts)| NamedJson { name, counts: counts.into() }).collect()
    };
    let Found { from, usage, left_out, records, .. } = found;
    let Usage { total, by_model, by_safety, by_device } = usage;
    StatsJson {
        schema_version: SCHEMA_VERSION,
        from,
        total: total.into(),
        left_out,
        suggested: records.suggested,
        by_device: by_device.into_iter().map(|(device, counts)| (device.to_string(), counts.into())).collect(),
        by_model: named(by_model),
        by_safety: named(by_safety),
        recorded: records.total.into(),
        different: records.different,
        by_command: listed(records.by_command),
        by_directory: listed(records.by_directory),
        by_category: records.by_category.into_iter().map(|(category, c)| (category.as_str(), c.into())).collect(),
        by_hour: records.by_hour,
        by_weekday: records.by_weekday,
        by_day: records
            .by_day
            .into_iter()
            .map(|(day, commands)| DayJson { day: calendar::date_text(day), commands })
            .collect(),
    }
}

/// Days of the week, as they are shown.
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// How many, and how many of them succeeded, in words.
fn sentence(counts: Counts) -> String {
    let commands = counted(counts.commands, "command");
    match rate(counts) {
        Some(rate) => format!("{commands}, {:.0} % succeeded", rate * 100.0),
        None => commands,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_is_right_around_a_change_of_the_clocks() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let clock = Clock { zone, asked: Cell::new(None) };
        let hour = |second: i64| clock.local(UnixNanos(second * 1_000_000_000)).hour;
        // 2026-10-25, when summer ends at 01:00 in UTC.
        let midnight = 1_792_886_400;
        assert_eq!([-1, 0, 1, 2, 25].map(|hours| hour(midnight + hours * 3600)), [1, 2, 2, 3, 2]);
        assert_eq!(clock.local(UnixNanos(-1)).day, 0, "it is 1970 already");
    }
}
