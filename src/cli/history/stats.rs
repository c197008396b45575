//! `caro history stats`: how much was run, over all devices.
//!
//! The numbers come from the counters, which outlive the records: deleting commands or a window that moves on does not
//! change them. A device that synced counts as of its last sync.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::ui::visible;
use super::super::{CliError, Home, Ui, time};
use super::output::SCHEMA_VERSION;
use crate::history::{Counts, UnixNanos, Usage, day_of};

/// Shows how many commands were run on all devices, and how many succeeded.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
PERIOD is day, week, month, year, all, or a time to count from, such as 2026-01-31 or `30 days ago`. Days are counted
whole, in UTC.

Examples:
  caro history stats
  caro history stats month
  caro history stats --json 2026-01-01
")]
pub struct Args {
    /// What to count [default: all]
    #[arg(value_name = "PERIOD", value_parser = period, default_value = "all", hide_default_value = true)]
    period: Period,
    /// Print as JSON
    #[arg(long)]
    json: bool,
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
    time::parse(from, now).map(|from| Period(Some(from)))
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

/// The statistics as JSON, version 1.
#[derive(Serialize)]
struct StatsJson {
    schema_version: u32,
    /// The first day that counts; null: from the beginning.
    from: Option<String>,
    #[serde(flatten)]
    total: CountsJson,
    /// Commands that were run on this device and not recorded: they held a secret, or the user's rules exclude them.
    left_out: u64,
    by_device: BTreeMap<String, CountsJson>,
    by_model: BTreeMap<String, CountsJson>,
    by_safety: BTreeMap<String, CountsJson>,
}

fn rate(counts: Counts) -> Option<f64> {
    let ended = counts.succeeded + counts.failed;
    (ended > 0).then(|| counts.succeeded as f64 / ended as f64)
}

/// Runs `caro history stats`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let history = home.open_history()?;
    let usage = history.usage_total(args.period.0.map(day_of))?;
    let day = args.period.0.map(|from| time::rfc3339(from).chars().take(10).collect::<String>());
    if args.json {
        let named = |counts: BTreeMap<String, Counts>| counts.into_iter().map(|(n, c)| (n, c.into())).collect();
        let Usage { total, by_model, by_safety, by_device } = usage;
        let by_device = by_device.into_iter().map(|(device, counts)| (device.to_string(), counts)).collect();
        return ui.json(&StatsJson {
            schema_version: SCHEMA_VERSION,
            from: day,
            total: total.into(),
            left_out: history.left_out()?,
            by_device: named(by_device),
            by_model: named(by_model),
            by_safety: named(by_safety),
        });
    }
    let since = day.map(|day| format!(" since {day}")).unwrap_or_default();
    ui.line(format_args!("{}{since}", sentence(usage.total)))?;
    let own = history.device_id()?;
    let devices = usage.by_device.into_iter().map(|(device, counts)| {
        let mark = if device == own { " (this device)" } else { "" };
        (format!("{device}{mark}"), counts)
    });
    table(ui, "By device", devices.collect())?;
    table(ui, "By model", usage.by_model.into_iter().collect())?;
    table(ui, "By safety level", usage.by_safety.into_iter().collect())?;
    let left_out = history.left_out()?;
    if left_out > 0 {
        let plural = if left_out == 1 { " was" } else { "s were" };
        ui.hint(format_args!(
            "{left_out} command{plural} not recorded on this device: they held a secret, or your rules exclude them \
             (`caro config get history.secrets`, `caro config get history.filter`)."
        ));
    }
    Ok(())
}

fn table(ui: &mut Ui, title: &str, rows: Vec<(String, Counts)>) -> Result<(), CliError> {
    if rows.is_empty() {
        return Ok(());
    }
    ui.line(format_args!("\n{title}"))?;
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, counts) in rows {
        ui.line(format_args!("  {:width$}  {}", visible(&name), sentence(counts)))?;
    }
    Ok(())
}

fn sentence(counts: Counts) -> String {
    let plural = if counts.commands == 1 { "" } else { "s" };
    match rate(counts) {
        Some(rate) => format!("{} command{plural}, {:.0} % succeeded", counts.commands, rate * 100.0),
        None => format!("{} command{plural}", counts.commands),
    }
}
