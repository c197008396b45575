//! A damaged history is built anew by the next command that is not at the prompt, which says so.

use super::{CliError, Home, Kind, time, ui};
use crate::history::{HistoryError, Rescued, rescue};
use crate::sync::keep_from_exchanging;

/// Builds the history anew where it is damaged, and tells of it; says whether it did.
///
/// # Errors
/// Why it could not be; then everything is as it was.
pub(super) fn rebuild(home: &Home) -> Result<bool, CliError> {
    let paths = super::sync::paths(home);
    // An exchange under way would note positions in the new one as if it had what was read before.
    let _quiet = super::sync::is_set_up(home).then(|| keep_from_exchanging(&paths)).transpose()?;
    let rescued = rescue(&home.history_path(), time::now()).map_err(|error| {
        let cause = CliError::from(error);
        let failed = format!("the history database is damaged and could not be built anew: {}", cause.message);
        CliError { kind: Kind::Damaged, message: failed, ..cause }
    })?;
    if let Some(rescued) = &rescued {
        tell(home, rescued);
    }
    Ok(rescued.is_some())
}

/// What a command says that met damage half-way, after the history was built anew.
pub(super) fn instead_of(error: CliError, home: &Home) -> CliError {
    let is_damage = error.source.as_deref().and_then(|source| source.downcast_ref::<HistoryError>());
    if !is_damage.is_some_and(HistoryError::may_be_damage) {
        return error;
    }
    match rebuild(home) {
        Ok(true) => CliError::new(Kind::Damaged, "the command met the damage before it was done")
            .hinted("Run it again: the history is in order now."),
        Ok(false) => error,
        Err(failed) => failed,
    }
}

fn tell(home: &Home, rescued: &Rescued) {
    let Rescued { saved, lost, set_aside } = rescued;
    let lost = match lost {
        0 => String::new(),
        lost => format!("; {lost} could not be read"),
    };
    ui::warn_anywhere(format_args!(
        "the history database was damaged, and is built anew: {} saved{lost}",
        ui::counted(*saved, "command")
    ));
    ui::hint_anywhere(format_args!(
        "The damaged one is {}; delete it when you miss nothing, for it holds your commands too.",
        set_aside.display()
    ));
    if super::sync::is_set_up(home) {
        ui::hint_anywhere("The next sync brings back what your other devices or the relay have.");
    }
}
