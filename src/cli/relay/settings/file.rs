//! Settings in a TOML file: what may be in it, and what is said of mistakes.

use std::path::Path;

use clap::{ArgAction, Args, Command};
use toml::{Table, Value};

use super::Settings;
use crate::cli::CliError;
use crate::nearest::{edits, nearest};

/// The settings as clap knows them.
pub(super) fn arguments() -> Command {
    Settings::augment_args(Command::new("settings"))
}

/// The settings of a file; whatever is in it has to be one.
pub(super) fn read(file: &Path) -> Result<Table, CliError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        CliError::usage(format!("{} cannot be read", file.display()))
            .hinted("Name another with --config.")
            .caused_by(error)
    })?;
    understood(&text, file)
}

/// The settings of the text in a file.
pub(in crate::cli::relay) fn understood(text: &str, file: &Path) -> Result<Table, CliError> {
    let shown = file.display();
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.lines().count().max(1);
        CliError::usage(format!("{shown} is no TOML file: {} (line {line})", error.message())).caused_by(error)
    })?;
    let all = arguments();
    let known = || all.get_arguments().map(|arg| arg.get_id().as_str());
    if let Some(unknown) = table.keys().find(|key| !known().any(|known| known == key.as_str())) {
        let error = CliError::usage(format!("{shown} has a setting `{unknown}`, and there is none of this name"));
        return Err(match nearest(unknown, known(), |key| edits(unknown, key)) {
            Some(meant) => error.hinted(format!("You may have meant `{meant}`.")),
            None => error.hinted("`caro relay serve --print-config` shows all of them."),
        });
    }
    // One at a time, so that it is said which of them is wrong.
    for (key, value) in &table {
        let alone = Table::from_iter([(key.clone(), value.clone())]);
        if let Err(error) = alone.try_into::<Settings>() {
            let kind = all.get_arguments().find(|arg| arg.get_id() == key.as_str()).map(kind);
            let reason = match (kind, error.message().starts_with("invalid")) {
                (Some(kind), true) => format!("it has to be {}", kind.in_words()),
                _ => error.message().to_owned(),
            };
            return Err(CliError::usage(format!("`{key}` in {shown} cannot be {}: {reason}", short(value))));
        }
    }
    Ok(table)
}

/// What the value of a setting is in a file.
#[derive(Clone, Copy)]
pub(super) enum ValueKind {
    Switch,
    Number,
    List,
    Text,
}

impl ValueKind {
    /// What stands for a value where there is none. Of a number or a text it is no value: 0 and an empty text would say
    /// something.
    pub(super) fn unset(self) -> &'static str {
        match self {
            Self::Switch => "false",
            Self::List => "[]",
            Self::Number | Self::Text => "(not set)",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Switch => "true or false",
            Self::Number => "a whole number",
            Self::List => "a list of texts in quotes",
            Self::Text => "a text in quotes",
        }
    }
}

pub(super) fn kind(arg: &clap::Arg) -> ValueKind {
    let name = arg.get_value_names().and_then(|names| names.first()).map(clap::builder::Str::as_str);
    match (arg.get_action(), name) {
        (ArgAction::SetTrue, _) => ValueKind::Switch,
        (ArgAction::Append, _) => ValueKind::List,
        (_, Some("N" | "SECONDS" | "DAYS")) => ValueKind::Number,
        _ => ValueKind::Text,
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 40 { format!("{}…", text.chars().take(39).collect::<String>()) } else { text }
}
