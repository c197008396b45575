//! What is recorded, by the preferences of this home.
//!
//! What `sync.toml` says is noted beside the history each time it changes. A slip in that file must not record what a rule
//! excludes, so at the prompt, where nobody can be asked, what was noted last counts until it can be read again. That this is
//! so is told once, by the next command that is not at the prompt.

use std::path::PathBuf;

use super::super::{CliError, Home, Ui};
use crate::history::Intake;
use crate::prefs::Recording;
use crate::private_file;

/// What the file says that tells of a `sync.toml` which cannot be read.
const UNTOLD: &[u8] = b"untold";
const TOLD: &[u8] = b"told";

/// What is let in.
///
/// # Errors
/// Where the preferences cannot be read.
pub(super) fn load(home: &Home) -> Result<Intake, CliError> {
    let recording = Recording::load(&home.prefs().sync)?;
    if let Err(error) = recording.note(&noted(home)) {
        tracing::info!(%error, "the preferences of recording are not noted");
    }
    drop(std::fs::remove_file(unreadable(home)));
    compile(&recording)
}

/// [`load`] for the prompt: where the preferences cannot be read, what was noted last.
pub(super) fn load_or_last(home: &Home) -> Intake {
    load(home).unwrap_or_else(|error| {
        tracing::warn!(%error, "the preferences of recording cannot be read");
        if !unreadable(home).exists() {
            write(home, UNTOLD);
        }
        let last = Recording::load(&noted(home)).unwrap_or_default();
        compile(&last).unwrap_or_default()
    })
}

/// Says, once, that the prompt could not read the preferences.
pub(super) fn tell(ui: &Ui, home: &Home) {
    if std::fs::read(unreadable(home)).is_ok_and(|said| said == UNTOLD) {
        // It may have been mended since.
        match Recording::load(&home.prefs().sync) {
            Ok(_) => drop(std::fs::remove_file(unreadable(home))),
            Err(error) => {
                ui.warn(error);
                ui.hint(
                    "What is recorded follows the rules that it held before, until it can be read: caro config edit --sync",
                );
                write(home, TOLD);
            }
        }
    }
}

fn compile(recording: &Recording) -> Result<Intake, CliError> {
    recording.intake().map_err(|error| CliError::usage(format!("history.filter: {error}")))
}

/// What `sync.toml` said last.
fn noted(home: &Home) -> PathBuf {
    home.data_dir.join("recording.toml")
}

/// There while the prompt cannot read `sync.toml`.
fn unreadable(home: &Home) -> PathBuf {
    home.state_dir.join("rules-unreadable")
}

fn write(home: &Home, said: &[u8]) {
    let written =
        private_file::make_folder(&home.state_dir).and_then(|()| private_file::replace(&unreadable(home), said));
    if let Err(error) = written {
        tracing::info!(%error, "that the preferences cannot be read is not noted");
    }
}
