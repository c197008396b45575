//! `caro doctor`: it finds what is wrong around caro, says what to do, and finds nothing where nothing is wrong.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use serde_json::Value;

use crate::common::home::{Run, TestHome};
use crate::common::tmux::Screen;
use crate::shell_capture::Kind;
use crate::shell_trouble::{ReadOnly, every_kind};
use crate::sync_disk_full::SmallDisk;

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
fn the_files_of_each_shell_are_known() {
    for (shell, file) in [
        ("bash", ".bashrc"),
        ("zsh", ".zshrc"),
        ("fish", ".config/fish/conf.d/caro.fish"),
        ("nu", ".config/nushell/config.nu"),
        ("pwsh", ".config/powershell/profile.ps1"),
    ] {
        let home = TestHome::new();
        let program = format!("/usr/bin/{shell}");
        let (_, findings) = doctor(&home, &[("SHELL", &program)]);
        let not_loaded = format!("the commands of {shell} are not recorded: its integration is not loaded");
        assert_eq!(one(&findings, "shell"), ("warning".into(), not_loaded));
        // The line to add is the one that is looked for.
        let found = findings.iter().find(|finding| finding["check"] == "shell").unwrap();
        let line = found["remedy"].as_str().unwrap().split('`').nth(1).unwrap();
        fs::create_dir_all(home.path().join(file).parent().unwrap()).unwrap();
        home.file(file, line);
        let (_, findings) = doctor(&home, &[("SHELL", &program)]);
        assert_eq!(
            one(&findings, "shell"),
            ("warning".into(), format!("$HOME/{file} loads the integration, but not in this session"))
        );
    }
}

#[test]
fn in_each_real_shell_it_knows_that_commands_are_recorded() {
    for kind in every_kind() {
        let shell = kind.start("", "");
        let shown = shell.run("caro doctor");
        let recorded = format!("ok       shell     the commands of this {} are recorded\n", kind.name());
        assert!(shown.contains(&recorded), "{shown}");
        assert!(shown.contains(" columns, colours, Unicode, in tmux\n"), "{shown}");
    }
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
fn in_other_shells_hooks_that_something_replaced_are_found_too() {
    let replaced = |kind: Kind| match kind {
        Kind::Bash => ("PROMPT_COMMAND=", "PS0 and PROMPT_COMMAND"),
        Kind::Zsh => ("precmd_functions=()", "preexec_functions and precmd_functions"),
        Kind::Fish => ("functions --erase __caro_postexec", "__caro_preexec and __caro_postexec"),
        Kind::Nu => ("$env.config.hooks.pre_prompt = []", "$env.config.hooks"),
    };
    for kind in every_kind() {
        let (line, hooks) = replaced(kind);
        let shell = kind.start("", "");
        shell.run(line);
        shell.run(&kind.print("one"));
        let shown = shell.run("caro doctor");
        let unended =
            format!("problem  shell     the commands of this {} are recorded, but not how they end", kind.name());
        assert!(shown.contains(&unended), "{shown}");
        assert!(shown.contains(&format!("If something replaced {hooks}, let the line")), "{shown}");
    }
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
fn little_room_is_found_and_enough_is_not() {
    let home = TestHome::new();
    let Some(disk) = SmallDisk::mount(&home.data_dir(), 40 << 10) else {
        println!("skipped: mounting needs root");
        return;
    };
    home.add("ls");
    let (_, findings) = doctor(&home, &[]);
    let (verdict, message) = one(&findings, "room");
    assert!(verdict == "problem" && message.starts_with("only 3"), "{message}");
    assert!(message.ends_with(" MiB are free where caro keeps its data"), "{message}");
    disk.resize(200 << 10);
    let (run, findings) = doctor(&home, &[]);
    assert_eq!((run.code, one(&findings, "room").0.as_str()), (Some(0), "ok"), "{findings:?}");
}

#[test]
fn what_belongs_to_another_user_is_found_and_what_it_says_to_do_helps() {
    let home = TestHome::new();
    home.add("ls");
    let taken = home.history_path();
    if chown(&taken, Some(12_345), None).is_err() {
        println!("skipped: giving files away needs root");
        return;
    }
    let (_, findings) = doctor(&home, &[]);
    // What the engine makes beside the history belongs to whoever it belongs to.
    let of_another = " belongs to another user, as after `sudo caro …`";
    let (verdict, message) = one(&findings, "owner");
    assert!(
        verdict == "problem" && message.starts_with("$HOME/data/history.db") && message.ends_with(of_another),
        "{message}"
    );
    let remedy = findings.iter().find(|finding| finding["check"] == "owner").unwrap()["remedy"].as_str().unwrap();
    let line = remedy.strip_prefix("Take it back: sudo ").unwrap().replace("$HOME", home.path().to_str().unwrap());
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
    let (run, findings) = doctor(&home, &[]);
    assert_eq!((run.code, about(&findings, "owner")), (Some(0), vec![]), "{findings:?}");

    let Some(read_only) = ReadOnly::mount(&home.data_dir()) else { return };
    let (_, findings) = doctor(&home, &[]);
    assert_eq!(one(&findings, "owner"), ("problem".into(), "$HOME/data cannot be written".into()));
    drop(read_only);
    assert_eq!(doctor(&home, &[]).0.code, Some(0));
}

#[test]
fn a_terminal_that_lacks_something_is_found() {
    let home = TestHome::new();
    let screen = Screen::start(&home, (120, 50), &["env", "PS1=$ ", "sh"], &[]);
    screen.shows("$");
    let ran = Cell::new(0);
    let said = |vars: &str| {
        let number = ran.replace(ran.get() + 1);
        screen.enter(&format!("clear; {vars} caro doctor; echo end-''{number}"));
        let shown = screen.shows(&format!("end-{number}\n"));
        let at = shown.find(" terminal  ").unwrap_or_else(|| panic!("{shown}"));
        let begin = shown[..at].rfind('\n').map_or(0, |end| end + 1);
        shown[begin..].lines().take(2).map(str::trim).collect::<Vec<_>>().join("\n")
    };
    let is_fine = |said: &str, what: &str| {
        said.lines().next().is_some_and(|line| line.starts_with("ok       terminal  ") && line.ends_with(what))
    };
    let plain = said("");
    assert!(is_fine(&plain, ", 120 columns, colours, Unicode, in tmux"), "{plain}");
    for (vars, wrong, remedy) in [
        ("TERM=dumb", "dumb, 120 columns, no colours, Unicode, in tmux", "set TERM, for example to xterm-256color."),
        ("TERM=", "unknown, 120 columns, colours, Unicode, in tmux", "set TERM, for example to xterm-256color."),
        ("LC_ALL=C", "120 columns, colours, no Unicode, in tmux", "set LANG, for example to C.UTF-8."),
    ] {
        let said = said(vars);
        let (line, what_to_do) = said.split_once('\n').unwrap();
        assert!(line.starts_with("warning  terminal  ") && line.ends_with(wrong), "{said}");
        assert!(what_to_do.ends_with(remedy), "{said}");
    }
    let plain = said("NO_COLOR=1");
    assert!(is_fine(&plain, ", 120 columns, no colours, Unicode, in tmux"), "{plain}");
    screen.resize(39, 50);
    screen.enter("until stty size | grep -q ' 39$'; do :; done");
    let narrow = said("");
    assert!(narrow.starts_with("warning  terminal  ") && narrow.contains(", 39 columns, "), "{narrow}");
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
    assert!(repaired.stderr.contains("is built anew: 3000 commands saved\n"), "{repaired:?}");
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
