//! Which commands a search shows: filters and scopes of the list and of the search on the screen, and the preferences with
//! which that begins.

use caro::history::{Filter, Record, RiskLevel, UnixNanos, new_id};
use uuid::Uuid;

use crate::common::home::{Run, TestHome};
use crate::common::tmux::Screen;
use crate::search_screen::{PLAIN, now, opened};

/// A home with commands that differ in all that filters ask for, the newest first, each an hour older than the one before.
fn home() -> TestHome {
    let home = TestHome::new();
    let history = home.history();
    let device = history.device_id().expect("a device");
    let commands = [
        ("make release", Some(0), "deploy ci", RiskLevel::Moderate),
        ("make test", Some(2), "ci", RiskLevel::Safe),
        ("rm -rf build", Some(1), "", RiskLevel::High),
        ("make clean", Some(0), "", RiskLevel::Safe),
        // Only suggested.
        ("dd of=disk", None, "", RiskLevel::Critical),
    ];
    for (hours, (command, exit, tags, safety)) in (0i64..).zip(commands) {
        let mut record = Record::new(command, UnixNanos(now().0 - hours * 3_600_000_000_000), device);
        (record.exit, record.executed, record.safety) = (exit, exit.is_none().then_some(false), Some(safety));
        record.tags = tags.split_whitespace().map(str::to_owned).collect();
        (record.cwd, record.session) = (Some(format!("/{command}")), Some(format!("s{hours}")));
        history.add(&record).expect("it is stored");
    }
    home
}

/// Adds a command that ran in a place.
fn ran(home: &TestHome, command: &str, cwd: &str, session: &str, device: Option<Uuid>) {
    let history = home.history();
    let device = device.unwrap_or_else(|| history.device_id().expect("a device"));
    let mut record = Record::new(command, now(), device);
    (record.cwd, record.session, record.id) = (Some(cwd.into()), Some(session.into()), new_id(record.started_at));
    record.exit = Some(0);
    history.add(&record).expect("it is stored");
}

fn sorted(run: Run) -> Vec<String> {
    let mut lines: Vec<String> = run.success().lines().into_iter().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The commands on a screen, by the signs that no other text there has.
fn on_screen(shown: &str) -> Vec<String> {
    let known = ["make release", "make test", "rm -rf build", "make clean", "dd of=disk"];
    let mut found: Vec<String> =
        known.iter().filter(|command| shown.contains(*command)).map(|command| (*command).to_owned()).collect();
    found.sort();
    found
}

#[test]
fn each_filter_leaves_the_same_in_the_list_and_on_the_screen() {
    let home = home();
    let cases: [(&str, &str, &[&str]); 11] = [
        ("--exit 0", "exit 0", &["make clean", "make release"]),
        ("--exit 2", "exit 2", &["make test"]),
        ("--failed", "failed", &["make test", "rm -rf build"]),
        ("--tag ci", "tag ci", &["make release", "make test"]),
        ("--tag deploy --exit 1", "exit 1, tag deploy", &[]),
        ("--safety high", "safety high", &["rm -rf build"]),
        ("--suggested", "suggested", &["dd of=disk"]),
        ("--executed --safety safe", "safety safe, executed", &["make clean", "make test"]),
        ("--cwd '/make test'", "in /make test", &["make test"]),
        ("--session s2", "session s2", &["rm -rf build"]),
        ("--after '90 minutes ago' --device this", "device this, since 2", &["make release", "make test"]),
    ];
    let screen = Screen::start(&home, (100, 14), &PLAIN, &[]);
    screen.shows("$");
    for (number, (flags, words, wanted)) in cases.into_iter().enumerate() {
        let args: Vec<&str> = match flags.split_once(" '") {
            Some((flag, rest)) => {
                let (value, more) = rest.split_once('\'').expect("its end");
                [flag, value].into_iter().chain(more.split_whitespace()).collect()
            }
            None => flags.split_whitespace().collect(),
        };
        let listed = sorted(home.run([&["history", "search", "--cmd-only"], args.as_slice()].concat()));
        assert_eq!(listed, wanted, "{flags}");
        // The line that was typed is not part of what is looked at.
        screen.enter(&format!("clear; caro history search -i {flags}; clear; echo \"left:{number}\""));
        let count = if wanted.is_empty() { "Nothing found".into() } else { format!("of {}", wanted.len()) };
        let shown = screen.until(flags, |text| text.contains('❯') && text.contains(&count));
        assert!(shown.contains(&format!("only: {words}")), "{shown}");
        assert_eq!(on_screen(&shown.replace(&format!("only: {words}"), "")), wanted, "{flags}: {shown}");
        screen.press("Escape");
        screen.shows(&format!("left:{number}"));
    }
}

#[test]
fn a_filter_holds_whatever_is_typed_wherever_one_looks_and_for_what_is_deleted() {
    let home = home();
    ran(&home, "rm -rf build", "/elsewhere", "s9", None);
    let screen = opened(&home, (40, 10), "caro history search -i --failed", &[("CARO_SESSION", "s2")]);
    screen.shows("1 of 2");
    screen.types("make");
    let shown = screen.shows("1 of 1");
    assert_eq!(on_screen(&shown), ["make test"]);
    screen.press("C-u").press("C-r").press("C-r");
    let shown = screen.until("the session", |text| text.contains("─ this session ─") && text.contains("1 of 1"));
    assert!(
        shown.contains("rm -rf build") && !shown.contains('×'),
        "the run that did not fail is none of these: {shown}"
    );
    screen.press("C-x");
    screen.shows("Delete this command?");
    screen.types("y");
    screen.until("that it is gone", |text| text.contains("Deleted 1 command."));
    let left = home.history().list(&Filter { cwd: Some("/elsewhere".into()), ..Filter::default() }).expect("a list");
    assert_eq!(left.len(), 1, "what the filter left out is still there");
}

#[test]
fn a_search_that_prints_looks_where_it_is_told_beside_other_flags() {
    let home = TestHome::new();
    let work = home.work_dir();
    let below = work.join("src/deep");
    std::fs::create_dir_all(&below).expect("a directory");
    std::fs::create_dir(work.join(".git")).expect("a directory");
    let (work, below) = (work.display().to_string(), below.display().to_string());
    ran(&home, "x here", &below, "this", None);
    ran(&home, "x above", &work, "other", None);
    ran(&home, "x beside", &format!("{work}side"), "this", None);
    ran(&home, "x far", &below, "other", Some(Uuid::from_u128(7)));
    let search = |args: &[&str]| {
        let mut command = home.command([&["history", "search", "--cmd-only"], args].concat());
        command.current_dir(&below).env("CARO_SESSION", "this");
        home.finish(command, &[])
    };
    for text in ["x", ""] {
        for (scope, wanted) in [
            ("everywhere", &["x above", "x beside", "x far", "x here"][..]),
            ("machine", &["x above", "x beside", "x here"]),
            ("session", &["x beside", "x here"]),
            ("directory", &["x far", "x here"]),
            ("workspace", &["x above", "x far", "x here"]),
        ] {
            assert_eq!(sorted(search(&["--scope", scope, text])), wanted, "{scope}");
        }
    }
    assert_eq!(sorted(search(&["--scope", "workspace", "--device", "this", "--reverse", "x"])), ["x above", "x here"]);
    assert_eq!(sorted(search(&["--scope", "directory", "--cwd", &work])), [""; 0], "both hold");
    // The preference is the screen's.
    assert_eq!(home.run(["config", "set", "search.scope", "directory"]).code, Some(0));
    assert_eq!(sorted(search(&["x"])).len(), 4);
}

#[test]
fn where_there_is_no_such_scope_nothing_else_is_searched_instead() {
    let home = TestHome::new();
    home.add("ls");
    let run = home.run(["history", "search", "--scope", "workspace"]).failure(2);
    assert!(run.stderr.contains("no git repository") && run.stderr.contains("--scope directory"), "{run:?}");
    let run = home.run(["history", "search", "--scope", "session", "ls"]).failure(2);
    assert!(run.stderr.contains("caro init --help"), "{run:?}");
}

#[test]
fn the_workspace_is_the_repository_around_one_on_the_screen_too() {
    let home = TestHome::new();
    let work = home.work_dir().display().to_string();
    ran(&home, "ls elsewhere", "/elsewhere", "s", None);
    ran(&home, "ls below", &format!("{work}/a/b"), "s", None);
    ran(&home, "ls beside", &format!("{work}side"), "s", None);
    ran(&home, "ls root", &work, "s", None);
    std::fs::create_dir_all(home.work_dir().join("c/d")).expect("a directory");
    std::fs::create_dir(home.work_dir().join(".git")).expect("a directory");
    let screen = opened(&home, (80, 12), "cd c/d; caro history search -i --scope workspace", &[]);
    let shown = screen.until("the workspace", |text| text.contains("─ this workspace ─") && text.contains("1 of 2"));
    assert!(shown.contains("ls below") && shown.contains("ls root"), "{shown}");
    screen.press("C-r");
    screen.until("all", |text| text.contains("─ everywhere ─") && text.contains("1 of 4"));
    // Directory, then workspace.
    screen.press("C-r").press("C-r").press("C-r");
    screen.until("the workspace again", |text| text.contains("─ this workspace ─") && text.contains("1 of 2"));
}

#[test]
fn preferences_say_where_how_and_on_how_many_lines_it_begins_and_flags_more() {
    let home = TestHome::new();
    let work = home.work_dir().display().to_string();
    ran(&home, "ls here", &work, "s", None);
    ran(&home, "ls there", "/elsewhere", "s", None);
    for (name, value) in [("search.scope", "directory"), ("search.mode", "prefix"), ("search.inline_height", "5")] {
        assert_eq!(home.run(["config", "set", name, value]).code, Some(0));
    }
    let screen = Screen::start(&home, (80, 16), &PLAIN, &[]);
    screen.shows("$");
    screen.enter("echo ab''ove; caro history search -i; echo \"left:1\"");
    let shown = screen
        .until("what was preferred", |text| text.contains("─ this directory ─ prefix ─") && text.contains("1 of 1"));
    assert!(shown.contains("ls here") && shown.contains("above"), "{shown}");
    let row = |wanted: &str| shown.lines().position(|line| line == wanted).expect("it is shown");
    assert_eq!(row("❯") - row("above"), 5, "what is typed is in the last of five lines: {shown}");
    screen.types("here");
    screen.shows("Nothing found this directory.");
    screen.press("Escape");
    screen.shows("left:1");
    screen.enter("caro history search -i --scope everywhere --mode fuzzy --inline 0 here; echo \"left:2\"");
    let shown =
        screen.until("what flags say", |text| text.contains("─ everywhere ─ fuzzy ─") && text.contains("1 of 2"));
    assert!(!shown.contains("above"), "the whole screen: {shown}");
    screen.press("Escape");
    screen.shows("left:2");
}
