//! `caro relay restore`: a backup takes the place of a relay's store.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::folder::FolderArgs;
use crate::cli::{CliError, Home, Ui, ui};
use crate::relay;

/// Version of what `--json` prints.
const SCHEMA_VERSION: u32 = 1;

/// Put a backup in the place of the relay's store.
///
/// The backup is checked first, and the store that was there is kept beside it. The relay must not run. Devices that
/// exchange afterwards bring again what they hold and the backup lacks. For a PostgreSQL database there is `pg_restore`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro relay restore relay-backup.db
  caro relay restore --data-dir /var/lib/caro-relay /mnt/backup/relay.db
")]
pub(in crate::cli) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    folder: FolderArgs,

    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    covalues: u64,
    accounts: u64,
    kept: Option<PathBuf>,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: RestoreArgs) -> Result<(), CliError> {
    if !args.file.is_file() {
        return Err(CliError::usage(format!("there is no file {}", args.file.display())));
    }
    let folder = args.folder.folder_of_file(home, |database| {
        format!(
            "Stop its relays, then `pg_restore --clean --if-exists --single-transaction --dbname='{}' {}`.",
            database.for_its_tools(),
            args.file.display()
        )
    })?;
    let mut progress = ui.progress(0, "CoValues checked");
    let restored = relay::restore(&folder, &args.file, |done, all| progress.set_of(done, all))?;
    drop(progress);
    let relay::Restored { covalues, accounts, kept } = restored;
    if args.json {
        return ui.json(&Report { schema_version: SCHEMA_VERSION, covalues, accounts, kept });
    }
    ui.status(format_args!(
        "{} of {} are in the store now.",
        ui::counted(covalues, "CoValue"),
        ui::counted(accounts, "account")
    ));
    if let Some(kept) = kept {
        ui.status(format_args!("What was there before is {}; delete it when all is well.", kept.display()));
    }
    Ok(())
}
