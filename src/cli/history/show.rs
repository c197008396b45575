//! `caro history show`.

use anstyle::Style;
use jiff::tz::TimeZone;

use super::super::time;
use super::super::ui::visible;
use super::super::{CliError, Home, Ui, completions};
use super::output::RecordJson;
use super::select::open;
use crate::history::Record;

const LABEL: Style = Style::new().bold();

/// Shows everything known about one command.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  caro history show 019a2b3c-7d4e
  caro history show \"$(caro history last --format '{id}')\" --json
")]
pub struct Args {
    /// The id of the command, or as much of its beginning as no other has
    #[arg(add = completions::records())]
    id: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `caro history show`.
pub(super) fn run(args: &Args, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
    let record = open(home)?.find(&args.id)?;
    if args.json {
        return ui.json(&RecordJson::from(&record));
    }
    let lines = describe(&record, &time::local_zone());
    let width = lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    for (label, value) in lines {
        let value = if ui.out_is_terminal() { visible(&value) } else { value };
        // Further lines stand under the first.
        let value = value.replace('\n', &format!("\n{:width$}  ", ""));
        let label = ui.paint(LABEL, format_args!("{label:width$}"));
        ui.line(format_args!("{label}  {value}"))?;
    }
    Ok(())
}

/// What is known about the record, with labels.
pub(in crate::cli) fn describe(record: &Record, zone: &TimeZone) -> Vec<(&'static str, String)> {
    let executed = record.executed.map(|ran| if ran { "yes" } else { "no, only suggested" });
    let generated = record.generated();
    let listed = |texts: Vec<String>| (!texts.is_empty()).then(|| texts.join("\n"));
    let tags = (!record.tags.is_empty()).then(|| record.tags.join(", "));
    [
        ("Command", Some(record.command.clone())),
        ("Prompt", record.prompt.clone()),
        ("Explanation", record.explanation.clone()),
        ("Exit", record.exit.map(|exit| exit.to_string())),
        ("Started", Some(time::local(record.started_at, zone))),
        ("Duration", record.duration_ns.map(time::duration)),
        ("Directory", record.cwd.clone()),
        ("Session", record.session.clone()),
        ("Shell", record.shell.clone()),
        ("Host", record.host.clone()),
        ("Device", Some(record.device_id.to_string())),
        ("Safety", record.safety.map(|safety| safety.to_string())),
        ("Tags", tags),
        ("Model", record.model.clone()),
        ("Category", record.category.clone()),
        ("Executed", executed.map(str::to_owned)),
        ("Blocked", generated.blocked_reason),
        ("Warnings", listed(generated.warnings)),
        ("Alternatives", listed(generated.alternatives)),
        ("Made in", generated.generation_ns.map(time::duration)),
        ("Imported from", record.imported_from.clone()),
        ("Truncated", record.is_truncated().then(|| "yes; the device that ran it has the whole text".to_owned())),
        ("Id", Some(record.id.to_string())),
    ]
    .into_iter()
    .filter_map(|(label, value)| Some((label, value?)))
    .collect()
}
