//! `caro history` as its users call it: the real program, its output, its exit codes, its files.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use serde::Deserialize;
use serde_json::json;

use crate::common::home::{DEADLINE, TestHome, wait_until};
use crate::common::tmux::Screen;

const HISTORY: &str = "#1700000000\ngit status\n#1700000060\nfor i in 1 2\ndo echo $i\ndone\n#1700000060\nls\n";

/// A record as `--json` prints it, declared once more: a change here is a change of the contract.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct RecordContract {
    schema_version: u32,
    id: String,
    command: String,
    prompt: Option<String>,
    explanation: Option<String>,
    exit: Option<i32>,
    started_at: String,
    duration_ns: Option<i64>,
    cwd: Option<String>,
    session: Option<String>,
    shell: Option<String>,
    host: Option<String>,
    device_id: String,
    safety: Option<String>,
    tags: Vec<String>,
    model: Option<String>,
    category: Option<String>,
    executed: Option<bool>,
    blocked_reason: Option<String>,
    alternatives: Vec<String>,
    warnings: Vec<String>,
    generation_ns: Option<i64>,
    imported_from: Option<String>,
    truncated: bool,
}

/// The report of an import as `--json` prints it.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct ImportContract {
    schema_version: u32,
    source: String,
    file: String,
    added: u64,
    already_there: u64,
    deleted_earlier: u64,
    repaired: u64,
    skipped: u64,
    secrets: u64,
    excluded: u64,
    notes: Vec<NoteContract>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct NoteContract {
    line: u64,
    reason: String,
}

fn import(home: &TestHome, file: &Path) -> ImportContract {
    serde_json::from_value(home.import(file)).unwrap()
}

fn commands(home: &TestHome) -> Vec<String> {
    let run = home.run(["history", "list", "--cmd-only", "--print0"]).success();
    run.stdout.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn the_json_of_a_record_is_the_contract() {
    let home = TestHome::new();
    let added = home
        .run([
            "history",
            "add",
            "--command",
            "make test",
            "--prompt",
            "run the tests",
            "--exit",
            "2",
            "--duration-ns",
            "1500",
            "--at",
            "2026-01-31T14:30:00.5+01:00",
            "--session",
            "s1",
            "--safety",
            "moderate",
            "--tag",
            "ci",
            "--tag",
            "slow",
            "--model",
            "m1",
            "--cwd",
            "sub",
        ])
        .success();
    for args in [
        vec!["history", "list", "--json"],
        vec!["history", "search", "tests", "--json"],
        vec!["history", "last", "--json"],
        vec!["history", "show", added.stdout.trim_end(), "--json"],
    ] {
        let run = home.run(args).success();
        let record: RecordContract = serde_json::from_str(&run.stdout).unwrap();
        let expected = RecordContract {
            schema_version: 1,
            id: added.stdout.trim_end().to_owned(),
            command: "make test".into(),
            prompt: Some("run the tests".into()),
            explanation: None,
            exit: Some(2),
            started_at: "2026-01-31T13:30:00.5Z".into(),
            duration_ns: Some(1500),
            cwd: Some("$HOME/work/sub".into()),
            session: Some("s1".into()),
            shell: None,
            host: record.host.clone(),
            device_id: home.history().device_id().unwrap().to_string(),
            safety: Some("moderate".into()),
            tags: vec!["ci".into(), "slow".into()],
            model: Some("m1".into()),
            category: None,
            executed: None,
            blocked_reason: None,
            alternatives: vec![],
            warnings: vec![],
            generation_ns: None,
            imported_from: None,
            truncated: false,
        };
        assert_eq!(record, expected);
        // What is not known is null, not left out.
        assert_eq!(run.json()[0].as_object().unwrap().len(), 24);
    }
}

#[test]
fn a_second_import_adds_nothing_and_a_grown_file_adds_its_end() {
    let home = TestHome::new();
    let file = home.file("bash_history", HISTORY);
    let first = import(&home, &file);
    let expected = ImportContract {
        schema_version: 1,
        source: "bash".into(),
        file: "$HOME/bash_history".into(),
        added: 3,
        already_there: 0,
        deleted_earlier: 0,
        repaired: 0,
        skipped: 0,
        secrets: 0,
        excluded: 0,
        notes: Vec::new(),
    };
    assert_eq!(first, expected);
    let digest = home.history().digest().unwrap();
    assert_eq!(import(&home, &file), ImportContract { added: 0, already_there: 3, ..expected });
    assert_eq!(home.history().digest().unwrap(), digest);
    home.file("bash_history", format!("{HISTORY}#1700000100\npwd\n"));
    assert_eq!(import(&home, &file).added, 1);
    assert_eq!(commands(&home), ["git status", "for i in 1 2\ndo echo $i\ndone", "ls", "pwd"]);
}

#[test]
fn an_import_finds_the_file_of_bash_and_says_what_it_did() {
    let home = TestHome::new();
    home.file(".bash_history", b"ls\nbad \xff\n\0\0\n");
    let run = home.run(["history", "import", "bash"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    insta::assert_snapshot!(run.stderr, @r"
    Added 2 commands from $HOME/.bash_history (1 repaired, 1 skipped)
    Warning: line 2: not valid UTF-8; the bad bytes were replaced
    Warning: line 3: nothing but NUL bytes
    ");
    home.file("other_bash_history", "pwd\n");
    let mut command = home.command(["history", "import", "bash"]);
    command.env("HISTFILE", home.path().join("other_bash_history"));
    let run = home.finish(command, &[]);
    assert_eq!(run.stderr, "Added 1 command from $HOME/other_bash_history\n");
}

#[test]
fn an_import_of_what_is_no_file_is_refused() {
    let home = TestHome::new();
    let run = home.run(["history", "import", "bash"]).failure(1);
    insta::assert_snapshot!(run.stderr, @r"
    Error: cannot read $HOME/.bash_history: No such file or directory
    Hint: Name another history file with `--file FILE`.
    ");
    let run = home.run(["history", "import", "bash", "--file", "."]).failure(2);
    insta::assert_snapshot!(run.stderr, @r"
    Error: . is a directory
    Hint: Name the history file in it with --file FILE.
    ");
    let pipe = home.run(["history", "import", "bash", "--file", "/dev/null"]).failure(2);
    assert!(pipe.stderr.contains("is not a regular file") && pipe.stderr.contains("from a pipe"), "{pipe:?}");
    assert!(!home.history_path().exists());
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_right() {
    let home = TestHome::new();
    home.add("ls");
    let stderr = |args: &[&str]| home.run(args).failure(2).stderr;
    let format = stderr(&["history", "list", "--format", "{comand}"]);
    assert!(format.contains("there is no field `comand`; the fields are command, prompt,"), "{format}");
    assert!(format.starts_with("Error: "), "{format}");
    let time = stderr(&["history", "list", "--after", "soon"]);
    assert!(time.starts_with("Error: "), "{time}");
    assert!(time.contains("`soon` is not a time; these are: 2026-01-31,"), "{time}");
    let safety = stderr(&["history", "add", "--command", "ls", "--safety", "none"]);
    assert!(safety.contains("safe, moderate, high, critical"), "{safety}");
    assert!(stderr(&["history", "add", "--exit", "1"]).contains("--command"));
    assert!(stderr(&["history", "list", "--json", "--cmd-only"]).contains("cannot be used with"));
    assert!(stderr(&["history", "lst"]).contains("'list'"));
    insta::assert_snapshot!(stderr(&["history", "add", "--command", " "]), @r"
    Error: the command is empty
    Hint: Give the command line after `--command`.
    ");
    insta::assert_snapshot!(stderr(&["history", "search", "--mode", "regex", "a("]), @r"
    Error: the pattern is not a valid regular expression: unclosed group
    Hint: Put a backslash before characters that are meant literally, or use `--mode fulltext`.
    ");
    insta::assert_snapshot!(stderr(&["history", "show", "latest"]), @r"
    Error: `latest` is not the beginning of an id: ids are hexadecimal digits and dashes
    Hint: `caro history list --format '{id} {command}'` shows the ids.
    ");
}

#[test]
fn what_is_not_there_exits_with_1() {
    let home = TestHome::new();
    let run = home.run(["history", "last"]).failure(1);
    insta::assert_snapshot!(run.stderr, @r"
    Error: no command is remembered that fits
    Hint: `caro history import bash` takes over what bash remembers; fewer filters find more.
    ");
    let run = home.run(["history", "show", "0123abcd"]).failure(1);
    insta::assert_snapshot!(run.stderr, @r"
    Error: no record has an id that begins with `0123abcd`
    Hint: `caro history list --format '{id} {command}'` shows the ids.
    ");
    let run = home.run(["history", "list", "--device", "0123"]).failure(1);
    assert!(run.stderr.starts_with("Error: no command was recorded by a device whose id begins"));
    assert_eq!(home.run(["history", "list"]).success().stdout, "");
    assert_eq!(home.run(["history", "search", "x"]).success().stdout, "");
}

#[test]
fn whoever_waits_for_another_process_says_so_at_a_terminal() {
    let home = TestHome::new();
    home.add("before");
    let screen = Screen::start(&home, (120, 30), &["env", "PS1=$ ", "sh"], &[]);
    screen.shows("$");
    for (line, done) in [("history list --cmd-only", "before\ncode-0"), ("history add --command after", "code-0")] {
        let db = rusqlite::Connection::open(home.history_path()).unwrap();
        // Not even readers are let in.
        db.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE meta SET value = value").unwrap();
        screen.enter(&format!("clear; caro {line}; echo code-''$?"));
        screen.until("that it waits", |text| text.contains("keeps the history to itself") && !text.contains("code-0"));
        db.execute_batch("ROLLBACK").unwrap();
        drop(db);
        screen.shows(done);
    }
    assert_eq!(commands(&home), ["before", "after"]);
}

#[test]
fn whoever_waits_says_so_after_the_log_was_folded_too() {
    let home = TestHome::new();
    home.add("before");
    let (pipe, ids) = (home.path().join("pipe"), home.path().join("ids"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let screen = Screen::start(&home, (120, 30), &["sh"], &[]);
    screen.enter(&format!("caro history add <{} >{}; echo code-''$?", pipe.display(), ids.display()));
    let mut pipe = File::options().write(true).open(pipe).unwrap();
    // More than the log may have.
    writeln!(pipe, "{}", json!({"command": format!("echo {}", "x".repeat(600 * 1024))})).unwrap();
    wait_until("it is stored", || fs::read_to_string(&ids).is_ok_and(|ids| ids.lines().count() == 1));
    assert_eq!(fs::metadata(home.data_dir().join("history.db-wal")).unwrap().len(), 0, "the log is folded");
    let db = rusqlite::Connection::open(home.history_path()).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    writeln!(pipe, "{}", json!({"command": "after"})).unwrap();
    screen.shows("keeps the history to itself");
    db.execute_batch("ROLLBACK").unwrap();
    drop(pipe);
    screen.shows("code-0");
    assert_eq!(home.history().count().unwrap(), 3);
}

#[test]
fn a_cause_is_told_once() {
    let home = TestHome::new();
    let said = |more: &[&str]| {
        let mut command = home.command([&["history", "last"], more].concat());
        command.env("CARO_DATA_DIR", "/dev/null/nowhere");
        home.finish(command, &[]).failure(1).stderr
    };
    let hint = "Hint: Make the directory writable, or set CARO_DATA_DIR to one that is.\n";
    assert_eq!(said(&[]), format!("Error: cannot use /dev/null/nowhere: Not a directory\n{hint}"));
    let told = said(&["--verbose"]);
    assert_eq!(told, format!("Error: cannot use /dev/null/nowhere: Not a directory (os error 20)\n{hint}"));
}

#[test]
fn json_lines_are_stored_up_to_the_first_wrong_one() {
    let home = TestHome::new();
    let input = "{\"command\": \"one\"}\n\n{\"command\": \"two\", \"exit\": 1}\n{\"comand\": \"three\"}\n{\"command\": \"four\"}\n";
    let run = home.run_with_input(["history", "add"], input);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.starts_with("Error: line 4 is not a record: unknown field `comand`, expected"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("Hint: The lines before it are stored, nothing from it on is"));
    let stored = home.run(["history", "list", "--format", "{id}"]).success();
    assert_eq!(run.stdout, stored.stdout);
    assert_eq!(commands(&home), ["one", "two"]);
}

#[test]
fn an_id_comes_back_before_the_next_line_is_sent() {
    let home = TestHome::new();
    let mut child = home.command(["history", "add"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in stdout.lines() {
            sender.send(line.unwrap()).unwrap();
        }
    });
    let history = home.history();
    for number in 0..3 {
        writeln!(stdin, "{}", json!({"command": format!("echo {number}")})).unwrap();
        let id = receiver.recv_timeout(DEADLINE).expect("an id is printed");
        assert_eq!(history.find(&id).unwrap().command, format!("echo {number}"));
    }
    drop(stdin);
    reader.join().unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_one_history_prints_another_takes_in() {
    let (one, two) = (TestHome::new(), TestHome::new());
    import(&one, &one.file("bash_history", HISTORY));
    one.run(["history", "add", "--command", "echo \u{1b}[31m\ttab", "--tag", "x", "--exit", "-1", "--cwd", "/srv"])
        .success();
    let printed = one.run(["history", "list", "--json"]).success().stdout;
    let ids = two.run_with_input(["history", "add"], &printed).success();
    assert_eq!(ids.lines().len(), 4);
    assert_eq!(two.run(["history", "list", "--json"]).success().stdout, printed);
    assert_eq!(one.history().digest().unwrap(), two.history().digest().unwrap());
    let again = two.run_with_input(["history", "add", "--json"], &printed).success();
    assert!(again.json().iter().all(|line| line["stored"] == "already_there"));
}

#[test]
fn a_deleted_record_is_not_stored_again() {
    let home = TestHome::new();
    let id = home.add("ls");
    let history = home.history();
    let record = history.find(&id).unwrap();
    let line = home.run(["history", "last", "--json"]).success().stdout;
    history.delete(&[record.id], record.started_at).unwrap();
    let run = home.run_with_input(["history", "add"], line);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    assert_eq!(run.stderr, format!("Warning: {id} was deleted earlier and is not stored again\n"));
}

#[test]
fn filters_and_order_reach_the_store() {
    let home = TestHome::new();
    for (second, command) in ["a", "b", "c"].iter().enumerate() {
        let at = format!("@{}", 1_700_000_000 + second);
        home.run(["history", "add", "--command", command, "--at", &at, "--cwd", command]).success();
    }
    let list = |args: &[&str]| {
        let all = [&["history", "list", "--cmd-only"], args].concat();
        home.run(all).success().lines().concat()
    };
    assert_eq!(list(&[]), "abc");
    assert_eq!(list(&["--reverse"]), "cba");
    assert_eq!(list(&["-n", "2"]), "bc");
    assert_eq!(list(&["--limit", "1", "--offset", "1"]), "b");
    assert_eq!(list(&["--cwd", "b"]), "b");
    assert_eq!(list(&["--cwd", "."]), "");
    assert_eq!(list(&["--before", "2023-11-14T22:13:21Z"]), "a");
    assert_eq!(list(&["--after", "2023-11-14 22:13:22"]), "c");
    assert_eq!(list(&["--device", "this"]), "abc");
    let device = home.history().device_id().unwrap().to_string();
    assert_eq!(list(&["--device", &device[..6]]), "abc");
    let row = home.run(["history", "list", "-n", "1"]).success().stdout;
    assert_eq!(row, "2023-11-14 22:13:22               c\n");
}

#[test]
fn every_way_to_search() {
    let home = TestHome::new();
    for (command, prompt) in [("git commit", ""), ("du -sh *", "how big are files"), ("grep -i t", "")] {
        home.run(["history", "add", "--command", command, "--prompt", prompt]).success();
    }
    let search = |args: &[&str]| -> Vec<String> {
        let all = [&["history", "search", "--cmd-only"], args].concat();
        let run = home.run(all).success();
        run.lines().into_iter().map(str::to_owned).collect()
    };
    assert_eq!(search(&["commit", "git"]), ["git commit"]);
    assert_eq!(search(&["big", "files"]), ["du -sh *"]);
    assert_eq!(search(&["--", "-sh"]), ["du -sh *"]);
    assert_eq!(search(&["--mode", "prefix", "g"]), ["git commit", "grep -i t"]);
    assert_eq!(search(&["--mode", "regex", "t$"]), ["git commit", "grep -i t"]);
    assert_eq!(search(&["--mode", "fuzzy", "git"]), ["grep -i t", "git commit"]);
    assert_eq!(search(&["-n", "1"]), ["grep -i t"]);
}

#[test]
fn show_describes_a_record() {
    let home = TestHome::new();
    let id = home
        .run([
            "history",
            "add",
            "--command",
            "first\nsecond",
            "--at",
            "@1700000000",
            "--exit",
            "0",
            "--duration-ns",
            "61000000000",
            "--tag",
            "x",
        ])
        .success()
        .stdout;
    let shown = home.run(["history", "show", &id[..13]]).success().stdout;
    let told =
        |label: &str| shown.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_default().trim().to_owned();
    assert!(shown.starts_with("Command    first\n           second\n"), "{shown}");
    assert_eq!(told("Exit"), "0");
    assert_eq!(told("Started"), "2023-11-14 22:13:20");
    assert_eq!(told("Duration"), "1m01s");
    assert_eq!(told("Directory"), "$HOME/work");
    assert_eq!(told("Tags"), "x");
    assert_eq!(told("Id"), id.trim_end());
}

#[test]
fn colour_follows_the_flag_and_the_environment() {
    let home = TestHome::new();
    home.add("ls");
    let colourful = |args: &[&str], vars: &[(&str, &str)]| {
        let mut command = home.command(args);
        command.envs(vars.iter().copied());
        home.finish(command, &[]).stdout.contains('\u{1b}')
    };
    let list = ["history", "list"];
    assert!(!colourful(&list, &[]));
    assert!(colourful(&list, &[("CLICOLOR_FORCE", "1")]));
    assert!(!colourful(&list, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(colourful(&["history", "list", "--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!colourful(&["--color=never", "history", "list"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!colourful(&["history", "list", "--cmd-only", "--color=always"], &[]));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = TestHome::new();
    let lines: String = (0..20_000).map(|number| format!("echo {number}\n")).collect();
    import(&home, &home.file("bash_history", lines));
    let mut child = home.command(["history", "list"]).spawn().unwrap();
    let mut first = [0u8; 100];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_log_goes_to_standard_error_when_asked_for() {
    let home = TestHome::new();
    let mut command = home.command(["history", "add", "--command", "canary-zqx"]);
    command.env("CARO_LOG", "trace");
    let run = home.finish(command, &[]);
    assert_eq!(run.lines().len(), 1);
    assert!(run.stderr.contains("history layout updated"), "{}", run.stderr);
    assert!(!run.stderr.contains("canary-zqx"), "commands are never logged");
    let mut command = home.command(["history", "list"]);
    command.env("CARO_LOG", "caro=[");
    let run = home.finish(command, &[]).failure(2);
    assert!(run.stderr.starts_with("Error: CARO_LOG does not say what to log\nHint: "));
}

#[test]
fn the_program_introduces_itself() {
    let home = TestHome::new();
    let version = home.run(["--version"]).success().stdout;
    assert_eq!(version, format!("caro {}\n", env!("CARGO_PKG_VERSION")));
    assert!(home.run(["--help"]).success().stdout.contains("Examples:"));
    let help = home.run(["history", "import", "bash", "--help"]).success().stdout;
    assert!(help.contains("Examples:\n  caro history import bash\n"), "{help}");
    assert!(home.run([] as [&str; 0]).failure(2).stderr.contains("Usage: caro"));
    assert!(!home.data_dir().exists(), "asking for help creates nothing");
}

#[test]
fn commands_without_their_group_and_wrong_numbers_are_explained() {
    let home = TestHome::new();
    let run = home.run(["search", "docker"]).failure(2);
    assert!(run.stderr.contains("'history search'"), "{run:?}");
    let run = home.run(["history", "list", "--limit", "-1"]).failure(2);
    assert!(run.stderr.contains("'-1'") && run.stderr.contains("a whole number"), "{run:?}");
}

/// Runs the program in a shell session that is recorded.
fn in_session(home: &TestHome, args: &[&str]) -> crate::common::home::Run {
    let mut command = home.command(args);
    command.env("CARO_SESSION", "here");
    home.finish(command, &[])
}

#[test]
fn what_runs_now_is_neither_found_nor_deleted_by_itself() {
    let home = TestHome::new();
    let begin = |session: &str, line: &str| {
        home.run(["history", "start", "--session", session, "--", line]).success().stdout.trim_end().to_owned()
    };
    let elsewhere = begin("elsewhere", "vim kanarie");
    let ended = begin("here", "ls kanarie");
    home.run(["history", "end", &ended, "--exit", "0"]).success();
    let running = begin("here", "caro history search kanarie");
    let found = in_session(&home, &["history", "search", "kanarie", "--format", "{id}"]).success();
    let mut ids = found.lines();
    ids.sort_unstable();
    assert_eq!(ids, [elsewhere.as_str(), ended.as_str()]);
    let last = in_session(&home, &["history", "last", "--format", "{id}"]).success();
    assert_eq!(last.lines(), [ended.as_str()]);
    let deleted = in_session(&home, &["history", "delete", "--query", "kanarie", "--yes", "--json"]);
    assert!(!deleted.stdout.contains(&running) && deleted.stdout.contains(&ended), "{deleted:?}");
}

#[test]
fn failures_and_this_session_can_be_chosen() {
    let home = TestHome::new();
    for (command, exit, session) in [("true", "0", "here"), ("false", "1", "here"), ("no", "130", "other")] {
        home.run(["history", "add", "--command", command, "--exit", exit, "--session", session]).success();
    }
    home.add("nobody knows");
    let list = |args: &[&str]| in_session(&home, &[&["history", "list", "--cmd-only"], args].concat()).success().stdout;
    assert_eq!(list(&["--failed"]), "false\nno\n");
    assert_eq!(list(&["--session", "this"]), "true\nfalse\n");
    let run = home.run(["history", "list", "--session", "this"]).failure(2);
    assert!(run.stderr.contains("caro init --help"), "{run:?}");
}

#[test]
fn notes_stand_behind_the_data_that_was_printed_before_them() {
    let home = TestHome::new();
    home.add("ls");
    let mut command = std::process::Command::new("sh");
    let plain = home.command([""; 0]);
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let script = format!("'{}' history delete --query ls --dry-run 2>&1", env!("CARGO_BIN_EXE_caro"));
    let output = command.args(["-c", &script]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.ends_with("  ls\nWould delete 1 command.\n"), "{printed}");
}
