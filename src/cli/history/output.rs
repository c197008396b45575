//! Records as the user sees them: rows, templates, and JSON.
//!
//! The JSON is a contract (`docs/cli.md`): every field is always there, `null` where nothing is
//! known, and `schema_version` rises only when a field changes its meaning or goes away.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::super::time;
use super::super::ui::visible;
use super::super::{CliError, Ui};
use super::template::Template;
use crate::history::Record;

/// The version of every JSON object of `caro history`.
pub const SCHEMA_VERSION: u32 = 1;

const DIM: Style = Style::new().dimmed();
const BAD: Style = AnsiColor::Red.on_default();

/// How records are printed.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// Print each with this template: {command} {prompt} {exit} {time} {duration} {directory}
    /// {session} {shell} {host} {device} {id} {safety} {tags} {model} {category} {explanation} {executed}; \t and \n work,
    /// {{ and }} are braces
    #[arg(long, value_name = "TEMPLATE", value_parser = Template::parse, conflicts_with_all = ["cmd_only", "json"])]
    format: Option<Template>,
    /// Print the commands alone
    #[arg(long, conflicts_with = "json")]
    cmd_only: bool,
    /// End each with a NUL byte instead of a line end, for commands that span lines
    #[arg(long, conflicts_with = "json")]
    print0: bool,
    /// Print each as a line of JSON
    #[arg(long)]
    json: bool,
}

/// A record as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordJson<'a> {
    schema_version: u32,
    id: String,
    command: &'a str,
    prompt: Option<&'a str>,
    explanation: Option<&'a str>,
    exit: Option<i32>,
    started_at: String,
    duration_ns: Option<i64>,
    cwd: Option<&'a str>,
    session: Option<&'a str>,
    shell: Option<&'a str>,
    host: Option<&'a str>,
    device_id: String,
    safety: Option<&'static str>,
    tags: &'a [String],
    model: Option<&'a str>,
    category: Option<&'a str>,
    executed: Option<bool>,
    blocked_reason: Option<String>,
    alternatives: Vec<String>,
    warnings: Vec<String>,
    generation_ns: Option<i64>,
    imported_from: Option<&'a str>,
    /// Whether it was over the limit of sync, and its device alone has the whole text.
    truncated: bool,
}

impl<'a> From<&'a Record> for RecordJson<'a> {
    fn from(record: &'a Record) -> Self {
        let generated = record.generated();
        Self {
            schema_version: SCHEMA_VERSION,
            id: record.id.to_string(),
            command: &record.command,
            prompt: record.prompt.as_deref(),
            explanation: record.explanation.as_deref(),
            exit: record.exit,
            started_at: time::rfc3339(record.started_at),
            duration_ns: record.duration_ns,
            cwd: record.cwd.as_deref(),
            session: record.session.as_deref(),
            shell: record.shell.as_deref(),
            host: record.host.as_deref(),
            device_id: record.device_id.to_string(),
            safety: record.safety.map(crate::history::RiskLevel::as_str),
            tags: &record.tags,
            model: record.model.as_deref(),
            category: record.category.as_deref(),
            executed: record.executed,
            blocked_reason: generated.blocked_reason,
            alternatives: generated.alternatives,
            warnings: generated.warnings,
            generation_ns: generated.generation_ns,
            imported_from: record.imported_from.as_deref(),
            truncated: record.is_truncated(),
        }
    }
}

/// Prints records one after the other, in the way the flags say.
#[derive(Debug)]
pub(super) struct Printer<'a> {
    output: &'a Output,
    zone: TimeZone,
    /// Whether control characters are made visible; data for other programs is never altered.
    for_eyes: bool,
}

impl<'a> Printer<'a> {
    pub(super) fn new(output: &'a Output, ui: &Ui) -> Self {
        Self {
            output,
            zone: if output.json || output.cmd_only { TimeZone::UTC } else { time::local_zone() },
            for_eyes: ui.out_is_terminal(),
        }
    }

    pub(super) fn print(&self, record: &Record, ui: &mut Ui) -> Result<(), CliError> {
        if self.output.json {
            return ui.json(&RecordJson::from(record));
        }
        let text = if self.output.cmd_only {
            record.command.clone()
        } else if let Some(template) = &self.output.format {
            template.render(record, &self.zone)
        } else {
            let row = self.row(record, ui);
            return self.end(row, ui);
        };
        let text = if self.for_eyes { visible(&text) } else { text };
        self.end(text, ui)
    }

    fn end(&self, text: String, ui: &mut Ui) -> Result<(), CliError> {
        let end: &[u8] = if self.output.print0 { b"\0" } else { b"\n" };
        ui.out().write_all(text.as_bytes())?;
        Ok(ui.out().write_all(end)?)
    }

    /// When, with what result, how long, what, and what was asked for: one line, whatever the command holds. Behind `#`
    /// the latter is a comment in any shell.
    fn row(&self, record: &Record, ui: &Ui) -> String {
        let when = time::local(record.started_at, &self.zone);
        let exit = record.exit.map(|exit| exit.to_string()).unwrap_or_default();
        let exit = format!("{exit:>3}");
        let exit = if record.exit.is_some_and(|exit| exit != 0) { ui.paint(BAD, exit) } else { exit };
        let duration = record.duration_ns.map(time::duration).unwrap_or_default();
        let command = one_line(&record.command);
        let suggested = (record.executed == Some(false)).then_some("only suggested");
        let asked = match (record.prompt.as_deref().map(one_line), suggested) {
            (Some(prompt), Some(suggested)) => format!("  # {prompt} ({suggested})"),
            (Some(prompt), None) => format!("  # {prompt}"),
            (None, Some(suggested)) => format!("  # {suggested}"),
            (None, None) => String::new(),
        };
        let asked = if asked.is_empty() { asked } else { ui.paint(DIM, asked) };
        format!("{}  {exit}  {}  {command}{asked}", ui.paint(DIM, when), ui.paint(DIM, format_args!("{duration:>6}")))
    }
}

fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\n")
}
