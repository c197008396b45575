//! What removes: it says first what would go, asks, and can be taken back for a minute, unless the others know of it.

use serde_json::{Value, json};

use crate::common::home::{Run, TestHome};
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, bytes_of, contains};
use crate::common::tmux::Screen;

fn commands(home: &TestHome) -> Vec<String> {
    home.run(["history", "list", "--cmd-only"]).success().stdout.lines().map(str::to_owned).collect()
}

/// A home in which each of these was run.
fn home_with(commands: &[&str]) -> TestHome {
    let home = TestHome::new();
    let lines: String = (0i64..)
        .zip(commands)
        .map(|(n, command)| {
            json!({"command": command, "cwd": "/w", "started_at": format!("2026-01-01T00:00:{n:02}Z")}).to_string()
                + "\n"
        })
        .collect();
    let run = home.run_with_input(["history", "add"], lines).success();
    assert_eq!(run.lines().len(), commands.len());
    home
}

/// Runs the program so many seconds later.
fn later(home: &TestHome, seconds: i64, args: &[&str]) -> Run {
    let mut command = home.command(args);
    command.env("CARO_TEST_CLOCK", home.file("clock", seconds.to_string()));
    home.finish(command, &[])
}

fn done(run: Run) -> Run {
    assert_eq!(run.code, Some(0), "{run:?}");
    run
}

#[test]
fn a_deletion_is_taken_back_within_a_minute_and_gone_afterwards() {
    let home = home_with(&["ls", "kanarie-one", "kanarie-two", "pwd"]);
    let before = home.history().digest().unwrap();
    let run = home.run(["history", "delete", "--query", "kanarie", "--yes"]).success();
    assert_eq!(run.stdout, "deleted 2 commands\n");
    assert_eq!(done(home.run(["history", "undo", "--dry-run"])).stderr, "Would bring 2 commands back.\n");
    assert_eq!(commands(&home), ["ls", "pwd"]);
    assert_eq!(home.run(["history", "undo"]).success().stdout, "brought 2 commands back\n");
    assert_eq!(home.history().digest().unwrap(), before);
    for args in [&["history", "undo"][..], &["history", "undo", "--dry-run"]] {
        let run = home.run(args).failure(1);
        assert!(run.stderr.contains("nothing was removed in the last minute"), "{run:?}");
    }

    home.run(["history", "delete", "--query", "kanarie", "--yes"]).success();
    // By the clock of a minute later the next command erases it.
    let run = later(&home, 61, &["history", "undo"]).failure(1);
    assert!(run.stderr.contains("nothing was removed"), "{run:?}");
    for file in std::fs::read_dir(home.data_dir()).unwrap() {
        let path = file.unwrap().path();
        assert!(!contains(&std::fs::read(&path).unwrap(), b"kanarie"), "{} still holds it", path.display());
    }
}

#[test]
fn with_for_good_nothing_is_kept() {
    let home = home_with(&["ls", "kanarie-one"]);
    home.run(["history", "delete", "--query", "kanarie", "--yes", "--for-good"]).success();
    for file in std::fs::read_dir(home.data_dir()).unwrap() {
        assert!(!contains(&std::fs::read(file.unwrap().path()).unwrap(), b"kanarie"));
    }
    home.run(["history", "undo"]).failure(1);
    assert_eq!(commands(&home), ["ls"]);
}

#[test]
fn commands_are_deleted_by_time_alone() {
    let home = home_with(&["one", "two", "three"]);
    let run = done(home.run(["history", "delete", "--before", "2026-01-01T00:00:02Z", "--dry-run"]));
    assert_eq!((run.lines().len(), run.stderr.as_str()), (2, "Would delete 2 commands.\n"));
    home.run(["history", "delete", "--before", "2026-01-01T00:00:02Z", "--yes"]).success();
    assert_eq!(commands(&home), ["three"]);
    let nothing = home.run(["history", "delete", "--yes"]).failure(2);
    assert!(nothing.stderr.contains("--query"), "{nothing:?}");
    let asked = home.run(["history", "delete", "--query", ""]).failure(2);
    assert!(asked.stderr.contains("--yes"), "{asked:?}");
}

#[test]
fn pruning_shows_why_and_masks_secrets() {
    let home = TestHome::new();
    done(home.run(["config", "set", "history.secrets", "keep"]));
    let lines = ["ls", "mysql -phunter2 app", "aws iam", "curl -u me:hunter2 https://a"];
    let lines: String = lines.iter().map(|command| json!({ "command": command }).to_string() + "\n").collect();
    home.run_with_input(["history", "add"], lines).success();
    done(home.run(["config", "set", "history.filter", "exclude command \"aws *\""]));
    let prune = |flags: &[&str]| done(home.run([&["history", "prune"], flags].concat()));
    assert_eq!(prune(&["--dry-run"]).lines().len(), 1, "secrets that the user keeps are kept");
    done(home.run(["config", "unset", "history.secrets"]));

    let run = prune(&["--dry-run"]);
    let shown: Vec<&str> = run.lines().iter().map(|line| line.split_once("  ").unwrap().1).collect();
    assert_eq!(
        shown,
        [
            "a database password  mysql -p***** app",
            "exclude command \"aws *\"  aws iam",
            "a user's password for a web server  curl -u me:***** https://a"
        ]
    );
    assert!(run.stderr.ends_with("Would delete 3 commands.\n"), "{run:?}");
    let one: Value = prune(&["--dry-run", "--json"]).json()[0]["pruned"][0].clone();
    assert_eq!(
        one,
        json!({"id": one["id"], "reason": "secret", "secret": "a database password", "rule": null,
            "command": "mysql -p***** app"})
    );
    home.run(["history", "prune"]).failure(2);
    assert_eq!(commands(&home).len(), 4, "nobody said yes");
    assert_eq!(prune(&["--yes"]).stdout, "deleted 3 commands\n");
    assert_eq!(commands(&home), ["ls"]);
    assert_eq!(home.run(["history", "undo"]).success().stdout, "brought 3 commands back\n");
}

#[test]
fn of_equal_commands_the_newest_stay() {
    let home = home_with(&["ls", "ls", "pwd", "ls"]);
    let run = done(home.run(["history", "dedup", "--dry-run"]));
    assert_eq!((run.lines().len(), run.stderr.as_str()), (2, "Would delete 2 of 4 commands.\n"));
    let run = home.run(["history", "dedup", "--keep", "2", "--yes", "--json"]).success();
    assert_eq!(run.json()[0]["deleted"].as_array().unwrap().len(), 1);
    assert_eq!(home.run(["history", "dedup", "--yes"]).success().stdout, "deleted 1 command\n");
    assert_eq!(commands(&home), ["pwd", "ls"]);
    // From the last on, one after the other.
    home.run(["history", "undo"]).success();
    home.run(["history", "undo"]).success();
    assert_eq!(commands(&home), ["ls", "ls", "pwd", "ls"]);
}

#[test]
fn what_a_shell_and_atuin_both_recorded_is_united() {
    let home = TestHome::new();
    let zsh = home.file(".zsh_history", ": 1700000000:0;make test\n: 1700000100:0;ls\n");
    let path = home.path().join("atuin.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    db.execute_batch(&format!(
        "CREATE TABLE history (id TEXT PRIMARY KEY, timestamp INTEGER NOT NULL, duration INTEGER NOT NULL, exit INTEGER NOT NULL, \
         command TEXT NOT NULL, cwd TEXT NOT NULL, session TEXT NOT NULL, hostname TEXT NOT NULL, deleted_at INTEGER); \
         INSERT INTO history VALUES ('a', 1700000000400000000, 5, 0, 'make test', '/w', 's', '{}:me', NULL);",
        host.trim()
    ))
    .unwrap();
    drop(db);
    for (kind, file, twice) in [("zsh", &zsh, false), ("atuin", &path, true)] {
        let run = done(home.run(["history", "import", kind, "--file", file.to_str().unwrap()]));
        assert_eq!(run.stderr.contains("`caro history dedup --recorded-twice`"), twice, "{run:?}");
    }
    assert_eq!(commands(&home).len(), 3);
    let run = home.run(["history", "dedup", "--recorded-twice", "--yes"]).success();
    assert_eq!(run.stdout, "deleted 1 command\n");
    let left = home.run(["history", "list", "--json"]).success().json();
    let left: Vec<_> = left.iter().map(|one| (one["command"].clone(), one["imported_from"].clone())).collect();
    assert_eq!(left, [(json!("make test"), json!("atuin")), (json!("ls"), json!("zsh"))]);
    // It does not come back with the next import.
    done(home.run(["history", "import", "zsh", "--file", zsh.to_str().unwrap()]));
    assert_eq!(commands(&home).len(), 2);
}

#[test]
fn without_sync_nobody_is_asked_about_it_and_a_no_exits_with_1() {
    let home = home_with(&["ls", "pwd"]);
    let screen = Screen::start(&home, (100, 40), &["env", "PS1=$ ", "sh"], &[]);
    screen.shows("$");
    screen.enter("caro history delete --query ls; echo code-''$?").shows("Delete this command? [y/N]");
    screen.enter("n").shows("code-1\n");
    assert!(screen.text().contains("Nothing was deleted.") && !screen.text().contains("Error"), "{}", screen.text());
    screen.enter("caro history clear; echo second-''$?").shows("(they are nowhere else)? [y/N]");
    screen.enter("n").shows("second-1\n");
    screen.enter("caro history clear; echo third-''$?");
    screen.until("the question", |text| text.matches("nowhere else").count() == 2);
    screen.enter("y").shows("third-0\n");
    assert!(!screen.text().to_lowercase().contains("sync"), "{}", screen.text());
    assert!(commands(&home).is_empty());
}

#[test]
fn a_history_that_was_forgotten_is_there_again() {
    let home = home_with(&["ls", "pwd"]);
    let before = home.history().digest().unwrap();
    assert_eq!(done(home.run(["history", "clear", "--dry-run"])).stderr, "Would forget 2 commands.\n");
    done(home.run(["history", "clear", "--yes"]));
    assert!(commands(&home).is_empty());
    assert_eq!(home.run(["history", "undo", "--json"]).success().json()[0]["restored"], 2);
    assert_eq!(home.history().digest().unwrap(), before);
    assert_eq!(home.history().pending_count().unwrap(), 2);
}

#[test]
fn a_removal_that_was_killed_is_whole_or_none_and_so_is_taking_it_back() {
    let home = TestHome::new();
    let lines: String = (0..5_000).map(|number| format!("echo {number}\n")).collect();
    home.import(&home.file("bash_history", lines));
    let before = home.history().digest().unwrap();
    for after in [0, 10, 20, 40, 80, 160] {
        for args in [&["history", "delete", "--query", "echo", "--yes"][..], &["history", "undo"]] {
            let mut child = home.command(args).spawn().unwrap();
            // The moment of the kill is all that this decides; each of them has to be a good one.
            std::thread::park_timeout(std::time::Duration::from_millis(after));
            child.kill().unwrap();
            child.wait().unwrap();
            let left = home.history().count().unwrap();
            assert!(left == 0 || left == 5_000, "{left} after {after} ms of {args:?}");
        }
        if home.history().count().unwrap() == 0 {
            done(home.run(["history", "undo"]));
        }
        assert_eq!(home.history().digest().unwrap(), before);
    }
}

#[test]
fn what_the_other_devices_were_told_is_not_taken_back() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&["make", "kanarie-told", "kanarie-kept"].map(str::to_owned));
    let phrase = a.init(&relay.url());
    a.now();
    b.restored(&relay.url(), &phrase);

    // Taken back before anybody heard of it, a deletion leaves no trace.
    a.ok(["history", "delete", "--query", "kanarie-kept", "--yes"]);
    a.ok(["history", "undo"]);
    a.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 3);

    a.ok(["history", "delete", "--query", "kanarie-told", "--yes"]);
    a.now();
    let run = a.run(["history", "undo"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("your other devices have been told"), "{run:?}");
    assert_eq!(a.run(["history", "undo", "--dry-run"]), run, "it says so before it is tried");
    assert!(!contains(&bytes_of(&a.data("history.db")), b"kanarie-told"), "nothing of it is kept");
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 2);
    assert_eq!(a.commands(), ["kanarie-kept", "make"]);
}
