//! `caro doctor`: it finds what is wrong around caro, says what to do, and finds nothing where nothing is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::common::home::{Run, TestHome};
use crate::common::tmux::Screen;

/// A home in whose PATH the program is found, and whose shell is bash.
fn command(home: &TestHome, args: &[&str], vars: &[(&str, &str)]) -> Command {
    let mut command = home.command([&["doctor"], args].concat());
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_caro")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", program.display())).env("SHELL", "/bin/bash").envs(vars.iter().copied());
    command
}

fn doctor(home: &TestHome, vars: &[(&str, &str)]) -> (Run, Vec<Value>) {
    let run = home.finish(command(home, &["--json"], vars), &[]);
    let json = run.json().remove(0);
    assert_eq!((json["schema_version"].as_u64(), json["version"].as_str()), (Some(1), Some(env!("CARGO_PKG_VERSION"))));
    let findings = json["findings"].as_array().unwrap().clone();
    for finding in &findings {
        assert_eq!(finding["verdict"] == "ok", finding["remedy"].is_null(), "what is wrong has a remedy: {finding}");
    }
    let problems = findings.iter().any(|finding| finding["verdict"] == "problem");
    assert_eq!((run.code, json["ok"].as_bool()), (Some(i32::from(problems)), Some(!problems)), "{run:?}");
    (run, findings)
}

/// What was found about one thing: how it looks, and in which words.
fn about(findings: &[Value], check: &str) -> Vec<(String, String)> {
    let of = findings.iter().filter(|finding| finding["check"] == check);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of.map(|finding| (text(&finding["verdict"]), text(&finding["message"]))).collect()
}

fn one(findings: &[Value], check: &str) -> (String, String) {
    let mut found = about(findings, check);
    assert_eq!(found.len(), 1, "{check}: {findings:?}");
    found.remove(0)
}

#[test]
fn where_nothing_is_wrong_nothing_is_found() {
    let home = TestHome::new();
    let session = ("CARO_SESSION", "s1");
    home.run(["history", "start", "--session", "s1", "--shell", "bash", "--", "caro doctor"]).success();
    let (run, findings) = doctor(&home, &[session]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(findings.iter().all(|finding| finding["verdict"] == "ok"), "{findings:?}");
    let checks: Vec<&str> = findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    assert_eq!(
        checks,
        ["version", "shell", "history", "room", "access", "settings", "clock", "terminal", "sync"],
        "each has been looked at"
    );
    assert_eq!(one(&findings, "shell").1, "the commands of this bash are recorded");
    assert!(one(&findings, "history").1.contains("is whole: 1 command, "), "{findings:?}");
    let shown = home.finish(command(&home, &[], &[session]), &[]).success();
    assert!(shown.stdout.starts_with("ok       version   caro "), "{shown:?}");
}

#[test]
fn a_shell_that_is_not_recorded_is_told_what_to_do() {
    let home = TestHome::new();
    let remedy = |findings: &[Value]| {
        let shell = findings.iter().find(|finding| finding["check"] == "shell").unwrap();
        shell["remedy"].as_str().unwrap().to_owned()
    };
    let (run, findings) = doctor(&home, &[]);
    assert_eq!(run.code, Some(0), "a hint is no failure");
    assert!(one(&findings, "shell").1.starts_with("the commands of bash are not recorded"), "{findings:?}");
    assert!(remedy(&findings).contains("eval \"$(caro init bash)\""), "{findings:?}");

    home.file(".bashrc", "eval \"$(caro init bash)\"\n");
    let (_, findings) = doctor(&home, &[]);
    assert!(
        one(&findings, "shell").1.ends_with("/.bashrc loads the integration, but not in this session"),
        "{findings:?}"
    );

    let (_, findings) = doctor(&home, &[("CARO_SESSION", "s2")]);
    assert!(one(&findings, "shell").1.contains("no command of this shell was recorded yet"), "{findings:?}");
    assert_eq!(home.run(["history", "pause", "--session", "s2"]).code, Some(0));
    let (_, findings) = doctor(&home, &[("CARO_SESSION", "s2")]);
    assert!(one(&findings, "shell").1.contains("is paused") && remedy(&findings).contains("resume"), "{findings:?}");

    let (run, findings) = doctor(&home, &[("CARO_SESSION", "s2"), ("PATH", "/usr/bin:/bin")]);
    assert_eq!((run.code, one(&findings, "path").0.as_str()), (Some(1), "problem"));
}

#[test]
fn in_a_real_shell_it_knows_that_commands_are_recorded() {
    let home = TestHome::new();
    home.file(".bashrc", "PS1='$ '\neval \"$(caro init bash)\"\n");
    let screen = Screen::start(&home, (100, 40), &["bash", "-i"], &[("SHELL", "/bin/bash")]);
    screen.shows("$");
    screen.enter("caro doctor; echo done:$?");
    let shown = screen.shows("done:0");
    assert!(shown.contains("ok       shell     the commands of this bash are recorded"), "{shown}");
    assert!(shown.contains("columns, colours, Unicode, in tmux"), "{shown}");
}

#[test]
fn hooks_that_something_replaced_are_found() {
    let home = TestHome::new();
    home.file(".bashrc", "PS1='$ '\neval \"$(caro init bash)\"\n");
    let screen = Screen::start(&home, (160, 40), &["bash", "-i"], &[("SHELL", "/bin/bash")]);
    screen.shows("$");
    screen.enter("PROMPT_COMMAND=:").enter("true one").enter("true two").enter("caro doctor; echo done:$?");
    let shown = screen.shows("done:1");
    assert!(
        shown.contains("problem  shell     the commands of this bash are recorded, but not how they end"),
        "{shown}"
    );
    assert!(shown.contains("replaced PS0 and PROMPT_COMMAND, let the line that loads"), "{shown}");

    let home = TestHome::new();
    home.file(".bashrc", "PS1='$ '\neval \"$(caro init bash)\"\nPS0=\n");
    let screen = Screen::start(&home, (160, 40), &["bash", "-i"], &[("SHELL", "/bin/bash")]);
    screen.shows("$");
    screen.enter("true").enter("caro doctor; echo done:$?");
    let shown = screen.shows("done:0");
    assert!(shown.contains("no command of this shell was recorded yet"), "{shown}");
    assert!(shown.contains("replaced PS0 and PROMPT_COMMAND"), "{shown}");
}

#[test]
fn what_is_wrong_with_the_files_is_found_and_what_it_says_to_do_helps() {
    let home = TestHome::new();
    home.add("ls");
    let data = home.data_dir();
    let waiting = data.join("waiting");
    fs::create_dir(&waiting).unwrap();
    fs::write(waiting.join(format!("{}.damaged", uuid::Uuid::new_v4())), b"torn").unwrap();
    fs::create_dir_all(home.path().join("config")).unwrap();
    fs::write(home.path().join("config/sync.toml"), "this is [not toml").unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(home.history_path(), fs::Permissions::from_mode(0o644)).unwrap();
    let (run, findings) = doctor(&home, &[]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let (verdict, message) = one(&findings, "settings");
    assert!(
        verdict == "problem" && message.contains("the rules that it held before say what is recorded"),
        "{message}"
    );
    assert_eq!(one(&findings, "waiting").0, "warning");
    let open = about(&findings, "access");
    assert!(open.iter().any(|(_, message)| message.ends_with("history.db")), "{findings:?}");
    // The remedies that are commands do what they should.
    for finding in findings.iter().filter(|finding| finding["check"] == "waiting" || finding["check"] == "access") {
        let remedy = finding["remedy"].as_str().unwrap().replace("$HOME", home.path().to_str().unwrap());
        let line = remedy.rsplit(": ").next().unwrap();
        assert!(Command::new("sh").args(["-c", line]).status().unwrap().success(), "{line}");
    }
    fs::remove_file(home.path().join("config/sync.toml")).unwrap();
    let (run, findings) = doctor(&home, &[]);
    assert_eq!(run.code, Some(0), "{findings:?}");
    assert!(about(&findings, "waiting").is_empty());
    assert_eq!(one(&findings, "access").0, "ok");
}

#[test]
fn damage_is_found_repaired_on_request_and_remembered_until_it_is_removed() {
    let home = TestHome::new();
    let lines: String = (0..3000).map(|n| format!("#{}\necho {n}\n", 1_700_000_000 + n)).collect();
    home.import(&home.file("bash_history", lines));
    // Of this only a whole reading tells.
    let db = rusqlite::Connection::open(home.history_path()).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let page: i64 = db
        .query_row("SELECT max(pageno) FROM dbstat WHERE name = 'records_by_time' AND pagetype = 'leaf'", [], |row| {
            row.get(0)
        })
        .unwrap();
    drop(db);
    let mut bytes = fs::read(home.history_path()).unwrap();
    bytes[(page as usize - 1) * 4096..page as usize * 4096].fill(0x77);
    fs::write(home.history_path(), bytes).unwrap();

    let (run, findings) = doctor(&home, &[]);
    assert_eq!((run.code, one(&findings, "history").0.as_str()), (Some(1), "problem"), "{run:?}");
    assert!(run.stdout.contains("caro doctor --repair"), "{run:?}");
    let repaired = home.finish(command(&home, &["--repair"], &[]), &[]);
    assert_eq!(repaired.code, Some(0), "{repaired:?}");
    assert!(repaired.stderr.contains("is built anew: 3000 commands saved."), "{repaired:?}");
    let (run, findings) = doctor(&home, &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(one(&findings, "damaged").0, "warning");
    assert_eq!(home.run(["history", "list", "--json"]).success().lines().len(), 3000);
    let again = home.finish(command(&home, &["--repair"], &[]), &[]);
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), "The history is whole: there was nothing to repair.\n"));
}

#[test]
fn a_clock_that_cannot_be_right_is_found() {
    let home = TestHome::new();
    home.add("ls");
    let clock = home.file("clock", format!("-{}", 3 * 24 * 3600));
    let (_, findings) = doctor(&home, &[("CARO_TEST_CLOCK", clock.to_str().unwrap())]);
    let (verdict, message) = one(&findings, "clock");
    assert!(verdict == "warning" && message.contains("it is behind, or was ahead"), "{message}");
    fs::write(&clock, format!("-{}", 10_i64 * 365 * 24 * 3600)).unwrap();
    let (run, findings) = doctor(&home, &[("CARO_TEST_CLOCK", clock.to_str().unwrap())]);
    assert_eq!((run.code, one(&findings, "clock").0.as_str()), (Some(1), "problem"));
}
