//! The statistics as text: lists everywhere; on a terminal with bars, a chart of the hours and a calendar.
//!
//! Everything fits 40 columns. Without colour the calendar and the charts read by their characters alone, and where the
//! locale has no Unicode these are ASCII.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};

use super::super::super::ui::visible;
use super::super::super::{CliError, Ui, screen};
use super::calendar::{Calendar, LEVELS};
use super::{Found, WEEKDAYS, rate, sentence};
use crate::history::Counts;

const TITLE: Style = Style::new().bold();
const BAR: Style = AnsiColor::Green.on_default();
const DIM: Style = Style::new().dimmed();
/// The longest bar.
const LONGEST: usize = 40;

/// What charts are drawn with.
struct Brush {
    /// From the narrowest to a full one.
    across: &'static [char],
    /// From the lowest to a full one.
    upwards: &'static [char],
    /// From a day without a command to the busiest.
    shades: &'static [char],
}

const UNICODE: Brush = Brush {
    across: &['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'],
    upwards: &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
    shades: &['·', '░', '▒', '▓', '█'],
};
const ASCII: Brush = Brush { across: &['#'], upwards: &['.', ':', '|'], shades: &['.', '-', '+', '*', '#'] };

/// Prints them.
pub(super) fn show(ui: &mut Ui, found: &Found) -> Result<(), CliError> {
    let since = found.from.as_ref().map(|day| format!(" since {day}")).unwrap_or_default();
    ui.line(format_args!("{}{since}", sentence(found.usage.total)))?;
    let mut view = View::new(ui);
    let listed = |counts: &BTreeMap<String, Counts>| -> Vec<_> {
        counts.iter().map(|(name, counts)| (name.clone(), *counts)).collect()
    };
    view.counters("By device", &found.devices)?;
    view.counters("By model", &listed(&found.usage.by_model))?;
    view.counters("By safety level", &listed(&found.usage.by_safety))?;
    let records = &found.records;
    if records.total.commands == 0 {
        return Ok(());
    }
    view.title("In the history now")?;
    view.ui.line(format_args!("  {}", sentence(records.total)))?;
    view.list("Most used", &records.by_command)?;
    view.list("By directory", &records.by_directory)?;
    let mut categories: Vec<_> =
        records.by_category.iter().map(|(category, counts)| (category.as_str().replace('_', " "), *counts)).collect();
    categories.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.commands));
    view.list("By category", &categories)?;
    let weekdays = WEEKDAYS.iter().zip(records.by_weekday).map(|(day, commands)| ((*day).to_owned(), plain(commands)));
    view.list("By weekday", &weekdays.collect::<Vec<_>>())?;
    view.hours(&records.by_hour)?;
    view.calendar(found)
}

/// Counts of which the end is not looked at.
fn plain(commands: u64) -> Counts {
    Counts { commands, succeeded: 0, failed: 0 }
}

struct View<'a> {
    ui: &'a mut Ui,
    /// Columns of the terminal; none where there is none.
    width: Option<usize>,
    brush: &'static Brush,
}

impl<'a> View<'a> {
    fn new(ui: &'a mut Ui) -> Self {
        let width = ui.out_is_terminal().then(screen::width);
        Self { ui, width, brush: if screen::knows_unicode() { &UNICODE } else { &ASCII } }
    }

    fn title(&mut self, title: &str) -> Result<(), CliError> {
        let title = self.ui.paint(TITLE, title);
        self.ui.line(format_args!("\n{title}"))
    }

    /// What counters say: in words in a pipe, where programs read them.
    fn counters(&mut self, title: &str, rows: &[(String, Counts)]) -> Result<(), CliError> {
        if self.width.is_some() || rows.is_empty() {
            return self.list(title, rows);
        }
        self.title(title)?;
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, counts) in rows {
            self.ui.line(format_args!("  {:width$}  {}", visible(name), sentence(*counts)))?;
        }
        Ok(())
    }

    /// Names and how often each, the success rate where it is known, and a bar where there is room for one.
    fn list(&mut self, title: &str, rows: &[(String, Counts)]) -> Result<(), CliError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.title(title)?;
        let most = rows.iter().map(|(_, counts)| counts.commands).max().unwrap_or(0);
        let digits = most.to_string().len();
        let names: Vec<String> = rows.iter().map(|(name, _)| one_line(&visible(name))).collect();
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let rates = rows.iter().any(|(_, counts)| rate(*counts).is_some());
        let beside = 2 + 2 + digits + if rates { 7 } else { 0 };
        // In a pipe nothing is cut off.
        let (names_width, bar) = match self.width {
            None => (longest, 0),
            Some(width) => {
                let room = width.saturating_sub(beside);
                let names_width = longest.min(room.saturating_sub(9).max(12));
                (names_width, room.saturating_sub(names_width + 3).min(LONGEST))
            }
        };
        for (name, (_, counts)) in names.iter().zip(rows) {
            let name = shortened(name, names_width);
            let rate = match rate(*counts) {
                _ if !rates => String::new(),
                Some(rate) => format!("  {:>3.0} %", rate * 100.0),
                None => " ".repeat(7),
            };
            let bar = self.ui.paint(BAR, across(self.brush, counts.commands, most, bar));
            let line = format!("  {name:names_width$}  {:>digits$}{rate}  {bar}", counts.commands);
            self.ui.line(line.trim_end())?;
        }
        Ok(())
    }

    /// The hours of the day, as columns on a terminal.
    fn hours(&mut self, hours: &[u64; 24]) -> Result<(), CliError> {
        const HIGH: u64 = 4;
        self.title("By hour")?;
        let most = hours.iter().copied().max().unwrap_or(0).max(1);
        let Some(width) = self.width else {
            for (hour, count) in hours.iter().enumerate().filter(|(_, count)| **count > 0) {
                self.ui.line(format_args!("  {hour:02}:00  {count}"))?;
            }
            return Ok(());
        };
        let wide = if width >= 2 + 24 * 2 { 2 } else { 1 };
        let steps = self.brush.upwards.len() as u64;
        for row in (0..HIGH).rev() {
            let column = |count: &u64| {
                // What is not nothing is seen.
                let filled = (count * HIGH * steps).div_ceil(most).saturating_sub(row * steps).min(steps);
                let mark = filled.checked_sub(1).and_then(|step| self.brush.upwards.get(step as usize)).unwrap_or(&' ');
                mark.to_string().repeat(wide)
            };
            let columns: String = hours.iter().map(column).collect();
            let columns = self.ui.paint(BAR, columns.trim_end());
            self.ui.line(format_args!("  {columns}"))?;
        }
        let scale: String =
            ["0", "6", "12", "18"].iter().map(|hour| format!("{hour:<width$}", width = 6 * wide)).collect();
        let scale = self.ui.paint(DIM, scale.trim_end());
        self.ui.line(format_args!("  {scale}"))
    }

    /// The days, a column a week.
    fn calendar(&mut self, found: &Found) -> Result<(), CliError> {
        const MARGIN: usize = 6;
        let Some(width) = self.width else { return Ok(()) };
        let wide = if width >= MARGIN + 2 * 53 { 2 } else { 1 };
        let most_weeks = (width.saturating_sub(MARGIN) / wide).clamp(1, 53);
        let Some(calendar) = Calendar::new(&found.records.by_day, found.today, most_weeks as i64) else {
            return Ok(());
        };
        self.title("Calendar")?;
        let mut months = String::new();
        for (place, week) in calendar.weeks().enumerate() {
            let at = place * wide;
            if let Some(month) = calendar.month(week)
                && (months.is_empty() || months.len() < at)
                && at + month.len() <= width.saturating_sub(MARGIN)
            {
                months = format!("{months:at$}{month}");
            }
        }
        let months = self.ui.paint(DIM, months);
        self.ui.line(format_args!("{:MARGIN$}{months}", ""))?;
        for (row, weekday) in (0_i64..).zip(WEEKDAYS) {
            let mut line = format!("  {} ", self.ui.paint(DIM, weekday));
            for week in calendar.weeks() {
                let Some(count) = calendar.count(week + row) else { break };
                line.push_str(&self.shade(calendar.level(count), wide));
            }
            self.ui.line(line)?;
        }
        let scale: String = (0..=LEVELS).map(|level| self.shade(level, wide)).collect();
        self.ui.line(format_args!(
            "{:MARGIN$}{} {scale} {}",
            "",
            self.ui.paint(DIM, "less"),
            self.ui.paint(DIM, "more")
        ))
    }

    fn shade(&self, level: u8, wide: usize) -> String {
        let mark = self.brush.shades.get(usize::from(level)).unwrap_or(&' ').to_string().repeat(wide);
        self.ui.paint(if level == 0 { DIM } else { BAR }, mark)
    }
}

/// A bar for `count` of `most` in at most `room` columns.
fn across(brush: &Brush, count: u64, most: u64, room: usize) -> String {
    let steps = brush.across.len() as u64;
    let (full, Some(longest)) = (brush.across.last().unwrap_or(&'#'), (room as u64 * steps).checked_mul(count)) else {
        return String::new();
    };
    if room == 0 || count == 0 {
        return String::new();
    }
    let length = longest.div_ceil(most.max(1));
    let part = (length % steps).checked_sub(1).and_then(|step| brush.across.get(step as usize));
    let bar = full.to_string().repeat((length / steps) as usize);
    bar + &part.map(char::to_string).unwrap_or_default()
}

/// A text of several lines on one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text cut to so many characters, its end kept: of a path that says more.
fn shortened(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let end: String = text.chars().skip(count + 1 - width.max(1)).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_with_what_they_stand_for() {
        let bar = |count| across(&UNICODE, count, 16, 2);
        assert_eq!([0, 1, 4, 8, 12, 16].map(bar), ["", "▏", "▌", "█", "█▌", "██"]);
        assert_eq!([0, 1, 15, 16].map(|count| across(&ASCII, count, 16, 4)), ["", "#", "####", "####"]);
        assert_eq!(across(&UNICODE, 5, 5, 0), "");
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("/home/me/src", 20), "/home/me/src");
        assert_eq!(shortened("/home/me/src", 5), "…/src");
        assert_eq!(shortened("grüße🦀", 3), "…e🦀");
        assert_eq!(shortened("abc", 0), "…");
    }
}
