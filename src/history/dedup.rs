//! Records that are there more than once: the same command, in the same directory of the same machine.
//!
//! A record with a prompt is the answer to that prompt, so the prompt has to be the same too. One that does not say where
//! it ran, as a shell's own history file has it, says less than one that does: it counts as a copy of any that does.

use std::collections::HashSet;

use rusqlite::params;
use uuid::Uuid;

use super::error::Result;
use super::record::UnixNanos;
use super::rows;
use super::store::History;

/// Two records of one run begin this close to each other, in nanoseconds: shells note whole seconds.
const SAME_RUN: i64 = 2_000_000_000;

impl History {
    /// The records, the oldest first, of which `keep` newer ones say the same; only those that began before `before`. A command
    /// that still runs is none of them.
    ///
    /// # Errors
    /// What the database says.
    pub fn duplicates(&self, keep: u64, before: Option<UnixNanos>) -> Result<Vec<Uuid>> {
        let mut statement = self.db.prepare_cached(
            "SELECT id FROM (SELECT id, started_at, cwd, \
                row_number() OVER (PARTITION BY command, prompt, host, cwd ORDER BY started_at DESC, id DESC) AS place, \
                count(cwd) OVER (PARTITION BY command, prompt, host) AS known FROM records) \
             WHERE (place > ?1 OR cwd IS NULL AND known >= ?1) AND started_at < ?2 \
             AND id NOT IN (SELECT id FROM outbox WHERE held = 2) ORDER BY started_at, id",
        )?;
        let before = before.map_or(i64::MAX, |before| before.0);
        let ids = statement
            .query_map(params![i64::try_from(keep).unwrap_or(i64::MAX), before], |row| rows::id_column(row, 0))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(ids)
    }

    /// The records, the oldest first, of runs that another program recorded too, and knows more about. A run that knows
    /// more stands for one of each history file: of a command that ran twice in a moment and was recorded better once, one stays.
    ///
    /// # Errors
    /// What the database says.
    pub fn recorded_twice(&self, before: Option<UnixNanos>) -> Result<Vec<Uuid>> {
        let before = before.map_or(i64::MAX, |before| before.0);
        let mut statement = self.db.prepare_cached(
            "SELECT less.id, less.imported_from, more.id FROM records AS less CROSS JOIN records AS more \
             ON more.started_at BETWEEN less.started_at - ?1 AND less.started_at + ?1 \
                AND more.command = less.command AND more.cwd IS NOT NULL \
                AND more.imported_from IS NOT less.imported_from \
                AND (more.host = less.host OR more.host IS NULL OR less.host IS NULL) \
             WHERE less.cwd IS NULL AND less.imported_from IS NOT NULL AND less.started_at < ?2 \
             ORDER BY less.started_at, less.id, more.started_at, more.id",
        )?;
        let mut pairs = statement.query(params![SAME_RUN, before])?;
        // In the order of time the first that is free is as good as any other: no other choice makes more pairs.
        let (mut twice, mut taken) = (Vec::new(), HashSet::new());
        while let Some(pair) = pairs.next()? {
            let less = rows::id_column(pair, 0)?;
            if twice.last() == Some(&less) {
                continue;
            }
            if taken.insert((rows::id_column(pair, 2)?, pair.get::<_, String>(1)?)) {
                twice.push(less);
            }
        }
        Ok(twice)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::history::Record;
    use crate::history::testing::plain;

    fn at(command: &str, cwd: Option<&str>, second: i64) -> Record {
        Record { cwd: cwd.map(Into::into), host: Some("laptop".into()), ..plain(command, second) }
    }

    fn seconds(history: &History, ids: &[Uuid]) -> Vec<i64> {
        ids.iter().map(|id| history.get(*id).unwrap().unwrap().started_at.0 / 1_000_000_000).collect()
    }

    #[test]
    fn the_newest_of_each_command_directory_host_and_prompt_stays() {
        let history = History::in_memory().unwrap();
        let other_host = Record { host: Some("desktop".into()), ..at("ls", Some("/a"), 4) };
        let asked = Record { prompt: Some("what is here".into()), ..at("ls", Some("/a"), 5) };
        let records = [
            at("ls", Some("/a"), 1),
            at("ls", Some("/a"), 2),
            at("ls", Some("/b"), 3),
            other_host,
            asked,
            at("ls", Some("/a"), 6),
        ];
        history.add_batch(&records).unwrap();
        assert_eq!(seconds(&history, &history.duplicates(1, None).unwrap()), [1, 2]);
        assert_eq!(seconds(&history, &history.duplicates(2, None).unwrap()), [1]);
        assert_eq!(seconds(&history, &history.duplicates(1, UnixNanos::from_seconds(2)).unwrap()), [1]);
        // One that still runs is left alone.
        history.begin(&at("make", Some("/a"), 7)).unwrap();
        history.add(&at("make", Some("/a"), 8)).unwrap();
        assert_eq!(history.duplicates(1, None).unwrap().len(), 2);
    }

    #[test]
    fn what_does_not_say_where_it_ran_gives_way_to_what_does() {
        let history = History::in_memory().unwrap();
        history
            .add_batch(&[at("ls", Some("/a"), 1), at("ls", None, 2), at("pwd", None, 3), at("pwd", None, 4)])
            .unwrap();
        assert_eq!(seconds(&history, &history.duplicates(1, None).unwrap()), [2, 3]);
    }

    #[test]
    fn one_run_that_two_programs_recorded_is_one() {
        let history = History::in_memory().unwrap();
        let from = |record: Record, source: &str| Record { imported_from: Some(source.into()), ..record };
        history
            .add_batch(&[
                from(at("make", Some("/a"), 10), "atuin"),
                from(at("make", None, 11), "zsh"),
                from(at("make", None, 20), "zsh"),
                from(at("ls", None, 10), "zsh"),
                at("cargo test", Some("/a"), 30),
                from(at("cargo test", None, 30), "bash"),
            ])
            .unwrap();
        let twice = history.recorded_twice(None).unwrap();
        assert_eq!(seconds(&history, &twice), [11, 30]);
        assert!(twice.iter().all(|id| history.get(*id).unwrap().unwrap().cwd.is_none()));
    }

    #[test]
    fn of_quick_repeats_only_those_go_that_were_recorded_better() {
        let history = History::in_memory().unwrap();
        let from = |record: Record, source: &str| Record { imported_from: Some(source.into()), ..record };
        history
            .add_batch(&[
                // Three times in a moment, of which one was recorded better.
                from(at("make", None, 10), "zsh"),
                from(at("make", None, 11), "zsh"),
                from(at("make", None, 12), "zsh"),
                at("make", Some("/a"), 11),
                // Each of two has its own, though the first would do for both.
                from(at("ls", None, 20), "bash"),
                from(at("ls", None, 22), "bash"),
                at("ls", Some("/a"), 21),
                at("ls", Some("/b"), 24),
                // One run that two history files had.
                from(at("git push", None, 30), "bash"),
                from(at("git push", None, 30), "zsh"),
                at("git push", Some("/a"), 30),
            ])
            .unwrap();
        let twice = history.recorded_twice(None).unwrap();
        assert_eq!(seconds(&history, &twice), [10, 20, 22, 30, 30]);
        history.delete(&twice, UnixNanos(1)).unwrap();
        assert_eq!(history.count().unwrap(), 6);
    }

    proptest! {
        /// Of each kind the newest stay, and a second look finds nothing more.
        #[test]
        fn exactly_the_newest_stay(runs in prop::collection::vec((0u8..3, 0u8..3), 0..40), keep in 1u64..4) {
            let history = History::in_memory().unwrap();
            let records: Vec<_> = (0i64..)
                .zip(&runs)
                .map(|(second, (command, cwd))| at(&format!("c{command}"), Some(&format!("/{cwd}")), second))
                .collect();
            history.add_batch(&records).unwrap();
            history.delete(&history.duplicates(keep, None).unwrap(), UnixNanos(1)).unwrap();
            let mut expected: BTreeMap<(u8, u8), Vec<i64>> = BTreeMap::new();
            for (second, run) in (0i64..).zip(&runs) {
                expected.entry(*run).or_default().push(second);
            }
            let mut expected: Vec<i64> =
                expected.into_values().flat_map(|all| all.into_iter().rev().take(keep as usize)).collect();
            expected.sort_unstable();
            let left: Vec<Uuid> = history.list(&Default::default()).unwrap().iter().map(|record| record.id).collect();
            prop_assert_eq!(seconds(&history, &left), expected);
            prop_assert!(history.duplicates(keep, None).unwrap().is_empty());
        }
    }
}
