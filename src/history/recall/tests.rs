//! Searching while typing under test: the same as searching once, one hit for each command, in parts and at once.

use super::*;
use crate::history::Record;
use crate::history::testing::{DEVICE, plain};

fn history() -> History {
    let history = History::in_memory().unwrap();
    let runs: [(&str, i64, &str, &str, Option<i32>); 7] = [
        ("git status", 10, "/src", "one", Some(0)),
        ("make test", 20, "/src", "one", Some(2)),
        ("git status", 30, "/src/app", "two", Some(0)),
        ("git push", 40, "/home", "two", None),
        ("make test", 50, "/src", "two", Some(0)),
        ("grüße Git", 60, "/srcx", "one", Some(0)),
        ("ls", 70, "/home", "one", Some(0)),
    ];
    for (command, second, cwd, session, exit) in runs {
        let mut record = plain(command, second);
        (record.cwd, record.session, record.exit) = (Some(cwd.into()), Some(session.into()), exit);
        record.duration_ns = Some(second * 1_000_000_000);
        if command == "ls" {
            record.device_id = Uuid::from_u128(7);
            record.prompt = Some("show the folder".into());
        }
        history.add(&record).unwrap();
    }
    history
}

fn recall(history: &History) -> Recall {
    let mut recall = Recall::default();
    while !recall.read(history, 2).unwrap() {}
    recall
}

fn found(recall: &mut Recall, text: &str, mode: SearchMode, scope: Scope) -> Vec<(String, u32)> {
    let question = Question { text: text.into(), mode, scope, here: Here::default() };
    let answer = recall.ask(&question, 100, || false, |_| {}).unwrap().unwrap();
    assert_eq!(answer.found, answer.hits.len());
    answer.hits.into_iter().map(|hit| (hit.command, hit.runs)).collect()
}

#[test]
fn a_command_is_one_hit_with_its_newest_run_and_how_often_it_ran() {
    let mut recall = recall(&history());
    assert_eq!(recall.len(), 7);
    let all = found(&mut recall, "", SearchMode::Fuzzy, Scope::Everywhere);
    let expected = [("ls", 1), ("grüße Git", 1), ("make test", 2), ("git push", 1), ("git status", 2)];
    assert_eq!(all, expected.map(|(command, runs)| (command.to_owned(), runs)));
    let answer = recall.ask(&Question { text: "make".into(), ..Question::default() }, 5, || false, |_| {});
    let hit = answer.unwrap().unwrap().hits.remove(0);
    assert_eq!((hit.started_at, hit.exit), (UnixNanos(50_000_000_000), Some(0)));
    assert_eq!((hit.cwd.as_deref(), hit.duration), (Some("/src"), Some(Duration::from_secs(50))));
}

#[test]
fn a_command_is_found_by_each_prompt_that_it_answered_and_says_which() {
    let history = history();
    for (second, prompt) in [(80, "what is in here"), (90, "name all files"), (100, "name all files")] {
        history.add(&Record { prompt: Some(prompt.into()), ..plain("ls", second) }).unwrap();
    }
    let mut recall = recall(&history);
    for (text, mode, prompt) in [
        ("folder", SearchMode::Fulltext, "show the folder"),
        ("what here", SearchMode::Fulltext, "what is in here"),
        ("nmfls", SearchMode::Fuzzy, "name all files"),
        ("ls", SearchMode::Prefix, "name all files"),
    ] {
        let question = Question { text: text.into(), mode, ..Question::default() };
        let hits = recall.ask(&question, 5, || false, |_| {}).unwrap().unwrap().hits;
        let hit = hits.iter().find(|hit| hit.command == "ls").unwrap();
        assert_eq!((hit.prompt.as_deref(), hit.runs), (Some(prompt), 4), "{text}");
    }
    let none = Question { text: "folder files".into(), mode: SearchMode::Fulltext, ..Question::default() };
    assert_eq!(recall.ask(&none, 5, || false, |_| {}).unwrap().unwrap().found, 0, "the words are of two prompts");
}

#[test]
fn each_scope_holds_what_ran_there() {
    let mut recall = recall(&history());
    let mut of = |scope| {
        let mut commands: Vec<String> =
            found(&mut recall, "", SearchMode::Fulltext, scope).into_iter().map(|(command, _)| command).collect();
        commands.sort();
        commands.join(", ")
    };
    assert_eq!(of(Scope::Device(Uuid::from_u128(7))), "ls");
    assert_eq!(of(Scope::Device(DEVICE)), "git push, git status, grüße Git, make test");
    assert_eq!(of(Scope::Session("two".into())), "git push, git status, make test");
    assert_eq!(of(Scope::Directory("/src".into())), "git status, make test");
    assert_eq!(of(Scope::Below("/src".into())), "git status, make test");
    assert_eq!(of(Scope::Below("/src/app".into())), "git status");
    assert_eq!(of(Scope::Directory("/nowhere".into())), "");
}

#[test]
fn typing_and_erasing_letter_by_letter_finds_what_asking_anew_finds() {
    let history = history();
    let mut typed = recall(&history);
    for mode in [SearchMode::Fuzzy, SearchMode::Fulltext, SearchMode::Prefix, SearchMode::Regex] {
        for text in ["g", "gi", "git", "git ", "git s", "git", "G", "Gi", "", "folder", "mt", "x", "", "ü"] {
            let anew = found(&mut recall(&history), text, mode, Scope::Everywhere);
            assert_eq!(found(&mut typed, text, mode, Scope::Everywhere), anew, "{mode:?} {text:?}");
            assert_eq!(
                found(&mut typed, text, mode, Scope::Directory("/src".into())),
                found(&mut recall(&history), text, mode, Scope::Directory("/src".into()))
            );
        }
    }
    assert_eq!(found(&mut typed, "folder", SearchMode::Fuzzy, Scope::Everywhere), [("ls".to_owned(), 1)]);
    assert_eq!(found(&mut typed, "Git", SearchMode::Fulltext, Scope::Everywhere), [("grüße Git".to_owned(), 1)]);
}

#[test]
fn a_stale_question_is_dropped_and_the_next_one_is_right() {
    let history = History::in_memory().unwrap();
    let records: Vec<_> = (0..5_000).map(|second| plain(&format!("echo {second}"), second)).collect();
    history.add_batch(&records).unwrap();
    let mut recall = recall(&history);
    let ask = |recall: &mut Recall, text: &str, stale| {
        let question = Question { text: text.into(), ..Question::default() };
        recall.ask(&question, 3, || stale, |_| {}).unwrap()
    };
    assert_eq!(ask(&mut recall, "echo", true), None);
    let answer = ask(&mut recall, "echo 4", false).unwrap();
    let with_a_4 = (0..5_000).filter(|number: &i32| number.to_string().contains('4')).count();
    assert_eq!((answer.found, answer.hits.len()), (with_a_4, 3));
}

#[test]
fn a_pattern_that_is_half_typed_is_an_error_and_no_end() {
    let mut recall = recall(&history());
    let question = Question { text: "git(".into(), mode: SearchMode::Regex, ..Question::default() };
    assert!(recall.ask(&question, 3, || false, |_| {}).is_err());
    assert_eq!(found(&mut recall, "git( |x)push", SearchMode::Regex, Scope::Everywhere).len(), 1);
}

#[test]
fn a_summary_is_about_all_runs_and_what_is_forgotten_is_in_none() {
    let history = history();
    let mut recall = recall(&history);
    let question = Question { text: "git status".into(), ..Question::default() };
    let number = recall.ask(&question, 1, || false, |_| {}).unwrap().unwrap().hits[0].number;
    let summary = recall.summary(number);
    assert_eq!((summary.facts.runs, summary.facts.succeeded), (2, 2));
    assert_eq!((summary.first, summary.mean), (UnixNanos(10_000_000_000), Some(Duration::from_secs(20))));
    assert_eq!(summary.directories, [("/src".to_owned(), 1), ("/src/app".to_owned(), 1)]);
    let here = recall.runs_of(number, &Scope::Directory("/src".into()));
    assert_eq!(here.len(), 1);
    assert_eq!(recall.runs_of(number, &Scope::Everywhere).len(), 2);
    recall.forget(&here);
    assert_eq!(found(&mut recall, "git status", SearchMode::Fulltext, Scope::Everywhere), [("git status".into(), 1)]);
}

#[test]
fn a_filter_leaves_out_what_it_leaves_out_of_a_list_in_parts_of_any_size() {
    let history = history();
    let exit = Filter { exit: Some(0), ..Filter::default() };
    let second = |second: i64| Some(UnixNanos(second * 1_000_000_000));
    let filters = [
        Filter { after: second(30), before: second(60), ..exit.clone() },
        Filter { failed: true, ..Filter::default() },
        Filter { cwd: Some("/src".into()), session: Some("one".into()), ..exit.clone() },
        Filter { device: Some(Uuid::from_u128(7)), ..exit.clone() },
        Filter { tag: Some("none has it".into()), ..exit.clone() },
        Filter { before: second(10), ..Filter::default() },
        Filter { scope: Scope::Below("/src".into()), ..exit },
    ];
    for filter in filters {
        let listed: HashSet<String> = history.list(&filter).unwrap().into_iter().map(|record| record.command).collect();
        let runs = history.list(&filter).unwrap().len();
        for most in [1, 2, 3, 100] {
            let mut recall = Recall::of(filter.clone());
            while !recall.read(&history, most).unwrap() {}
            let found = found(&mut recall, "", SearchMode::Fuzzy, Scope::Everywhere);
            assert_eq!(found.iter().map(|(command, _)| command.clone()).collect::<HashSet<_>>(), listed, "{filter:?}");
            assert_eq!((found.iter().map(|(_, runs)| *runs as usize).sum::<usize>(), recall.len()), (runs, runs));
        }
    }
    let mut recall = Recall::of(Filter { exit: Some(99), ..Filter::default() });
    assert!(!recall.read(&history, 5).unwrap(), "a part is of what is looked at, not of what is kept");
    assert_eq!((recall.looked_at(), recall.len()), (5, 0));
}

#[test]
fn how_long_a_command_took_is_known_to_the_nanosecond() {
    let history = History::in_memory().unwrap();
    for (command, nanos) in [("short", Some(420_000)), ("none", None), ("zero", Some(0)), ("wrong", Some(-5))] {
        history.add(&Record { duration_ns: nanos, ..plain(command, 1) }).unwrap();
    }
    let mut recall = recall(&history);
    let answer = recall.ask(&Question::default(), 9, || false, |_| {}).unwrap().unwrap();
    let took = |command: &str| answer.hits.iter().find(|hit| hit.command == command).unwrap().duration;
    assert_eq!(took("short"), Some(Duration::from_micros(420)));
    assert_eq!([took("none"), took("zero"), took("wrong")], [None, Some(Duration::ZERO), None]);
}
