//! Markdown, to read: preferences, devices and usage as tables, then the history day by day.

use std::io::Write;

use jiff::tz::TimeZone;

use super::{Form, Frame, Usage};
use crate::cli::history::describe;
use crate::cli::{CliError, time};
use crate::history::Record;

/// What is said in the line of a command already, or says something to programs only.
const SAID: [&str; 10] =
    ["Command", "Exit", "Started", "Duration", "Directory", "Session", "Shell", "Host", "Device", "Id"];

pub(super) struct Text {
    zone: TimeZone,
    /// The day that the last record was of.
    day: String,
}

impl Text {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, day: String::new() }
    }
}

impl Form for Text {
    fn begin(&mut self, frame: &Frame, out: &mut dyn Write) -> Result<(), CliError> {
        writeln!(out, "# Caro\n\nExported at {} on device {}.", frame.exported_at, frame.device_id)?;
        table(
            out,
            "Preferences",
            ["Name", "Value"],
            frame.preferences.iter().map(|p| [p.name.to_owned(), p.value.clone()]),
        )?;
        let devices = frame.devices.iter().map(|d| {
            [d.name.clone(), d.platform.clone(), d.last_sync.clone().unwrap_or_default(), d.device_id.clone()]
        });
        table(out, "Devices", ["Name", "Platform", "Last sync", "Id"], devices)?;
        let usage = frame.usage.iter().map(|u| {
            let Usage { day, device_id, model, safety, commands, succeeded, failed } = u;
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let counts = [commands, succeeded, failed].map(u64::to_string);
            let [commands, succeeded, failed] = counts;
            [day.clone(), device_id.clone(), text(model), text(safety), commands, succeeded, failed]
        });
        table(out, "Usage", ["Day", "Device", "Model", "Safety", "Commands", "Succeeded", "Failed"], usage)?;
        Ok(writeln!(out, "\n## History")?)
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> Result<(), CliError> {
        let when = time::local(record.started_at, &self.zone);
        let (day, hour) = when.split_once(' ').unwrap_or((&when, ""));
        if day != self.day {
            writeln!(out, "\n### {day}\n")?;
            day.clone_into(&mut self.day);
        }
        let exit = record.exit.filter(|exit| *exit != 0).map(|exit| format!(" (exit {exit})")).unwrap_or_default();
        let took = record.duration_ns.map(|nanos| format!(" took {}", time::duration(nanos))).unwrap_or_default();
        let cwd = record.cwd.as_ref().map(|cwd| format!(" in {}", code(cwd))).unwrap_or_default();
        if record.command.contains('\n') {
            let fence = "`".repeat(longest_run(&record.command).max(2) + 1);
            let indented = record.command.replace('\n', "\n  ");
            writeln!(out, "- {hour}{cwd}{took}{exit}\n  {fence}\n  {indented}\n  {fence}")?;
        } else {
            writeln!(out, "- {hour} {}{cwd}{took}{exit}", code(&record.command))?;
        }
        for (label, value) in describe(record, &self.zone).into_iter().filter(|(label, _)| !SAID.contains(label)) {
            writeln!(out, "  - {label}: {}", code(&value.replace('\n', " · ")))?;
        }
        Ok(())
    }

    fn end(&mut self, _frame: &Frame, _out: &mut dyn Write) -> Result<(), CliError> {
        Ok(())
    }
}

fn table<const N: usize>(
    out: &mut dyn Write,
    title: &str,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<(), CliError> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "\n## {title}\n\n| {} |\n|{}", head.join(" | "), " --- |".repeat(N))?;
    for row in rows {
        let cells = row.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// A span of code that survives backticks inside.
fn code(text: &str) -> String {
    let ticks = "`".repeat(longest_run(text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{space}{text}{space}{ticks}")
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_inside_do_not_end_the_code() {
        assert_eq!(code("ls"), "`ls`");
        assert_eq!(code("echo `date`"), "`` echo `date` ``");
        assert_eq!(code("a``b"), "```a``b```");
    }
}
