//! How a device is used, in numbers: what a report of the community is made from. No text leaves this file but names of its own.

use std::collections::BTreeMap;

use super::category::Category;
use super::error::Result;
use super::record::{RiskLevel, UnixNanos};
use super::rows::safety_from_rank;
use super::statistics::LocalTime;
use super::store::History;
use super::usage::Counts;

/// Families of models, and what the name of one has in it; the first that fits counts.
const FAMILIES: &[(&str, &[&str])] = &[
    ("deepseek", &["deepseek"]),
    ("qwen", &["qwen"]),
    ("smollm", &["smollm"]),
    ("mistral", &["mistral", "mixtral", "codestral", "devstral"]),
    ("gemma", &["gemma"]),
    ("claude", &["claude"]),
    ("gpt", &["gpt"]),
    ("llama", &["llama"]),
];

/// The commands that ran on this device, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Habits {
    /// All of them.
    pub all: Counts,
    /// Those that a model wrote.
    pub generated: Counts,
    /// By category.
    pub by_category: BTreeMap<Category, u64>,
    /// Those that a model wrote, by its family; `other` where it is of none that is known.
    pub by_model: BTreeMap<&'static str, u64>,
    /// Those that were rated, by how dangerous they are.
    pub by_safety: BTreeMap<RiskLevel, u64>,
    /// By the quarter of the day in which they began: from midnight, 6, 12 and 18 o'clock.
    pub by_quarter: [u64; 4],
    /// Those of Saturdays and Sundays.
    pub weekend: u64,
}

impl History {
    /// Counts what ran on this device from one moment up to another; `local` tells the user's time.
    ///
    /// # Errors
    /// What the database says.
    pub fn habits(&self, from: UnixNanos, to: UnixNanos, local: impl Fn(UnixNanos) -> LocalTime) -> Result<Habits> {
        let mut statement = self.db.prepare_cached(
            "SELECT command, started_at, exit, category, safety, model FROM records \
             WHERE started_at >= ?1 AND started_at < ?2 AND device_id = ?3 AND coalesce(executed, 1)",
        )?;
        let device = self.device_id()?;
        let mut rows = statement.query((from.0, to.0, device.as_bytes().as_slice()))?;
        let mut habits = Habits::default();
        while let Some(row) = rows.next()? {
            let text = |index| row.get_ref(index)?.as_str_or_null().map_err(rusqlite::Error::from);
            let one = Counts::of(row.get(2)?);
            habits.all.add(one);
            let named = text(3)?.and_then(Category::named);
            let category = named.unwrap_or_else(|| Category::of(text(0).ok().flatten().unwrap_or_default()));
            *habits.by_category.entry(category).or_default() += 1;
            if let Some(level) = row.get::<_, Option<i64>>(4)?.map(safety_from_rank).transpose()? {
                *habits.by_safety.entry(level).or_default() += 1;
            }
            if let Some(model) = text(5)? {
                habits.generated.add(one);
                *habits.by_model.entry(family(model)).or_default() += 1;
            }
            let LocalTime { day, hour } = local(UnixNanos(row.get(1)?));
            if let Some(quarter) = habits.by_quarter.get_mut(usize::from(hour / 6)) {
                *quarter += 1;
            }
            // The first day of 1970 was a Thursday.
            habits.weekend += u64::from((day + 3).rem_euclid(7) >= 5);
        }
        Ok(habits)
    }
}

/// The family of a model.
fn family(model: &str) -> &'static str {
    // A program that runs models, not one of them.
    let model = model.to_lowercase().replace("ollama", "");
    let found = FAMILIES.iter().find(|(_, parts)| parts.iter().any(|part| model.contains(part)));
    found.map_or("other", |(family, _)| family)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Record;
    use crate::history::testing::plain;

    const DAY: i64 = 86_400;

    fn utc(at: UnixNanos) -> LocalTime {
        let hours = at.0.div_euclid(3_600_000_000_000);
        LocalTime { day: hours.div_euclid(24), hour: u8::try_from(hours.rem_euclid(24)).unwrap() }
    }

    #[test]
    fn what_ran_here_in_that_time_is_counted_and_nothing_else() {
        let history = History::in_memory().unwrap();
        let own = history.device_id().unwrap();
        let add = |command: &str, at: i64, change: &dyn Fn(&mut Record)| {
            let mut record = Record { device_id: own, ..plain(command, at) };
            change(&mut record);
            history.add(&record).unwrap();
        };
        // The third day of 1970 was a Saturday.
        add("git status", 2 * DAY + 7 * 3600, &|record| record.exit = Some(0));
        add("ls", 4 * DAY + 23 * 3600, &|record| {
            record.exit = Some(1);
            record.model = Some("ollama/Qwen2.5-Coder".into());
            record.safety = Some(RiskLevel::High);
        });
        add("make", 4 * DAY, &|record| record.category = Some("log_analysis".into()));
        add("early", DAY - 1, &|_| ());
        add("late", 5 * DAY, &|_| ());
        add("suggested", 3 * DAY, &|record| record.executed = Some(false));
        add("elsewhere", 3 * DAY, &|record| record.device_id = uuid::Uuid::from_u128(9));
        let habits = history.habits(UnixNanos(DAY * 1_000_000_000), UnixNanos(5 * DAY * 1_000_000_000), utc).unwrap();
        let wanted = Habits {
            all: Counts { commands: 3, succeeded: 1, failed: 1 },
            generated: Counts { commands: 1, succeeded: 0, failed: 1 },
            by_category: [Category::GitVersionControl, Category::FileManagement, Category::LogAnalysis]
                .map(|category| (category, 1))
                .into(),
            by_model: [("qwen", 1)].into(),
            by_safety: [(RiskLevel::High, 1)].into(),
            by_quarter: [1, 1, 0, 1],
            weekend: 1,
        };
        assert_eq!(habits, wanted);
    }

    #[test]
    fn models_are_known_by_their_family() {
        for (model, wanted) in [
            ("qwen2.5-coder:1.5b", "qwen"),
            ("SmolLM-135M-Instruct", "smollm"),
            ("ollama/codellama", "llama"),
            ("Mixtral-8x7B", "mistral"),
            ("deepseek-r1-distill-qwen-7b", "deepseek"),
            ("claude-opus-4", "claude"),
            ("gpt-4o", "gpt"),
            ("gemma3", "gemma"),
            ("ollama/my-own", "other"),
            ("", "other"),
        ] {
            assert_eq!(family(model), wanted, "{model}");
        }
    }
}
