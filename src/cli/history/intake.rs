//! What is recorded, by the preferences of this home.

use super::super::{CliError, Home};
use crate::history::Intake;
use crate::prefs::Recording;

/// What is let in.
///
/// # Errors
/// Where the preferences cannot be read.
pub(super) fn load(home: &Home) -> Result<Intake, CliError> {
    let recording = Recording::load(&home.prefs().sync)?;
    recording.intake().map_err(|error| CliError::usage(format!("history.filter: {error}")))
}

/// [`load`] for the prompt: preferences that cannot be read keep nothing from being recorded but secrets, since
/// `caro history prune` can make up for that, and nothing for a lost history.
pub(super) fn load_or_default(home: &Home) -> Intake {
    load(home).unwrap_or_else(|error| {
        tracing::warn!(%error, "the preferences of recording cannot be read");
        Intake::default()
    })
}
