//! Where this user's files are: resolved once at start-up, from the environment.
//!
//! `CARO_CONFIG_DIR`, `CARO_DATA_DIR` and `CARO_STATE_DIR` replace one directory each. Otherwise the
//! platform decides: on Linux the XDG base directories, on macOS `Application Support`, where Caro's
//! own `config.toml` lies too, on Windows the roaming and the local application data.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy;

use super::error::CliError;
use super::{rescue, time};
use crate::history::{History, HistoryError, Place, Waiting};
use crate::machine;
use crate::prefs::PrefsPaths;

/// The name of our directory inside the platform's.
const NAME: &str = "caro";

/// The directories of one installation; two of them on one machine are two devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Preferences.
    pub config_dir: PathBuf,
    /// The history, the sync store, keys.
    pub data_dir: PathBuf,
    /// Logs, locks, sockets.
    pub state_dir: PathBuf,
}

impl Home {
    /// The directories this process is to use.
    ///
    /// # Errors
    /// Where neither the overrides nor a home directory are known, or the working directory is gone
    /// and an override is relative.
    pub fn from_env() -> Result<Self, CliError> {
        Self::resolve(|name| env::var_os(name))
    }

    fn resolve(var: impl Fn(&str) -> Option<OsString>) -> Result<Self, CliError> {
        let given = |name: &str| {
            var(name).filter(|value| !value.is_empty()).map(|value| absolute(name, Path::new(&value))).transpose()
        };
        let config = given("CARO_CONFIG_DIR")?;
        let data = given("CARO_DATA_DIR")?;
        let state = given("CARO_STATE_DIR")?;
        if let (Some(config_dir), Some(data_dir), Some(state_dir)) = (&config, &data, &state) {
            return Ok(Self {
                config_dir: config_dir.clone(),
                data_dir: data_dir.clone(),
                state_dir: state_dir.clone(),
            });
        }
        let platform = platform()?;
        Ok(Self {
            config_dir: config.unwrap_or(platform.config_dir),
            data_dir: data.unwrap_or(platform.data_dir),
            state_dir: state.unwrap_or(platform.state_dir),
        })
    }

    /// The history database.
    pub fn history_path(&self) -> PathBuf {
        self.data_dir.join("history.db")
    }

    /// The files that hold preferences.
    pub fn prefs(&self) -> PrefsPaths {
        PrefsPaths::new(&self.config_dir, &self.data_dir)
    }

    /// Opens the history, creating it on the first run. A damaged one is built anew from what can be read.
    ///
    /// # Errors
    /// See [`History::open`].
    pub fn open_history(&self) -> Result<History, CliError> {
        let open = || -> Result<History, HistoryError> {
            let history = History::open(self.history_path())?;
            self.settle(&history)?;
            Ok(history)
        };
        let history = match open() {
            Err(error) if error.may_be_damage() => {
                rescue::rebuild(self)?;
                open()?
            }
            opened => opened?,
        };
        // Not at the prompt: it may be much that is erased.
        if let Err(error) = history.expire_removals(time::now()) {
            tracing::info!(%error, "what was removed a while ago is still kept");
        }
        Ok(history)
    }

    /// [`open_history`](Self::open_history) for the prompt, which would rather put a command
    /// [aside](Self::waiting) than wait longer than `patience` for another process.
    ///
    /// # Errors
    /// See [`History::open_within`].
    pub fn open_history_within(&self, patience: Duration) -> Result<History, HistoryError> {
        let history = History::open_within(self.history_path(), patience)?;
        self.settle(&history)?;
        Ok(history)
    }

    /// Brings the layout up to date and stores what was put aside; a damaged history is left for a command that can tell of it.
    ///
    /// # Errors
    /// See [`History::open`].
    pub fn take_in(&self) -> Result<(), HistoryError> {
        self.settle(&History::open(self.history_path())?)
    }

    /// Commands that could not be stored at once; opening the history takes them in.
    pub fn waiting(&self) -> Waiting {
        Waiting::new(self.data_dir.join("waiting"))
    }

    fn settle(&self, history: &History) -> Result<(), HistoryError> {
        let path = self.history_path();
        let path = path.canonicalize().unwrap_or(path);
        let path = machine::cloned_place().map_or(path, PathBuf::from);
        history.settle(&Place { machine: machine::id().unwrap_or_default(), path })?;
        match history.take_in(&self.waiting()) {
            // The next one will.
            Ok(_) | Err(HistoryError::Busy(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn absolute(name: &str, path: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(path).map_err(|error| {
        CliError::usage(format!("{name} is a relative path and the working directory is unknown"))
            .hinted(format!("Set {name} to a path that begins at the root."))
            .caused_by(error)
    })
}

fn platform() -> Result<Home, CliError> {
    let base = etcetera::base_strategy::choose_native_strategy().map_err(|error| {
        CliError::usage("the home directory is unknown")
            .hinted("Set HOME, or all of CARO_CONFIG_DIR, CARO_DATA_DIR and CARO_STATE_DIR.")
            .caused_by(error)
    })?;
    let data_dir = base.data_dir().join(NAME);
    let config_dir = if cfg!(target_os = "macos") { data_dir.clone() } else { base.config_dir().join(NAME) };
    let state_dir = match base.state_dir() {
        Some(state) => state.join(NAME),
        None if cfg!(windows) => base.cache_dir().join(NAME),
        None => data_dir.clone(),
    };
    Ok(Home { config_dir, data_dir, state_dir })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(vars: &[(&str, &str)]) -> Home {
        Home::resolve(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))).unwrap()
    }

    #[test]
    fn overrides_replace_the_whole_directory() {
        let home =
            resolve(&[("CARO_CONFIG_DIR", "/x/config"), ("CARO_DATA_DIR", "/x/data"), ("CARO_STATE_DIR", "relative")]);
        assert_eq!(home.config_dir, Path::new("/x/config"));
        assert_eq!(home.history_path(), Path::new("/x/data/history.db"));
        assert_eq!(home.state_dir, env::current_dir().unwrap().join("relative"));
    }

    #[test]
    fn an_empty_override_counts_as_none() {
        let home = resolve(&[("CARO_CONFIG_DIR", ""), ("CARO_DATA_DIR", "/x/data")]);
        assert!(home.config_dir.ends_with(NAME));
        assert!(home.config_dir.is_absolute());
        assert_eq!(home.data_dir, Path::new("/x/data"));
    }
}
