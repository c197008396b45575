//! How much was run: counters of each device and UTC day, which outlive the records.
//!
//! Only the device that ran a command counts it, once, when it is first known to be complete; deleting the record
//! does not take it back. A counter never falls, so the counters of a device at two moments unite by taking the
//! greater of each, in any order and any number of times; the total is the sum over the devices.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::Result;
use super::record::{Record, RiskLevel, UnixNanos};
use super::rows::id_column;
use super::store::History;

/// Nanoseconds in a day.
const DAY: i64 = 86_400_000_000_000;

/// How many commands, and what came of them. What neither succeeded nor failed has no known end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// All of them.
    pub commands: u64,
    /// Those that exited with status 0.
    pub succeeded: u64,
    /// Those that exited with another.
    pub failed: u64,
}

impl Counts {
    /// One command that ended so.
    pub(super) fn of(exit: Option<i32>) -> Self {
        let one = |is_one: bool| u64::from(is_one);
        Self { commands: 1, succeeded: one(exit == Some(0)), failed: one(exit.is_some_and(|exit| exit != 0)) }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.commands = self.commands.saturating_add(other.commands);
        self.succeeded = self.succeeded.saturating_add(other.succeeded);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// The commands of one device and day that one model made and that are equally dangerous.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// Days since 1970, in UTC.
    pub day: i64,
    /// The model that made them; empty: none.
    #[serde(default)]
    pub model: String,
    /// Their safety level; empty: unknown.
    #[serde(default)]
    pub safety: String,
    /// How many.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What was run on all devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Everything.
    pub total: Counts,
    /// By the model that made the commands; those typed by hand are left out.
    pub by_model: BTreeMap<String, Counts>,
    /// By safety level, where it is known.
    pub by_safety: BTreeMap<String, Counts>,
    /// By the device that ran them.
    pub by_device: BTreeMap<Uuid, Counts>,
}

/// The UTC day in which a moment lies, in days since 1970.
#[must_use]
pub fn day_of(at: UnixNanos) -> i64 {
    at.0.div_euclid(DAY)
}

/// What one counter is for: a device, a day of UTC, a model and a safety level, as a [`UsageRow`] has them.
type Counter = (Uuid, i64, String, String);

/// What the counters would say, had they counted nothing but the records that are there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recount {
    counters: BTreeMap<Counter, Counts>,
    /// The counter of the records before: those that lie together are mostly for the same.
    current: Option<(Counter, Counts)>,
}

impl Recount {
    /// Counts one record.
    pub(super) fn add(&mut self, device: Uuid, at: UnixNanos, model: &str, safety: &str, one: Counts) {
        let day = day_of(at);
        match &mut self.current {
            Some(((its_device, its_day, its_model, its_safety), counts))
                if *its_device == device
                    && *its_day == day
                    && its_model.as_str() == model
                    && its_safety.as_str() == safety =>
            {
                counts.add(one);
            }
            _ => {
                self.end();
                self.current = Some(((device, day, model.to_owned(), safety.to_owned()), one));
            }
        }
    }

    /// To be called after the last record.
    pub(super) fn end(&mut self) {
        if let Some((counter, counts)) = self.current.take() {
            self.counters.entry(counter).or_default().add(counts);
        }
    }
}

/// What the records of one transaction add to the counters of this device, written once in its end.
#[derive(Default)]
pub(super) struct Tally {
    own: Option<Uuid>,
    rows: BTreeMap<(i64, String, &'static str), Counts>,
}

impl Tally {
    /// Of the device whose history this is.
    pub(super) fn begin(db: &Connection) -> Result<Self> {
        let own = db
            .prepare_cached("SELECT unhex(value, '-') FROM meta WHERE key = 'device_id'")?
            .query_row([], |row| id_column(row, 0))
            .optional()?;
        Ok(Self { own, rows: BTreeMap::new() })
    }

    /// Counts a record of this device, unless it was counted. What was only suggested was not run.
    pub(super) fn count(&mut self, db: &Connection, record: &Record) -> Result<()> {
        if record.executed == Some(false) || self.own != Some(record.device_id) {
            return Ok(());
        }
        let first = db
            .prepare_cached("INSERT INTO counted (id) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([record.id.as_bytes()])?;
        if first == 1 {
            let model = record.model.clone().unwrap_or_default();
            let safety = record.safety.map(RiskLevel::as_str).unwrap_or_default();
            let row = self.rows.entry((day_of(record.started_at), model, safety)).or_default();
            row.add(Counts::of(record.exit));
        }
        Ok(())
    }

    /// Adds it to the counters.
    pub(super) fn end(self, db: &Connection) -> Result<()> {
        let Some(own) = self.own else { return Ok(()) };
        for ((day, model, safety), counts) in self.rows {
            put(db, ADD, own, &UsageRow { day, model, safety: safety.to_owned(), counts })?;
        }
        Ok(())
    }
}

/// Adds a row to what its counter says.
const ADD: &str = "INSERT INTO usage (device, day, model, safety, commands, succeeded, failed) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (device, day, model, safety) DO UPDATE SET \
     commands = commands + excluded.commands, succeeded = succeeded + excluded.succeeded, \
     failed = failed + excluded.failed";

/// Leaves the greater of what a row and its counter say.
const UNITE: &str = "INSERT INTO usage (device, day, model, safety, commands, succeeded, failed) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (device, day, model, safety) DO UPDATE SET \
     commands = max(commands, excluded.commands), succeeded = max(succeeded, excluded.succeeded), \
     failed = max(failed, excluded.failed)";

/// Stores a row of a device by one of these statements.
fn put(db: &Connection, statement: &str, device: Uuid, row: &UsageRow) -> Result<()> {
    let UsageRow { day, model, safety, counts } = row;
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let (commands, succeeded, failed) = (whole(counts.commands), whole(counts.succeeded), whole(counts.failed));
    db.prepare_cached(statement)?.execute(params![
        device.as_bytes(),
        day,
        model,
        safety,
        commands,
        succeeded,
        failed
    ])?;
    Ok(())
}

/// Sees to it that the counters say at least what the records of this device do, where some of them were lost.
pub(super) fn count_again(db: &Connection) -> Result<()> {
    let own = "(SELECT unhex(value, '-') FROM meta WHERE key = 'device_id')";
    db.execute_batch(&format!(
        "INSERT OR IGNORE INTO counted (id) SELECT id FROM records WHERE device_id = {own} AND exit IS NOT NULL;
         INSERT INTO usage (device, day, model, safety, commands, succeeded, failed) SELECT
             device_id,
             CASE WHEN started_at < 0 THEN (started_at + 1) / {DAY} - 1 ELSE started_at / {DAY} END,
             coalesce(model, ''),
             CASE safety WHEN 0 THEN 'safe' WHEN 1 THEN 'moderate' WHEN 2 THEN 'high' WHEN 3 THEN 'critical' ELSE '' END,
             count(*), sum(coalesce(exit = 0, 0)), sum(coalesce(exit <> 0, 0))
         FROM records JOIN counted USING (id) WHERE device_id = {own} AND coalesce(executed, 1) = 1 GROUP BY 1, 2, 3, 4
         ON CONFLICT (device, day, model, safety) DO UPDATE SET commands = max(commands, excluded.commands),
             succeeded = max(succeeded, excluded.succeeded), failed = max(failed, excluded.failed);"
    ))?;
    Ok(())
}

impl History {
    /// The counters of one device, oldest day first.
    ///
    /// # Errors
    /// What the database says.
    pub fn usage_of(&self, device: Uuid) -> Result<Vec<UsageRow>> {
        let mut statement = self.db.prepare_cached(
            "SELECT device, day, model, safety, commands, succeeded, failed FROM usage WHERE device = ?1 \
             ORDER BY day, model, safety",
        )?;
        let rows = statement.query_map([device.as_bytes()], |row| Ok(from_row(row)?.1))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Unites the counters of a device, as they came from sync, with what is known here: the greater of each stays.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn ingest_usage(&self, device: Uuid, rows: &[UsageRow]) -> Result<()> {
        self.write(|db| rows.iter().try_for_each(|row| put(db, UNITE, device, row)))
    }

    /// What the counters say was run on all devices, from a day on (see [`day_of`]) or ever.
    ///
    /// # Errors
    /// What the database says.
    pub fn usage_total(&self, from: Option<i64>) -> Result<Usage> {
        self.united(from, &BTreeMap::new())
    }

    /// The same from a moment on; for a device and day of which the records know more commands, it is what they say: a command that
    /// still runs, or of a device whose counters never came here, is in no counter. A day of UTC that began before that moment has no
    /// counter of what came after it, so there the records alone count.
    ///
    /// # Errors
    /// What the database says.
    pub fn usage_and_records(&self, from: Option<UnixNanos>, records: &Recount) -> Result<Usage> {
        let first_whole_day = from.map(|from| day_of(UnixNanos(from.0.saturating_sub(1))) + 1);
        self.united(first_whole_day, &records.counters)
    }

    fn united(&self, from: Option<i64>, records: &BTreeMap<Counter, Counts>) -> Result<Usage> {
        let mut statement = self.db.prepare_cached(
            "SELECT device, day, model, safety, commands, succeeded, failed FROM usage WHERE day >= ?1",
        )?;
        let mut counters: BTreeMap<Counter, Counts> = BTreeMap::new();
        for row in statement.query_map([from.unwrap_or(i64::MIN)], from_row)? {
            let (device, UsageRow { day, model, safety, counts }) = row?;
            counters.insert((device, day, model, safety), counts);
        }
        // By model and level they may say different things of one command, whose record was completed later.
        let (counted, recorded) = (by_day(&counters), by_day(records));
        let says_more = |(device, day, ..): &Counter| {
            let of = |sums: &BTreeMap<(Uuid, i64), u64>| sums.get(&(*device, *day)).copied().unwrap_or(0);
            of(&recorded) > of(&counted)
        };
        counters.retain(|counter, _| !says_more(counter));
        counters.extend(records.iter().filter(|(counter, _)| says_more(counter)).map(|(c, n)| (c.clone(), *n)));
        let mut usage = Usage::default();
        for ((device, _, model, safety), counts) in counters {
            usage.total.add(counts);
            usage.by_device.entry(device).or_default().add(counts);
            if !model.is_empty() {
                usage.by_model.entry(model).or_default().add(counts);
            }
            if !safety.is_empty() {
                usage.by_safety.entry(safety).or_default().add(counts);
            }
        }
        Ok(usage)
    }
}

/// The commands of each device and day.
fn by_day(counters: &BTreeMap<Counter, Counts>) -> BTreeMap<(Uuid, i64), u64> {
    let mut sums = BTreeMap::new();
    for ((device, day, ..), counts) in counters {
        *sums.entry((*device, *day)).or_default() += counts.commands;
    }
    sums
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(Uuid, UsageRow)> {
    let number = |index| -> rusqlite::Result<u64> { Ok(row.get::<_, i64>(index)?.unsigned_abs()) };
    let counts = Counts { commands: number(4)?, succeeded: number(5)?, failed: number(6)? };
    Ok((id_column(row, 0)?, UsageRow { day: row.get(1)?, model: row.get(2)?, safety: row.get(3)?, counts }))
}

#[cfg(test)]
mod tests;
