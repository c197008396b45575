//! Finding under test: filters, order, and each way of understanding a query.

use proptest::prelude::*;

use super::*;
use crate::history::testing::{DEVICE, plain, sample};

fn commands(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.command.as_str()).collect()
}

fn found(history: &History, mode: SearchMode, text: &str) -> Vec<String> {
    let search = Search { text: text.into(), mode, ..Search::default() };
    let records = history.search(&search).unwrap();
    records.into_iter().map(|record| record.command).collect()
}

fn history_of(list: &[&str]) -> History {
    let history = History::in_memory().unwrap();
    for (second, command) in list.iter().enumerate() {
        history.add(&plain(command, second as i64)).unwrap();
    }
    history
}

#[test]
fn the_newest_is_last_and_limit_counts_from_it() {
    let history = history_of(&["a", "b", "c", "d"]);
    let list = |limit, offset, reverse| {
        let filter = Filter { limit, offset, reverse, ..Filter::default() };
        let records = history.list(&filter).unwrap();
        commands(&records).concat()
    };
    assert_eq!(list(None, 0, false), "abcd");
    assert_eq!(list(None, 0, true), "dcba");
    assert_eq!(list(Some(2), 0, false), "cd");
    assert_eq!(list(Some(2), 1, false), "bc");
    assert_eq!(list(Some(2), 1, true), "cb");
    assert_eq!(list(None, 3, false), "a");
    assert_eq!(list(Some(0), 0, false), "");
    assert_eq!(history.last(&Filter::default()).unwrap().unwrap().command, "d");
}

#[test]
fn a_scope_holds_beside_the_filter_of_the_same_kind() {
    let history = History::in_memory().unwrap();
    for (command, cwd) in [("root", "/"), ("top", "/src"), ("below", "/src/a"), ("beside", "/srcx"), ("nowhere", "")] {
        let cwd = Some(cwd.to_owned()).filter(|cwd| !cwd.is_empty());
        history.add(&Record { cwd, ..plain(command, 1) }).unwrap();
    }
    let among = |scope: Scope, cwd: Option<&str>| {
        let filter = Filter { scope, cwd: cwd.map(str::to_owned), ..Filter::default() };
        let mut listed: Vec<_> = history.list(&filter).unwrap().into_iter().map(|record| record.command).collect();
        listed.sort();
        let search = Search { text: "o".into(), filter, ..Search::default() };
        let found = history.search(&search).unwrap().len();
        assert_eq!(found, listed.iter().filter(|command| command.contains('o')).count());
        listed.join(" ")
    };
    assert_eq!(among(Scope::Below("/src".into()), None), "below top");
    assert_eq!(among(Scope::Below("/src/".into()), Some("/src")), "top");
    assert_eq!(among(Scope::Below("/".into()), None), "below beside root top");
    assert_eq!(among(Scope::Directory("/src".into()), None), "top");
    assert_eq!(among(Scope::Directory("/src".into()), Some("/")), "");
    assert_eq!(among(Scope::Device(DEVICE), None), "below beside nowhere root top");
    assert_eq!(among(Scope::Session("none".into()), None), "");
}

#[test]
fn each_filter_narrows_down() {
    let history = History::in_memory().unwrap();
    let full = sample("full");
    history.add(&full).unwrap();
    let mut other = plain("other", 10);
    other.device_id = Uuid::from_u128(1);
    other.tags = vec!["third".into()];
    other.exit = Some(1);
    history.add(&other).unwrap();
    let all = Filter::default;
    let only_full = [
        Filter { cwd: Some("/home/user".into()), ..all() },
        Filter { session: Some("session-1".into()), ..all() },
        Filter { device: Some(DEVICE), ..all() },
        Filter { exit: Some(0), ..all() },
        Filter { after: Some(full.started_at), ..all() },
        Filter { tag: Some("second".into()), ..all() },
        Filter { safety: Some(RiskLevel::Safe), ..all() },
    ];
    for filter in only_full {
        assert_eq!(commands(&history.list(&filter).unwrap()), ["full"], "{filter:?}");
        for mode in [SearchMode::Fulltext, SearchMode::Prefix, SearchMode::Fuzzy, SearchMode::Regex] {
            let search = Search { text: "ful".into(), mode, filter: filter.clone(), here: None };
            assert_eq!(commands(&history.search(&search).unwrap()), ["full"]);
            let search = Search { text: "other".into(), mode, filter: filter.clone(), here: None };
            assert!(history.search(&search).unwrap().is_empty());
        }
    }
    let before = Filter { before: Some(full.started_at), ..all() };
    assert_eq!(commands(&history.list(&before).unwrap()), ["other"]);
    let both = Filter { exit: Some(0), tag: Some("third".into()), ..all() };
    assert!(history.list(&both).unwrap().is_empty());
}

#[test]
fn fulltext_finds_pieces_of_words_in_any_order() {
    let history = history_of(&["minikube start", "kubectl get pods", "git push"]);
    let find = |text| found(&history, SearchMode::Fulltext, text);
    assert_eq!(find("kube"), ["minikube start", "kubectl get pods"]);
    assert_eq!(find("pods get"), ["kubectl get pods"]);
    assert_eq!(find("s"), ["minikube start", "kubectl get pods", "git push"]);
    assert_eq!(find("KUBE"), Vec::<String>::new());
    assert_eq!(find("\"OR\" NEAR(x) -- ; *"), Vec::<String>::new());
    assert_eq!(find("  "), ["minikube start", "kubectl get pods", "git push"]);
}

#[test]
fn fulltext_finds_a_command_by_what_was_asked_for() {
    let history = history_of(&["ls"]);
    let mut record = plain("find . -size +100M", 5);
    record.prompt = Some("Show the large files here".into());
    history.add(&record).unwrap();
    assert_eq!(found(&history, SearchMode::Fulltext, "large files"), [record.command]);
    assert!(found(&history, SearchMode::Fulltext, "large find").is_empty());
}

#[test]
fn many_candidates_are_found_like_few() {
    let list: Vec<String> = (0..6_000).map(|number| format!("common {number}")).collect();
    let history = History::in_memory().unwrap();
    let records: Vec<_> = list.iter().enumerate().map(|(second, command)| plain(command, second as i64)).collect();
    history.add_batch(&records).unwrap();
    assert_eq!(found(&history, SearchMode::Fulltext, "common"), list);
    let newest =
        Search { text: "common".into(), filter: Filter { limit: Some(2), ..Filter::default() }, ..Search::default() };
    assert_eq!(commands(&history.search(&newest).unwrap()), list[list.len() - 2..]);
}

#[test]
fn prefix_regex_and_fuzzy() {
    let history = history_of(&["git checkout main", "echo git", "Git commit", "grep -i t"]);
    assert_eq!(found(&history, SearchMode::Prefix, "git"), ["git checkout main", "Git commit"]);
    assert_eq!(found(&history, SearchMode::Prefix, "Git"), ["Git commit"]);
    assert_eq!(found(&history, SearchMode::Prefix, "git c"), ["git checkout main", "Git commit"]);
    assert_eq!(found(&history, SearchMode::Regex, "^g.*t$"), ["Git commit", "grep -i t"]);
    assert_eq!(found(&history, SearchMode::Regex, r"\bm\w+n$"), ["git checkout main"]);
    assert_eq!(found(&history, SearchMode::Fuzzy, "gcm"), ["git checkout main", "Git commit"]);
    let best = found(&history, SearchMode::Fuzzy, "git");
    assert_eq!(best.first().map(String::as_str), Some("grep -i t"));
    assert_eq!(best.len(), 4);
}

#[test]
fn a_malformed_pattern_is_explained() {
    let history = history_of(&["ls"]);
    let search = Search { text: "a(".into(), mode: SearchMode::Regex, ..Search::default() };
    assert_eq!(
        history.search(&search).unwrap_err().to_string(),
        "the pattern is not a valid regular expression: unclosed group"
    );
}

#[test]
fn where_it_is_known_where_one_is_the_likeliest_is_last() {
    let history = History::in_memory().unwrap();
    let day = 86_400;
    let run = |command: &str, second: i64, cwd: &str, exit: i32| {
        let mut record = plain(command, second);
        record.cwd = Some(cwd.into());
        record.exit = Some(exit);
        history.add(&record).unwrap();
    };
    run("make here", 6 * day, "/src", 0);
    for second in 0..20 {
        run("make often", 6 * day + second, "/other", 0);
    }
    run("make once", 6 * day + 100, "/other", 0);
    run("make wrong", 6 * day + 101, "/other", 2);
    let here = Here { cwd: Some("/src".into()), now: UnixNanos(7 * day * 1_000_000_000) };
    for mode in [SearchMode::Fulltext, SearchMode::Prefix, SearchMode::Fuzzy, SearchMode::Regex] {
        let mut search = Search { text: "make".into(), mode, here: Some(here.clone()), ..Search::default() };
        let records = history.search(&search).unwrap();
        let mut order = commands(&records);
        order.dedup();
        assert_eq!(order, ["make wrong", "make once", "make often", "make here"], "{mode:?}");
        search.filter.limit = Some(1);
        assert_eq!(commands(&history.search(&search).unwrap()), ["make here"]);
        search.filter.offset = 1;
        assert_eq!(commands(&history.search(&search).unwrap()), ["make often"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_piece_of_any_command_is_found(
        list in proptest::collection::vec("[ -~äöüßİ\u{212a}Ж]{1,20}", 1..6), at in 0usize..20, length in 1usize..8,
    ) {
        let texts: Vec<&str> = list.iter().map(String::as_str).collect();
        let history = history_of(&texts);
        let chars: Vec<char> = list[0].chars().collect();
        let piece: String = chars.iter().skip(at % chars.len()).take(length).collect();
        prop_assert!(found(&history, SearchMode::Fulltext, &piece).contains(&list[0]));
    }
}
