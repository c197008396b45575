//! `sync.toml`: what the user chose about sync. The file is edited in place: comments, keys of a newer version and
//! the preferences that [`Settings`](crate::prefs::Settings) reads from it stay.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SyncError;
use crate::prefs::document;

/// What the user chose about sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SyncConfig {
    /// Address of the relay; none: identity now, relay later. May carry a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// PEM file with the root certificate of a relay of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_certificate: Option<PathBuf>,
    /// How this device calls itself to the user's other devices.
    #[serde(default)]
    pub device_name: String,
    /// The other keys of the file, as they were read; saving leaves them as they are in the file.
    #[serde(flatten)]
    pub unknown: toml::Table,
}

impl SyncConfig {
    /// Reads the file; the default where there is none.
    ///
    /// # Errors
    ///
    /// [`SyncError::Config`] where it is not valid, [`SyncError::File`] where it cannot be read.
    pub fn load(path: &Path) -> Result<Self, SyncError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(SyncError::File { file: path.display().to_string(), action: "read", source });
            }
        };
        toml::from_str(&text)
            .map_err(|e| SyncError::Config { file: path.display().to_string(), reason: e.message().to_owned() })
    }

    /// Writes the file, whole or not at all. A new one is readable by its owner alone.
    ///
    /// # Errors
    ///
    /// [`SyncError::Preferences`].
    pub fn save(&self, path: &Path) -> Result<(), SyncError> {
        let certificate = self.relay_certificate.as_ref().map(|path| path.to_string_lossy().into_owned());
        document::edit(path, document::SYNC_HEADER, |file| {
            let file = file.as_table_mut();
            document::put(file, "relay", self.relay.as_deref().map(Into::into));
            document::put(file, "relay_certificate", certificate.map(Into::into));
            document::put(file, "device_name", Some(self.device_name.as_str().into()));
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_newer_version_survive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.toml");
        std::fs::write(
            &path,
            "# mine\nrelay = \"wss://r.example\" # home\nfrequency = \"hourly\"\n[filters]\nexclude = [\"x\"]\n",
        )
        .unwrap();
        let mut config = SyncConfig::load(&path).unwrap();
        config.device_name = "laptop".into();
        config.save(&path).unwrap();
        let again = SyncConfig::load(&path).unwrap();
        assert_eq!(again, config);
        assert_eq!(again.unknown["frequency"].as_str(), Some("hourly"));
        assert!(again.unknown["filters"].is_table());
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("# mine\nrelay = \"wss://r.example\" # home\n"));
    }

    #[test]
    fn nonsense_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.toml");
        std::fs::write(&path, "relay = [").unwrap();
        let error = SyncConfig::load(&path).unwrap_err();
        assert!(error.to_string().contains("sync.toml"), "{error}");
    }
}
