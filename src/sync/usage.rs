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
use super::vault::Opening;
use crate::history::{UnixNanos, UsageRow};
use crate::runtime::protocol::{Entries, Set};
use crate::seal::Purpose;

/// How often the value of a month is written again, nanoseconds.
const WRITE_EVERY: i64 = 15 * 60 * 1_000_000_000;
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

/// Takes over the counters of other devices, and says this one's.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(super) fn exchange(engine: &mut Engine) -> Result<(), SyncError> {
    let now = (engine.now)().0;
    let there = read(engine)?;
    for ((device, _), month) in there.iter().filter(|((device, _), _)| *device != engine.device) {
        engine.history.ingest_usage(*device, &month.rows)?;
    }
    let mut months: BTreeMap<Month, Vec<UsageRow>> = BTreeMap::new();
    for row in engine.history.usage_of(engine.device)? {
        months.entry(month_of(&row)).or_default().push(row);
    }
    let mut later = BTreeMap::new();
    for (month, rows) in months {
        let before = there.get(&(engine.device, month));
        let is_fresh = before.is_some_and(|before| before.at <= now && now < before.at + WRITE_EVERY);
        if is_fresh || before.is_some_and(|before| before.rows == rows) {
            continue;
        }
        let unknown = before.map(|before| before.unknown.clone()).unwrap_or_default();
        let (key, sealed) = sealed(engine, engine.device, month, &MonthOfUse { at: now, rows, unknown })?;
        later.insert(key, sealed);
    }
    write(engine, later)
}

/// Enters the counters of devices that have not joined this account yet, as an earlier one had them.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(super) fn take_over(engine: &mut Engine, others: BTreeMap<(Uuid, Month), MonthOfUse>) -> Result<(), SyncError> {
    let others = others.into_iter().filter(|((device, _), _)| *device != engine.device);
    let entries = others.map(|((device, month), of)| sealed(engine, device, month, &of)).collect::<Result<_, _>>()?;
    write(engine, entries)
}

/// What the account has, by device and month; what only a newer version can read is left out.
///
/// # Errors
///
/// As [`Engine::exchange`].
pub(super) fn read(engine: &Engine) -> Result<BTreeMap<(Uuid, Month), MonthOfUse>, SyncError> {
    let damaged = || SyncError::Damaged { what: "the synced usage counters".into() };
    let map = &engine.registries.usage;
    let mut months = BTreeMap::new();
    for (key, value) in engine.ask(&Entries { id: map.clone() })?.entries {
        let Some((device, month)) = key.split_once('.') else { continue };
        let (Ok(device), Ok(month)) = (Uuid::try_parse(device), month.parse()) else { continue };
        if let Opening::Opened { plaintext, .. } = engine.vault.open(Purpose::Usage, &place(map, &key), &value)? {
            let of = ciborium::from_reader(plaintext.as_slice()).map_err(|_| damaged())?;
            months.insert((device, Month(month)), of);
        }
    }
    Ok(months)
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
    let mut plaintext = Vec::new();
    ciborium::into_writer(of, &mut plaintext)
        .map_err(|e| SyncError::Store(format!("usage counters cannot be encoded ({e})")))?;
    let key = format!("{}.{}", device.simple(), month.0);
    let sealed = engine.vault.seal(Purpose::Usage, &place(&engine.registries.usage, &key), &plaintext)?;
    Ok((key, sealed))
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
