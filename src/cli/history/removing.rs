//! What the commands that remove something have in common: to say first what would go, to ask, and to keep it for
//! `caro history undo`.

use serde::Serialize;
use uuid::Uuid;

use super::super::sync::is_set_up;
use super::super::ui::{counted, visible};
use super::super::{CliError, Home, Ui, time};
use super::output::SCHEMA_VERSION;
use crate::history::{History, Record, secrets};

/// Commands that are shown before they are removed.
const SHOWN: usize = 10;

/// How to go about it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct How {
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do it without asking
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Erase it from this machine's disk at once: nothing is kept for `caro history undo`
    #[arg(long)]
    pub(super) for_good: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What was deleted, or would be, as JSON, version 1.
#[derive(Serialize)]
struct DeletedJson {
    schema_version: u32,
    dry_run: bool,
    deleted: Vec<String>,
}

impl How {
    /// Deletes the records, unless this is only to say what would go; asks first, where it is to.
    pub(super) fn delete(
        &self,
        ui: &Ui,
        home: &Home,
        history: &History,
        ids: &[Uuid],
        show: &[String],
    ) -> Result<(), CliError> {
        if self.dry_run || ids.is_empty() {
            return Ok(());
        }
        if !self.yes {
            ask(ui, home, ids.len(), show)?;
        }
        if self.for_good {
            history.delete(ids, time::now())?;
        } else {
            history.remove(ids, time::now())?;
            offer_undo(ui, home, "unless another device has been told before");
        }
        Ok(())
    }

    /// Says what was deleted, or as JSON what would be; false where it is still to be said what would be.
    pub(super) fn say_deleted(&self, ui: &mut Ui, ids: &[Uuid]) -> Result<bool, CliError> {
        if self.json {
            let deleted = ids.iter().map(Uuid::to_string).collect();
            ui.json(&DeletedJson { schema_version: SCHEMA_VERSION, dry_run: self.dry_run, deleted })?;
        } else if !self.dry_run {
            ui.line(format_args!("deleted {}", commands(ids.len())))?;
        }
        Ok(self.json || !self.dry_run)
    }
}

/// Says that it can be taken back, to whoever reads it; `unless` holds where sync is set up.
pub(super) fn offer_undo(ui: &Ui, home: &Home, unless: &str) {
    if ui.err_is_terminal() {
        let unless = if is_set_up(home) { format!(", {unless}") } else { String::new() };
        ui.hint(format_args!("Within a minute, `caro history undo` takes it back{unless}."));
    }
}

fn ask(ui: &Ui, home: &Home, count: usize, show: &[String]) -> Result<(), CliError> {
    let mut terminal = ui.terminal("--yes")?;
    for line in show.iter().rev().take(SHOWN).rev() {
        terminal.show(&format!("  {line}\n"))?;
    }
    if show.len() > SHOWN {
        terminal.show(&format!("  and {} older ones\n", show.len() - SHOWN))?;
    }
    let (which, they) = if count == 1 {
        ("this command".to_owned(), "it was")
    } else {
        (format!("these {count} commands"), "they were")
    };
    let everywhere = if is_set_up(home) { format!(", here and wherever {they} synced to") } else { String::new() };
    if terminal.confirm(&format!("Delete {which}{everywhere}?"))? {
        Ok(())
    } else {
        Err(CliError::declined("nothing was deleted"))
    }
}

/// The command on one line, without what a terminal would obey.
pub(super) fn one_line(record: &Record) -> String {
    visible(&record.command).replace('\n', " ⏎ ")
}

/// [`one_line`] without the secrets in it.
pub(super) fn masked_line(record: &Record) -> String {
    visible(&secrets::mask(&record.command)).replace('\n', " ⏎ ")
}

/// `1 command`, `2 commands`.
pub(super) fn commands(count: usize) -> String {
    counted(count as u64, "command")
}
