//! Finding records: by filters alone (listing) and by a query (searching).
//!
//! Results come with the best last, which for a listing is the newest: on a terminal that is the
//! line next to the prompt. `limit` and `offset` count from the best. A search that knows where and when it is made
//! puts matches in the order of `ranking`.
//!
//! Every row is checked against its text; the index only ever narrows the work down (`best`).

mod best;
mod fuzzy;
mod matcher;

use std::ops::ControlFlow;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params_from_iter};
use uuid::Uuid;

use super::error::Result;
use super::ranking::Here;
use super::record::{Record, RiskLevel, UnixNanos};
use super::rows;
use super::store::History;

pub use matcher::Matcher;
pub(super) use matcher::{is_narrower, mask};

/// Where commands are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// All of them.
    #[default]
    Everywhere,
    /// What this device recorded.
    Device(Uuid),
    /// What ran in this shell session.
    Session(String),
    /// What ran in this directory.
    Directory(String),
    /// What ran in this directory or below it.
    Below(String),
}

/// Which records are wanted; the default wants all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Is from here, whatever else is asked of it.
    pub scope: Scope,
    /// Ran in exactly this directory.
    pub cwd: Option<String>,
    /// Ran in this session.
    pub session: Option<String>,
    /// Was recorded by this device.
    pub device: Option<Uuid>,
    /// Exited with this status.
    pub exit: Option<i32>,
    /// Exited with a status other than 0.
    pub failed: bool,
    /// Is not this one.
    pub without: Option<Uuid>,
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
    /// Where and when one searches: matches are then in the order of [`points`](super::ranking::points). Without it the newest
    /// is the best, of a fuzzy query the closest.
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
        let mut found = self.best(search, &matcher, best::REACH)?;
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
    let (terms, values) = terms(filter);
    let clause = if terms.is_empty() { String::new() } else { format!("WHERE {}", terms.join(" AND ")) };
    (clause, values)
}

/// What the filter asks of a row, each with one value.
pub(super) fn terms(filter: &Filter) -> (Vec<&'static str>, Vec<Value>) {
    let mut terms: Vec<(&str, Value)> = Vec::new();
    match &filter.scope {
        Scope::Everywhere => {}
        Scope::Device(device) => terms.push(("device_id = ?", device.as_bytes().to_vec().into())),
        Scope::Session(session) => terms.push(("session = ?", session.clone().into())),
        Scope::Directory(cwd) => terms.push(("cwd = ?", cwd.clone().into())),
        Scope::Below(root) => {
            terms.push(("instr(cwd || '/', ?) = 1", format!("{}/", root.trim_end_matches('/')).into()));
        }
    }
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
    if filter.failed {
        terms.push(("exit <> ?", 0.into()));
    }
    if let Some(without) = filter.without {
        terms.push(("id <> ?", without.as_bytes().to_vec().into()));
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
    terms.into_iter().unzip()
}

fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
