//! `caro config show`, `get` and `path`.

use std::path::Path;

use anstyle::Style;
use clap::Args;
use serde::Serialize;

use super::super::ui::visible;
use super::super::{CliError, Home, Kind, Ui, completions};
use crate::prefs::{self, ALL, Preference};

const ABOUT: Style = Style::new().dimmed();

/// Print all preferences and their values; with --verbose, what each is for
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro config show
  caro config show --verbose
  caro config show --origin
  caro config show --json | jq -r '.name'
")]
pub(in crate::cli) struct ShowArgs {
    /// Say where each value comes from
    #[arg(long)]
    origin: bool,

    /// Let values of other devices that wait to be seen take effect, also where nobody reads the warning
    #[arg(long)]
    pub(super) accept: bool,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Print the value of a preference
///
/// Where it is not set, this is its default; one that has none either is an error.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  caro config get safety_level
")]
pub(in crate::cli) struct GetArgs {
    /// Its name
    #[arg(value_name = "NAME", add = completions::preferences())]
    name: String,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Print where preferences are kept
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  caro config path
")]
pub(in crate::cli) struct PathArgs {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// A preference as JSON, version 1.
#[derive(Serialize)]
struct PreferenceJson<'a> {
    name: &'a str,
    /// The value that holds; null where there is none.
    value: Option<&'a str>,
    /// `file` or `default`; `none` where there is no value.
    origin: &'static str,
    /// The file it is, or would be, set in.
    file: String,
    synced: bool,
    about: &'a str,
}

#[derive(Serialize)]
struct ShowJson<'a> {
    schema_version: u32,
    preferences: Vec<PreferenceJson<'a>>,
}

#[derive(Serialize)]
struct GetJson<'a> {
    schema_version: u32,
    #[serde(flatten)]
    preference: PreferenceJson<'a>,
}

#[derive(Serialize)]
struct PathJson<'a> {
    schema_version: u32,
    config: &'a Path,
    sync: &'a Path,
}

fn json<'a>(preference: &'static Preference, set: Option<&'a str>, home: &Home) -> PreferenceJson<'a> {
    let origin = match (set, preference.default) {
        (Some(_), _) => "file",
        (None, Some(_)) => "default",
        (None, None) => "none",
    };
    PreferenceJson {
        name: preference.name,
        value: set.or(preference.default),
        origin,
        file: home.prefs().file(preference).display().to_string(),
        synced: preference.synced,
        about: preference.about,
    }
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: &ShowArgs) -> Result<(), CliError> {
    let paths = home.prefs();
    let set: Vec<Option<String>> =
        ALL.iter().map(|preference| prefs::get(&paths, preference)).collect::<Result<_, _>>()?;
    let all = || ALL.iter().zip(&set).map(|(preference, set)| json(preference, set.as_deref(), home));
    if args.json {
        return ui.json(&ShowJson { schema_version: 1, preferences: all().collect() });
    }
    let width = ALL.iter().map(|preference| preference.name.len()).max().unwrap_or(0);
    for PreferenceJson { name, value, origin, file, synced, about } in all() {
        let lines = value.filter(|value| !value.is_empty()).unwrap_or("-");
        // Rules stand one under the other.
        let value = visible(lines).replace('\n', &format!("\n{:width$}  ", ""));
        if args.origin {
            let origin = if origin == "file" { file.as_str() } else { origin };
            let synced = if synced { ", synced" } else { "" };
            ui.line(format_args!("{name:width$}  {value:<11} ({origin}{synced})"))?;
        } else {
            ui.line(format_args!("{name:width$}  {value}"))?;
        }
        if ui.is_verbose() {
            let about = ui.paint(ABOUT, format_args!("# {about}"));
            ui.line(format_args!("{:width$}  {about}", ""))?;
        }
    }
    Ok(())
}

pub(super) fn get(ui: &mut Ui, home: &Home, args: &GetArgs) -> Result<(), CliError> {
    let preference = prefs::find(&args.name)?;
    let set = prefs::get(&home.prefs(), preference)?;
    if args.json {
        return ui.json(&GetJson { schema_version: 1, preference: json(preference, set.as_deref(), home) });
    }
    match set.as_deref().or(preference.default) {
        Some("") => Ok(()),
        Some(value) if ui.out_is_terminal() => ui.line(visible(value)),
        Some(value) => ui.line(value),
        None => Err(CliError::new(Kind::Failed, format!("{} is not set and has no default", preference.name))
            .hinted(format!("Set it: caro config set {} VALUE ({})", preference.name, preference.allowed()))),
    }
}

pub(super) fn path(ui: &mut Ui, home: &Home, args: &PathArgs) -> Result<(), CliError> {
    let paths = home.prefs();
    if args.json {
        return ui.json(&PathJson { schema_version: 1, config: &paths.config, sync: &paths.sync });
    }
    ui.line(paths.config.display())?;
    ui.line(paths.sync.display())
}
