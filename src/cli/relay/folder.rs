//! Which relay's store a command is about: the one that `caro relay serve` would use.

use std::path::PathBuf;

use clap::Args;

use super::settings::{self, Settings};
use crate::cli::{CliError, Home};
use crate::relay::Place;
use crate::server::DatabaseAddress;

/// Where the store is.
#[derive(Debug, Args)]
pub(super) struct FolderArgs {
    /// The folder of the relay's store; your data directory's `relay` unless given
    #[arg(long, value_name = "DIR", env = "CARO_RELAY_DATA_DIR", hide_env_values = true)]
    data_dir: Option<PathBuf>,

    /// The relay's settings file, which may name the folder or the database
    #[arg(long, value_name = "FILE", env = "CARO_RELAY_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    /// The PostgreSQL database that is the relay's store: postgres://user:password@host/name
    #[arg(long, value_name = "URL", env = "CARO_RELAY_DATABASE", hide_env_values = true)]
    database: Option<DatabaseAddress>,

    /// PEM file with the certificates that the database is checked with; those of the system unless given
    #[arg(long, value_name = "FILE", env = "CARO_RELAY_DATABASE_CA", hide_env_values = true)]
    database_ca: Option<PathBuf>,
}

impl FolderArgs {
    /// The folder of a relay whose store is a file there; `instead` says what does the same for a database.
    pub(super) fn folder_of_file(
        self,
        home: &Home,
        instead: impl FnOnce(&DatabaseAddress) -> String,
    ) -> Result<PathBuf, CliError> {
        match place(self.settings(home, None)?)? {
            Place::Folder(folder) => Ok(folder),
            Place::Database { address, .. } => {
                let held = format!("what this relay holds is in the database at {address}, which has tools of its own");
                Err(CliError::usage(held).hinted(instead(&address)))
            }
        }
    }

    /// What that relay is told, as far as it stands in its file; `relay_url` counts before that.
    pub(super) fn settings(self, home: &Home, relay_url: Option<String>) -> Result<Settings, CliError> {
        let file = settings::file(self.config, home)?;
        let (data_dir, database, database_ca) = (self.data_dir, self.database, self.database_ca);
        Settings { data_dir, database, database_ca, relay_url, ..Settings::default() }.complete(
            file.as_deref(),
            home,
            &[],
        )
    }
}

/// Where a relay that is told this has what it holds.
pub(super) fn place(settings: Settings) -> Result<Place, CliError> {
    match settings.database {
        Some(address) => Ok(Place::Database { address, root_certificate: settings.database_ca }),
        None => folder(settings).map(Place::Folder),
    }
}

/// The folder of a relay that is told this.
pub(super) fn folder(settings: Settings) -> Result<PathBuf, CliError> {
    settings.data_dir.filter(|_| !settings.in_memory).ok_or_else(|| {
        CliError::usage("the settings say that this relay keeps everything in memory")
            .hinted("Name a store with --data-dir.")
    })
}
