//! `caro relay check`: whether a relay's store is sound, and what to do where it is not.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::folder::FolderArgs;
use crate::cli::{CliError, Home, Kind, Ui, ui};
use crate::relay::{self, Checked};

/// Version of what `--json` prints.
const SCHEMA_VERSION: u32 = 1;

/// Check that what the relay's store holds is what was written to it.
///
/// Looks at the database's structure, at every id, and at the signature of every log; nothing is written, and the relay may
/// run meanwhile. Ends with 6 where something is damaged. With --quarantine, for which the relay must not run, what is damaged
/// is taken out into a file beside the store; `caro sync verify --repair` on a device brings again what that one holds. For a
/// PostgreSQL database there is `pg_amcheck`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro relay check
  caro relay check --data-dir /var/lib/caro-relay --json
  caro relay check --quarantine
")]
pub(in crate::cli) struct CheckArgs {
    #[command(flatten)]
    folder: FolderArgs,

    /// Take out what is damaged, and keep it in a file beside the store
    #[arg(long)]
    quarantine: bool,

    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    sound: bool,
    covalues: u64,
    accounts: u64,
    sessions: u64,
    unsigned_sessions: u64,
    orphans: u64,
    structure: Vec<String>,
    damaged: Vec<DamagedValue>,
    kept: Option<PathBuf>,
    covalues_left: Option<u64>,
}

#[derive(Serialize)]
struct DamagedValue {
    id: String,
    whole: bool,
    reason: &'static str,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: CheckArgs) -> Result<(), CliError> {
    let folder = args.folder.folder_of_file(home, |database| {
        format!(
            "`pg_amcheck --install-missing --heapallindexed '{}'` looks whether it is sound, and `caro sync verify` on a \
             device whether what it holds of that device's account is.",
            database.for_its_tools()
        )
    })?;
    let mut progress = ui.progress(0, "CoValues checked");
    let looked = |done, all| progress.set_of(done, all);
    let (found, kept, left) = if args.quarantine {
        let done = relay::quarantine(&folder, looked)?;
        (done.found, done.kept, Some(done.left))
    } else {
        (relay::check(&folder, looked)?, None, None)
    };
    drop(progress);
    if args.json {
        ui.json(&report(&found, kept.clone(), left.as_ref()))?;
    } else {
        for line in in_words(&found) {
            ui.line(line)?;
        }
    }
    match (found.is_sound(), kept) {
        (true, _) => Ok(()),
        (false, Some(kept)) => {
            let left = left.map_or(0, |left| left.covalues);
            ui.status(format_args!("What was damaged is in {}.", kept.display()));
            ui.status(format_args!(
                "{} are left. Once the relay runs, `caro sync verify --repair` on each device brings again what it holds.",
                ui::counted(left, "CoValue")
            ));
            Ok(())
        }
        (false, None) => Err(CliError::new(Kind::Damaged, "the relay's store is damaged").hinted(
            "Stop the relay; then put a backup back with `caro relay restore`, or take out what is damaged with \
             `caro relay check --quarantine`.",
        )),
    }
}

fn report(found: &Checked, kept: Option<PathBuf>, left: Option<&Checked>) -> Report {
    let damaged =
        |damage: &relay::Damage| DamagedValue { id: damage.id.clone(), whole: damage.whole, reason: damage.what };
    Report {
        schema_version: SCHEMA_VERSION,
        sound: found.is_sound(),
        covalues: found.covalues,
        accounts: found.accounts,
        sessions: found.sessions,
        unsigned_sessions: found.unsigned,
        orphans: found.orphans,
        structure: found.structure.clone(),
        damaged: found.damaged.iter().map(damaged).collect(),
        kept,
        covalues_left: left.map(|left| left.covalues),
    }
}

fn in_words(found: &Checked) -> Vec<String> {
    let mut lines = vec![format!(
        "{} of {}, {} checked",
        ui::counted(found.covalues, "CoValue"),
        ui::counted(found.accounts, "account"),
        ui::counted(found.sessions, "log")
    )];
    if found.unsigned > 0 {
        lines
            .push(format!("{} by authors whose account is not here: only counted", ui::counted(found.unsigned, "log")));
    }
    lines.extend(found.structure.iter().map(|said| format!("broken      {}", ui::visible(said))));
    if found.orphans > 0 {
        lines.push(format!("broken      {} that belong to nothing", ui::counted(found.orphans, "row")));
    }
    for damage in &found.damaged {
        let part = if damage.whole { "" } else { " (one device's part)" };
        lines.push(format!("damaged     {}: {}{part}", ui::visible(&damage.id), damage.what));
    }
    if found.is_sound() {
        lines.push("nothing is damaged".to_owned());
    }
    lines
}
