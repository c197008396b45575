//! `caro config …`: preferences.
//!
//! Every command here first shows what arrived from other devices and changes what may be executed here, or lets go
//! what was kept here; only then does it take effect. Where nobody reads what is shown it takes effect only with
//! `--accept`.

mod edit;
mod set;
mod show;

use clap::Subcommand;
use uuid::Uuid;

use super::ui::visible;
use super::{CliError, Home, Ui, sync, time};
use crate::prefs::{Arrived, Preference, PreferenceStore};
use crate::sync::known_devices;

/// Your preferences, here and on all your devices
#[derive(Debug, Subcommand)]
#[command(after_long_help = "\
Preferences are in two files that you may edit too: Caro's config.toml and, beside it, sync.toml.
Once sync is set up, those marked `synced` follow you to all your devices; the latest change wins.

Examples:
  caro config show --origin                 every value and where it comes from
  caro config set safety_level strict
  caro config set sync.retention_days unlimited
  caro config undo safety_level             take the last change back, whoever made it
")]
pub(super) enum Command {
    Show(show::ShowArgs),
    Get(show::GetArgs),
    Set(set::SetArgs),
    Unset(set::UnsetArgs),
    Undo(set::UndoArgs),
    Path(show::PathArgs),
    Edit(edit::EditArgs),
}

impl Command {
    pub(super) fn run(self, ui: &mut Ui, home: &Home) -> Result<(), CliError> {
        match self {
            Self::Path(args) => return show::path(ui, home, &args),
            // Looks afterwards: until then the files may hold what keeps everything else from working.
            Self::Edit(args) => {
                edit::run(ui, home, &args)?;
                sync::after_capture(home);
                return Ok(());
            }
            _ => {}
        }
        let store = store(home)?;
        announce(ui, home, &store, matches!(&self, Self::Show(args) if args.accept))?;
        match self {
            Self::Show(args) => return show::run(ui, home, &args),
            Self::Get(args) => return show::get(ui, home, &args),
            Self::Set(args) => set::run(ui, &store, &args)?,
            Self::Unset(args) => set::unset(ui, &store, &args)?,
            Self::Undo(args) => set::undo(ui, &store, &args)?,
            Self::Path(_) | Self::Edit(_) => {}
        }
        sync::after_capture(home);
        Ok(())
    }
}

/// What this home knows of preferences that follow the user.
pub(super) fn store(home: &Home) -> Result<PreferenceStore, CliError> {
    Ok(PreferenceStore::open(home.prefs(), home.open_history()?.device_id()?))
}

/// Shows the values that arrived from other devices and were held back; then, if a person has seen them or `accept`
/// says so, they take effect.
pub(super) fn announce(ui: &Ui, home: &Home, store: &PreferenceStore, accept: bool) -> Result<(), CliError> {
    let takes_effect = accept || ui.err_is_terminal();
    store.local_changes(time::now())?;
    if let Some(notice) = store.take_notice()? {
        ui.warn(notice);
    }
    for arrived in store.arrived()? {
        ui.warn(sentence(&arrived, &device_name(home, arrived.device), takes_effect));
        ui.hint(format_args!("To keep the old value everywhere: caro config undo {}", arrived.preference.name));
        if takes_effect {
            store.take_effect(&arrived, time::now())?;
        } else {
            ui.hint("Until you have seen this on a terminal the old value holds here; or: caro config show --accept");
        }
    }
    Ok(())
}

/// What the user calls a device; its id where no name is known here.
fn device_name(home: &Home, id: Uuid) -> String {
    // A list that cannot be read is the business of other commands.
    let known = known_devices(&sync::paths(home).devices).unwrap_or_default();
    known.into_iter().find(|device| device.id == id).map_or_else(|| id.to_string(), |device| visible(&device.name))
}

fn sentence(arrived: &Arrived, device: &str, takes_effect: bool) -> String {
    let Arrived { preference, old, new, changed_at, device: _ } = arrived;
    let zone = time::local_zone();
    format!(
        "{} {} from {} to {}: it was set on the device {} at {}",
        preference.name,
        if takes_effect { "changes" } else { "is to change" },
        visible(&shown(preference, old.as_deref())),
        visible(&shown(preference, new.as_deref())),
        device,
        time::local(*changed_at, &zone),
    )
}

/// A value for people: unset ones show what holds instead.
fn shown(preference: &Preference, value: Option<&str>) -> String {
    match (value, preference.default) {
        (Some(""), _) => "not set".to_owned(),
        (Some(value), _) => value.replace('\n', "; "),
        (None, Some("") | None) => "not set".to_owned(),
        (None, Some(default)) => format!("{default} (the default)"),
    }
}
