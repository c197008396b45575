//! Which rows match a query, the best first, without a look at all of a long history.
//!
//! Where the index names few commands that can match, all that do are ranked. Else the matches among the newest
//! [`Reach::rows`] commands are, or among more until [`Reach::matches`] match; older ones follow in the order of time, and are
//! looked for only as long as more are wanted. Letters that lie apart no index knows: of a fuzzy query those among the
//! newest are ranked together with what the index names, however old that is.
//!
//! So what comes first does not depend on how much is asked for, and asking for little reads little. How often a command
//! ran, and with what success, is that of its runs among the ranked.
//!
//! To read in the order of time costs a look-up for each row. Where the newest hold so few matches that most of the
//! history has to be read, the rest is read as it lies in the table, and sorted.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::super::error::Result;
use super::super::ranking::{Facts, Here, points};
use super::super::store::{History, count};
use super::super::text_index::Candidates;
use super::{Matcher, Search, SearchMode, conditions};

/// How far back matches are ranked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// Among so many of the newest commands,
    pub(super) rows: usize,
    /// and among more until so many match.
    pub(super) matches: usize,
    /// Up to so many that the index names are ranked all.
    pub(super) named: usize,
    /// Each time that so many more rows were looked up, it is asked whether to go on so.
    pub(super) step: usize,
}

/// What is read in a few milliseconds.
pub(super) const REACH: Reach = Reach { rows: 5_000, matches: 50, named: 2_000, step: 5_000 };

/// How many times as long a row takes that is looked up by time as one that is read as it lies in the table.
const TABLE_IS_FASTER: u64 = 4;

/// When a command began, and its id: the greater, the newer.
type Began = (i64, [u8; 16]);

/// A row that matches.
struct Match {
    rowid: i64,
    began: Began,
    text: u32,
    /// Equal for equal commands.
    command: u64,
    exit: Option<i32>,
    here: bool,
}

impl History {
    /// The rows that match, the best first, offset and limit applied.
    pub(super) fn best(&self, search: &Search, matcher: &Matcher, reach: Reach) -> Result<Vec<i64>> {
        let skip = usize::try_from(search.filter.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(search.filter.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let fuzzy = search.mode == SearchMode::Fuzzy;
        let reach = match search.here {
            Some(_) => reach,
            // The closest of all, or the newest.
            None => Reach { rows: 0, matches: if fuzzy { usize::MAX } else { 0 }, ..reach },
        };
        let reader = Reader {
            history: self,
            search,
            matcher,
            here: search.here.as_ref().and_then(|here| here.cwd.as_deref()),
            commands: RandomState::new(),
        };
        let Found { mut ranked, older, .. } = reader.read(skip.saturating_add(limit), reach)?;
        match &search.here {
            Some(here) => rank(&mut ranked, here),
            None if fuzzy => ranked.sort_unstable_by_key(|found| (Reverse(found.text), Reverse(found.began))),
            None => ranked.sort_unstable_by_key(|found| Reverse(found.began)),
        }
        Ok(ranked.into_iter().map(|found| found.rowid).chain(older).skip(skip).take(limit).collect())
    }
}

/// What was found by now, while rows are looked at from the newest on.
struct Found {
    wanted: usize,
    reach: Reach,
    /// What the index named; it is ranked already.
    named: HashSet<i64>,
    rows: usize,
    matches: usize,
    ranked: Vec<Match>,
    /// Those beyond the reach, the newest first.
    older: Vec<i64>,
}

impl Found {
    fn is_within_reach(&self) -> bool {
        self.rows < self.reach.rows || self.matches < self.reach.matches
    }

    fn is_enough(&self) -> bool {
        !self.is_within_reach() && self.ranked.len() + self.older.len() >= self.wanted
    }

    /// How many more rows are to be looked at, if they match as often as those before.
    fn likely_rows(&self) -> usize {
        let wanted = self.wanted.saturating_sub(self.ranked.len() + self.older.len());
        let matches = wanted.max(self.reach.matches.saturating_sub(self.matches));
        if self.rows == 0 {
            return matches;
        }
        matches.saturating_mul(self.rows).checked_div(self.matches).unwrap_or(usize::MAX)
    }

    fn take(&mut self, found: Match) {
        if !self.named.contains(&found.rowid) {
            if self.is_within_reach() { self.ranked.push(found) } else { self.older.push(found.rowid) }
        }
        self.matches += 1;
    }
}

/// Which rows are looked at.
enum Rows<'a> {
    /// All, the newest first.
    Newest,
    /// Those for which this holds.
    Named(&'a str),
    /// Those that are as old as this or older, as they lie in the table.
    From(Began),
}

/// Reads rows for a search.
struct Reader<'a> {
    history: &'a History,
    search: &'a Search,
    matcher: &'a Matcher,
    here: Option<&'a str>,
    /// Tells commands apart.
    commands: RandomState,
}

impl Reader<'_> {
    /// All matches that are to be ranked, and so many older ones that there are as many as are wanted.
    fn read(&self, wanted: usize, reach: Reach) -> Result<Found> {
        let mut found =
            Found { wanted, reach, named: HashSet::new(), rows: 0, matches: 0, ranked: Vec::new(), older: Vec::new() };
        if let Candidates::Few(rowids, indexed) = self.candidates(reach.named)? {
            let fuzzy = self.search.mode == SearchMode::Fuzzy;
            let mut named = format!("rowid IN ({})", rowids.iter().map(i64::to_string).collect::<Vec<_>>().join(","));
            if !fuzzy {
                named = format!("({named} OR rowid > {indexed})");
            }
            found.ranked = self.all(&Rows::Named(&named))?;
            if !fuzzy {
                return Ok(found);
            }
            found.named = found.ranked.iter().map(|found| found.rowid).collect();
        }
        let mut rest = None;
        self.each(&Rows::Newest, |row| {
            if found.is_enough() {
                return Ok(ControlFlow::Break(()));
            }
            let is_asked = found.rows >= reach.rows && found.rows.is_multiple_of(reach.step);
            if is_asked && self.is_most(found.likely_rows())? {
                rest = Some((row.get(1)?, row.get(2)?));
                return Ok(ControlFlow::Break(()));
            }
            if let Some(matching) = self.matching(row)? {
                found.take(matching);
            }
            found.rows += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        if let Some(began) = rest {
            let mut rest = self.all(&Rows::From(began))?;
            rest.sort_unstable_by_key(|found| Reverse(found.began));
            rest.into_iter().for_each(|matching| found.take(matching));
        }
        Ok(found)
    }

    /// What the index says of the query.
    fn candidates(&self, most: usize) -> Result<Candidates> {
        let text = &self.search.text;
        match self.search.mode {
            SearchMode::Regex => Ok(Candidates::Many),
            SearchMode::Prefix => self.history.candidates(&[text], most),
            SearchMode::Fulltext | SearchMode::Fuzzy => {
                self.history.candidates(&text.split_whitespace().collect::<Vec<_>>(), most)
            }
        }
    }

    /// Whether to look up so many rows would take longer than to read all.
    fn is_most(&self, rows: usize) -> Result<bool> {
        if self.search.filter.after.is_some() {
            return Ok(false);
        }
        let all = count(&self.history.db, "SELECT coalesce(max(rowid), 0) FROM records")?;
        Ok(rows as u64 > all / TABLE_IS_FASTER)
    }

    fn all(&self, rows: &Rows<'_>) -> Result<Vec<Match>> {
        let mut all = Vec::new();
        self.each(rows, |row| {
            all.extend(self.matching(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// Hands these rows to `each`, those that the filter wants.
    fn each(&self, rows: &Rows<'_>, mut each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
        let (mut condition, mut values) = conditions(&self.search.filter);
        let (hint, term, order) = match rows {
            Rows::Newest => ("", None, "ORDER BY started_at DESC, id DESC"),
            Rows::Named(named) => ("", Some(*named), ""),
            Rows::From((started_at, id)) => {
                values.push(Value::from(*started_at));
                values.push(Value::from(id.to_vec()));
                ("NOT INDEXED", Some("(started_at, id) <= (?, ?)"), "")
            }
        };
        if let Some(term) = term {
            let joint = if condition.is_empty() { "WHERE" } else { "AND" };
            condition = format!("{condition} {joint} {term}");
        }
        let sql =
            format!("SELECT rowid, started_at, id, command, prompt, exit, cwd FROM records {hint} {condition} {order}");
        let mut statement = self.history.db.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            if each(row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The row, if the query matches it.
    fn matching(&self, row: &Row<'_>) -> Result<Option<Match>> {
        let text = |index: usize| row.get_ref(index)?.as_str_or_null().map_err(rusqlite::Error::from);
        let command = text(3)?.unwrap_or_default();
        let Some(quality) = self.matcher.quality(command, text(4)?) else { return Ok(None) };
        Ok(Some(Match {
            rowid: row.get(0)?,
            began: (row.get(1)?, row.get(2)?),
            text: quality,
            command: self.commands.hash_one(command),
            exit: row.get(5)?,
            here: self.here.is_some() && text(6)? == self.here,
        }))
    }
}

/// Sorts by [`points`], the best first, and of equals the newest.
fn rank(matches: &mut [Match], here: &Here) {
    let mut commands: HashMap<u64, Facts> = HashMap::new();
    for found in matches.iter() {
        commands.entry(found.command).or_default().count(found.exit);
    }
    matches.sort_by_cached_key(|found| {
        let facts = commands.get(&found.command).copied().unwrap_or_default();
        let age = here.now.0.saturating_sub(found.began.0);
        let points = points(&Facts { text: found.text, age, here: found.here, ..facts });
        (Reverse(points), Reverse(found.began))
    });
}

#[cfg(test)]
mod tests;
