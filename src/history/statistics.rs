//! What the records that are there say: how often what was run, where and when. Counted in one pass over them.
//!
//! The counters of [`usage`](super::Usage) outlive the records and know no more than models and safety levels; this knows
//! everything and forgets what is deleted. Commands that were only suggested were not run; they count by themselves.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::num::NonZeroU32;

use super::category::{Category, Look};
use super::error::Result;
use super::record::{RiskLevel, UnixNanos};
use super::rows::{id_column, safety_from_rank};
use super::store::History;
use super::usage::{Counts, Recount};

/// A moment as the user's clock and calendar have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Days since 1970.
    pub day: i64,
    /// 0 to 23.
    pub hour: u8,
}

/// What the records say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Everything.
    pub total: Counts,
    /// By program, and subcommand where it has some; the most used first, and as many as were asked for.
    pub by_command: Vec<(String, Counts)>,
    /// By the directory in which they ran; the most used first, and as many as were asked for.
    pub by_directory: Vec<(String, Counts)>,
    /// By category; those without a command are left out.
    pub by_category: BTreeMap<Category, Counts>,
    /// By the hour of the day.
    pub by_hour: [u64; 24],
    /// By the day of the week, Monday first.
    pub by_weekday: [u64; 7],
    /// By day, in days since 1970; days without a command are left out.
    pub by_day: BTreeMap<i64, u64>,
    /// How many different command lines there are.
    pub different: u64,
    /// How many were only suggested; they are in nothing else.
    pub suggested: u64,
    /// The same commands as counters have them, for [`History::usage_and_records`].
    pub recount: Recount,
}

impl History {
    /// Counts the records from a moment on, or all; `local` tells the user's time, and lists have at most `most` entries.
    ///
    /// # Errors
    /// What the database says.
    pub fn statistics(
        &self,
        from: Option<UnixNanos>,
        most: usize,
        local: impl Fn(UnixNanos) -> LocalTime,
    ) -> Result<Statistics> {
        // All are read as they lie in the table, which takes a fourth of the time of looking each up by when it began.
        let hint = if from.is_none() { "NOT INDEXED" } else { "" };
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT command, cwd, started_at, exit, category, device_id, safety, model, coalesce(executed, 1) \
             FROM records {hint} WHERE started_at >= ?1"
        ))?;
        let mut rows = statement.query([from.map_or(i64::MIN, |from| from.0)])?;
        let (mut lines, mut directories) = (Lines::default(), HashMap::<Box<str>, Counts>::new());
        let mut by_category = [Counts::default(); Category::ALL.len()];
        let mut statistics = Statistics::default();
        while let Some(row) = rows.next()? {
            if !row.get::<_, bool>(8)? {
                statistics.suggested += 1;
                continue;
            }
            let text = |index| row.get_ref(index)?.as_str_or_null().map_err(rusqlite::Error::from);
            let one = Counts::of(row.get(3)?);
            statistics.total.add(one);
            let category = lines.add(text(0)?.unwrap_or_default(), one);
            let category = text(4)?.and_then(Category::named).unwrap_or(category);
            by_category[category as usize].add(one);
            if let Some(directory) = text(1)? {
                match directories.get_mut(directory) {
                    Some(counts) => counts.add(one),
                    None => drop(directories.insert(directory.into(), one)),
                }
            }
            let at = UnixNanos(row.get(2)?);
            let safety = row.get::<_, Option<i64>>(6)?.map(safety_from_rank).transpose()?;
            let safety = safety.map(RiskLevel::as_str).unwrap_or_default();
            statistics.recount.add(id_column(row, 5)?, at, text(7)?.unwrap_or_default(), safety, one);
            let LocalTime { day, hour } = local(at);
            *statistics.by_day.entry(day).or_default() += 1;
            if let Some(hour) = statistics.by_hour.get_mut(usize::from(hour)) {
                *hour += 1;
            }
        }
        statistics.recount.end();
        for (day, count) in &statistics.by_day {
            // The first day of 1970 was a Thursday.
            let weekday = usize::try_from((day + 3).rem_euclid(7)).unwrap_or_default();
            statistics.by_weekday[weekday] += count;
        }
        statistics.by_category = Category::ALL.into_iter().zip(by_category).filter(|(_, of)| of.commands > 0).collect();
        statistics.different = lines.known.len() as u64;
        statistics.by_command = the_most(lines.names.into_iter(), most);
        statistics.by_directory = the_most(directories.into_iter(), most);
        Ok(statistics)
    }
}

/// The place of a name, from 1 on: that there is none takes no room.
type Place = NonZeroU32;

/// Hashes what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Command lines as they are counted. Each is looked at once: a history has many of them again and again.
#[derive(Default)]
struct Lines {
    hasher: RandomState,
    /// By the hash of the line: the place of its name, and its category.
    known: HashMap<u64, (Option<Place>, Category), BuildHasherDefault<Hashed>>,
    /// The places of the names.
    places: HashMap<Box<str>, Place>,
    names: Vec<(Box<str>, Counts)>,
    /// A name while it is put together.
    name: String,
}

impl Lines {
    /// Counts a command line under its name, and says what category it is of.
    fn add(&mut self, line: &str, one: Counts) -> Category {
        let hash = self.hasher.hash_one(line);
        let (place, category) = match self.known.get(&hash) {
            Some(known) => *known,
            None => {
                let look = Look::at(line);
                let known = (self.place(look), look.category);
                self.known.insert(hash, known);
                known
            }
        };
        if let Some((_, counts)) = place.and_then(|place| self.names.get_mut(place.get() as usize - 1)) {
            counts.add(one);
        }
        category
    }

    fn place(&mut self, Look { program, subcommand, .. }: Look<'_>) -> Option<Place> {
        self.name.clear();
        self.name.push_str(program?);
        if let Some(subcommand) = subcommand {
            self.name.push(' ');
            self.name.push_str(subcommand);
        }
        if let Some(place) = self.places.get(self.name.as_str()) {
            return Some(*place);
        }
        self.names.push((self.name.as_str().into(), Counts::default()));
        let place = u32::try_from(self.names.len()).ok().and_then(Place::new)?;
        self.places.insert(self.name.as_str().into(), place);
        Some(place)
    }
}

/// Those with the most commands, the first of them first.
fn the_most(named: impl Iterator<Item = (Box<str>, Counts)>, most: usize) -> Vec<(String, Counts)> {
    let mut named: Vec<_> = named.collect();
    named
        .sort_by(|(name, counts), (other, others)| others.commands.cmp(&counts.commands).then_with(|| name.cmp(other)));
    named.truncate(most);
    named.into_iter().map(|(name, counts)| (name.into(), counts)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Record;
    use crate::history::testing::plain;

    fn utc(at: UnixNanos) -> LocalTime {
        let hours = at.0.div_euclid(3_600_000_000_000);
        LocalTime { day: hours.div_euclid(24), hour: u8::try_from(hours.rem_euclid(24)).unwrap() }
    }

    #[test]
    fn each_command_counts_once_everywhere_it_belongs() {
        let history = History::in_memory().unwrap();
        let add = |command: &str, seconds, exit, cwd: Option<&str>| {
            let record = Record { exit, cwd: cwd.map(Into::into), ..plain(command, seconds) };
            history.add(&record).unwrap();
            record
        };
        // The second day of 1970 was a Friday.
        let noon = 36 * 3600;
        add("git status", noon, Some(0), Some("/src"));
        add("git status --short", noon + 60, Some(1), Some("/src"));
        add("git status", noon + 7200, None, Some("/tmp"));
        add("make test", noon + 86_400, Some(0), None);
        let mut suggested = plain("rm -rf /", noon);
        suggested.executed = Some(false);
        history.add(&suggested).unwrap();
        let named = Record { category: Some("log_analysis".into()), ..plain("make logs", -1) };
        history.add(&named).unwrap();

        let found = history.statistics(None, 9, utc).unwrap();
        let counts = |commands, succeeded, failed| Counts { commands, succeeded, failed };
        assert_eq!(found.total, counts(5, 2, 1));
        assert_eq!(found.by_command, [("git status".into(), counts(3, 1, 1)), ("make".into(), counts(2, 1, 0))]);
        assert_eq!(found.by_directory, [("/src".into(), counts(2, 1, 1)), ("/tmp".into(), counts(1, 0, 0))]);
        let categories = [
            (Category::GitVersionControl, counts(3, 1, 1)),
            (Category::LogAnalysis, counts(1, 0, 0)),
            (Category::Other, counts(1, 1, 0)),
        ];
        assert_eq!(found.by_category, BTreeMap::from(categories));
        assert_eq!((found.by_hour[12], found.by_hour[14], found.by_hour[23]), (3, 1, 1));
        assert_eq!(found.by_weekday, [0, 0, 1, 0, 3, 1, 0], "Wednesday, Friday, Saturday");
        assert_eq!(found.by_day, BTreeMap::from([(-1, 1), (1, 3), (2, 1)]));
        assert_eq!((found.different, found.suggested), (4, 1));

        let later = history.statistics(Some(UnixNanos(86_400_000_000_000)), 1, utc).unwrap();
        assert_eq!((later.total.commands, later.by_command.len(), later.by_directory.len()), (4, 1, 1));
    }
}
