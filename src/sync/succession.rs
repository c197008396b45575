//! Successors of registries that are written again and again: a map keeps every state that it ever had, and every device
//! loads all of it.
//!
//! Once a registry of devices or of usage has grown past [`LIMIT`] transactions, whoever notices it makes a new map, puts into it
//! what holds, sealed for its new place, and, when the relay has it, points the root at it. Everybody reads the root first, builds
//! that know nothing of this too. Of two successors made at once the account's own order of the root's values picks one, the
//! same for all; whoever made the other finds that out at the next exchange.
//!
//! The new map names those that it stands for, under [`BEFORE`] with their ids. A day later, when nobody is in the middle of
//! an exchange with one of them any more, what was written there last is taken over, entry by entry, where it is later than what
//! stands in the successor; then it is erased. Each step may run twice, on several devices. What only a newer
//! version understands moves as it is; a map with something in it that does not open is left alone.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::engine::Engine;
use super::month::Month;
use super::vault::{Lifted, Lifting};
use super::{SyncError, devices};
use crate::runtime::protocol::{CreateMap, Entries, EntriesRead, Erase, Exchange, Outcome, Set};
use crate::seal::Purpose;

/// How many transactions a registry may have.
const LIMIT: u64 = 1_000;
/// And how many for each of its entries: one that is large for what holds in it gains nothing.
const FOR_EACH: u64 = 5;
/// How long a map is looked after by its successor, nanoseconds: a day.
const LOOKED_AFTER: i64 = 86_400_000_000_000;
/// Begins the keys that name the maps a map stands for; the value is since when, and nothing once they are erased.
const BEFORE: &str = "before.";
/// How often a device looks, nanoseconds: it takes reading them once more.
const EVERY: i64 = 6 * 3_600_000_000_000;
/// The name of the note when it looked.
const LOOKED: &str = "succession_looked";
/// Begins the name of the note which successor this device has made.
const MADE: &str = "succession/";

/// A registry that has successors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registry {
    Devices,
    Usage,
}

impl Registry {
    const ALL: [Self; 2] = [Self::Devices, Self::Usage];

    /// The root's key of it.
    fn name(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::Usage => "usage",
        }
    }

    fn purpose(self) -> Purpose {
        match self {
            Self::Devices => Purpose::Device,
            Self::Usage => Purpose::Usage,
        }
    }

    fn id(self, engine: &mut Engine) -> &mut String {
        match self {
            Self::Devices => &mut engine.registries.devices,
            Self::Usage => &mut engine.registries.usage,
        }
    }
}

/// When something was said, as all values of these registries have it under one name or another.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    at: i64,
    named_at: i64,
    last_sync: Option<i64>,
}

/// How many transactions a registry with so many entries may have.
fn limit(entries: u64) -> u64 {
    #[cfg(debug_assertions)]
    if let Some(given) = std::env::var("CARO_TEST_SUCCESSION").ok().and_then(|given| given.parse().ok()) {
        // Lets tests have it happen within days; a release build knows no such variable.
        return entries.saturating_add(given);
    }
    LIMIT.max(entries.saturating_mul(FOR_EACH))
}

/// Looks after the registries that have successors, at the end of an exchange.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(super) fn run(engine: &mut Engine) -> Result<(), SyncError> {
    let now = (engine.now)().0;
    let looked: i64 = engine.history.meta_get(LOOKED)?.and_then(|at| at.parse().ok()).unwrap_or(0);
    if now.abs_diff(looked) < EVERY.unsigned_abs() {
        return Ok(());
    }
    Registry::ALL.into_iter().try_for_each(|registry| look_after(engine, registry))?;
    engine.history.meta_set(LOOKED, Some(&now.to_string()))?;
    Ok(())
}

fn look_after(engine: &mut Engine, registry: Registry) -> Result<(), SyncError> {
    let map = registry.id(engine).clone();
    let now = (engine.now)().0;
    let read = engine.ask(&Entries { id: map.clone() })?;
    let note = format!("{MADE}{}", registry.name());
    if let Some(made) = engine.history.meta_get(&note)? {
        if made != map && !read.entries.contains_key(&format!("{BEFORE}{made}")) {
            // Another device was first, or this one did not come to the end of it.
            set(engine, &map, BTreeMap::from([(format!("{BEFORE}{made}"), now.to_string())]))?;
            engine.confirm(vec![map.clone()])?;
        }
        engine.history.meta_set(&note, None)?;
    }
    for (old, since) in predecessors(&read.entries) {
        if now.abs_diff(since) >= LOOKED_AFTER.unsigned_abs() && old != map {
            take_over(engine, registry, &map, &old)?;
        }
    }
    if read.transactions >= limit(read.entries.len() as u64) {
        succeed(engine, registry, &map, &read)?;
    }
    Ok(())
}

/// The maps that a map stands for and that are there yet, with since when it does.
pub(super) fn predecessors(entries: &BTreeMap<String, String>) -> Vec<(String, i64)> {
    let named = entries.iter().filter_map(|(key, value)| Some((key.strip_prefix(BEFORE)?, value)));
    named
        .filter(|(_, since)| !since.is_empty())
        .map(|(id, since)| (id.to_owned(), since.parse().unwrap_or(0)))
        .collect()
}

/// Makes the successor of a registry, unless something in it cannot be read.
fn succeed(engine: &mut Engine, registry: Registry, map: &str, read: &EntriesRead) -> Result<(), SyncError> {
    let Some(values) = opened(engine, registry, map, &read.entries)? else { return Ok(()) };
    let now = (engine.now)();
    let id = engine.ask(&CreateMap { month: Month::of(now).first_day() })?.id;
    engine.history.meta_set(&format!("{MADE}{}", registry.name()), Some(&id))?;
    let mut entries = sealed(engine, registry, &id, &values)?;
    entries.extend(
        predecessors(&read.entries).into_iter().map(|(old, since)| (format!("{BEFORE}{old}"), since.to_string())),
    );
    entries.insert(format!("{BEFORE}{map}"), now.0.to_string());
    set(engine, &id, entries)?;
    engine.flush()?;
    engine.confirm(vec![id.clone()])?;
    let root = engine.root.clone();
    set(engine, &root, BTreeMap::from([(registry.name().to_owned(), id.clone())]))?;
    engine.flush()?;
    engine.confirm(vec![root])?;
    tracing::info!(registry = registry.name(), entries = values.len(), "a registry had grown long and begins anew");
    *registry.id(engine) = id;
    Ok(())
}

/// Takes over what was written last to a map that has a successor, and erases it.
fn take_over(engine: &mut Engine, registry: Registry, map: &str, old: &str) -> Result<(), SyncError> {
    let outcomes = engine.ask(&Exchange { ids: vec![old.to_owned()], timeout_ms: engine.patience_ms() })?.outcomes;
    match outcomes.get(old).copied().unwrap_or(Outcome::Late) {
        Outcome::Current | Outcome::Local => {
            let there = engine.ask(&Entries { id: old.to_owned() })?.entries;
            let here = engine.ask(&Entries { id: map.to_owned() })?.entries;
            let (Some(mut before), Some(now)) =
                (opened(engine, registry, old, &there)?, opened(engine, registry, map, &here)?)
            else {
                return Ok(());
            };
            before.retain(|key, value| {
                now.get(key).is_none_or(|now| said_at(&value.plaintext) > said_at(&now.plaintext))
            });
            if !before.is_empty() {
                let entries = sealed(engine, registry, map, &before)?;
                set(engine, map, entries)?;
                engine.flush()?;
                engine.confirm(vec![map.to_owned()])?;
            }
            engine.ask(&Erase { ids: vec![old.to_owned()] })?;
            engine.flush()?;
            let erased = Exchange { ids: vec![old.to_owned()], timeout_ms: engine.patience_ms() };
            if !engine.ask(&erased)?.outcomes.values().all(|outcome| *outcome == Outcome::Deleted) {
                // The relay may do so another day.
                return Ok(());
            }
        }
        Outcome::Deleted | Outcome::Absent => {}
        Outcome::Offline | Outcome::Late => return Err(engine.lost_relay()),
        // Nothing can be taken from it; it is asked for again another day.
        Outcome::Damaged => return Ok(()),
    }
    set(engine, map, BTreeMap::from([(format!("{BEFORE}{old}"), String::new())]))?;
    engine.confirm(vec![map.to_owned()])
}

/// What is sealed in a map, by key; none where some of it cannot be opened.
fn opened(
    engine: &Engine,
    registry: Registry,
    map: &str,
    entries: &BTreeMap<String, String>,
) -> Result<Option<BTreeMap<String, Lifted>>, SyncError> {
    let mut values = BTreeMap::new();
    for (key, text) in entries.iter().filter(|(key, _)| !key.starts_with(BEFORE)) {
        let lifting = match registry {
            Registry::Devices => devices::lift(&engine.vault, map, key, text),
            Registry::Usage => engine.vault.lift(Purpose::Usage, &format!("{map}/{key}"), text),
        };
        match lifting {
            Ok(Lifting::Lifted(lifted)) => drop(values.insert(key.clone(), lifted)),
            Ok(Lifting::Newer | Lifting::KeyMissing) | Err(SyncError::Damaged { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(values))
}

fn sealed(
    engine: &Engine,
    registry: Registry,
    map: &str,
    values: &BTreeMap<String, Lifted>,
) -> Result<BTreeMap<String, String>, SyncError> {
    let seal = |(key, value): (&String, &Lifted)| {
        Ok((key.clone(), engine.vault.put_down(registry.purpose(), &format!("{map}/{key}"), value)?))
    };
    values.iter().map(seal).collect()
}

fn set(engine: &Engine, map: &str, entries: BTreeMap<String, String>) -> Result<(), SyncError> {
    engine.ask(&Set { id: map.to_owned(), entries })?;
    Ok(())
}

fn said_at(value: &[u8]) -> i64 {
    let said: Said = ciborium::from_reader(value).unwrap_or_default();
    said.at.max(said.named_at).max(said.last_sync.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_others_says_so_until_they_are_erased() {
        let entries = [("before.co_zA", "7"), ("before.co_zB", ""), ("0190", "1.x.y")];
        let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(predecessors(&entries), [("co_zA".to_owned(), 7)]);
    }

    #[test]
    fn the_later_of_two_values_is_known_whatever_it_is_of() {
        let encoded = |fields: &[(&str, i64)]| {
            let fields: BTreeMap<_, _> = fields.iter().copied().collect();
            let mut bytes = Vec::new();
            ciborium::into_writer(&fields, &mut bytes).unwrap();
            bytes
        };
        assert_eq!(said_at(&encoded(&[("at", 3), ("removed", 1)])), 3);
        assert_eq!(said_at(&encoded(&[("named_at", 4)])), 4);
        assert_eq!(said_at(&encoded(&[("joined_at", 9), ("named_at", 4), ("last_sync", 5)])), 5);
        assert_eq!(said_at(b"junk"), 0);
    }
}
