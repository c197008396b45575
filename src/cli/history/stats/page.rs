//! The statistics as one page for a browser: no script, nothing from elsewhere, and a policy in the page that forbids both.
//!
//! Everything that comes from the history is escaped. The charts are drawings in the page; what they show is in words beside
//! them or in their titles.

use std::fmt::Write;

use super::super::super::ui::visible;
use super::calendar::{Calendar, date_text};
use super::{Found, WEEKDAYS, rate};
use crate::history::Counts;

const STYLE: &str = include_str!("page.css");
/// A year of weeks, and the one that has begun.
const WEEKS: i64 = 53;
/// A day in the calendar, and from one day to the next.
const DAY: i64 = 11;
const STEP: i64 = 14;
/// Room for the names of the weekdays and of the months.
const LEFT: i64 = 34;
const ABOVE: i64 = 18;

/// The page.
pub(super) fn page(found: &Found) -> String {
    let records = &found.records;
    let since = found.from.as_ref().map_or_else(|| "all time".to_owned(), |day| format!("since {day}"));
    let mut body = String::new();
    body.push_str(&figures(found));
    body.push_str(&calendar(found));
    body.push_str("<div class=\"grid\">");
    body.push_str(&list("Most used commands", &records.by_command));
    body.push_str(&list("Directories", &records.by_directory));
    let mut categories: Vec<_> =
        records.by_category.iter().map(|(category, counts)| (category.as_str().replace('_', " "), *counts)).collect();
    categories.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.commands));
    body.push_str(&list("Categories", &categories));
    body.push_str(&columns("Hours of the day", &hours(&records.by_hour)));
    body.push_str(&columns("Days of the week", &weekdays(&records.by_weekday)));
    let counted = |title, counts: &[(String, Counts)]| list(title, counts);
    body.push_str(&counted("Devices", &found.devices));
    body.push_str(&counted("Models", &pairs(&found.usage.by_model)));
    body.push_str(&counted("Safety levels", &pairs(&found.usage.by_safety)));
    body.push_str("</div>");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\">\
         <title>Command history, {since}</title><style>\n{STYLE}</style></head>\n<body><main>\
         <h1>Command history <small>{since}, as of {}</small></h1>\n{body}\
         <footer>Totals, devices, models and safety levels come from counters, which deleting commands does not lower; \
         everything else from the {} in the history now. Made by caro; it was sent nowhere.</footer>\
         </main></body></html>\n",
        date_text(found.today),
        number_of(records.total.commands),
    )
}

fn pairs(counts: &std::collections::BTreeMap<String, Counts>) -> Vec<(String, Counts)> {
    counts.iter().map(|(name, counts)| (name.clone(), *counts)).collect()
}

fn number_of(commands: u64) -> String {
    format!("{} command{}", grouped(commands), if commands == 1 { "" } else { "s" })
}

/// The totals.
fn figures(found: &Found) -> String {
    let total = found.usage.total;
    let share = rate(total).map_or_else(|| "–".to_owned(), |rate| format!("{:.0} %", rate * 100.0));
    let days = found.records.by_day.len() as u64;
    let figures = [
        (grouped(total.commands), if total.commands == 1 { "command" } else { "commands" }),
        (share, "succeeded"),
        (grouped(found.records.different), "different ones in the history"),
        (grouped(days), if days == 1 { "day with commands" } else { "days with commands" }),
    ];
    let mut html = String::from("<section class=\"figures\">");
    for (figure, what) in figures {
        let _ = write!(html, "<div><b>{figure}</b><span>{what}</span></div>");
    }
    html + "</section>\n"
}

/// Names, a bar for each, how often, and how many succeeded.
fn list(title: &str, rows: &[(String, Counts)]) -> String {
    let Some(most) = rows.iter().map(|(_, counts)| counts.commands).max() else { return String::new() };
    let mut html = format!("<section><h2>{title}</h2><ol class=\"bars\">");
    for (name, counts) in rows {
        let share = counts.commands as f64 * 100.0 / most.max(1) as f64;
        let succeeded = rate(*counts).map_or_else(String::new, |rate| format!("{:.0} %", rate * 100.0));
        let name = escaped(name);
        let _ = write!(
            html,
            "<li><span class=\"name\" title=\"{name}\"><bdi>{name}</bdi></span><span class=\"count\">{}</span>\
             <span class=\"rate\" title=\"succeeded\">{succeeded}</span>\
             <span class=\"bar\"><i style=\"width:{share:.1}%\"></i></span></li>",
            grouped(counts.commands),
        );
    }
    html + "</ol></section>\n"
}

fn hours(hours: &[u64; 24]) -> Vec<(String, String, u64)> {
    let label = |hour: usize| if hour.is_multiple_of(6) { hour.to_string() } else { String::new() };
    hours.iter().enumerate().map(|(hour, count)| (label(hour), format!("{hour:02}:00"), *count)).collect()
}

fn weekdays(weekdays: &[u64; 7]) -> Vec<(String, String, u64)> {
    WEEKDAYS.iter().zip(weekdays).map(|(day, count)| ((*day).to_owned(), (*day).to_owned(), *count)).collect()
}

/// Columns side by side: the label below each, what its title begins with, and how high it is.
fn columns(title: &str, columns: &[(String, String, u64)]) -> String {
    const HIGH: f64 = 90.0;
    let most = columns.iter().map(|(.., count)| *count).max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let width = 320.0 / columns.len() as f64;
    let mut html =
        format!("<section><h2>{title}</h2><svg viewBox=\"0 0 320 110\" role=\"img\" aria-label=\"{title}\">");
    for (place, (label, name, count)) in columns.iter().enumerate() {
        let (x, height) = (place as f64 * width, *count as f64 * HIGH / most as f64);
        let _ = write!(
            html,
            "<rect class=\"column\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" rx=\"2\">\
             <title>{name}: {}</title></rect>",
            x + width * 0.1,
            HIGH - height,
            width * 0.8,
            number_of(*count),
        );
        if !label.is_empty() {
            let _ = write!(html, "<text x=\"{:.1}\" y=\"106\" text-anchor=\"middle\">{label}</text>", x + width / 2.0);
        }
    }
    html + "</svg></section>\n"
}

/// A year of days.
fn calendar(found: &Found) -> String {
    let Some(calendar) = Calendar::new(&found.records.by_day, found.today, WEEKS) else { return String::new() };
    let weeks: Vec<i64> = calendar.weeks().collect();
    let (width, height) = (LEFT + STEP * weeks.len() as i64, ABOVE + STEP * 7);
    let mut html = format!(
        "<section><h2>Calendar</h2><div class=\"calendar\"><svg width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"Commands a day\">"
    );
    for (row, weekday) in (0..).zip(WEEKDAYS).step_by(2) {
        let _ = write!(html, "<text x=\"0\" y=\"{}\">{weekday}</text>", ABOVE + STEP * row + DAY - 1);
    }
    let mut named_until = 0;
    for (place, week) in (0..).zip(&weeks) {
        let x = LEFT + STEP * place;
        if let Some(month) = calendar.month(*week)
            && x >= named_until
        {
            let _ = write!(html, "<text x=\"{x}\" y=\"11\">{month}</text>");
            named_until = x + 2 * STEP;
        }
        for row in 0..7 {
            let Some(count) = calendar.count(week + row) else { break };
            let _ = write!(
                html,
                "<rect class=\"day d{}\" x=\"{x}\" y=\"{}\" width=\"{DAY}\" height=\"{DAY}\" rx=\"2\">\
                 <title>{}: {}</title></rect>",
                calendar.level(count),
                ABOVE + STEP * row,
                date_text(week + row),
                number_of(count),
            );
        }
    }
    html + "</svg></div></section>\n"
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A text of the history as text of the page.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_history_becomes_part_of_the_page() {
        assert_eq!(
            escaped("<a href=\"x\" id='y'>&\u{202e}\u{1b}"),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;\\u{202e}\\u{1b}"
        );
    }

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
