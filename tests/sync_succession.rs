//! The registries that are written again and again begin anew when they have grown long: nothing is lost by it, and what the
//! account holds stays small.

use std::path::Path;

use serde_json::Value;

use crate::common::home::wait_until;
use crate::common::sync::{Relay, SyncHome};

/// Seconds in a day.
const DAY: u64 = 86_400;

/// Runs the program on a day, with registries that begin anew after so many transactions.
fn on_day(home: &SyncHome, day: u64, limit: u64, args: &[&str]) -> String {
    let mut command = home.command(args);
    command.env("CARO_TEST_CLOCK", home.home.file("clock", (day * DAY).to_string()));
    command.env("CARO_TEST_SUCCESSION", limit.to_string());
    let run = home.finish(command, b"");
    assert_eq!(run.code, Some(0), "on {} on day {day}: {run:?}", home.name);
    run.stdout
}

/// How many transactions each map of a store has, the most first; those that delete one are not counted.
fn transactions(database: &Path) -> Vec<u64> {
    let db = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = db
        .prepare(
            "SELECT count(*) FROM transactions JOIN sessions ON sessions.rowID = ses JOIN coValues ON coValues.rowID = coValue \
             WHERE header LIKE '%\"comap\"%' AND sessionID NOT LIKE '%$' GROUP BY coValues.rowID ORDER BY 1 DESC",
        )
        .unwrap();
    let counts = statement.query_map([], |row| row.get::<_, u32>(0).map(u64::from)).unwrap();
    counts.collect::<Result<_, _>>().unwrap()
}

/// What other devices know of each: its name, and whether it was removed.
fn devices(home: &SyncHome, day: u64, limit: u64) -> Vec<(String, bool)> {
    let listed = on_day(home, day, limit, &["sync", "devices", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let of = |device: &Value| (device["name"].as_str().unwrap().to_owned(), device["removed"].as_bool().unwrap());
    let mut devices: Vec<(String, bool)> = listed["devices"].as_array().unwrap().iter().map(of).collect();
    devices.sort();
    devices
}

fn commands_counted(home: &SyncHome, day: u64) -> u64 {
    let stats: Value = serde_json::from_str(&on_day(home, day, 1000, &["history", "stats", "--json"])).unwrap();
    stats["commands"].as_u64().unwrap()
}

fn two_devices() -> (Relay, SyncHome, SyncHome, std::path::PathBuf) {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    (relay, a, b, phrase)
}

/// A command a day on each of two devices.
#[test]
fn a_month_of_two_devices_costs_a_transaction_a_day_and_device_in_each_registry() {
    let (_relay, a, b, _) = two_devices();
    let days = 30;
    for day in 1..=days {
        for home in [&a, &b] {
            on_day(home, day, 1000, &["history", "add", "--command", &format!("on {} on day {day}", home.name)]);
            on_day(home, day, 1000, &["sync", "now"]);
        }
    }
    on_day(&a, days, 1000, &["sync", "now"]);
    let most = transactions(&a.data("sync.db"))[0];
    assert!(most <= 2 * days + 12, "the longest registry has {most} transactions after {days} days of two devices");
    assert_eq!((commands_counted(&a, days), commands_counted(&b, days)), (60, 60));
}

#[test]
fn registries_that_begin_anew_lose_nothing_and_converge() {
    let (relay, a, b, phrase) = two_devices();
    let c = SyncHome::new("server");
    c.restored(&relay.url(), &phrase);
    let old = SyncHome::new("old");
    old.restored(&relay.url(), &phrase);
    let limit = 6;
    let homes = [&a, &b, &c];
    for day in 1..=24u64 {
        for home in homes {
            on_day(home, day, limit, &["history", "add", "--command", &format!("on {} on day {day}", home.name)]);
        }
        // At once, so that more than one may begin a registry anew.
        std::thread::scope(|scope| {
            for home in homes {
                scope.spawn(move || on_day(home, day, limit, &["sync", "now"]));
            }
        });
        if day == 4 {
            on_day(&a, day, limit, &["sync", "devices", "remove", "old", "--yes"]);
        }
        if day == 7 {
            on_day(&b, day, limit, &["sync", "devices", "rename", "server", "cellar"]);
        }
    }
    for home in [&a, &b, &c, &a, &b] {
        on_day(home, 26, limit, &["sync", "now"]);
    }
    for home in [&a, &b, &c] {
        let expected = [("cellar", false), ("desktop", false), ("laptop", false), ("old", true)];
        assert_eq!(
            devices(home, 26, limit),
            expected.map(|(name, removed)| (name.to_owned(), removed)),
            "{}",
            home.name
        );
        assert_eq!(commands_counted(home, 26), 72, "on {}", home.name);
        let counts = transactions(&home.data("sync.db"));
        // Each device wrote into each on each of the days.
        assert!(counts.iter().all(|count| *count < 60), "on {}: {counts:?}", home.name);
    }
    // A removed device stays removed through any number of successors, and a new one finds everything.
    assert_ne!(old.run(["sync", "now"]).code, Some(0));
    let new = SyncHome::new("new");
    new.restored(&relay.url(), &phrase);
    on_day(&new, 26, limit, &["sync", "now"]);
    assert_eq!(commands_counted(&new, 26), 72);
    // What is erased in the end includes what the registries were before.
    let proof = on_day(&a, 26, limit, &["sync", "delete", "--everywhere", "--yes", "--json"]);
    let proof: Value = serde_json::from_str(&proof).unwrap();
    assert_eq!(proof["with_content"], 0, "{proof}");
    // The account, its group and its root are left.
    wait_until("all that the registries ever were is erased", || {
        transactions(&relay.data().join("relay.db")).len() <= 4
    });
}
