//! The best under test: against a plain reading of all rows, on random histories.

use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::history::testing::plain;
use crate::history::text_index::index_chunk;
use crate::history::{Filter, Record, UnixNanos};

const NOW: UnixNanos = UnixNanos(3_000 * 1_000_000_000);

fn here() -> Here {
    Here { cwd: Some("/src".into()), now: NOW }
}

fn ids(history: &History, rowids: &[i64]) -> Vec<Uuid> {
    let mut statement = history.db.prepare("SELECT id FROM records WHERE rowid = ?1").unwrap();
    rowids.iter().map(|rowid| Uuid::from_bytes(statement.query_row([rowid], |row| row.get(0)).unwrap())).collect()
}

/// What the module says of itself, by looking at everything.
fn expected(history: &History, search: &Search, reach: Reach) -> Vec<Uuid> {
    let matcher = Matcher::new(&search.text, search.mode).unwrap();
    let here = search.here.clone().unwrap();
    let newest_first = Filter { reverse: true, limit: None, offset: 0, ..search.filter.clone() };
    let rows = history.list(&newest_first).unwrap();
    let named = match search.mode {
        SearchMode::Regex => Candidates::Many,
        SearchMode::Prefix => history.candidates(&[&search.text], reach.named).unwrap(),
        _ => history.candidates(&search.text.split_whitespace().collect::<Vec<_>>(), reach.named).unwrap(),
    };
    let fuzzy = search.mode == SearchMode::Fuzzy;
    let (is_all, named) = match named {
        Candidates::Few(rowids, _) => (!fuzzy, ids(history, &rowids)),
        Candidates::Many => (false, Vec::new()),
    };
    let (mut ranked, mut older) = (Vec::new(), Vec::new());
    let mut matches = 0;
    for (before, record) in rows.iter().enumerate() {
        let in_reach = before < reach.rows || matches < reach.matches;
        let Some(text) = matcher.quality(&record.command, record.prompt.as_deref()) else { continue };
        matches += 1;
        if is_all || in_reach || named.contains(&record.id) {
            ranked.push((record, text));
        } else {
            older.push(record.id);
        }
    }
    let points = |record: &Record, text| {
        let mut facts = Facts { text, age: NOW.0 - record.started_at.0, ..Facts::default() };
        facts.here = record.cwd == here.cwd;
        ranked.iter().filter(|(run, _)| run.command == record.command).for_each(|(run, _)| facts.count(run.exit));
        points(&facts)
    };
    let mut order: Vec<_> = ranked.iter().map(|(record, text)| (points(record, *text), *record)).collect();
    // Stable: among equals the newest stays first.
    order.sort_by_key(|(points, _)| Reverse(*points));
    order.into_iter().map(|(_, record)| record.id).chain(older).collect()
}

fn any_record() -> impl Strategy<Value = Record> {
    let word = || prop::sample::select(vec!["git", "commit", "checkout", "make", "gxixt", "cömmit", "m"]);
    let cwd = option::of(prop::sample::select(vec!["/src", "/elsewhere"]));
    let prompt = option::weighted(0.2, prop::sample::select(vec!["commit it", "make it so"]));
    // So few seconds and bytes that times are equal, and commands too.
    ((word(), word()), 0i64..40, cwd, option::of(0..2), prompt).prop_map(|(words, minute, cwd, exit, prompt)| {
        let mut record = plain(&format!("{} {}", words.0, words.1), minute * 60);
        record.cwd = cwd.map(str::to_owned);
        record.exit = exit;
        record.prompt = prompt.map(str::to_owned);
        record
    })
}

fn any_search() -> impl Strategy<Value = Search> {
    let text = prop::sample::select(vec![
        "git",
        "git commit",
        "it",
        "m",
        "gmt",
        "commit git",
        "öm",
        "nothing",
        "make m",
        "git c",
    ]);
    let mode =
        prop::sample::select(vec![SearchMode::Fulltext, SearchMode::Prefix, SearchMode::Fuzzy, SearchMode::Regex]);
    let exit = option::weighted(0.2, 0..2);
    (text, mode, exit).prop_map(|(text, mode, exit)| Search {
        text: text.into(),
        mode,
        filter: Filter { exit, ..Filter::default() },
        here: Some(here()),
    })
}

proptest! {
    #[test]
    fn little_reading_finds_what_reading_all_would(
        indexed in prop::collection::vec(any_record(), 0..40),
        others in prop::collection::vec(any_record(), 0..40),
        search in any_search(),
        reach in (0usize..30, 0usize..10, 0usize..20, 1usize..20),
        page in (0usize..12, option::of(0usize..12)),
    ) {
        let reach = Reach { rows: reach.0, matches: reach.1, named: reach.2, step: reach.3 };
        let history = History::in_memory().unwrap();
        history.add_batch(&indexed).unwrap();
        history.write(index_chunk).unwrap();
        history.add_batch(&others).unwrap();
        let matcher = Matcher::new(&search.text, search.mode).unwrap();
        let all = expected(&history, &search, reach);
        let (skip, limit) = page;
        let mut page = search.clone();
        page.filter.offset = skip as u64;
        page.filter.limit = limit.map(|limit| limit as u64);
        let wanted: Vec<Uuid> = all.iter().skip(skip).take(limit.unwrap_or(usize::MAX)).copied().collect();
        let found = history.best(&page, &matcher, reach).unwrap();
        prop_assert_eq!(ids(&history, &found), wanted, "{:?} of {:?}", page, search);
    }
}

#[test]
fn an_old_command_that_matches_by_far_the_best_comes_before_many_new_ones() {
    let history = History::in_memory().unwrap();
    history.add(&plain("deploy the blog", 0)).unwrap();
    let others: Vec<_> = (1..200).map(|n| plain(&format!("d e p l o y {n}"), n)).collect();
    history.add_batch(&others).unwrap();
    history.write(index_chunk).unwrap();
    let search = Search {
        text: "deploy".into(),
        mode: SearchMode::Fuzzy,
        filter: Filter { limit: Some(1), ..Filter::default() },
        here: Some(here()),
    };
    let matcher = Matcher::new(&search.text, search.mode).unwrap();
    let reach = Reach { rows: 50, matches: 10, named: 5, step: 50 };
    let found = history.best(&search, &matcher, reach).unwrap();
    assert_eq!(found, [1]);
}

#[test]
fn the_search_stops_where_enough_is_found() {
    let history = History::in_memory().unwrap();
    // Whatever else would be read is no text any more, and would be an error.
    let records: Vec<_> = (0..100).map(|n| plain(&format!("make {n}"), n)).collect();
    history.add_batch(&records).unwrap();
    history.write(index_chunk).unwrap();
    history.db.execute("UPDATE records SET command = CAST(x'ff' AS TEXT) WHERE rowid <= 50", []).unwrap();
    let mut search = Search { text: "make".into(), here: Some(here()), ..Search::default() };
    let matcher = Matcher::new(&search.text, search.mode).unwrap();
    let reach = Reach { rows: 20, matches: 10, named: 0, step: 20 };
    for (limit, is_read) in [(1, true), (20, true), (40, true), (60, false)] {
        search.filter.limit = Some(limit);
        let found = history.best(&search, &matcher, reach);
        assert_eq!(found.is_ok_and(|found| found.len() as u64 == limit), is_read, "{limit}");
    }
}
