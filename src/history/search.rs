//! Finding records: by filters alone (listing) and by a query (searching).
//!
//! Results come with the best last, which for a listing is the newest: on a terminal that is the
//! line next to the prompt. `limit` and `offset` count from the best. Letters match either case
//! unless the query holds a capital.
//!
//! A full-text query asks the index for candidates. Where it names few, those are read; where it
//! names many, a scan from the newest on reaches the limit sooner than sorting them would. Every
//! candidate is checked against its text, so the index only ever narrows the work down.

mod fuzzy;

use std::ops::ControlFlow;

use regex::{Regex, RegexBuilder};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params_from_iter};
use uuid::Uuid;

use super::error::{HistoryError, Result};
use super::record::{Record, RiskLevel, UnixNanos};
use super::rows;
use super::store::History;
use super::text_index::Candidates;

/// Largest compiled size of a regular expression, in bytes.
const MAX_PATTERN_BYTES: usize = 4 * 1024 * 1024;

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
    /// The letters of every word of it occur in the command in this order, the closer together
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
    /// [`HistoryError::InvalidPattern`], or what the database says.
    pub fn search(&self, search: &Search) -> Result<Vec<Record>> {
        collect(|push| self.search_each(search, push))
    }

    /// Hands the records that match the query to `each`, one at a time, until it breaks.
    ///
    /// # Errors
    /// [`HistoryError::InvalidPattern`], or what the database says.
    pub fn search_each(&self, search: &Search, mut each: impl FnMut(Record) -> ControlFlow<()>) -> Result<()> {
        if search.text.trim().is_empty() {
            return self.list_each(&search.filter, each);
        }
        let mut found = match search.mode {
            SearchMode::Fulltext => self.find_words(search)?,
            SearchMode::Prefix => {
                let pattern = literal(&search.text, "^", smart_case(&search.text))?;
                self.scan(&search.filter, |command, _| pattern.is_match(command))?
            }
            SearchMode::Regex => {
                let pattern = RegexBuilder::new(&search.text)
                    .case_insensitive(smart_case(&search.text))
                    .size_limit(MAX_PATTERN_BYTES)
                    .build()
                    .map_err(invalid_pattern)?;
                self.scan(&search.filter, |command, _| pattern.is_match(command))?
            }
            SearchMode::Fuzzy => self.find_fuzzily(search)?,
        };
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

    fn find_words(&self, search: &Search) -> Result<Vec<i64>> {
        let ignore_case = smart_case(&search.text);
        let words =
            search.text.split_whitespace().map(|word| literal(word, "", ignore_case)).collect::<Result<Vec<_>>>()?;
        let matches = |command: &str, prompt: Option<&str>| {
            words.iter().all(|word| word.is_match(command))
                || prompt.is_some_and(|prompt| words.iter().all(|word| word.is_match(prompt)))
        };
        match self.candidates(&search.text)? {
            Candidates::Few(rowids, indexed) => {
                let list: Vec<String> = rowids.iter().map(i64::to_string).collect();
                let only = format!("(rowid IN ({}) OR rowid > {indexed})", list.join(","));
                self.scan_where(&search.filter, Some(&only), matches)
            }
            Candidates::Many => self.scan(&search.filter, matches),
        }
    }

    fn find_fuzzily(&self, search: &Search) -> Result<Vec<i64>> {
        let query = fuzzy::Query::new(&search.text, smart_case(&search.text));
        let everything = Filter { limit: None, offset: 0, ..search.filter.clone() };
        let mut scores = Vec::new();
        let newest_first = self.scan(&everything, |command, _| match query.score(command) {
            Some(score) => {
                scores.push(score);
                true
            }
            None => false,
        })?;
        let mut scored: Vec<(u32, i64)> = scores.into_iter().zip(newest_first).collect();
        // A stable sort: among equals the newest stays first.
        scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        let skip = usize::try_from(search.filter.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(search.filter.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        Ok(scored.into_iter().skip(skip).take(limit).map(|(_, rowid)| rowid).collect())
    }

    fn scan(&self, filter: &Filter, matches: impl FnMut(&str, Option<&str>) -> bool) -> Result<Vec<i64>> {
        self.scan_where(filter, None, matches)
    }

    /// Rows the filter wants and `matches` accepts, the newest first, offset and limit applied.
    fn scan_where(
        &self,
        filter: &Filter,
        only: Option<&str>,
        mut matches: impl FnMut(&str, Option<&str>) -> bool,
    ) -> Result<Vec<i64>> {
        let (mut condition, values) = conditions(filter);
        if let Some(only) = only {
            let joint = if condition.is_empty() { "WHERE" } else { "AND" };
            condition = format!("{condition} {joint} {only}");
        }
        let sql = format!(
            "SELECT rowid, command, prompt FROM records {condition} \
             ORDER BY started_at DESC, id DESC"
        );
        let mut statement = self.db.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut found = Vec::new();
        let mut skip = filter.offset;
        while filter.limit.is_none_or(|limit| (found.len() as u64) < limit) {
            let Some(row) = rows.next()? else { break };
            let command = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            let prompt = row.get_ref(2)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            if matches(command, prompt) {
                if skip > 0 {
                    skip -= 1;
                } else {
                    found.push(row.get(0)?);
                }
            }
        }
        Ok(found)
    }
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
    let (texts, values): (Vec<_>, Vec<_>) = terms.into_iter().unzip();
    let clause = if texts.is_empty() { String::new() } else { format!("WHERE {}", texts.join(" AND ")) };
    (clause, values)
}

/// Whether letters match either case: yes, unless the query holds a capital.
fn smart_case(text: &str) -> bool {
    !text.chars().any(char::is_uppercase)
}

fn literal(text: &str, anchor: &str, ignore_case: bool) -> Result<Regex> {
    RegexBuilder::new(&format!("{anchor}{}", regex::escape(text)))
        .case_insensitive(ignore_case)
        .size_limit(MAX_PATTERN_BYTES)
        .build()
        .map_err(invalid_pattern)
}

fn invalid_pattern(error: regex::Error) -> HistoryError {
    let text = error.to_string();
    // The engine draws a picture of the pattern over several lines and ends with the reason.
    let reason = text.lines().last().unwrap_or_default();
    HistoryError::InvalidPattern(reason.trim_start_matches("error: ").to_owned())
}

fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
