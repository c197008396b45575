//! The preferences that sync and recording obey, as typed values.

use std::path::Path;
use std::str::FromStr;

use super::{Preference, PrefsError, Result, document, find};
use crate::history::Intake;
use crate::history::filter::{Filter, FilterRule, RuleError};

/// How long records stay in sync, unless the user says otherwise.
pub const DEFAULT_RETENTION_DAYS: u32 = 90;
/// How many records stay in sync, unless the user says otherwise.
pub const DEFAULT_MAX_RECORDS: u64 = 10_000;
/// A command longer than this, in bytes, is a large one.
pub const LARGE_RECORD: usize = 10 * 1024;

/// When sync happens by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frequency {
    /// After each command.
    #[default]
    Realtime,
    /// Once an hour.
    Hourly,
    /// Once a day.
    Daily,
    /// Never.
    Manual,
}

impl Frequency {
    /// The name in files and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Realtime => "realtime",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Manual => "manual",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Realtime, Self::Hourly, Self::Daily, Self::Manual].into_iter().find(|one| one.as_str() == name)
    }
}

/// What sync does with commands over [`LARGE_RECORD`]; they stay whole on the device that ran them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LargeRecords {
    /// They go up shortened, with a mark.
    #[default]
    Truncate,
    /// They stay here.
    Exclude,
}

/// The preferences that sync obeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When sync happens by itself.
    pub frequency: Frequency,
    /// Days that records stay in sync; none: for ever.
    pub retention_days: Option<u32>,
    /// How many records, the newest, stay in sync; none: all.
    pub max_records: Option<u64>,
    /// What happens to large commands.
    pub large_records: LargeRecords,
    /// Which records leave this device; the last rule that matches decides.
    pub filter: Vec<FilterRule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            frequency: Frequency::default(),
            retention_days: Some(DEFAULT_RETENTION_DAYS),
            max_records: Some(DEFAULT_MAX_RECORDS),
            large_records: LargeRecords::default(),
            filter: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads them from `sync.toml`; the defaults where there is none.
    ///
    /// # Errors
    ///
    /// [`PrefsError::Syntax`], [`PrefsError::InvalidInFile`] or [`PrefsError::File`].
    pub fn load(sync_toml: &Path) -> Result<Self> {
        let document = document::read(sync_toml)?;
        let mut settings = Self::default();
        let read = |name: &str| -> Result<Option<(&'static Preference, String)>> {
            let preference = find(name)?;
            Ok(document::get(&document, preference, sync_toml)?.map(|value| (preference, value)))
        };
        let invalid = |preference: &Preference| PrefsError::InvalidInFile {
            file: sync_toml.to_owned(),
            name: preference.name,
            allowed: preference.allowed(),
        };
        if let Some((preference, value)) = read("sync.frequency")? {
            settings.frequency = Frequency::from_name(&value).ok_or_else(|| invalid(preference))?;
        }
        if let Some((preference, value)) = read("sync.retention_days")? {
            settings.retention_days = limit(&value).ok_or_else(|| invalid(preference))?;
        }
        if let Some((preference, value)) = read("sync.max_records")? {
            settings.max_records = limit(&value).ok_or_else(|| invalid(preference))?;
        }
        if let Some((_, value)) = read("sync.large_records")? {
            settings.large_records = if value == "exclude" { LargeRecords::Exclude } else { LargeRecords::Truncate };
        }
        if let Some((preference, value)) = read("sync.filter")? {
            settings.filter = value
                .lines()
                .map(|line| FilterRule::from_str(line).map_err(|_| invalid(preference)))
                .collect::<Result<_>>()?;
        }
        Ok(settings)
    }
}

/// The first line of the file in which what recording obeys is noted.
const NOTED_HEADER: &str = "# What sync.toml said last; it counts while that cannot be read.\n";

/// The preferences that recording obeys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Whether commands that hold a secret are recorded.
    pub keep_secrets: bool,
    /// Which commands are recorded; the last rule that matches decides.
    pub filter: Vec<FilterRule>,
}

impl Recording {
    /// Reads them from `sync.toml`; the defaults where there is none.
    ///
    /// # Errors
    ///
    /// [`PrefsError::Syntax`], [`PrefsError::InvalidInFile`] or [`PrefsError::File`].
    pub fn load(sync_toml: &Path) -> Result<Self> {
        let document = document::read(sync_toml)?;
        let keep_secrets = document::get(&document, find("history.secrets")?, sync_toml)?.as_deref() == Some("keep");
        let preference = find("history.filter")?;
        let lines = document::get(&document, preference, sync_toml)?.unwrap_or_default();
        let filter = lines.lines().map(FilterRule::from_str).collect::<std::result::Result<_, _>>();
        let filter = filter.map_err(|_| PrefsError::InvalidInFile {
            file: sync_toml.to_owned(),
            name: preference.name,
            allowed: preference.allowed(),
        })?;
        Ok(Self { keep_secrets, filter })
    }

    /// Notes them in a file of the same form, from which [`load`](Self::load) reads them where `sync.toml` cannot be
    /// read. Nothing is written where it says the same.
    ///
    /// # Errors
    ///
    /// [`PrefsError::File`]; or what is wrong with what that file holds.
    pub fn note(&self, file: &Path) -> Result<()> {
        if Self::load(file).is_ok_and(|noted| noted == *self) {
            return Ok(());
        }
        let rules: Vec<String> = self.filter.iter().map(ToString::to_string).collect();
        let values = [
            (find("history.secrets")?, self.keep_secrets.then(|| "keep".to_owned())),
            (find("history.filter")?, (!rules.is_empty()).then(|| rules.join("\n"))),
        ];
        document::edit(file, NOTED_HEADER, |document| {
            for (preference, value) in &values {
                document::set(document, preference, value.as_deref());
            }
        })
    }

    /// What is let into the history by these.
    ///
    /// # Errors
    ///
    /// Never, for rules that [`FilterRule::new`] made.
    pub fn intake(&self) -> std::result::Result<Intake, RuleError> {
        Ok(Intake { rules: Filter::new(&self.filter)?, keep_secrets: self.keep_secrets })
    }
}

/// A limit as it is written; none where it is no limit.
fn limit<N: FromStr>(value: &str) -> Option<Option<N>> {
    if value == "unlimited" { Some(None) } else { value.parse().ok().map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("sync.toml");
        std::fs::write(&path, text).unwrap();
        Settings::load(&path)
    }

    #[test]
    fn without_a_file_the_defaults_hold() {
        let settings = Settings::load(Path::new("/nonexistent/sync.toml")).unwrap();
        assert_eq!(settings, Settings::default());
        for (name, value) in [
            ("sync.frequency", settings.frequency.as_str().to_owned()),
            ("sync.retention_days", DEFAULT_RETENTION_DAYS.to_string()),
            ("sync.max_records", DEFAULT_MAX_RECORDS.to_string()),
        ] {
            assert_eq!(find(name).unwrap().default, Some(value.as_str()), "the catalogue says the same");
        }
    }

    #[test]
    fn everything_can_be_chosen() {
        let settings = load(
            "relay = \"wss://r.example\"\nfrequency = \"daily\"\nretention_days = \"unlimited\"\nmax_records = 5\n\
             large_records = \"exclude\"\nfilter = ['exclude command \"aws *\"']\nnewer = 1\n",
        )
        .unwrap();
        assert_eq!(settings.frequency, Frequency::Daily);
        assert_eq!((settings.retention_days, settings.max_records), (None, Some(5)));
        assert_eq!(settings.large_records, LargeRecords::Exclude);
        assert_eq!(settings.filter.len(), 1);
    }

    #[test]
    fn what_is_recorded_can_be_chosen() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("sync.toml");
        assert_eq!(Recording::load(&path).unwrap(), Recording::default());
        std::fs::write(&path, "[history]\nsecrets = \"keep\"\nfilter = ['exclude directory ~/clients']\n").unwrap();
        let recording = Recording::load(&path).unwrap();
        assert!(recording.keep_secrets);
        assert_eq!(recording.filter, ["exclude directory \"~/clients\"".parse().unwrap()]);
        std::fs::write(&path, "[history]\nsecrets = \"all\"\n").unwrap();
        assert!(Recording::load(&path).is_err());
    }

    #[test]
    fn every_name_of_the_catalogue_is_understood() {
        for name in ["realtime", "hourly", "daily", "manual"] {
            assert_eq!(load(&format!("frequency = \"{name}\"")).unwrap().frequency.as_str(), name);
        }
        assert!(load("frequency = \"sometimes\"").is_err());
        assert!(load("retention_days = -1").is_err());
    }
}
