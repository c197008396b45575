//! `preferences.json`: what this device knows of each preference that follows the user.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::register::Kept;
use super::{Kind, Preference, PrefsError, Register, Result, find, rules};
use crate::history::UnixNanos;
use crate::private_file;

/// How many values that lost are kept for each preference.
const KEPT_LOSERS: usize = 100;
/// The layout of the file.
const VERSION: u32 = 1;

/// A value from elsewhere that waits to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The preference.
    pub preference: &'static Preference,
    /// The value that holds here; none: the default.
    pub old: Option<String>,
    /// The value that was set elsewhere.
    pub new: Option<String>,
    /// The device that set it.
    pub device: Uuid,
    /// When.
    pub changed_at: UnixNanos,
}

/// A value that lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loser {
    /// The preference.
    pub name: String,
    /// Its value; none: unset.
    pub value: Option<String>,
    /// When it had been set; 0: before this device knew of it.
    pub changed_at: i64,
    /// By which device.
    pub device: Uuid,
    /// When it lost, nanoseconds since 1970.
    pub lost_at: i64,
}

/// The file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Content {
    version: u32,
    /// The greatest register of each preference, with those this version does not know.
    #[serde(default)]
    pub(super) values: BTreeMap<String, Kept>,
    /// What the file of each preference said when it was last looked at.
    #[serde(default)]
    pub(super) seen: BTreeMap<String, Option<String>>,
    /// Preferences whose winner waits to be shown.
    #[serde(default)]
    pub(super) held: Vec<String>,
    /// What lost, the latest last.
    #[serde(default)]
    pub(super) undo: Vec<Loser>,
    /// Something the user should be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) notice: Option<String>,
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_json::Value>,
}

impl Content {
    fn new() -> Self {
        Self { version: VERSION, ..Self::default() }
    }

    /// Puts a register that lost into the undo list, unless it is there.
    pub(super) fn lose(&mut self, register: &Register, now: UnixNanos) {
        let Register { name, value, changed_at, device, .. } = register;
        let same = |loser: &Loser| {
            (&loser.name, &loser.value, &loser.changed_at, &loser.device) == (name, value, changed_at, device)
        };
        if self.undo.iter().any(same) {
            return;
        }
        self.undo.push(Loser {
            name: name.clone(),
            value: value.clone(),
            changed_at: *changed_at,
            device: *device,
            lost_at: now.0,
        });
        if self.undo.iter().filter(|loser| loser.name == *name).count() > KEPT_LOSERS
            && let Some(oldest) = self.undo.iter().position(|loser| loser.name == *name)
        {
            self.undo.remove(oldest);
        }
    }

    pub(super) fn hold(&mut self, name: &str) {
        if !self.waits(name) {
            self.held.push(name.to_owned());
        }
    }

    pub(super) fn release(&mut self, name: &str) {
        self.held.retain(|held| held != name);
    }

    pub(super) fn arrived(&self, name: &str) -> Option<Arrived> {
        let preference = find(name).ok()?;
        let preference = self.waits(name).then_some(preference)?;
        let (changed_at, device) = self.changed(preference)?;
        Some(Arrived {
            preference,
            old: self.seen.get(name).cloned().flatten(),
            new: self.winner(preference)?,
            device,
            changed_at: UnixNanos(changed_at),
        })
    }

    /// Whether the winner of a preference waits to be shown.
    pub(super) fn waits(&self, name: &str) -> bool {
        self.held.iter().any(|held| held == name)
    }

    /// The value that won; none where nothing is known of the preference.
    pub(super) fn winner(&self, preference: &Preference) -> Option<Option<String>> {
        match preference.kind {
            Kind::Rules => rules::are_known(&self.values).then(|| rules::list(&self.values)),
            _ => self.values.get(preference.name).map(|kept| kept.value.clone()),
        }
    }

    /// When it won, and which device had set it.
    pub(super) fn changed(&self, preference: &Preference) -> Option<(i64, Uuid)> {
        match preference.kind {
            Kind::Rules => rules::changed(&self.values),
            _ => self.values.get(preference.name).map(|kept| (kept.changed_at, kept.device)),
        }
    }

    /// Reads the file; one that is damaged is set aside, with a word for the user.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let failed = |action| move |source| PrefsError::File { file: path.to_owned(), action, source };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::new()),
            Err(error) => return Err(failed("read")(error)),
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(content) if content.version > VERSION => Err(PrefsError::Newer { file: path.to_owned() }),
            Ok(mut content) => {
                if !rules::are_known(&content.values)
                    && let Some(whole) = content.values.get(rules::LIST).map(|kept| kept.register(rules::LIST))
                {
                    // As an older version of this program left it.
                    rules::spread(&mut content.values, &whole);
                }
                Ok(content)
            }
            Err(error) => {
                tracing::warn!(%error, "what is known of preferences is damaged");
                let aside = free_name(path);
                fs::rename(path, &aside).map_err(failed("moved aside"))?;
                let notice = format!(
                    "What was known of your preferences on other devices was damaged; it is kept as {}. Your \
                     preferences here are as they were, and the next sync brings the rest back.",
                    aside.display()
                );
                let content = Self { notice: Some(notice), ..Self::new() };
                content.save(path)?;
                Ok(content)
            }
        }
    }

    /// Writes the file, whole or not at all.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        bytes.and_then(|bytes| private_file::replace(path, &bytes)).map_err(|source| PrefsError::File {
            file: path.to_owned(),
            action: "written",
            source,
        })
    }
}

/// A name beside `path` that no file has.
fn free_name(path: &Path) -> PathBuf {
    let named = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 0 { ".damaged".to_owned() } else { format!(".damaged-{number}") });
        PathBuf::from(name)
    };
    (0..u32::MAX).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(u32::MAX))
}
