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

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::File as LockFile;
use std::io;

use uuid::Uuid;

use super::content::{Arrived, Content, Loser};
use super::register::Kept;
use super::{ALL, Kind, Preference, PrefsError, PrefsPaths, Register, Result, find, get, rules, write};
use crate::history::UnixNanos;
use crate::history::filter::{FilterRule, loosens};
use crate::private_file;

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
        if rules::concerns(&register.name) {
            return self.merge_rule(register, now);
        }
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
            content.lose(&known.unwrap_or_else(|| self.unset(preference)), now);
            content.values.insert(preference.name.to_owned(), Kept::from_register(register));
            if !is_valid(preference, register.value.as_deref()) {
                tracing::warn!(name = preference.name, "another device set a preference to what only it understands");
                return Ok(Merged::Unchanged);
            }
            self.let_win(content, preference, register.device != self.device)
        })
    }

    /// Unites a register of the sync filter: that of one rule, or the whole list of an older version.
    fn merge_rule(&self, register: &Register, now: UnixNanos) -> Result<Merged> {
        let list = find(rules::LIST)?;
        self.with(|content| {
            self.look(content, now)?;
            let before = content.winner(list);
            let known = self.list(content, list);
            match rules::unite(&mut content.values, register) {
                Ordering::Equal => return Ok(Merged::Unchanged),
                Ordering::Less => return Ok(Merged::LocalWins),
                Ordering::Greater => {}
            }
            if content.winner(list).flatten() == before.clone().flatten() {
                return Ok(Merged::Unchanged);
            }
            content.lose(&known, now);
            // What others let go is not let go because one of this device's own rules has come back.
            let from_elsewhere = register.device != self.device || content.waits(list.name);
            self.let_win(content, list, from_elsewhere)
        })
    }

    /// Lets the winner take effect, or holds it back until it was shown.
    fn let_win(&self, content: &mut Content, preference: &'static Preference, from_elsewhere: bool) -> Result<Merged> {
        let old = content.seen.get(preference.name).cloned().flatten();
        let new = content.winner(preference).flatten();
        if from_elsewhere && must_be_shown(preference, old.as_deref(), new.as_deref()) {
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
    }

    /// The list of rules as one register, for the undo list.
    fn list(&self, content: &Content, list: &Preference) -> Register {
        let (changed_at, device) = content.changed(list).unwrap_or((0, self.device));
        Register { value: content.winner(list).flatten(), changed_at, device, ..self.unset(list) }
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
            let before = content.seen.get(preference.name).cloned().flatten();
            self.stamp(content, preference, before.as_deref(), value, now);
            if !content.waits(preference.name) {
                return self.apply(content, preference);
            }
            content.save(&self.paths.store)?;
            write(&self.paths, preference, value)?;
            content.seen.insert(preference.name.to_owned(), value.map(str::to_owned));
            Ok(())
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
        Ok(arrived.map(|arrived| rules::rules(arrived.new.as_deref())))
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
            let current = content.winner(preference).flatten();
            let is_other = |loser: &Loser| {
                loser.name == preference.name && loser.value != current && is_valid(preference, loser.value.as_deref())
            };
            let Some(position) = content.undo.iter().rposition(is_other) else { return Ok(None) };
            let loser = content.undo.remove(position);
            self.stamp(content, preference, current.as_deref(), loser.value.as_deref(), now);
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
            let winner = content.winner(preference);
            let seen = content.seen.insert(name.to_owned(), in_file.clone());
            match (seen, winner) {
                // Written by an apply() that was interrupted, or by hand to the same end.
                (_, Some(winner)) if winner == in_file => content.release(name),
                (Some(seen), _) if seen != in_file => {
                    changes.extend(self.stamp(content, preference, seen.as_deref(), in_file.as_deref(), now));
                }
                (seen, Some(winner)) => {
                    if seen.is_none() && in_file.is_some() {
                        let first = Register { value: in_file, ..self.unset(preference) };
                        if preference.kind == Kind::Rules {
                            rules::spread(&mut content.values, &first);
                        }
                        content.lose(&first, now);
                    }
                    if !content.waits(name) && is_valid(preference, winner.as_deref()) {
                        self.apply(content, preference)?;
                    }
                }
                (None, None) if in_file.is_some() => {
                    let first = Register { value: in_file, ..self.unset(preference) };
                    if preference.kind == Kind::Rules {
                        rules::spread(&mut content.values, &first);
                    } else {
                        content.values.insert(name.to_owned(), Kept::from_register(&first));
                    }
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

    /// Makes a value the winner, as a change made here and now; `before` is what it takes the place of.
    fn stamp(
        &self,
        content: &mut Content,
        preference: &Preference,
        before: Option<&str>,
        value: Option<&str>,
        now: UnixNanos,
    ) -> Vec<Register> {
        if preference.kind == Kind::Rules {
            let list = self.list(content, preference);
            let changes = rules::change(&mut content.values, before, value, now.0, self.device);
            content.lose(&list, now);
            let waited = content.waits(preference.name);
            content.release(preference.name);
            let winner = content.winner(preference).flatten();
            if waited && must_be_shown(preference, value, winner.as_deref()) {
                // What others let go is still to be shown; what was changed here does not concern it.
                content.hold(preference.name);
            }
            return changes;
        }
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
        vec![register]
    }

    /// Writes the winner into the file of its preference; the store is saved first.
    fn apply(&self, content: &mut Content, preference: &Preference) -> Result<()> {
        let Some(winner) = content.winner(preference) else { return Ok(()) };
        let in_file = get(&self.paths, preference).ok();
        let edited = in_file.is_some() && content.seen.get(preference.name) != in_file.as_ref();
        if in_file.as_ref() == Some(&winner) || edited {
            // Nothing to write; or edited by hand since the last look: the next one notices that as a change.
            if !edited {
                content.seen.insert(preference.name.to_owned(), winner);
            }
            return Ok(());
        }
        content.save(&self.paths.store)?;
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
        let mut content = Content::load(&self.paths.store)?;
        let before = serde_json::to_vec(&content).ok();
        let result = work(&mut content)?;
        if serde_json::to_vec(&content).ok() != before {
            content.save(&self.paths.store)?;
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
}

/// Whether this version understands a value from elsewhere.
fn is_valid(preference: &Preference, value: Option<&str>) -> bool {
    value.is_none_or(|value| preference.parse(value).is_ok_and(|parsed| parsed == value))
}

/// Whether a value from elsewhere may take effect only after it was shown.
fn must_be_shown(preference: &Preference, old: Option<&str>, new: Option<&str>) -> bool {
    match preference.kind {
        Kind::Rules => loosens(&rules::rules(old), &rules::rules(new)),
        // Listed from the most careful on: what makes a device more careful need not wait.
        Kind::OneOf(words) if preference.safety => {
            let place =
                |value: Option<&str>| value.or(preference.default).and_then(|v| words.iter().position(|w| *w == v));
            place(new) > place(old)
        }
        _ => preference.safety && differ(preference, old, new),
    }
}

/// Whether two values have different effects; unset means the default.
fn differ(preference: &Preference, one: Option<&str>, other: Option<&str>) -> bool {
    one.or(preference.default) != other.or(preference.default)
}

#[cfg(test)]
mod tests;
