//! Which relay's store a command is about: the one that `caro relay serve` would use.

use std::path::PathBuf;

use clap::Args;

use super::settings::{self, Settings};
use crate::cli::{CliError, Home};

/// Where the store is.
#[derive(Debug, Args)]
pub(super) struct FolderArgs {
    /// The folder of the relay's store; your data directory's `relay` unless given
    #[arg(long, value_name = "DIR", env = "CARO_RELAY_DATA_DIR", hide_env_values = true)]
    data_dir: Option<PathBuf>,

    /// The relay's settings file, which may name the folder
    #[arg(long, value_name = "FILE", env = "CARO_RELAY_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

impl FolderArgs {
    /// The folder.
    pub(super) fn folder(self, home: &Home) -> Result<PathBuf, CliError> {
        folder(self.settings(home, None)?)
    }

    /// What that relay is told, as far as it stands in its file; `relay_url` counts before that.
    pub(super) fn settings(self, home: &Home, relay_url: Option<String>) -> Result<Settings, CliError> {
        let file = settings::file(self.config, home)?;
        Settings { data_dir: self.data_dir, relay_url, ..Settings::default() }.complete(file.as_deref(), home, &[])
    }
}

/// The folder of a relay that is told this.
pub(super) fn folder(settings: Settings) -> Result<PathBuf, CliError> {
    settings.data_dir.filter(|_| !settings.in_memory).ok_or_else(|| {
        CliError::usage("the settings say that this relay keeps everything in memory")
            .hinted("Name a store with --data-dir.")
    })
}
