//! `caro relay backup`: a copy of a relay's store, also while it runs.

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;
use serde::Serialize;

use super::folder::FolderArgs;
use crate::cli::{CliError, Home, Ui, ui};
use crate::relay;

/// Version of what `--json` prints.
const SCHEMA_VERSION: u32 = 1;

/// Copy the relay's store to a file, also while the relay runs.
///
/// The copy is what the store held at one moment. It is private to you, and on disk when this ends. Settings, tokens and
/// certificates are files of yours, and not in it. A PostgreSQL database is copied with `pg_dump`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  caro relay backup relay-backup.db
  caro relay backup --data-dir /var/lib/caro-relay --force /mnt/backup/relay.db
")]
pub(in crate::cli) struct BackupArgs {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    folder: FolderArgs,

    /// Replace the file if it is there
    #[arg(long)]
    force: bool,

    /// Print one JSON value
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    file: PathBuf,
    covalues: u64,
    accounts: u64,
    bytes: u64,
}

pub(super) fn run(ui: &mut Ui, home: &Home, args: BackupArgs) -> Result<(), CliError> {
    let folder = args.folder.folder_of_file(home, |database| {
        format!(
            "`pg_dump --format=custom --file={} --dbname='{}'` copies it as it is at one moment, while relays run too. \
             Invitations are in it.",
            args.file.display(),
            database.for_its_tools()
        )
    })?;
    let made = relay::backup(&folder, &args.file, args.force)?;
    let file = args.file;
    if args.json {
        let relay::Backup { covalues, accounts, bytes } = made;
        return ui.json(&Report { schema_version: SCHEMA_VERSION, file, covalues, accounts, bytes });
    }
    ui.status(format_args!(
        "{} of {} are in {} ({}).",
        ui::counted(made.covalues, "CoValue"),
        ui::counted(made.accounts, "account"),
        file.display(),
        HumanBytes(made.bytes)
    ));
    Ok(())
}
