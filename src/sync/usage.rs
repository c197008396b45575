//! Usage counters of all devices: each writes its own, one sealed value for each month, and nobody else's.
//!
//! Counters never fall, and a reader takes the greater of each (see [`crate::history::UsageRow`]), so values unite in any
//! order and any number of times, and nothing is counted twice. A month's value is written again at most every
//! [`WRITE_EVERY`] while it grows, since every version of it stays in the account.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SyncError;
use super::engine::Engine;
use super::month::Month;
use super::vault::{Lifted, Lifting, Opening};
use crate::history::{Cursor, UnixNanos, UsageRow};
use crate::runtime::protocol::{Entries, Set};
use crate::seal::Purpose;

/// How often the value of a month is written again, nanoseconds.
const WRITE_EVERY: i64 = 6 * 3600 * 1_000_000_000;
/// Nanoseconds in a day.
const DAY: i64 = 86_400_000_000_000;

/// The counters of one device and month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MonthOfUse {
    /// When they were read, nanoseconds since 1970.
    at: i64,
    rows: Vec<UsageRow>,
    /// Fields of a newer version.
    #[serde(flatten)]
    unknown: BTreeMap<String, ciborium::Value>,
}

/// Takes over counters that are new, and says this device's.
///
/// Its own are taken over too: a history that came back from a backup counts on from what it had said.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(super) fn exchange(engine: &mut Engine) -> Result<(), SyncError> {
    let now = (engine.now)().0;
    let there = engine.ask(&Entries { id: engine.registries.usage.clone() })?.entries;
    for (key, text) in &there {
        let Some((device, _)) = parsed(key) else { continue };
        let (taken, print) = (format!("usage/taken/{key}"), print(&[text.as_bytes()]));
        if engine.history.cursor(&taken)? == Some(print) {
            continue;
        }
        if let Some(of) = opened(engine, key, text)? {
            engine.history.ingest_usage(device, &of.rows)?;
            note(engine, &taken, print)?;
        }
    }
    let mut months: BTreeMap<Month, Vec<UsageRow>> = BTreeMap::new();
    for row in engine.history.usage_of(engine.device)? {
        months.entry(month_of(&row)).or_default().push(row);
    }
    let mut later = BTreeMap::new();
    for (month, rows) in months {
        let key = key(engine.device, month);
        let text = there.get(&key).map(String::as_str).unwrap_or_default();
        // Months that are over are not opened again each time.
        let (said, print) = (format!("usage/said/{key}"), print(&[text.as_bytes(), &encoded(&rows)?]));
        if engine.history.cursor(&said)? == Some(print) {
            continue;
        }
        let before = if text.is_empty() { None } else { opened(engine, &key, text)? };
        if before.as_ref().is_some_and(|before| before.rows == rows) {
            note(engine, &said, print)?;
            continue;
        }
        if before.as_ref().is_some_and(|before| before.at <= now && now < before.at + WRITE_EVERY) {
            continue;
        }
        let unknown = before.map(|before| before.unknown).unwrap_or_default();
        let (key, sealed) = sealed(engine, engine.device, month, &MonthOfUse { at: now, rows, unknown })?;
        later.insert(key, sealed);
    }
    write(engine, later)
}

fn note(engine: &Engine, key: &str, value: u64) -> Result<(), SyncError> {
    engine.history.ingest(&[], Some(Cursor { key, value }))?;
    Ok(())
}

/// Stands for texts, among the few that take each other's place.
fn print(texts: &[&[u8]]) -> u64 {
    let mut hash = blake3::Hasher::new();
    for text in texts {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize().as_bytes()[..8]);
    // The history keeps signed numbers.
    u64::from_le_bytes(first) >> 1
}

/// Enters the counters of other devices, as an earlier account had them, where nothing later is known of them.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(super) fn take_over(engine: &mut Engine, others: &BTreeMap<String, Lifted>) -> Result<(), SyncError> {
    let there = read(engine)?;
    let mut entries = BTreeMap::new();
    for (key, lifted) in others {
        let is_own = parsed(key).is_some_and(|(device, _)| device == engine.device);
        if !is_own && there.get(key).is_none_or(|there| said_at(there) < said_at(lifted)) {
            let place = place(&engine.registries.usage, key);
            entries.insert(key.clone(), engine.vault.put_down(Purpose::Usage, &place, lifted)?);
        }
    }
    write(engine, entries)
}

/// What the account has, by device and month, also what only a newer version understands.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(super) fn read(engine: &Engine) -> Result<BTreeMap<String, Lifted>, SyncError> {
    let map = &engine.registries.usage;
    let mut months = BTreeMap::new();
    for (key, text) in engine.ask(&Entries { id: map.clone() })?.entries {
        if parsed(&key).is_some()
            && let Lifting::Lifted(lifted) = engine.vault.lift(Purpose::Usage, &place(map, &key), &text)?
        {
            months.insert(key, lifted);
        }
    }
    Ok(months)
}

/// When a value was written; 0 where only a newer version understands it.
fn said_at(value: &Lifted) -> i64 {
    ciborium::from_reader(value.plaintext.as_slice()).map_or(0, |of: MonthOfUse| of.at)
}

pub(super) fn parsed(key: &str) -> Option<(Uuid, Month)> {
    let (device, month) = key.split_once('.')?;
    Some((Uuid::try_parse(device).ok()?, Month(month.parse().ok()?)))
}

fn key(device: Uuid, month: Month) -> String {
    format!("{}.{}", device.simple(), month.0)
}

/// A value of the registry; none where only a newer version can read it.
fn opened(engine: &Engine, key: &str, text: &str) -> Result<Option<MonthOfUse>, SyncError> {
    match engine.vault.open(Purpose::Usage, &place(&engine.registries.usage, key), text)? {
        Opening::Opened { plaintext, .. } => ciborium::from_reader(plaintext.as_slice())
            .map(Some)
            .map_err(|_| SyncError::Damaged { what: "the synced usage counters".into() }),
        Opening::Newer | Opening::KeyMissing => Ok(None),
    }
}

fn write(engine: &mut Engine, entries: BTreeMap<String, String>) -> Result<(), SyncError> {
    if !entries.is_empty() {
        let map = engine.registries.usage.clone();
        engine.ask(&Set { id: map.clone(), entries })?;
        engine.wrote(map);
    }
    Ok(())
}

fn sealed(engine: &Engine, device: Uuid, month: Month, of: &MonthOfUse) -> Result<(String, String), SyncError> {
    let key = key(device, month);
    let sealed = engine.vault.seal(Purpose::Usage, &place(&engine.registries.usage, &key), &encoded(of)?)?;
    Ok((key, sealed))
}

fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>, SyncError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)
        .map_err(|e| SyncError::Store(format!("usage counters cannot be encoded ({e})")))?;
    Ok(bytes)
}

fn month_of(row: &UsageRow) -> Month {
    Month::of(UnixNanos(row.day.saturating_mul(DAY)))
}

/// An entry opens under its own key only.
fn place(map: &str, key: &str) -> String {
    format!("{map}/{key}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::{Counts, History};

    fn rows(commands: u64) -> Vec<UsageRow> {
        let counts = Counts { commands, succeeded: commands / 2, failed: commands / 3 };
        vec![UsageRow { day: 20_000, model: String::new(), safety: String::new(), counts }]
    }

    proptest! {
        /// Whatever order and however often the states of three devices arrive in, the sum is that of their latest.
        #[test]
        fn sums_are_right_under_any_order_of_merges(
            arrivals in Just((0..3u128).flat_map(|device| (1..=4u64).map(move |state| (device, state))).collect::<Vec<_>>())
                .prop_shuffle(),
            again in proptest::collection::vec((0..3u128, 1..=4u64), 0..12),
        ) {
            let history = History::in_memory().unwrap();
            for (device, state) in arrivals.into_iter().chain(again) {
                let device_id = Uuid::from_u128(device + 1);
                history.ingest_usage(device_id, &rows(state * 10 * (u64::try_from(device).unwrap() + 1))).unwrap();
            }
            let total = history.usage_total(None).unwrap();
            prop_assert_eq!(total.total.commands, 40 + 80 + 120);
            prop_assert_eq!(total.total.succeeded, 20 + 40 + 60);
            prop_assert_eq!(total.by_device.len(), 3);
        }
    }

    #[test]
    fn a_day_belongs_to_its_month_and_fields_of_a_newer_version_survive() {
        assert_eq!(month_of(&rows(1)[0]), Month(202_410));
        let mut of = MonthOfUse { at: 5, rows: rows(9), unknown: BTreeMap::new() };
        of.unknown.insert("keystrokes".into(), ciborium::Value::Integer(7.into()));
        let mut bytes = Vec::new();
        ciborium::into_writer(&of, &mut bytes).unwrap();
        assert_eq!(ciborium::from_reader::<MonthOfUse, _>(bytes.as_slice()).unwrap(), of);
    }
}
