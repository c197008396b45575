//! Commands as shells record them, and the counters that come of them: the real program.

use std::collections::HashSet;
use std::thread;

use crate::common::home::TestHome;

/// Records a command the way the shell's hooks do, and returns its id.
fn run_in_shell(home: &TestHome, command: &str, exit: &str) -> String {
    let id = home.run(["history", "start", "--session", "s1", "--", command]).success().stdout.trim_end().to_owned();
    home.run(["history", "end", &id, "--exit", exit]).success();
    id
}

#[test]
fn a_command_is_recorded_as_it_begins_and_completed_as_it_ends() {
    let home = TestHome::new();
    let run = home.run(["history", "start", "--session", "s1", "--shell", "bash", "--", "make", "-j", "2"]).success();
    let id = run.stdout.trim_end();
    let record = home.run(["history", "show", id, "--json"]).success().json().remove(0);
    assert_eq!(
        (&record["command"], &record["exit"], &record["session"]),
        (&"make -j 2".into(), &().into(), &"s1".into())
    );
    assert_eq!(record["cwd"], "$HOME/work");
    home.run(["history", "end", id, "--exit", "2", "--duration-ns", "1500"]).success();
    let record = home.run(["history", "show", id, "--json"]).success().json().remove(0);
    assert_eq!((&record["exit"], &record["duration_ns"]), (&2.into(), &1500.into()));

    let twice = home.run(["history", "end", id, "--exit", "0"]).failure(1);
    assert!(twice.stderr.contains("has ended already"), "{twice:?}");
    let unknown = home.run(["history", "end", "00000000", "--exit", "0"]).failure(1);
    assert!(unknown.stderr.contains("no command was started"), "{unknown:?}");
    assert_eq!(home.run(["history", "start", "--", " "]).failure(2).stdout, "");
}

#[test]
fn what_is_begun_is_told_as_json_too() {
    let home = TestHome::new();
    let start = |command: &str| home.run(["history", "start", "--json", "--", command]).success().json().remove(0);
    let begun = start("make");
    assert_eq!(begun["schema_version"], 1);
    home.run(["history", "end", begun["id"].as_str().unwrap(), "--exit", "0"]).success();
    assert_eq!(start("mysql -uroot -phunter2")["id"], serde_json::Value::Null, "it holds a secret");
}

#[test]
fn without_a_duration_it_ran_from_its_start_to_its_end() {
    let home = TestHome::new();
    let clock = home.file("clock", "0");
    let at = |args: &[&str]| {
        let mut command = home.command(args);
        command.env("CARO_TEST_CLOCK", &clock);
        home.finish(command, &[]).success().stdout
    };
    let id = at(&["history", "start", "--", "sleep 3600"]).trim_end().to_owned();
    std::fs::write(&clock, "3600").unwrap();
    at(&["history", "end", &id, "--exit", "0"]);
    let record = home.run(["history", "show", &id, "--json"]).success().json().remove(0);
    let seconds = record["duration_ns"].as_i64().unwrap() / 1_000_000_000;
    assert!((3600..3660).contains(&seconds), "{seconds}");
}

#[test]
fn sixty_four_shells_at_once_lose_nothing() {
    let home = TestHome::new();
    let ids: HashSet<String> = thread::scope(|scope| {
        let shells: Vec<_> = (0..64)
            .map(|shell| {
                let home = &home;
                scope.spawn(move || run_in_shell(home, &format!("echo {shell}"), "0"))
            })
            .collect();
        shells.into_iter().map(|shell| shell.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 64);
    let records = home.run(["history", "list", "--json"]).success().json();
    assert_eq!(records.iter().filter(|record| record["exit"] == 0).count(), 64);
    let devices: HashSet<_> = records.iter().map(|record| record["device_id"].to_string()).collect();
    assert_eq!(devices.len(), 1);
    let stats = home.run(["history", "stats", "--json"]).success().json().remove(0);
    assert_eq!((&stats["commands"], &stats["succeeded"]), (&64.into(), &64.into()));
}

#[test]
fn statistics_count_each_command_once_and_outlive_it() {
    let home = TestHome::new();
    let id = run_in_shell(&home, "make", "0");
    run_in_shell(&home, "false", "1");
    home.run(["history", "start", "--", "still running"]).success();
    let secret = home.run(["history", "start", "--", "mysql -uroot -phunter2"]).success().stdout;
    assert_eq!(secret, "", "it is not recorded");
    let add = ["history", "add", "--command", "du -sh", "--exit", "0", "--model", "large", "--safety", "safe"];
    home.run(add).success();
    let file = home.file("bash_history", "#1700000000\nls\n");
    home.import(&file);
    home.import(&file);
    assert_eq!(home.run(["history", "delete", &id, "--yes"]).code, Some(0));

    let stats = home.run(["history", "stats", "--json"]).success().json().remove(0);
    assert_eq!((&stats["commands"], &stats["succeeded"], &stats["failed"]), (&4.into(), &2.into(), &1.into()));
    assert!((stats["success_rate"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9);
    assert_eq!(stats["left_out"], 1);
    assert_eq!(stats["by_model"]["large"]["commands"], 1);
    assert_eq!(stats["by_safety"]["safe"]["commands"], 1);
    assert_eq!(stats["by_device"].as_object().unwrap().len(), 1);

    let recent = home.run(["history", "stats", "week", "--json"]).success().json().remove(0);
    assert_eq!(recent["commands"], 3, "what was imported ran in 2023");
    let run = home.run(["history", "stats"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("1 command was not recorded on this device"), "{run:?}");
    let shown = run.stdout;
    assert!(shown.starts_with("4 commands, 67 % succeeded\n"), "{shown}");
    assert!(shown.contains("(this device)  4 commands") && shown.contains("large  1 command, 100 %"), "{shown}");
    let wrong = home.run(["history", "stats", "sometimes"]).failure(2);
    assert!(wrong.stderr.contains("is not a time"), "{wrong:?}");
    for (slip, meant) in [("yesterdy", "yesterday"), ("moth", "month")] {
        let wrong = home.run(["history", "stats", slip]).failure(2);
        assert!(wrong.stderr.contains(&format!("did you mean {meant}?")), "{wrong:?}");
    }
}

/// A database of the previous layout, filled: its commands count as if they had always been counted.
#[test]
fn an_older_history_is_counted_when_its_layout_is_brought_up_to_date() {
    let home = TestHome::new();
    home.run(["history", "add", "--command", "make", "--exit", "0", "--model", "large"]).success();
    home.run(["history", "add", "--command", "false", "--exit", "1"]).success();
    let db = rusqlite::Connection::open(home.history_path()).unwrap();
    db.execute_batch(
        "DROP INDEX records_in_segments; DROP INDEX records_in_none; DROP INDEX deletions_kept; DROP TRIGGER placed_insert;
         DROP TRIGGER placed_delete; ALTER TABLE records DROP COLUMN in_segment;
         DROP TABLE usage; DROP TABLE counted; DROP INDEX outbox_ready;
         ALTER TABLE outbox DROP COLUMN held; ALTER TABLE deleted_records DROP COLUMN kept; 
         ALTER TABLE records DROP COLUMN synced; DROP TABLE removed; DROP TABLE removals; PRAGMA user_version = 2;",
    )
    .unwrap();
    drop(db);
    let stats = home.run(["history", "stats", "--json"]).success().json().remove(0);
    assert_eq!((&stats["commands"], &stats["succeeded"], &stats["failed"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(stats["by_model"]["large"]["succeeded"], 1);
    let week = home.run(["history", "stats", "day", "--json"]).success().json().remove(0);
    assert_eq!(week["commands"], 2);
}
