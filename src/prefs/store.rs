//! What this device knows of each preference that follows the user: the winner, what lost, what waits to be shown.
//!
//! The files a person edits stay the truth for this device. For each preference `preferences.json` keeps the greatest
//! register met so far, wherever it came from, and the value the file had when it was last looked at: a file that
//! says something else was edited by hand, which counts as a change made now. What stood in the file before this
//! store first looked counts as older than anything that was ever set, so a device that joins takes over what the
//! others chose instead of imposing what its installer wrote.
//!
//! A value from elsewhere that changes what may be executed here, or lets go what a rule keeps here, is held back until
//! [`PreferenceStore::take_effect`]: whoever calls that has shown it. Everything that loses goes to the undo list.
//!
//! The store is saved before a file is written, so that an interruption in between is made up for at the next look.
//! A lock makes processes take turns.

use std::collections::BTreeMap;
use std::fs::{self, File as LockFile};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::register::Kept;
use super::{ALL, Kind, Preference, PrefsError, PrefsPaths, Register, Result, find, get, write};
use crate::history::UnixNanos;
use crate::history::filter::{FilterRule, loosens};
use crate::private_file;

/// How many values that lost are kept for each preference.
const KEPT_LOSERS: usize = 100;
/// The layout of the file.
const VERSION: u32 = 1;

/// What became of a register that arrived.
#[derive(Clone, Debug, PartialEq)]
pub enum Merged {
    /// It says what is known already, or concerns a preference that this version does not have.
    Unchanged,
    /// It won.
    Applied {
        /// The value that held before.
        old: Option<String>,
        /// The value that holds now.
        new: Option<String>,
    },
    /// It won, and takes effect after it was shown.
    Held {
        /// The value that still holds.
        old: Option<String>,
        /// The value that will.
        new: Option<String>,
    },
    /// It lost: what this device knows is later and should be told again.
    LocalWins,
}

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
struct Content {
    version: u32,
    /// The greatest register of each preference, with those this version does not know.
    #[serde(default)]
    values: BTreeMap<String, Kept>,
    /// What the file of each preference said when it was last looked at.
    #[serde(default)]
    seen: BTreeMap<String, Option<String>>,
    /// Preferences whose winner waits to be shown.
    #[serde(default)]
    held: Vec<String>,
    /// What lost, the latest last.
    #[serde(default)]
    undo: Vec<Loser>,
    /// Something the user should be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_json::Value>,
}

/// The preferences of this home that follow the user.
#[derive(Clone, Debug)]
pub struct PreferenceStore {
    paths: PrefsPaths,
    device: Uuid,
}

impl PreferenceStore {
    /// The store of a home whose device has this id. Nothing is read yet.
    #[must_use]
    pub fn open(paths: PrefsPaths, device: Uuid) -> Self {
        Self { paths, device }
    }

    /// Notices what was edited by hand since the last look, and returns it as changes made now.
    ///
    /// # Errors
    ///
    /// See [`PrefsError`].
    pub fn local_changes(&self, now: UnixNanos) -> Result<Vec<Register>> {
        self.with(|content| self.look(content, now))
    }

    /// Every winner this device knows: what the account should say. Call [`local_changes`](Self::local_changes) first.
    ///
    /// # Errors
    ///
    /// See [`PrefsError`].
    pub fn registers(&self) -> Result<Vec<Register>> {
        self.with(|content| Ok(content.values.iter().map(|(name, kept)| kept.register(name)).collect()))
    }

    /// Unites a register from the account with what is known here.
    ///
    /// # Errors
    ///
    /// See [`PrefsError`].
    pub fn merge(&self, register: &Register, now: UnixNanos) -> Result<Merged> {
        let Some(preference) = find(&register.name).ok().filter(|preference| preference.synced) else {
            return Ok(Merged::Unchanged);
        };
        self.with(|content| {
            self.look(content, now)?;
            let known = content.values.get(preference.name).map(|kept| kept.register(preference.name));
            if let Some(known) = &known {
                if known.rank() == register.rank() {
                    return Ok(Merged::Unchanged);
                }
                if known.rank() > register.rank() {
                    content.lose(register, now);
                    return Ok(Merged::LocalWins);
                }
            }
            let old = content.seen.get(preference.name).cloned().flatten();
            content.lose(&known.unwrap_or_else(|| self.unset(preference)), now);
            content.values.insert(preference.name.to_owned(), Kept::from_register(register));
            let new = register.value.clone();
            if !is_valid(preference, new.as_deref()) {
                tracing::warn!(name = preference.name, "another device set a preference to what only it understands");
                return Ok(Merged::Unchanged);
            }
            if register.device != self.device && must_be_shown(preference, old.as_deref(), new.as_deref()) {
                content.hold(preference.name);
                return Ok(Merged::Held { old, new });
            }
            content.release(preference.name);
            match self.apply(content, preference) {
                // Its turn comes when the file is in order again.
                Err(PrefsError::Syntax { .. }) => return Ok(Merged::Unchanged),
                applied => applied?,
            }
            Ok(if old == new { Merged::Unchanged } else { Merged::Applied { old, new } })
        })
    }

    /// Sets a preference, or unsets it, as the user of this device asks. The value is in the form that
    /// [`Preference::parse`] gives.
    ///
    /// # Errors
    ///
    /// See [`PrefsError`].
    pub fn set(&self, preference: &'static Preference, value: Option<&str>, now: UnixNanos) -> Result<()> {
        if !preference.synced {
            return write(&self.paths, preference, value);
        }
        self.with(|content| {
            self.check_file(preference)?;
            self.look(content, now)?;
            self.stamp(content, preference, value, now);
            self.apply(content, preference)
        })
    }

    /// Values from elsewhere that wait to be shown.
    ///
    /// # Errors
    ///
    /// See [`PrefsError`].
    pub fn arrived(&self) -> Result<Vec<Arrived>> {
        self.with(|content| Ok(content.held.iter().filter_map(|name| content.arrived(name)).collect()))
    }

    /// The rules of the sync filter that were set elsewhere and wait to be shown. Until then both they and those in
    /// the file hold.
    ///
    /// # Errors
    ///
    /// See [`PrefsError`].
    pub fn arrived_rules(&self) -> Result<Option<Vec<FilterRule>>> {
        let arrived = self.arrived()?.into_iter().find(|arrived| arrived.preference.kind == Kind::Rules);
        Ok(arrived.map(|arrived| rules(arrived.new.as_deref())))
    }

    /// Lets a value that was held back take effect, now that it was shown.
    ///
    /// # Errors
    ///
    /// See [`PrefsError`].
    pub fn take_effect(&self, arrived: &Arrived, now: UnixNanos) -> Result<()> {
        self.with(|content| {
            self.look(content, now)?;
            // Another value may have arrived meanwhile, which was not shown.
            if content.arrived(arrived.preference.name).as_ref() == Some(arrived) {
                content.release(arrived.preference.name);
                self.apply(content, arrived.preference)?;
            }
            Ok(())
        })
    }

    /// Takes back the last change of a preference, whoever made it; a second time takes that back. Returns the value
    /// that holds now; none where there is nothing to take back.
    ///
    /// # Errors
    ///
    /// See [`PrefsError`].
    pub fn undo(&self, preference: &'static Preference, now: UnixNanos) -> Result<Option<Loser>> {
        self.with(|content| {
            self.check_file(preference)?;
            self.look(content, now)?;
            let current = content.values.get(preference.name).and_then(|kept| kept.value.clone());
            let is_other = |loser: &Loser| {
                loser.name == preference.name && loser.value != current && is_valid(preference, loser.value.as_deref())
            };
            let Some(position) = content.undo.iter().rposition(is_other) else { return Ok(None) };
            let loser = content.undo.remove(position);
            self.stamp(content, preference, loser.value.as_deref(), now);
            self.apply(content, preference)?;
            Ok(Some(loser))
        })
    }

    /// What lost, the latest last.
    ///
    /// # Errors
    ///
    /// See [`PrefsError`].
    pub fn losers(&self) -> Result<Vec<Loser>> {
        self.with(|content| Ok(content.undo.clone()))
    }

    /// Something the user should be told, once.
    ///
    /// # Errors
    ///
    /// See [`PrefsError`].
    pub fn take_notice(&self) -> Result<Option<String>> {
        self.with(|content| Ok(content.notice.take()))
    }

    /// Looks at the files: stamps what was edited by hand, and writes what an interruption left unwritten.
    fn look(&self, content: &mut Content, now: UnixNanos) -> Result<Vec<Register>> {
        let mut changes = Vec::new();
        for preference in ALL.iter().filter(|preference| preference.synced) {
            let name = preference.name;
            let in_file = match get(&self.paths, preference) {
                // Whoever needs the preference here says so; it is no choice that others should follow.
                Err(PrefsError::InvalidInFile { .. } | PrefsError::Syntax { .. }) => continue,
                read => read?,
            };
            let winner = content.values.get(name).map(|kept| kept.value.clone());
            let seen = content.seen.insert(name.to_owned(), in_file.clone());
            match (seen, winner) {
                // Written by an apply() that was interrupted, or by hand to the same end.
                (_, Some(winner)) if winner == in_file => content.release(name),
                (Some(seen), _) if seen != in_file => {
                    changes.push(self.stamp(content, preference, in_file.as_deref(), now));
                }
                (seen, Some(winner)) => {
                    if seen.is_none() && in_file.is_some() {
                        content.lose(&Register { value: in_file, ..self.unset(preference) }, now);
                    }
                    let waits = content.held.iter().any(|held| held == name);
                    if !waits && is_valid(preference, winner.as_deref()) {
                        self.apply(content, preference)?;
                    }
                }
                (None, None) if in_file.is_some() => {
                    let first = Register { value: in_file, ..self.unset(preference) };
                    content.values.insert(name.to_owned(), Kept::from_register(&first));
                    changes.push(first);
                }
                (_, None) => {}
            }
        }
        Ok(changes)
    }

    /// Refuses where the file of a preference cannot be edited, before anything is noted as changed.
    fn check_file(&self, preference: &Preference) -> Result<()> {
        match get(&self.paths, preference) {
            Err(error @ (PrefsError::Syntax { .. } | PrefsError::File { .. })) => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes a value the winner, as a change made here and now.
    fn stamp(&self, content: &mut Content, preference: &Preference, value: Option<&str>, now: UnixNanos) -> Register {
        let known = content.values.get(preference.name).map(|kept| kept.register(preference.name));
        let after_known = known.as_ref().map_or(1, |known| known.changed_at.saturating_add(1));
        let register = Register {
            value: value.map(str::to_owned),
            changed_at: now.0.max(after_known),
            unknown: known.as_ref().map(|known| known.unknown.clone()).unwrap_or_default(),
            ..self.unset(preference)
        };
        let known = known.unwrap_or_else(|| self.unset(preference));
        content.lose(&known, now);
        content.release(preference.name);
        content.values.insert(preference.name.to_owned(), Kept::from_register(&register));
        register
    }

    /// Writes the winner into the file of its preference; the store is saved first.
    fn apply(&self, content: &mut Content, preference: &Preference) -> Result<()> {
        let Some(winner) = content.values.get(preference.name).map(|kept| kept.value.clone()) else { return Ok(()) };
        let in_file = get(&self.paths, preference).ok();
        let edited = in_file.is_some() && content.seen.get(preference.name) != in_file.as_ref();
        if in_file.as_ref() == Some(&winner) || edited {
            // Nothing to write; or edited by hand since the last look: the next one notices that as a change.
            if !edited {
                content.seen.insert(preference.name.to_owned(), winner);
            }
            return Ok(());
        }
        self.save(content)?;
        write(&self.paths, preference, winner.as_deref())?;
        content.seen.insert(preference.name.to_owned(), winner);
        Ok(())
    }

    /// What a preference is before anybody set it.
    fn unset(&self, preference: &Preference) -> Register {
        Register {
            name: preference.name.to_owned(),
            value: None,
            changed_at: 0,
            device: self.device,
            unknown: BTreeMap::new(),
        }
    }

    /// Runs `work` on the content under the lock, and saves what it changed.
    fn with<T>(&self, work: impl FnOnce(&mut Content) -> Result<T>) -> Result<T> {
        let _turn = self.lock()?;
        let mut content = self.load()?;
        let before = serde_json::to_vec(&content).ok();
        let result = work(&mut content)?;
        if serde_json::to_vec(&content).ok() != before {
            self.save(&content)?;
        }
        Ok(result)
    }

    fn lock(&self) -> Result<LockFile> {
        let path = self.paths.store.with_extension("lock");
        let lock = || -> io::Result<LockFile> {
            private_file::make_folder(private_file::folder_of(&path))?;
            let file = private_file::open_lock(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|source| PrefsError::File { file: path.clone(), action: "written", source })
    }

    fn load(&self) -> Result<Content> {
        let path = &self.paths.store;
        let failed = |action| move |source| PrefsError::File { file: path.clone(), action, source };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Content::new()),
            Err(error) => return Err(failed("read")(error)),
        };
        match serde_json::from_slice::<Content>(&bytes) {
            Ok(content) if content.version > VERSION => Err(PrefsError::Newer { file: path.clone() }),
            Ok(content) => Ok(content),
            Err(error) => {
                tracing::warn!(%error, "what is known of preferences is damaged");
                let aside = free_name(path);
                fs::rename(path, &aside).map_err(failed("moved aside"))?;
                let notice = format!(
                    "What was known of your preferences on other devices was damaged; it is kept as {}. Your \
                     preferences here are as they were, and the next sync brings the rest back.",
                    aside.display()
                );
                let content = Content { notice: Some(notice), ..Content::new() };
                self.save(&content)?;
                Ok(content)
            }
        }
    }

    fn save(&self, content: &Content) -> Result<()> {
        let path = &self.paths.store;
        let bytes = serde_json::to_vec_pretty(content).map_err(io::Error::from);
        bytes.and_then(|bytes| private_file::replace(path, &bytes)).map_err(|source| PrefsError::File {
            file: path.clone(),
            action: "written",
            source,
        })
    }
}

impl Content {
    fn new() -> Self {
        Self { version: VERSION, ..Self::default() }
    }

    /// Puts a register that lost into the undo list, unless it is there.
    fn lose(&mut self, register: &Register, now: UnixNanos) {
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

    fn hold(&mut self, name: &str) {
        if !self.held.iter().any(|held| held == name) {
            self.held.push(name.to_owned());
        }
    }

    fn release(&mut self, name: &str) {
        self.held.retain(|held| held != name);
    }

    fn arrived(&self, name: &str) -> Option<Arrived> {
        let preference = find(name).ok()?;
        self.held.iter().find(|held| *held == name)?;
        let winner = self.values.get(name)?;
        Some(Arrived {
            preference,
            old: self.seen.get(name).cloned().flatten(),
            new: winner.value.clone(),
            device: winner.device,
            changed_at: UnixNanos(winner.changed_at),
        })
    }
}

/// Whether this version understands a value from elsewhere.
fn is_valid(preference: &Preference, value: Option<&str>) -> bool {
    value.is_none_or(|value| preference.parse(value).is_ok_and(|parsed| parsed == value))
}

/// Whether a value from elsewhere may take effect only after it was shown.
fn must_be_shown(preference: &Preference, old: Option<&str>, new: Option<&str>) -> bool {
    match preference.kind {
        Kind::Rules => loosens(&rules(old), &rules(new)),
        // Listed from the most careful on: what makes a device more careful need not wait.
        Kind::OneOf(words) if preference.safety => {
            let place =
                |value: Option<&str>| value.or(preference.default).and_then(|v| words.iter().position(|w| *w == v));
            place(new) > place(old)
        }
        _ => preference.safety && differ(preference, old, new),
    }
}

/// The rules of a value that is valid.
fn rules(value: Option<&str>) -> Vec<FilterRule> {
    value.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
}

/// Whether two values have different effects; unset means the default.
fn differ(preference: &Preference, one: Option<&str>, other: Option<&str>) -> bool {
    one.or(preference.default) != other.or(preference.default)
}

/// A name beside `path` that no file has.
fn free_name(path: &std::path::Path) -> PathBuf {
    let named = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 0 { ".damaged".to_owned() } else { format!(".damaged-{number}") });
        PathBuf::from(name)
    };
    (0..u32::MAX).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(u32::MAX))
}

#[cfg(test)]
mod tests;
