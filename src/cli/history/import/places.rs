//! Where shells keep their history.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::cli::CliError;
use crate::history::import::Kind;

/// The directories and variables on which the places depend.
struct Places<V> {
    home: PathBuf,
    /// Where programs of this platform keep their settings, and their data.
    settings: PathBuf,
    data: PathBuf,
    var: V,
}

/// The history of this kind: the one that changed last, else the first place where it could be.
pub(super) fn usual(kind: Kind) -> Result<PathBuf, CliError> {
    let candidates = from_env()?.candidates(kind);
    let changed = |path: &PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let latest = candidates.iter().filter(|path| path.is_file()).max_by_key(|path| changed(path));
    latest.or(candidates.first()).cloned().ok_or_else(unknown)
}

/// Every history there is.
pub(super) fn found() -> Result<Vec<(Kind, PathBuf)>, CliError> {
    let places = from_env()?;
    let all = Kind::ALL.into_iter().flat_map(|kind| places.candidates(kind).into_iter().map(move |path| (kind, path)));
    Ok(all.filter(|(_, path)| path.is_file()).collect())
}

fn unknown() -> CliError {
    CliError::usage("the home directory is unknown").hinted("Name the history file with `--file FILE`.")
}

fn from_env() -> Result<Places<impl Fn(&str) -> Option<OsString>>, CliError> {
    let base = etcetera::base_strategy::choose_native_strategy().map_err(|error| unknown().caused_by(error))?;
    Ok(Places {
        home: base.home_dir().to_owned(),
        settings: base.config_dir(),
        data: base.data_dir(),
        var: |name: &str| env::var_os(name),
    })
}

impl<V: Fn(&str) -> Option<OsString>> Places<V> {
    /// The places of a kind, the likeliest first, each once.
    fn candidates(&self, kind: Kind) -> Vec<PathBuf> {
        let mut places: Vec<PathBuf> = match kind {
            Kind::Bash => {
                let named = self.histfile(&["bash"]);
                // Who names a file keeps the history there.
                vec![named.unwrap_or_else(|| self.home.join(".bash_history"))]
            }
            Kind::Zsh => {
                let names = [".zsh_history", ".zhistory", ".histfile"];
                let folder = self.path("ZDOTDIR").unwrap_or_else(|| self.home.clone());
                let all = names.iter().map(|name| folder.join(name));
                self.histfile(&["zsh", "zhist", ".histfile"]).into_iter().chain(all).collect()
            }
            Kind::Fish => vec![self.xdg_data().join("fish/fish_history")],
            Kind::Nu => {
                let xdg = self.path("XDG_CONFIG_HOME");
                let folder = xdg.unwrap_or_else(|| self.settings.clone()).join("nushell");
                vec![folder.join("history.txt"), folder.join("history.sqlite3")]
            }
            Kind::PowerShell if cfg!(windows) => {
                vec![self.data.join("Microsoft/Windows/PowerShell/PSReadLine/ConsoleHost_history.txt")]
            }
            Kind::PowerShell => vec![self.xdg_data().join("powershell/PSReadLine/ConsoleHost_history.txt")],
            Kind::Atuin => {
                if let Some(named) = self.path("ATUIN_DB_PATH") {
                    return vec![named];
                }
                // The second is that of newer versions.
                vec![self.xdg_data().join("atuin/history.db"), self.home.join(".atuin/data/history.db")]
            }
        };
        let mut seen = Vec::new();
        places.retain(|path| {
            !seen.contains(path) && {
                seen.push(path.clone());
                true
            }
        });
        places
    }

    /// HISTFILE, if what it names looks like a file of this shell: its value is handed on from shell to shell.
    fn histfile(&self, names: &[&str]) -> Option<PathBuf> {
        self.path("HISTFILE").filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            names.iter().any(|part| name.contains(part))
        })
    }

    /// Where these programs keep data on any platform, unless XDG_DATA_HOME says.
    fn xdg_data(&self) -> PathBuf {
        self.path("XDG_DATA_HOME").unwrap_or_else(|| self.home.join(Path::new(".local/share")))
    }

    fn path(&self, var: &str) -> Option<PathBuf> {
        (self.var)(var).filter(|value| !value.is_empty()).map(PathBuf::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(kind: Kind, vars: &'static [(&'static str, &'static str)]) -> Vec<PathBuf> {
        let var = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        let places = Places { home: "/h".into(), settings: "/h/.config".into(), data: "/h/.local/share".into(), var };
        places.candidates(kind)
    }

    #[test]
    fn a_named_file_is_that_of_the_shell_it_looks_like() {
        let zsh: &[_] = &[("HISTFILE", "/x/.zsh_history")];
        assert_eq!(candidates(Kind::Zsh, zsh)[0], Path::new("/x/.zsh_history"));
        assert_eq!(candidates(Kind::Bash, zsh), [Path::new("/h/.bash_history")]);
        assert_eq!(candidates(Kind::Bash, &[("HISTFILE", "/x/bash.log")]), [Path::new("/x/bash.log")]);
        assert_eq!(candidates(Kind::Zsh, &[("HISTFILE", "/h/.zhistory")]).len(), 3);
    }

    #[test]
    fn the_usual_places() {
        assert_eq!(candidates(Kind::Fish, &[]), [Path::new("/h/.local/share/fish/fish_history")]);
        assert_eq!(candidates(Kind::Fish, &[("XDG_DATA_HOME", "/d")]), [Path::new("/d/fish/fish_history")]);
        assert_eq!(candidates(Kind::Nu, &[])[1], Path::new("/h/.config/nushell/history.sqlite3"));
        assert_eq!(candidates(Kind::Nu, &[("XDG_CONFIG_HOME", "/c")])[0], Path::new("/c/nushell/history.txt"));
        assert_eq!(candidates(Kind::Atuin, &[("ATUIN_DB_PATH", "/a.db")]), [Path::new("/a.db")]);
        assert_eq!(candidates(Kind::Zsh, &[("ZDOTDIR", "/z")])[0], Path::new("/z/.zsh_history"));
    }
}
