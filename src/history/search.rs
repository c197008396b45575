//! Finding records: by filters alone (listing) and by a query (searching).
//!
//! Results come with the best last, which for a listing is the newest: on a terminal that is the
//! line next to the prompt. `limit` and `offset` count from the best. A search that knows where and when it is made
//! puts matches in the order of `ranking`.
//!
//! A full-text query asks the index for candidates. Where it names few, those are read; where it
//! names many, a scan from the newest on reaches the limit sooner than sorting them would. Every
//! candidate is checked against its text, so the index only ever narrows the work down.

mod fuzzy;
mod matcher;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params_from_iter};
use uuid::Uuid;

use super::error::Result;
use super::ranking::{Facts, Here, points};
use super::record::{Record, RiskLevel, UnixNanos};
use super::rows;
use super::store::History;
use super::text_index::Candidates;

pub use matcher::Matcher;
pub(super) use matcher::{is_narrower, mask};

/// So many of the newest matches are ranked; older ones follow in the order of time. A fuzzy query ranks all.
const RANKED: usize = 5_000;

/// Which records are wanted; the default wants all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Ran in exactly this directory.
    pub cwd: Option<String>,
    /// Ran in this session.
    pub session: Option<String>,
    /// Was recorded by this device.
    pub device: Option<Uuid>,
    /// Exited with this status.
    pub exit: Option<i32>,
    /// Began before this moment.
    pub before: Option<UnixNanos>,
    /// Began at this moment or later.
    pub after: Option<UnixNanos>,
    /// Carries this tag.
    pub tag: Option<String>,
    /// Has this risk level.
    pub safety: Option<RiskLevel>,
    /// Ran, as far as is known (true), or was only suggested (false).
    pub executed: Option<bool>,
    /// At most so many, counted from the best.
    pub limit: Option<u64>,
    /// Leaves out so many of the best.
    pub offset: u64,
    /// Gives the best first instead of last.
    pub reverse: bool,
}

/// How the text of a [`Search`] is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchMode {
    /// Every word of it occurs somewhere in the command, or every word in the prompt.
    #[default]
    Fulltext,
    /// The command begins with it.
    Prefix,
    /// The letters of every word of it occur in the command, or in the prompt, in this order, the closer together
    /// the better.
    Fuzzy,
    /// It is a regular expression that matches somewhere in the command.
    Regex,
}

/// A query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Search {
    /// What to look for; empty text finds everything.
    pub text: String,
    /// How to understand the text.
    pub mode: SearchMode,
    /// Which records to look at.
    pub filter: Filter,
    /// Where and when one searches: matches are then in the order of [`points`]. Without it the newest is the best, of a
    /// fuzzy query the closest.
    pub here: Option<Here>,
}

impl History {
    /// The records the filter wants.
    ///
    /// # Errors
    /// What the database says.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Record>> {
        collect(|push| self.list_each(filter, push))
    }

    /// Hands the records the filter wants to `each`, one at a time, until it breaks.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_each(&self, filter: &Filter, mut each: impl FnMut(Record) -> ControlFlow<()>) -> Result<()> {
        let (condition, mut values) = conditions(filter);
        let columns = rows::COLUMNS;
        let whole = filter.limit.is_none() && filter.offset == 0;
        let sql = match (whole, filter.reverse) {
            (true, false) => {
                format!("SELECT {columns} FROM records {condition} ORDER BY started_at, id")
            }
            (true, true) => format!("SELECT {columns} FROM records {condition} ORDER BY started_at DESC, id DESC"),
            (false, reverse) => {
                values.push(Value::from(to_sql(filter.limit.unwrap_or(u64::MAX))));
                values.push(Value::from(to_sql(filter.offset)));
                let best = format!(
                    "SELECT {columns} FROM records {condition} \
                     ORDER BY started_at DESC, id DESC LIMIT ? OFFSET ?"
                );
                if reverse { best } else { format!("SELECT * FROM ({best}) ORDER BY started_at, id") }
            }
        };
        let mut statement = self.db.prepare_cached(&sql)?;
        for record in statement.query_map(params_from_iter(values), rows::from_row)? {
            if each(record?).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The newest record the filter wants.
    ///
    /// # Errors
    /// What the database says.
    pub fn last(&self, filter: &Filter) -> Result<Option<Record>> {
        let newest = Filter { limit: Some(1), ..filter.clone() };
        Ok(self.list(&newest)?.pop())
    }

    /// The records that match the query.
    ///
    /// # Errors
    /// [`HistoryError::InvalidPattern`](super::HistoryError::InvalidPattern), or what the database says.
    pub fn search(&self, search: &Search) -> Result<Vec<Record>> {
        collect(|push| self.search_each(search, push))
    }

    /// Hands the records that match the query to `each`, one at a time, until it breaks.
    ///
    /// # Errors
    /// [`HistoryError::InvalidPattern`](super::HistoryError::InvalidPattern), or what the database says.
    pub fn search_each(&self, search: &Search, mut each: impl FnMut(Record) -> ControlFlow<()>) -> Result<()> {
        if search.text.trim().is_empty() {
            return self.list_each(&search.filter, each);
        }
        let matcher = Matcher::new(&search.text, search.mode)?;
        let mut found = self.best(search, &matcher)?;
        if !search.filter.reverse {
            found.reverse();
        }
        let sql = format!("SELECT {} FROM records WHERE rowid = ?1", rows::COLUMNS);
        let mut statement = self.db.prepare_cached(&sql)?;
        for rowid in found {
            // Another process may have deleted it since.
            let record = statement.query_row([rowid], rows::from_row).optional()?;
            if record.is_some_and(|record| each(record).is_break()) {
                break;
            }
        }
        Ok(())
    }

    /// The rows that match, the best first, offset and limit applied.
    fn best(&self, search: &Search, matcher: &Matcher) -> Result<Vec<i64>> {
        let skip = usize::try_from(search.filter.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(search.filter.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let fuzzy = search.mode == SearchMode::Fuzzy;
        // The newest matches are enough, except where an old one may be the best by far.
        let enough = match &search.here {
            _ if fuzzy => usize::MAX,
            Some(_) => skip.saturating_add(limit).max(RANKED),
            None => skip.saturating_add(limit),
        };
        let only = match search.mode {
            SearchMode::Fulltext => match self.candidates(&search.text)? {
                Candidates::Few(rowids, indexed) => {
                    let list: Vec<String> = rowids.iter().map(i64::to_string).collect();
                    Some(format!("(rowid IN ({}) OR rowid > {indexed})", list.join(",")))
                }
                Candidates::Many => None,
            },
            SearchMode::Prefix | SearchMode::Regex | SearchMode::Fuzzy => None,
        };
        let mut matches = self.scan(search, matcher, only.as_deref(), enough)?;
        // Stable sorts: among equals the newest stays first.
        match &search.here {
            None if fuzzy => matches.sort_by_key(|found| std::cmp::Reverse(found.text)),
            None => {}
            Some(here) => {
                let ranked = if fuzzy { matches.len() } else { matches.len().min(RANKED) };
                rank(&mut matches[..ranked], here);
            }
        }
        Ok(matches.into_iter().skip(skip).take(limit).map(|found| found.rowid).collect())
    }

    /// At most `enough` rows that the filter wants and the query matches, the newest first.
    fn scan(&self, search: &Search, matcher: &Matcher, only: Option<&str>, enough: usize) -> Result<Vec<Match>> {
        let (mut condition, values) = conditions(&search.filter);
        if let Some(only) = only {
            let joint = if condition.is_empty() { "WHERE" } else { "AND" };
            condition = format!("{condition} {joint} {only}");
        }
        let sql = format!(
            "SELECT rowid, command, prompt, exit, started_at, cwd FROM records {condition} \
             ORDER BY started_at DESC, id DESC"
        );
        let hasher = RandomState::new();
        let here = search.here.as_ref().and_then(|here| here.cwd.as_deref());
        let mut statement = self.db.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut found = Vec::new();
        while found.len() < enough {
            let Some(row) = rows.next()? else { break };
            let command = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            let prompt = row.get_ref(2)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            let Some(text) = matcher.quality(command, prompt) else { continue };
            let cwd = row.get_ref(5)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            found.push(Match {
                rowid: row.get(0)?,
                text,
                command: hasher.hash_one(command),
                exit: row.get(3)?,
                started_at: row.get(4)?,
                here: here.is_some() && cwd == here,
            });
        }
        Ok(found)
    }
}

/// A row that matches.
struct Match {
    rowid: i64,
    text: u32,
    /// Equal for equal commands.
    command: u64,
    exit: Option<i32>,
    started_at: i64,
    here: bool,
}

/// Sorts by [`points`], the best first. How often a command ran, and with what success, is that of all its runs among
/// these.
fn rank(matches: &mut [Match], here: &Here) {
    let mut commands: HashMap<u64, Facts> = HashMap::new();
    for found in matches.iter() {
        commands.entry(found.command).or_default().count(found.exit);
    }
    matches.sort_by_cached_key(|found| {
        let facts = commands.get(&found.command).copied().unwrap_or_default();
        let age = here.now.0.saturating_sub(found.started_at);
        std::cmp::Reverse(points(&Facts { text: found.text, age, here: found.here, ..facts }))
    });
}

fn collect(run: impl FnOnce(&mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<()>) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    run(&mut |record| {
        records.push(record);
        ControlFlow::Continue(())
    })?;
    Ok(records)
}

/// The filter as a WHERE clause (or nothing) and its values.
fn conditions(filter: &Filter) -> (String, Vec<Value>) {
    let mut terms: Vec<(&str, Value)> = Vec::new();
    if let Some(cwd) = &filter.cwd {
        terms.push(("cwd = ?", cwd.clone().into()));
    }
    if let Some(session) = &filter.session {
        terms.push(("session = ?", session.clone().into()));
    }
    if let Some(device) = filter.device {
        terms.push(("device_id = ?", device.as_bytes().to_vec().into()));
    }
    if let Some(exit) = filter.exit {
        terms.push(("exit = ?", exit.into()));
    }
    if let Some(before) = filter.before {
        terms.push(("started_at < ?", before.0.into()));
    }
    if let Some(after) = filter.after {
        terms.push(("started_at >= ?", after.0.into()));
    }
    if let Some(tag) = &filter.tag {
        terms.push(("EXISTS (SELECT 1 FROM json_each(tags) WHERE json_each.value = ?)", tag.clone().into()));
    }
    if let Some(safety) = filter.safety {
        terms.push(("safety = ?", rows::safety_rank(safety).into()));
    }
    if let Some(executed) = filter.executed {
        terms.push(("coalesce(executed, 1) = ?", executed.into()));
    }
    let (texts, values): (Vec<_>, Vec<_>) = terms.into_iter().unzip();
    let clause = if texts.is_empty() { String::new() } else { format!("WHERE {}", texts.join(" AND ")) };
    (clause, values)
}

fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
