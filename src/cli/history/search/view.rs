//! What the search looks like: the commands with the best at the bottom, next to what is typed, and what is known of one.
//!
//! A command takes one line whatever it holds: control characters and those that reorder text are shown as what they are.
//! In a narrow terminal the details of a line go first, the command stays. Without colour everything is told by
//! weight, underlines and signs.

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::super::time;
use super::state::State;
use super::text::{abbreviated, age, fitting, highlighted, one_line, thousands, width};
use crate::history::recall::Hit;
use crate::history::{Matcher, SearchMode, UnixNanos};

/// From this width on a line has these.
const WITH_DURATION: u16 = 60;
const WITH_RUNS: u16 = 36;
const WITH_DIRECTORY: u16 = 100;
/// The fewest cells in which a prompt says something.
const PROMPT: usize = 12;
/// The widest directory.
const DIRECTORY: usize = 28;
/// From this height on there is a line with the keys.
const WITH_KEYS: u16 = 6;
/// What is before a prompt; behind it everything is a comment.
const COMMENT: &str = "  # ";
/// The sign before what is typed.
const SIGN: &str = "❯ ";

/// What a drawing needs beside the state.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) color: bool,
    pub(super) now: UnixNanos,
    pub(super) zone: TimeZone,
    /// The user's home directory, to be shown as `~`.
    pub(super) home: Option<String>,
}

impl Look {
    fn style(&self, color: Color, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        if self.color { style.fg(color) } else { style }
    }

    fn dim(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn found(&self) -> Style {
        let signs = if self.color { Modifier::BOLD } else { Modifier::BOLD | Modifier::UNDERLINED };
        self.style(Color::Cyan, signs)
    }

    fn bad(&self) -> Style {
        self.style(Color::Red, Modifier::BOLD)
    }
}

/// The parts of the screen, from the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) list: Rect,
    status: Option<Rect>,
    line: Rect,
    keys: Option<Rect>,
}

impl Parts {
    pub(super) fn of(area: Rect) -> Self {
        let row = |from_bottom: u16| Rect::new(area.x, area.bottom() - from_bottom, area.width, 1);
        let (keys, line) = if area.height >= WITH_KEYS { (Some(row(1)), 2) } else { (None, 1) };
        let status = (area.height > line).then(|| row(line + 1));
        let above = area.height - line - u16::from(status.is_some());
        Self { list: Rect::new(area.x, area.y, area.width, above), status, line: row(line), keys }
    }

    /// Which command, counted from the lowest that is shown, is in this row of the screen.
    pub(super) fn above_lowest(&self, row: u16) -> Option<usize> {
        (row >= self.list.y && row < self.list.bottom()).then(|| usize::from(self.list.bottom() - 1 - row))
    }
}

/// Draws everything; says where the cursor is.
pub(super) fn draw(state: &State, look: &Look, area: Rect) -> (Buffer, Position) {
    let mut buffer = Buffer::empty(area);
    let parts = Parts::of(area);
    if state.inspecting {
        inspector(state, look, parts.list, &mut buffer);
    } else {
        list(state, look, parts.list, &mut buffer);
    }
    if let Some(area) = parts.status {
        status(state, look, area, &mut buffer);
    }
    if let Some(area) = parts.keys {
        put(&mut buffer, area, keys(state, look, area.width));
    }
    let cursor = typed(state, look, parts.line, parts.keys.is_none(), &mut buffer);
    (buffer, cursor)
}

fn put(buffer: &mut Buffer, area: Rect, line: Line<'_>) {
    if area.height > 0 {
        buffer.set_line(area.x, area.y, &line, area.width);
    }
}

fn list(state: &State, look: &Look, area: Rect, buffer: &mut Buffer) {
    if state.answer.hits.is_empty() && area.height > 0 {
        let text = match (&state.problem, state.read) {
            (Some(problem), _) => problem.clone(),
            (None, (_, false)) => "Reading the history…".to_owned(),
            (None, (0, true)) => "Nothing is recorded yet.".to_owned(),
            _ => format!("Nothing found {}.", state.scope().name),
        };
        let area = Rect { y: area.bottom() - 1, height: 1, ..area };
        put(
            buffer,
            area,
            Line::styled(format!("  {text}"), if state.problem.is_some() { look.bad() } else { look.dim() }),
        );
        return;
    }
    let matcher = Matcher::new(state.line.text(), state.mode).ok();
    let shown = state.answer.hits.iter().enumerate().skip(state.lowest).take(area.height.into());
    for ((number, hit), y) in shown.zip((area.y..area.bottom()).rev()) {
        let row = Rect { y, height: 1, ..area };
        let chosen = number == state.chosen;
        put(buffer, row, command(hit, matcher.as_ref(), look, area.width, chosen));
        if chosen {
            buffer.set_style(row, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
}

/// One command: how long ago, how long, with what result, what, what one had asked for, how often, where.
fn command<'a>(hit: &Hit, matcher: Option<&Matcher>, look: &Look, columns: u16, chosen: bool) -> Line<'a> {
    // In reverse, faint letters and colours are hard to read.
    let dim = if chosen { Style::new() } else { look.dim() };
    let bad = if chosen { Style::new().add_modifier(Modifier::BOLD) } else { look.bad() };
    let found = if chosen { Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED) } else { look.found() };
    let mut spans = vec![
        Span::raw(if chosen { "▸" } else { " " }),
        Span::styled(format!("{:>4} ", age(hit.started_at, look.now)), dim),
    ];
    if columns >= WITH_DURATION {
        let nanos = hit.duration.and_then(|took| i64::try_from(took.as_nanos()).ok());
        spans.push(Span::styled(format!("{:>6} ", nanos.map(time::duration).unwrap_or_default()), dim));
    }
    spans.push(match hit.exit {
        Some(0) | None => Span::raw("  "),
        Some(_) => Span::styled("✗ ", bad),
    });
    let mut right = String::new();
    if hit.runs > 1 && columns >= WITH_RUNS {
        right = format!("  ×{}", hit.runs);
    }
    if columns >= WITH_DIRECTORY {
        let directory = hit.cwd.as_deref().map(|cwd| abbreviated(&one_line(cwd), look.home.as_deref(), DIRECTORY));
        right = format!("{right:<7}  {:<DIRECTORY$}", directory.unwrap_or_default());
    }
    let taken: usize = spans.iter().map(Span::width).sum::<usize>() + width(&right);
    let room = usize::from(columns).saturating_sub(taken);
    let asked =
        hit.prompt.as_deref().map(|prompt| (prompt, matcher.is_some_and(|matcher| is_why(prompt, hit, matcher))));
    // A prompt that is why the command was found has its part of the line, another one what the command leaves.
    let for_command = match asked {
        Some((prompt, true)) => {
            room.saturating_sub(room / 2).max(room.saturating_sub(width(head(prompt, room)) + COMMENT.len()))
        }
        _ => room,
    };
    let ranges = |text: &str| matcher.map(|matcher| matcher.ranges(text)).unwrap_or_default();
    let (text, mut used) = highlighted(&hit.command, &ranges(&hit.command), for_command, Style::new(), found);
    spans.extend(text);
    if let Some((prompt, is_why)) = asked
        && room.saturating_sub(used) >= COMMENT.len() + if is_why { 1 } else { PROMPT }
    {
        let ranges = if is_why { ranges(prompt) } else { Vec::new() };
        let (text, more) = highlighted(prompt, &ranges, room - used - COMMENT.len(), dim, found);
        spans.push(Span::styled(COMMENT, dim));
        spans.extend(text);
        used += COMMENT.len() + more;
    }
    spans.push(Span::raw(" ".repeat(room.saturating_sub(used))));
    spans.push(Span::styled(right, dim));
    Line::from(spans)
}

/// No more of a text than could be shown.
fn head(text: &str, room: usize) -> &str {
    text.char_indices().nth(room).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Whether a command was found by what one had asked for and not by what it says.
fn is_why(prompt: &str, hit: &Hit, matcher: &Matcher) -> bool {
    matcher.quality(&hit.command, None).is_none() && matcher.quality_of_prompt(prompt).is_some()
}

fn status(state: &State, look: &Look, area: Rect, buffer: &mut Buffer) {
    let mode = match state.mode {
        SearchMode::Fuzzy => "fuzzy",
        SearchMode::Prefix => "prefix",
        SearchMode::Fulltext => "fulltext",
        SearchMode::Regex => "regex",
    };
    let found = state.answer.found;
    let count = match (state.hit(), state.read.1) {
        (Some(_), whole) => {
            let more = if whole { "" } else { "…" };
            format!(" {} of {}{more} ", thousands(state.chosen + 1), thousands(found))
        }
        (None, _) => " 0 ".to_owned(),
    };
    let mut left = vec![
        Span::styled("─ ", look.dim()),
        Span::styled(state.scope().name, look.style(Color::Cyan, Modifier::BOLD)),
        Span::styled(" ─ ", look.dim()),
        Span::styled(mode, look.style(Color::Magenta, Modifier::BOLD)),
        Span::raw(" "),
    ];
    if state.is_normal() {
        left.push(Span::styled("─ ", look.dim()));
        left.push(Span::styled("NORMAL ", look.style(Color::Green, Modifier::BOLD)));
    }
    let taken: usize = left.iter().map(Span::width).sum::<usize>() + width(&count) + 1;
    left.push(Span::styled("─".repeat(usize::from(area.width).saturating_sub(taken)), look.dim()));
    left.push(Span::styled(count, look.dim()));
    left.push(Span::styled("─", look.dim()));
    put(buffer, area, Line::from(left));
}

/// The question about deleting, what happened last, or the keys.
fn keys<'a>(state: &State, look: &Look, columns: u16) -> Line<'a> {
    if let Some(question) = question(state) {
        return Line::styled(question, look.bad());
    }
    if let Some(notice) = &state.notice {
        return Line::styled(format!(" {notice}"), look.style(Color::Green, Modifier::BOLD));
    }
    let all: &[(&str, &str)] = if state.inspecting {
        &[("^O", "back"), ("↵", "run"), ("⇥", "edit"), ("^D", "delete"), ("^Y", "copy")]
    } else {
        &[
            ("↵", "run"),
            ("⇥", "edit"),
            ("^R", "scope"),
            ("^S", "mode"),
            ("^O", "inspect"),
            ("^X", "delete"),
            ("^Y", "copy"),
            ("esc", "leave"),
        ]
    };
    let mut spans = Vec::new();
    let mut room = usize::from(columns);
    for (key, what) in all {
        let needed = width(key) + width(what) + 3;
        if needed > room {
            break;
        }
        room -= needed;
        spans.push(Span::raw(format!(" {key} ")));
        spans.push(Span::styled(format!("{what} "), look.dim()));
    }
    Line::from(spans)
}

fn question(state: &State) -> Option<String> {
    let hit = state.hit().filter(|_| state.confirming)?;
    Some(if hit.runs == 1 {
        " Delete this command?  y: yes  any other key: no".to_owned()
    } else {
        format!(" Delete all {} runs?  y: all  o: only the newest  any other key: no", thousands(hit.runs as usize))
    })
}

/// What is typed. Where there is no line for the keys, a question or notice takes its place.
fn typed(state: &State, look: &Look, area: Rect, alone: bool, buffer: &mut Buffer) -> Position {
    if alone && (state.confirming || state.notice.is_some()) {
        put(buffer, area, keys(state, look, area.width));
        return Position::new(area.x, area.y);
    }
    let room = usize::from(area.width).saturating_sub(width(SIGN) + 1);
    // The end of what is before the cursor is always seen.
    let before = fitting(state.line.before(), room);
    let column = width(SIGN) + width(before);
    let after = state.line.text().get(state.line.before().len()..).unwrap_or_default();
    let sign = if state.problem.is_some() { look.bad() } else { look.style(Color::Cyan, Modifier::BOLD) };
    put(
        buffer,
        area,
        Line::from(vec![Span::styled(SIGN, sign), Span::raw(before.to_owned()), Span::raw(after.to_owned())]),
    );
    Position::new(area.x + u16::try_from(column).unwrap_or(0).min(area.width.saturating_sub(1)), area.y)
}

/// Everything known about the chosen command.
fn inspector(state: &State, look: &Look, area: Rect, buffer: &mut Buffer) {
    let Some(details) = &state.details else { return };
    let mut lines: Vec<(String, String)> =
        details.lines.iter().map(|(label, value)| ((*label).to_owned(), value.clone())).collect();
    let summary = &details.summary;
    let facts = summary.facts;
    if facts.runs > 1 {
        let known = facts.succeeded + facts.failed;
        let rate = (100 * facts.succeeded).checked_div(known).map(|rate| format!(" ({rate} %)")).unwrap_or_default();
        lines.push((String::new(), String::new()));
        lines.push(("Runs".into(), thousands(facts.runs as usize)));
        lines.push(("Succeeded".into(), format!("{} of {known} known{rate}", facts.succeeded)));
        lines.push(("First".into(), time::local(summary.first, &look.zone)));
        if let Some(mean) = summary.mean.and_then(|mean| i64::try_from(mean.as_nanos()).ok()) {
            lines.push(("Takes".into(), format!("{} on average", time::duration(mean))));
        }
        let places = summary.directories.iter().take(5).map(|(place, runs)| format!("{place} ×{runs}"));
        let places: Vec<String> = places.collect();
        if !places.is_empty() {
            lines.push(("Directories".into(), places.join("\n")));
        }
    }
    let label_width = lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let room = usize::from(area.width).saturating_sub(label_width + 4).max(1);
    let mut y = area.y;
    for (label, value) in lines {
        for (index, part) in value.split('\n').flat_map(|part| super::text::wrapped(&one_line(part), room)).enumerate()
        {
            if y >= area.bottom() {
                return;
            }
            let label = if index == 0 { label.as_str() } else { "" };
            let label = Span::styled(format!("  {label:label_width$}  "), look.style(Color::Cyan, Modifier::BOLD));
            put(buffer, Rect { y, height: 1, ..area }, Line::from(vec![label, Span::raw(part)]));
            y += 1;
        }
    }
}

#[cfg(test)]
mod tests;
