//! What the search looks like: the commands with the best at the bottom, next to what is typed.
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
use super::inspector;
use super::state::State;
use super::text::{abbreviated, age, fitting, highlighted, one_line, paragraph, thousands, width};
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
    pub(super) fn style(&self, color: Color, modifier: Modifier) -> Style {
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
    filters: Option<Rect>,
    status: Option<Rect>,
    line: Rect,
    foot: Option<Rect>,
}

impl Parts {
    pub(super) fn of(state: &State, look: &Look, area: Rect) -> Self {
        let mut list = area;
        let mut cut = |rows: u16, least: u16| {
            (list.height >= rows + least).then(|| {
                list.height -= rows;
                Rect { y: list.bottom(), height: rows, ..list }
            })
        };
        let said = said_in_lines(state, look, area.width).map_or(1, |(lines, _)| lines.len());
        let most = area.height.saturating_sub(WITH_KEYS - 1).max(1);
        let foot = cut(u16::try_from(said).unwrap_or(most).min(most), WITH_KEYS - 1);
        let line = cut(1, 0).unwrap_or_default();
        let status = cut(1, 0);
        let filters = if state.filters.is_empty() { None } else { cut(1, 1) };
        Self { list, filters, status, line, foot }
    }

    /// Which command, counted from the lowest that is shown, is in this row of the screen.
    pub(super) fn above_lowest(&self, row: u16) -> Option<usize> {
        (row >= self.list.y && row < self.list.bottom()).then(|| usize::from(self.list.bottom() - 1 - row))
    }
}

/// Draws everything; says where the cursor is.
pub(super) fn draw(state: &State, look: &Look, area: Rect) -> (Buffer, Position) {
    let mut buffer = Buffer::empty(area);
    let parts = Parts::of(state, look, area);
    if state.inspecting {
        let lines = inspector::lines(state, look, area.width);
        for (row, line) in parts.list.rows().zip(lines.into_iter().skip(state.scrolled)) {
            put(&mut buffer, row, line);
        }
    } else {
        list(state, look, parts.list, &mut buffer);
    }
    if let Some(area) = parts.filters {
        let text = format!("  only: {}", one_line(&state.filters));
        let style = look.style(Color::Yellow, Modifier::BOLD);
        put(&mut buffer, area, highlighted(&text, &[], area.width.into(), style, style).0.into());
    }
    if let Some(area) = parts.status {
        status(state, look, area, &mut buffer);
    }
    if let Some(area) = parts.foot {
        foot(state, look, area, &mut buffer);
    }
    let cursor = typed(state, look, parts.line, parts.foot.is_none(), &mut buffer);
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
            (None, (0, true)) if state.filters.is_empty() => "Nothing is recorded yet.".to_owned(),
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
    if state.inspecting && state.unseen() > 0 {
        let (first, last) = (state.scrolled + 1, state.scrolled + state.page);
        let up = if first > 1 { "↑" } else { "" };
        let down = if last < state.lines { "↓" } else { "" };
        let lines = format!("lines {first}–{last} of {} {up}{down} ", state.lines);
        left = vec![Span::styled("─ ", look.dim()), Span::styled(lines, look.style(Color::Cyan, Modifier::BOLD))];
    }
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

/// The question about deleting, or what happened last.
fn said(state: &State, look: &Look) -> Option<(String, Style)> {
    let notice = || state.notice.clone().map(|notice| (notice, look.style(Color::Green, Modifier::BOLD)));
    question(state).map(|question| (question, look.bad())).or_else(notice)
}

/// The same in as many lines as it needs.
fn said_in_lines(state: &State, look: &Look, columns: u16) -> Option<(Vec<String>, Style)> {
    said(state, look).map(|(text, style)| (paragraph(&text, usize::from(columns).saturating_sub(1).max(1)), style))
}

/// What there is to say, or the keys.
fn foot(state: &State, look: &Look, area: Rect, buffer: &mut Buffer) {
    let Some((lines, style)) = said_in_lines(state, look, area.width) else {
        put(buffer, area, keys(state, look, area.width));
        return;
    };
    for (row, line) in area.rows().zip(lines) {
        put(buffer, row, Line::styled(format!(" {line}"), style));
    }
}

fn keys<'a>(state: &State, look: &Look, columns: u16) -> Line<'a> {
    let all: &[(&str, &str)] = if state.inspecting {
        &[
            ("^O", "back"),
            ("↑↓", if state.unseen() > 0 { "scroll" } else { "others" }),
            ("↵", "run"),
            ("⇥", "edit"),
            ("^D", "delete"),
            ("^Y", "copy"),
        ]
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
        "Delete this command?  y: yes  any other key: no".to_owned()
    } else {
        format!("Delete all {} runs?  y: all  o: only the newest  any other key: no", thousands(hit.runs as usize))
    })
}

/// What is typed. Where there is no line for the keys, a question or notice takes its place.
fn typed(state: &State, look: &Look, area: Rect, alone: bool, buffer: &mut Buffer) -> Position {
    if let Some((text, style)) = said(state, look).filter(|_| alone) {
        put(buffer, area, Line::styled(format!(" {text}"), style));
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

#[cfg(test)]
mod tests;
