//! `caro config set`, `unset` and `undo`.

use clap::Args;

use super::super::{CliError, Kind, Ui, completions, time};
use super::shown;
use crate::prefs::{self, PreferenceStore};

/// Set a preference
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro config set safety_level strict
  caro config set sync.frequency hourly
  caro config set search.enter edit
")]
pub(in crate::cli) struct SetArgs {
    /// Its name
    #[arg(value_name = "NAME", add = completions::preferences())]
    name: String,

    /// Its value
    #[arg(value_name = "VALUE", allow_hyphen_values = true, add = completions::values())]
    value: String,
}

/// Go back to the default
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  caro config unset sync.frequency
")]
pub(in crate::cli) struct UnsetArgs {
    /// The preference
    #[arg(value_name = "NAME", add = completions::preferences())]
    name: String,
}

/// Take back the last change of a preference, on whatever device it was made
///
/// A second time takes that back.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  caro config undo safety_level
")]
pub(in crate::cli) struct UndoArgs {
    /// The preference
    #[arg(value_name = "NAME", add = completions::preferences())]
    name: String,
}

pub(super) fn run(ui: &Ui, store: &PreferenceStore, args: &SetArgs) -> Result<(), CliError> {
    let preference = find(&args.name)?;
    let value = preference.parse(&args.value)?;
    store.set(preference, Some(&value), time::now())?;
    ui.status(format_args!("{} is now {}", preference.name, shown(preference, Some(&value))));
    Ok(())
}

pub(super) fn unset(ui: &Ui, store: &PreferenceStore, args: &UnsetArgs) -> Result<(), CliError> {
    let preference = find(&args.name)?;
    store.set(preference, None, time::now())?;
    ui.status(format_args!("{} is now {}", preference.name, shown(preference, None)));
    Ok(())
}

pub(super) fn undo(ui: &Ui, store: &PreferenceStore, args: &UndoArgs) -> Result<(), CliError> {
    let preference = find(&args.name)?;
    match store.undo(preference, time::now())? {
        Some(back) => {
            ui.status(format_args!("{} is {} again", preference.name, shown(preference, back.value.as_deref())));
            Ok(())
        }
        None => Err(CliError::new(Kind::Failed, format!("no change of {} is known", preference.name)).hinted(format!(
            "Set it: caro config set {} VALUE ({})",
            preference.name,
            preference.allowed()
        ))),
    }
}

/// The preference of this name; what is set with another command says which.
fn find(name: &str) -> Result<&'static prefs::Preference, CliError> {
    let elsewhere = match name {
        "sync.relay" | "relay" => Some("caro sync relay set URL"),
        "sync.device_name" | "device_name" => Some("caro sync devices rename"),
        _ => None,
    };
    match elsewhere {
        Some(command) => Err(CliError::usage(format!("{name} is not set here")).hinted(format!("Use `{command}`."))),
        None => Ok(prefs::find(name)?),
    }
}
