//! What a user should know of this home's place in its account, before anything else is said of sync.

use super::paths;
use crate::cli::{CliError, Home, Ui};
use crate::sync::{SCHEMA_VERSION, SyncState};

/// Says on standard error what is out of the ordinary.
pub(super) fn tell(ui: &Ui, home: &Home) -> Result<(), CliError> {
    let Some(state) = SyncState::load(&paths(home).state)? else { return Ok(()) };
    if state.removed {
        ui.warn("this device was removed from your synced devices; `caro sync restore` joins again");
    }
    if let Some(closed) = &state.closed {
        ui.warn(closed.error());
    }
    if state.revoking.is_some() {
        ui.warn("`caro sync revoke` was interrupted; run it again, until then nothing is exchanged");
    }
    if state.closing.is_some() && state.revoking.is_none() {
        ui.warn("`caro sync delete --everywhere` was interrupted; run it again, until then nothing is exchanged");
    }
    if let Some(newer) = state.newer_schema {
        ui.warn(format_args!(
            "another device uses a newer version of caro (data version {newer}, this one knows {SCHEMA_VERSION}); what \
             this machine cannot read yet is kept until you upgrade it"
        ));
    }
    if state.copy_of.is_some() {
        ui.hint(
            "This home is a copy of another device's and syncs as one of its own; `caro sync devices rename` names it.",
        );
        SyncState::update(&paths(home).state, |state| state.copy_of = None)?;
    }
    Ok(())
}
