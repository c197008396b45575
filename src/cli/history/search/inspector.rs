//! Everything known about the chosen command: its newest run, and all of them together; in lines for a screen.

use ratatui::style::{Color, Modifier};
use ratatui::text::{Line, Span};

use super::super::super::time;
use super::state::State;
use super::text::{one_line, paragraph, thousands, wrapped};
use super::view::Look;

/// So many directories are named.
const DIRECTORIES: usize = 5;

/// All lines, however many the screen has; none where nothing is inspected or told yet.
pub(super) fn lines(state: &State, look: &Look, columns: u16) -> Vec<Line<'static>> {
    let facts = facts(state, look);
    let label_width = facts.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let room = usize::from(columns).saturating_sub(label_width + 4).max(1);
    let mut lines = Vec::new();
    for (label, value) in facts {
        // Of a command no space may be lost.
        let wrap = if matches!(label, "Command" | "Alternatives") { wrapped } else { paragraph };
        let parts = value.split('\n').flat_map(|part| wrap(&one_line(part), room));
        for (index, part) in parts.enumerate() {
            let label = if index == 0 { label } else { "" };
            let label = Span::styled(format!("  {label:label_width$}  "), look.style(Color::Cyan, Modifier::BOLD));
            lines.push(Line::from(vec![label, Span::raw(part)]));
        }
    }
    lines
}

/// What is known, with labels.
fn facts(state: &State, look: &Look) -> Vec<(&'static str, String)> {
    let Some(details) = state.details.as_ref().filter(|_| state.inspecting) else { return Vec::new() };
    let mut lines = details.lines.clone();
    let summary = &details.summary;
    let facts = summary.facts;
    if facts.runs > 1 {
        let known = facts.succeeded + facts.failed;
        let rate = (100 * facts.succeeded).checked_div(known).map(|rate| format!(" ({rate} %)")).unwrap_or_default();
        lines.push(("", String::new()));
        lines.push(("Runs", thousands(facts.runs as usize)));
        lines.push(("Succeeded", format!("{} of {known} known{rate}", facts.succeeded)));
        lines.push(("First", time::local(summary.first, &look.zone)));
        if let Some(mean) = summary.mean.and_then(|mean| i64::try_from(mean.as_nanos()).ok()) {
            lines.push(("Takes", format!("{} on average", time::duration(mean))));
        }
        let places = summary.directories.iter().take(DIRECTORIES).map(|(place, runs)| format!("{place} ×{runs}"));
        let places: Vec<String> = places.collect();
        if !places.is_empty() {
            lines.push(("Directories", places.join("\n")));
        }
    }
    lines
}
