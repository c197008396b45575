//! Taking over the histories that real shells and Atuin's own client write.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use caro::history::{Filter, Record};
use rusqlite::Connection;
use serde_json::Value;

use crate::common::home::{Run, TestHome, is_slow_run, wait_until};
use crate::common::peers::atuin;
use crate::common::tmux::Screen;

/// A program in this home's environment.
fn program(home: &TestHome, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().current_dir(home.work_dir());
    let plain = home.command([""; 0]);
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("LC_ALL", "C.UTF-8");
    command
}

#[track_caller]
fn succeeds(mut command: Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// Imports twice; the report of the first time. The second adds nothing.
#[track_caller]
fn import(home: &TestHome, args: &[&str]) -> Value {
    let args: Vec<&str> = ["history", "import"].iter().chain(args).copied().chain(["--json"]).collect();
    let first = home.run(&args).success().json().remove(0);
    let second = home.run(&args).success().json().remove(0);
    assert_eq!((&second["added"], &second["already_there"]), (&0.into(), &first["added"]), "{second}");
    first
}

fn records(home: &TestHome) -> Vec<Record> {
    home.history().list(&Filter::default()).expect("the history can be read")
}

fn commands(home: &TestHome) -> Vec<String> {
    records(home).into_iter().map(|record| record.command).collect()
}

#[test]
fn what_zsh_writes() {
    for (options, timed) in [("setopt extended_history", true), ("unsetopt extended_history", false)] {
        let home = TestHome::new();
        let mut zsh = program(&home, "zsh");
        // À has a byte that Zsh writes in its own way.
        zsh.args(["-f", "-i", "-c"]).arg(format!(
            "HISTFILE=$HOME/.zsh_history HISTSIZE=100 SAVEHIST=100; {options}
             print -rs -- 'echo grüße À'
             print -rs -- $'for i in 1 2\\ndo echo $i \\\\\\n done'
             print -rs -- 'ends \\'
             print -rs -- ': 5:6;colon'
             fc -W"
        ));
        succeeds(zsh);
        let report = import(&home, &["zsh"]);
        assert_eq!((&report["source"], &report["added"]), (&"zsh".into(), &4.into()), "{report}");
        assert_eq!(report["file"], "$HOME/.zsh_history");
        assert_eq!(commands(&home), ["echo grüße À", "for i in 1 2\ndo echo $i \\\n done", "ends \\", ": 5:6;colon"]);
        let records = records(&home);
        assert!(records.iter().all(|record| record.shell.as_deref() == Some("zsh")));
        assert!(records.iter().all(|record| record.id.get_version_num() == 7));
        // Without a time of its own an id begins with zeros.
        assert_eq!(records[0].id.to_string().starts_with("00000000"), !timed);
    }
}

#[test]
fn what_fish_writes() {
    let home = TestHome::new();
    let data = home.path().join("share");
    let vars = [("XDG_DATA_HOME", data.to_str().expect("a plain path"))];
    fs::create_dir_all(home.path().join(".config/fish")).expect("a folder");
    home.file(".config/fish/config.fish", "set -g fish_greeting\nfunction fish_prompt; echo 'ready> '; end\n");
    let screen = Screen::start(&home, (100, 30), &["fish", "-i"], &vars);
    screen.shows("ready>");
    screen.enter("echo grüße 'a\\\\b' \\n").shows("grüße");
    screen.enter("for i in 1 2").enter("echo line$i").enter("end").shows("line2\n");
    screen.enter("history save; echo saved-''now").shows("saved-now\n");
    let file = data.join("fish/fish_history");
    let report = import(&home, &["fish", "--file", file.to_str().expect("a plain path")]);
    assert_eq!((&report["source"], &report["skipped"]), (&"fish".into(), &0.into()), "{report}");
    let commands = commands(&home);
    assert_eq!(commands[0], "echo grüße 'a\\\\b' \\n");
    assert!(commands[1].starts_with("for i in 1 2\n") && commands[1].ends_with("\nend"), "{commands:?}");
    assert!(records(&home).iter().all(|record| !record.id.to_string().starts_with("00000000")));
}

#[test]
fn what_nu_and_powershell_write() {
    let home = TestHome::new();
    for folder in [".config/nushell", ".local/share/powershell/PSReadLine"] {
        fs::create_dir_all(home.path().join(folder)).expect("a folder");
    }
    home.file(".config/nushell/history.txt", "ls\nfor x in [1 2] {<\\n>print $x<\\n>}\n");
    home.file(
        ".local/share/powershell/PSReadLine/ConsoleHost_history.txt",
        "Get-Item .\nforeach ($x in 1) {`\n$x`\n}\n",
    );
    assert_eq!(import(&home, &["nu"])["added"], 2);
    assert_eq!(commands(&home), ["ls", "for x in [1 2] {\nprint $x\n}"]);
    assert_eq!(import(&home, &["powershell"])["added"], 2);
    let mut all = commands(&home);
    // Which file was written first is nobody's concern.
    all.sort();
    assert_eq!(all, ["Get-Item .", "for x in [1 2] {\nprint $x\n}", "foreach ($x in 1) {\n$x\n}", "ls"]);
    let home = TestHome::new();
    let path = home.path().join("history.sqlite3");
    let db = Connection::open(&path).expect("a database");
    db.execute_batch(
        "CREATE TABLE history (id INTEGER PRIMARY KEY AUTOINCREMENT, command_line TEXT NOT NULL,
            start_timestamp INTEGER, session_id INTEGER, hostname TEXT, cwd TEXT, duration_ms INTEGER,
            exit_status INTEGER, more_info TEXT) STRICT;
         INSERT INTO history VALUES (NULL, 'make', 1700000000123, 9, 'laptop', '/src', 1500, 2, NULL)",
    )
    .expect("a history");
    import(&home, &["nu", "--file", path.to_str().expect("a plain path")]);
    let record = records(&home).remove(0);
    assert_eq!(
        (record.started_at.0, record.duration_ns, record.exit),
        (1_700_000_000_123_000_000, Some(1_500_000_000), Some(2))
    );
    assert_eq!(
        (record.cwd.as_deref(), record.host.as_deref(), record.session.as_deref()),
        (Some("/src"), Some("laptop"), Some("9"))
    );
}

#[test]
fn what_the_real_atuin_writes() {
    let Some(client) = atuin() else { return };
    let home = TestHome::new();
    let atuin = |args: &[&str]| {
        let mut command = program(&home, &client);
        command.args(args).env("ATUIN_SESSION", "0123456789abcdef0123456789abcdef");
        succeeds(command)
    };
    let id = atuin(&["history", "start", "--", "make test"]);
    atuin(&["history", "end", "--exit", "2", "--duration", "77", &id]);
    let unfinished = atuin(&["history", "start", "--", "vi notes"]);
    let report = import(&home, &["atuin"]);
    assert_eq!((&report["source"], &report["added"]), (&"atuin".into(), &2.into()), "{report}");
    let found = records(&home);
    assert_eq!((found[0].command.as_str(), found[0].exit, found[0].duration_ns), ("make test", Some(2), Some(77)));
    assert_eq!(found[0].cwd.as_deref().map(Path::new), home.work_dir().canonicalize().ok().as_deref());
    assert!(found[0].host.as_deref().is_some_and(|host| !host.contains(':')));
    assert_eq!((found[1].command.as_str(), found[1].exit), ("vi notes", None));
    // What has ended since is completed, under the id it has.
    atuin(&["history", "end", "--exit", "0", "--duration", "5", &unfinished]);
    import_again(&home, 0, 2);
    let after = records(&home);
    assert_eq!((after[1].id, after[1].exit), (found[1].id, Some(0)));
}

#[track_caller]
fn import_again(home: &TestHome, added: u64, already_there: u64) {
    let report = home.run(["history", "import", "atuin", "--json"]).success().json().remove(0);
    assert_eq!((report["added"].as_u64(), report["already_there"].as_u64()), (Some(added), Some(already_there)));
}

#[test]
fn deleted_commands_and_other_databases_stay_out() {
    let home = TestHome::new();
    let path = home.path().join("history.db");
    let db = Connection::open(&path).expect("a database");
    db.execute_batch(
        "CREATE TABLE history (id TEXT PRIMARY KEY, timestamp INTEGER, duration INTEGER, exit INTEGER, command TEXT,
            cwd TEXT, session TEXT, hostname TEXT, deleted_at INTEGER);
         INSERT INTO history VALUES ('a', 5, 1, 0, 'kept', '/', 's', 'h:u', NULL), ('b', 6, 1, 0, 'gone', '/', 's', 'h:u', 7)",
    )
    .expect("a history");
    let file = path.to_str().expect("a plain path");
    assert_eq!(import(&home, &["atuin", "--file", file])["added"], 1);
    assert_eq!(commands(&home), ["kept"]);
    db.execute_batch("ALTER TABLE history RENAME TO other").expect("another database");
    let run = home.run(["history", "import", "atuin", "--file", file]).failure(1);
    assert!(run.stderr.contains("is not a history of Atuin"), "{run:?}");
    let text = home.file("text", "ls\n");
    let run = home.run(["history", "import", "atuin", "--file", text.to_str().expect("a plain path")]).failure(1);
    assert!(run.stderr.contains("not a database of Atuin"), "{run:?}");
}

/// A home with histories of two shells, and one that cannot be read.
fn two_shells() -> TestHome {
    let home = TestHome::new();
    home.file(".bash_history", "ls\npwd\n");
    home.file(".zsh_history", ": 1700000000:0;make\n");
    fs::create_dir_all(home.path().join(".local/share/atuin")).expect("a folder");
    home.file(".local/share/atuin/history.db", "rubbish");
    home
}

#[test]
fn auto_takes_what_there_is() {
    let home = two_shells();
    let run = home.run(["history", "import", "auto", "--yes", "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let reports = run.json();
    let sources: Vec<_> = reports.iter().map(|report| (report["source"].as_str(), report["added"].as_u64())).collect();
    assert_eq!(sources, [(Some("bash"), Some(2)), (Some("zsh"), Some(1))]);
    insta::assert_snapshot!(run.stderr, @r"
    Warning: $HOME/.local/share/atuin/history.db is left out: it is not a database of Atuin
    Found:
      Bash        2 commands  $HOME/.bash_history
      Zsh         1 command   $HOME/.zsh_history
    ");
    let run = home.run(["history", "import", "auto", "--yes"]);
    assert!(run.stderr.ends_with(
        "Added 0 commands from $HOME/.bash_history (2 already there)\nAdded 0 commands from $HOME/.zsh_history (1 already there)\n"
    ), "{run:?}");
}

#[test]
fn auto_asks_or_fails_at_once() {
    let home = two_shells();
    let mut command = program(&home, "setsid");
    command.args(["--wait", env!("CARGO_BIN_EXE_caro"), "history", "import", "auto"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = home.finish(command, &[]).failure(2);
    assert!(run.stderr.contains("--yes"), "{run:?}");
    assert!(!home.history_path().exists());
    let empty = TestHome::new();
    let run = empty.run(["history", "import", "auto", "--yes"]).failure(1);
    assert!(run.stderr.contains("no history was found at the usual places"), "{run:?}");
    let screen = Screen::start(&home, (100, 30), &["sh"], &[]);
    screen.enter("caro history import auto").shows("Take over all of it?");
    screen.enter("n").shows("Nothing was taken over.");
    screen.enter("caro history import auto; echo end-''now");
    screen.until("the question", |text| text.matches("Take over all of it?").count() == 2);
    screen.enter("y").shows("end-now\n");
    assert_eq!(commands(&home), ["make", "ls", "pwd"]);
}

#[test]
fn auto_shows_what_every_shell_has_and_takes_it_over_when_that_is_wanted() {
    let home = TestHome::new();
    for folder in [".local/share/fish", ".config/nushell", ".local/share/powershell/PSReadLine"] {
        fs::create_dir_all(home.path().join(folder)).expect("a folder");
    }
    home.file(".bash_history", "#1700000001\nls\n#1700000002\npwd\n");
    home.file(".zsh_history", ": 1700000003:0;make\n");
    home.file(
        ".local/share/fish/fish_history",
        "- cmd: echo fish\n  when: 1700000004\n- cmd: cd /\n  when: 1700000005\n",
    );
    home.file(".config/nushell/history.txt", "ls | where size > 1mb\n");
    home.file(".local/share/powershell/PSReadLine/ConsoleHost_history.txt", "Get-Item .\nGet-Date\nexit\n");
    let screen = Screen::start(&home, (120, 40), &["env", "PS1=$ ", "sh"], &[]);
    screen.shows("$");
    screen.enter("caro history import auto; echo end-''now");
    let shown = screen.shows("Take over all of it?").replace(&home.path().display().to_string(), "$HOME");
    assert!(
        shown.contains(
            "\
Found:
  Bash        2 commands  $HOME/.bash_history
  Zsh         1 command   $HOME/.zsh_history
  Fish        2 commands  $HOME/.local/share/fish/fish_history
  Nushell     1 command   $HOME/.config/nushell/history.txt
  PowerShell  3 commands  $HOME/.local/share/powershell/PSReadLine/ConsoleHost_history.txt
Take over all of it?"
        ),
        "{shown}"
    );
    assert!(!home.history_path().exists(), "nothing is done before the answer");
    screen.enter("y");
    let shown = screen.shows("end-now\n");
    assert_eq!(shown.matches("\nAdded ").count(), 5, "{shown}");
    let taken: Vec<_> =
        records(&home).into_iter().map(|record| (record.shell.unwrap_or_default(), record.command)).collect();
    let of = |shell: &str| {
        let mut commands: Vec<_> =
            taken.iter().filter(|(of, _)| of == shell).map(|(_, command)| command.as_str()).collect();
        commands.sort_unstable();
        commands
    };
    assert_eq!(taken.len(), 9, "{taken:?}");
    assert_eq!((of("bash"), of("zsh")), (vec!["ls", "pwd"], vec!["make"]));
    assert_eq!((of("fish"), of("nu")), (vec!["cd /", "echo fish"], vec!["ls | where size > 1mb"]));
    assert_eq!(of("powershell"), ["Get-Date", "Get-Item .", "exit"]);
}

/// A history of bash with so many commands of at least `length` bytes, none like another.
fn many(home: &TestHome, count: usize, length: usize) -> PathBuf {
    let filler = "x".repeat(length);
    let mut lines = String::new();
    for n in 0..count {
        writeln!(lines, "#{}\nrsync -a --delete /srv/data/{n:08}/ backup@host-{n}:/{filler}", 1_600_000_000 + n)
            .expect("text grows");
    }
    home.file("many", lines)
}

#[test]
fn an_import_shows_how_far_it_is_on_a_terminal_and_leaves_nothing_of_that() {
    let home = TestHome::new();
    let file = many(&home, 60_000, 50);
    let screen = Screen::start(&home, (100, 20), &["env", "PS1=$ ", "sh"], &[]);
    screen.shows("$");
    // All that is ever printed, since what is drawn may be gone before somebody looks.
    let printed = home.path().join("printed");
    screen.tmux(&["pipe-pane", &format!("cat >'{}'", printed.display())]);
    screen.enter(&format!("caro history import bash --file {}; echo end-''now", file.display()));
    let shown = screen.shows("end-now\n");
    assert!(shown.contains("\nAdded 60000 commands from ") && !shown.contains("Importing"), "{shown}");
    let drawn = |printed: &str| {
        let bars = printed.split(['\r', '\n']).filter(|line| line.contains("Importing ") && line.contains('█'));
        let percent = |bar: &str| bar.split('%').next()?.rsplit(' ').next()?.parse::<u32>().ok();
        bars.filter_map(percent).collect::<Vec<_>>()
    };
    // Its copy may come later than what is on the screen.
    wait_until("all is there", || fs::read_to_string(&printed).is_ok_and(|printed| printed.contains("end-now")));
    let printed = fs::read_to_string(printed).expect("what was printed");
    let percents = drawn(&printed);
    assert!(
        percents.len() >= 2 && percents.is_sorted() && percents.iter().all(|percent| *percent <= 100),
        "{printed:?}"
    );
    assert!(percents.first() < percents.last(), "{percents:?}");
}

/// Takes a history of bash over with no more than so much memory for what a program holds.
#[cfg(target_os = "linux")]
fn import_within(kilobytes: usize, home: &TestHome, file: &Path) -> Run {
    let mut command = program(home, "sh");
    command.args([
        "-c",
        "ulimit -d $0 && exec \"$1\" history import bash --json --file \"$2\"",
        &kilobytes.to_string(),
    ]);
    command.arg(env!("CARGO_BIN_EXE_caro")).arg(file);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    home.finish(command, &[])
}

#[cfg(target_os = "linux")]
#[test]
fn an_import_does_not_hold_the_file_in_memory() {
    let home = TestHome::new();
    let file = many(&home, 8000, 4000);
    let size = fs::metadata(&file).expect("a file").len();
    assert!(size > 2 * (12 << 20), "{size}");
    let report = import_within(12 << 10, &home, &file).success().json().remove(0);
    assert_eq!(report["added"], 8000);
    // The limit is one.
    assert_ne!(import_within(4 << 10, &TestHome::new(), &file).code, Some(0));
}

/// A million lines, in less memory than half of them have letters.
#[cfg(target_os = "linux")]
#[test]
fn slow_an_import_of_a_million_lines_does_not_hold_them_in_memory() {
    if !is_slow_run() {
        return;
    }
    let home = TestHome::new();
    let file = many(&home, 1_000_000, 50);
    let report = import_within(48 << 10, &home, &file).success().json().remove(0);
    assert_eq!(report["added"], 1_000_000);
}

#[test]
fn a_file_that_is_no_text_is_refused_unless_it_is_insisted_on() {
    let home = TestHome::new();
    let program = std::fs::read(env!("CARGO_BIN_EXE_caro")).unwrap();
    let file = home.file("binary", &program[..200_000]);
    let file = file.to_str().unwrap();
    let refused = home.run(["history", "import", "bash", "--file", file]).failure(2);
    assert!(refused.stderr.contains("most of it is no text") && refused.stderr.contains("--force"), "{refused:?}");
    let refused = home.run(["history", "import", "atuin", "--file", file]).failure(2);
    assert!(refused.stderr.contains("is no database of Atuin\n") && !refused.stderr.contains("--force"), "{refused:?}");
    assert!(records(&home).is_empty());
    let forced = home.run(["history", "import", "bash", "--force", "--json", "--file", file]).json().remove(0);
    assert!(forced["added"].as_u64().unwrap() > 0, "{forced}");
}
