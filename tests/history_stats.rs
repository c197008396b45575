//! The statistics: counted right, as data, on a terminal of any width, and as a page that a browser shows.

use std::path::Path;
use std::process::Command;

use caro::history::{History, Record, UnixNanos};
use serde_json::{Value, json};

use crate::common::home::TestHome;
use crate::common::tmux::Screen;

/// 2026-11-28, a Saturday, at noon: what the program takes for now.
const NOON: i64 = 1_795_867_200;
const HOUR: i64 = 3600;

/// Commands with how many hours before noon each ran, where, and how it ended.
const RAN: &[(&str, i64, &str, i32)] = &[
    ("git status", 1, "/src", 0),
    ("git status", 2, "/src", 0),
    ("git push", 3, "/src", 1),
    ("cd /src && git pull", 26, "/", 0),
    ("tail -f /var/log/syslog", 27, "/", 130),
    ("kubectl get pods", 50, "/src/deploy", 0),
    ("echo '<script>alert(1)</script>'", 51, "/tmp/<b>&\"", 127),
    ("ls", 24 * 40, "/src", 0),
];

fn home() -> TestHome {
    let home = TestHome::new();
    let history = home.history();
    let device = history.device_id().unwrap();
    for (command, hours, cwd, exit) in RAN {
        add(&history, command, NOON - hours * HOUR, |record| {
            (record.device_id, record.cwd, record.exit) = (device, Some((*cwd).into()), Some(*exit));
        });
    }
    home
}

fn add(history: &History, command: &str, second: i64, change: impl FnOnce(&mut Record)) {
    let mut record = Record::new(command, UnixNanos(second * 1_000_000_000), history.device_id().unwrap());
    change(&mut record);
    history.add(&record).unwrap();
}

/// The program at noon of that day, at least: what a test clock says is added to the real one.
fn command(home: &TestHome, args: &[&str]) -> Command {
    let clock = home.path().join("clock");
    let real = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    std::fs::write(&clock, (NOON - real).to_string()).unwrap();
    let mut command = home.command(args);
    command.env("CARO_TEST_CLOCK", clock);
    command
}

fn stats(home: &TestHome, args: &[&str]) -> Value {
    let args = [&["history", "stats", "--json"], args].concat();
    home.finish(command(home, &args), &[]).success().json().remove(0)
}

#[test]
fn the_statistics_as_json_are_their_contract() {
    let home = home();
    let stats = stats(&home, &[]);
    let mut keys: Vec<_> = stats.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let contract = [
        "by_category",
        "by_command",
        "by_day",
        "by_device",
        "by_directory",
        "by_hour",
        "by_model",
        "by_safety",
        "by_weekday",
        "commands",
        "different",
        "failed",
        "from",
        "left_out",
        "recorded",
        "schema_version",
        "succeeded",
        "success_rate",
        "suggested",
    ];
    assert_eq!(keys, contract);
    let counts = |commands: u64, succeeded: u64, failed: u64| {
        let rate = succeeded as f64 / (succeeded + failed) as f64;
        json!({"commands": commands, "succeeded": succeeded, "failed": failed, "success_rate": rate})
    };
    let named = |name: &str, counts: Value| {
        let mut named = counts;
        named["name"] = name.into();
        named
    };
    assert_eq!(stats["recorded"], counts(8, 5, 3));
    assert_eq!(stats["different"], 7);
    assert_eq!(stats["by_command"][0], named("git status", counts(2, 2, 0)));
    assert_eq!(stats["by_command"].as_array().unwrap().len(), 7);
    assert_eq!(stats["by_directory"][0], named("/src", counts(4, 3, 1)));
    assert_eq!(
        stats["by_category"],
        json!({
            "file_management": counts(1, 1, 0), "git_version_control": counts(4, 3, 1), "log_analysis": counts(1, 0, 1),
            "devops_kubernetes": counts(1, 1, 0), "other": counts(1, 0, 1),
        })
    );
    let mut hours = [0; 24];
    for (_, ago, ..) in RAN {
        hours[(12 - ago).rem_euclid(24) as usize] += 1;
    }
    assert_eq!(stats["by_hour"], json!(hours));
    // Three on Saturday, two on Friday, two on Thursday, and the first on a Monday.
    assert_eq!(stats["by_weekday"], json!([1, 0, 0, 2, 2, 3, 0]));
    let days = &stats["by_day"];
    assert_eq!(
        (&days[0], &days[3]),
        (&json!({"day": "2026-10-19", "commands": 1}), &json!({"day": "2026-11-28", "commands": 3}))
    );
}

#[test]
fn a_period_a_limit_and_a_time_zone_narrow_what_is_counted() {
    let home = home();
    assert_eq!(stats(&home, &["week"])["recorded"]["commands"], 7);
    assert_eq!(stats(&home, &["day"])["recorded"]["commands"], 3);
    assert_eq!(stats(&home, &["--limit", "2"])["by_command"].as_array().unwrap().len(), 2);
    let mut there = command(&home, &["history", "stats", "--json", "day"]);
    there.env("TZ", "Asia/Kolkata");
    let there = home.finish(there, &[]).success().json().remove(0);
    // Half past four in the afternoon, and one and two hours before.
    assert_eq!(
        (&there["by_hour"][16], &there["by_hour"][15], &there["by_hour"][14]),
        (&1.into(), &1.into(), &1.into())
    );
}

#[test]
fn what_was_deleted_or_only_suggested_is_not_among_what_was_run() {
    let home = home();
    let history = home.history();
    add(&history, "rm -rf /", NOON, |record| record.executed = Some(false));
    let ids: Vec<_> = history.list(&Default::default()).unwrap();
    let pushed = ids.iter().find(|record| record.command == "git push").unwrap();
    history.delete(&[pushed.id], UnixNanos(NOON)).unwrap();
    let found = stats(&home, &[]);
    assert_eq!((&found["commands"], &found["recorded"]["commands"]), (&8.into(), &7.into()));
    assert_eq!(found["suggested"], 1);
    let shown = home.finish(command(&home, &["history", "stats"]), &[]);
    assert!(shown.stderr.contains("1 command was only suggested and not run"), "{shown:?}");
}

#[test]
fn a_day_is_the_same_for_the_statistics_and_the_list() {
    let home = home();
    add(&home.history(), "rm -rf /", NOON - 25 * HOUR, |record| record.executed = Some(false));
    for (zone, today) in [("UTC", 3), ("Asia/Kolkata", 3), ("Pacific/Kiritimati", 2), ("Pacific/Honolulu", 2)] {
        let there = |args: &[&str]| {
            let mut command = command(&home, args);
            command.env("TZ", zone);
            home.finish(command, &[]).success().json()
        };
        for day in ["today", "yesterday", "2026-11-26", "2026-10-01"] {
            let listed = there(&["history", "list", "--json", "--after", day]).len();
            let counted = &there(&["history", "stats", "--json", day])[0];
            let number = |value: &Value| value.as_u64().unwrap() as usize;
            assert_eq!(
                number(&counted["recorded"]["commands"]) + number(&counted["suggested"]),
                listed,
                "{day} in {zone}"
            );
            assert_eq!(counted["commands"], counted["recorded"]["commands"], "{day} in {zone}: nothing was deleted");
        }
        assert_eq!(there(&["history", "stats", "--json", "day"])[0]["commands"], today, "{zone}");
        assert_eq!(there(&["history", "stats", "--json", "2026-11-26"])[0]["from"], "2026-11-26");
    }
}

#[test]
fn what_other_devices_ran_counts_without_their_counters() {
    let home = home();
    let other = TestHome::new();
    let added = other.run_with_input(["history", "add"], home.run(["export"]).success().stdout);
    assert_eq!(added.code, Some(0), "{added:?}");
    let (here, there) = (stats(&home, &[]), stats(&other, &[]));
    for field in ["commands", "succeeded", "failed", "by_device", "recorded"] {
        assert_eq!(here[field], there[field], "{field}");
    }
}

#[test]
fn in_a_pipe_the_lists_are_plain_text() {
    let home = home();
    let shown = home.finish(command(&home, &["history", "stats"]), &[]).success().stdout;
    let at = shown.find("\nIn the history now").unwrap();
    insta::assert_snapshot!(&shown[at..], @r#"
    In the history now
      8 commands, 62 % succeeded

    Most used
      git status   2  100 %
      cd           1  100 %
      echo         1    0 %
      git push     1    0 %
      kubectl get  1  100 %
      ls           1  100 %
      tail         1    0 %

    By directory
      /src         4   75 %
      /            2   50 %
      /src/deploy  1  100 %
      /tmp/<b>&"   1    0 %

    By category
      git version control  4   75 %
      file management      1  100 %
      log analysis         1    0 %
      devops kubernetes    1  100 %
      other                1    0 %

    By weekday
      Mon  1
      Tue  0
      Wed  0
      Thu  2
      Fri  2
      Sat  3
      Sun  0

    By hour
      09:00  3
      10:00  3
      11:00  1
      12:00  1
    "#);
}

#[test]
fn on_a_terminal_of_any_width_every_line_fits() {
    for (columns, unicode) in [(40, true), (80, true), (132, false)] {
        let home = home();
        // Sets the clock.
        drop(command(&home, &[]));
        let locale = if unicode { "C.UTF-8" } else { "C" };
        let clock = home.path().join("clock");
        let vars = [("CARO_TEST_CLOCK", clock.to_str().unwrap()), ("NO_COLOR", "1")];
        let screen = Screen::start(&home, (columns, 100), &["env", "PS1=$ ", "sh"], &vars);
        screen.shows("$");
        screen.enter(&format!("LC_ALL={locale} caro history stats; echo done:$?"));
        screen.shows("done:0");
        let shown = screen.text();
        for text in
            ["In the history now\n  8 commands", "Most used", "git status", "By hour", "Calendar", "less", "more"]
        {
            assert!(shown.contains(text), "{text} at {columns} columns:\n{shown}");
        }
        assert_eq!(shown.contains('█'), unicode, "{shown}");
        // What was broken over two lines comes back as one.
        for line in shown.lines().filter(|line| !line.starts_with("$ ")) {
            assert!(line.chars().count() <= usize::from(columns), "{columns}: {line:?}\n{shown}");
        }
    }
}

/// Debian's browser, which `make setup` installs.
fn browser() -> Command {
    let mut browser = Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]);
    browser.args(["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]);
    browser
}

/// What a browser makes of a page.
fn seen_by_a_browser(home: &TestHome, page: &Path) -> String {
    let profile = home.path().join("browser");
    let output = browser()
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--dump-dom".to_owned(), format!("file://{}", page.display())])
        .env("HOME", home.path())
        .output()
        .expect("chromium is installed");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_page_is_whole_private_and_shows_the_same_numbers() {
    let home = home();
    let page = home.path().join("stats.html");
    let run = home.finish(command(&home, &["history", "stats", "--html", page.to_str().unwrap()]), &[]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(run.stderr, "The page is $HOME/stats.html; it names commands and directories of yours.\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let written = std::fs::read_to_string(&page).unwrap();
    for foreign in ["<script", "http://", "https://", "src=", "@import", "url("] {
        assert!(!written.contains(foreign), "{foreign}");
    }
    let dom = seen_by_a_browser(&home, &page);
    // The browser closed nothing that was left open and dropped nothing: it is the page as it was written.
    let tags = |text: &str, tag: &str| text.matches(tag).count();
    for tag in ["<section", "</section>", "<li>", "</li>", "<rect", "<svg", "</svg>", "<h2>"] {
        assert_eq!(tags(&dom, tag), tags(&written, tag), "{tag}");
    }
    for text in [
        "<b>8</b><span>commands</span>",
        "git status",
        "2026-11-28: 3 commands",
        "Mon: 1 command",
        "/tmp/&lt;b&gt;&amp;",
    ] {
        assert!(dom.contains(text), "{text} in {dom}");
    }
    // 41 days back from a Saturday touch six weeks and the days of this one that have been.
    assert_eq!(tags(&dom, "class=\"day "), 6 * 7 - 1);
    let nowhere = home.finish(command(&home, &["history", "stats", "--html", "/nowhere/at/all/x.html"]), &[]);
    assert!(nowhere.code == Some(0) || nowhere.stderr.contains("cannot be written"), "{nowhere:?}");
}

#[test]
fn an_empty_history_has_statistics_too() {
    let home = TestHome::new();
    assert_eq!(home.run(["history", "stats"]).success().stdout, "0 commands\n");
    let page = home.path().join("stats.html");
    assert_eq!(home.run(["history", "stats", "--html", page.to_str().unwrap()]).code, Some(0));
    assert!(std::fs::read_to_string(&page).unwrap().contains("<b>0</b><span>commands</span>"));
    let json = home.run(["history", "stats", "--json"]).success().json().remove(0);
    assert_eq!((&json["recorded"]["success_rate"], &json["by_day"]), (&Value::Null, &json!([])));
}
