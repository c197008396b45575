//! `caro config …`: preferences.
//!
//! Every command here first shows what arrived from other devices and changes what may be executed here; only then
//! does it take effect.

mod edit;
mod set;
mod show;

use clap::Subcommand;

use super::{CliError, Home, Ui, sync, time};
use crate::prefs::{Arrived, Preference, PreferenceStore};

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
        announce(ui, &store)?;
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

/// Shows the values that arrived from other devices and were held back; then they take effect.
pub(super) fn announce(ui: &Ui, store: &PreferenceStore) -> Result<(), CliError> {
    store.local_changes(time::now())?;
    if let Some(notice) = store.take_notice()? {
        ui.warn(notice);
    }
    for arrived in store.arrived()? {
        ui.warn(sentence(&arrived));
        ui.hint(format_args!("To keep the old value everywhere: caro config undo {}", arrived.preference.name));
        store.take_effect(&arrived, time::now())?;
    }
    Ok(())
}

fn sentence(arrived: &Arrived) -> String {
    let Arrived { preference, old, new, device, changed_at } = arrived;
    let zone = time::local_zone();
    format!(
        "{} changes from {} to {}: it was set on the device {} at {}",
        preference.name,
        shown(preference, old.as_deref()),
        shown(preference, new.as_deref()),
        device,
        time::local(*changed_at, &zone),
    )
}

/// A value for people: unset ones show what holds instead.
fn shown(preference: &Preference, value: Option<&str>) -> String {
    match (value, preference.default) {
        (Some(value), _) => value.to_owned(),
        (None, Some("") | None) => "not set".to_owned(),
        (None, Some(default)) => format!("{default} (the default)"),
    }
}
