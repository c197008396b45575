//! A history that went up command by command stays in few segments, and loses nothing on the way.

use std::time::Duration;

use caro::history::{Filter, History, Record, UnixNanos};
use caro::identity::{Credentials, FileKeyStore, KeyStore, KeyStoreKind, OsKeyStore, Phrase, WordCount};
use caro::net::{Proxies, RelayAddress};
use caro::prefs::{PreferenceStore, PrefsPaths, Settings};
use caro::sync::{self, Engine, Progress, SetUp, Setting, SyncConfig, SyncPaths};

use crate::common::home::is_slow_run;
use crate::common::sync::Relay;

fn now() -> UnixNanos {
    UnixNanos(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap())
}

/// Sync as a library, so that thousands of exchanges take one process.
struct Device {
    folder: tempfile::TempDir,
}

impl Device {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn history(&self) -> History {
        History::open(self.folder.path().join("history.db")).unwrap()
    }

    fn set_up(&self, relay: &str, credentials: &Credentials, new: bool) -> Engine {
        let relay = RelayAddress::parse(relay, None, Proxies::default()).unwrap();
        let files = FileKeyStore::new(self.folder.path().join("keys"), None);
        let key_store = KeyStore::open(Some(KeyStoreKind::File), OsKeyStore::new("nobody"), files);
        let config = SyncConfig { relay: Some(relay.url().to_owned()), ..SyncConfig::default() };
        let set_up = SetUp { credentials, key_store: &key_store, config: &config, leave: false };
        let setting = Setting {
            paths: SyncPaths::new(self.folder.path(), self.folder.path(), self.folder.path()),
            history: self.history(),
            relay: Some(relay),
            patience: Duration::from_secs(30),
            now,
            settings: Settings::default(),
            preferences: PreferenceStore::open(
                PrefsPaths::new(self.folder.path(), self.folder.path()),
                self.history().device_id().unwrap(),
            ),
        };
        let make = if new { sync::create } else { sync::join };
        make(setting, &set_up).unwrap()
    }
}

/// How many streams a store holds, and how many of them still have content.
fn streams(database: &std::path::Path) -> (i64, i64) {
    let db = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get(0)).unwrap();
    let all = "SELECT count(*) FROM coValues WHERE header LIKE '%\"costream\"%'";
    let live =
        format!("{all} AND EXISTS (SELECT 1 FROM sessions WHERE coValue = coValues.rowID AND sessionID NOT LIKE '%$')");
    (count(all), count(&live))
}

/// Pushes commands one by one and looks at what is left of it.
fn one_by_one(count: usize) {
    let relay = Relay::new();
    let device = Device::new();
    let credentials = Credentials::from_phrase(Phrase::generate(WordCount::Twelve).unwrap(), 1).unwrap();
    let quiet = &mut |_: Progress| {};
    let mut engine = device.set_up(&relay.url(), &credentials, true);
    let history = device.history();
    let id = history.device_id().unwrap();
    for i in 0..count {
        history.add(&Record::new(format!("command {i}"), now(), id)).unwrap();
        assert_eq!(engine.exchange("test", quiet).unwrap().sent, 1);
    }
    engine.close().unwrap();
    let (all, live) = streams(&device.folder.path().join("sync.db"));
    let full = i64::try_from(count / 250).unwrap();
    assert!(live <= 3, "{count} commands lie in {live} segments");
    assert!(all <= full + 4, "{all} segments were made");
    println!("{count} commands one by one: {live} segments, {} erased", all - live);

    let other = Device::new();
    let mut engine = other.set_up(&relay.url(), &credentials, false);
    engine.exchange("test", quiet).unwrap();
    assert!(engine.verify(quiet).unwrap().agrees());
    engine.close().unwrap();
    let all = |device: &Device| device.history().list(&Filter::default()).unwrap();
    assert_eq!(all(&other), all(&device));
    assert_eq!(all(&other).len(), count);
}

#[test]
fn commands_that_went_up_one_by_one_end_in_few_segments() {
    one_by_one(600);
}

#[test]
fn slow_three_thousand_commands_one_by_one_end_in_few_segments() {
    if !is_slow_run() {
        return;
    }
    one_by_one(3_000);
}
