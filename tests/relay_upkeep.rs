//! The upkeep of a relay's store: backups made while it serves, their return, and what becomes of a store that is damaged.

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use serde_json::Value;

use crate::common::home::{Run, TestHome};
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, await_erasure, ciphertexts, holds};
use crate::sync_disk_full::SmallDisk;
use crate::sync_session_guard::noise;

/// `caro relay …` about the store in a folder.
fn upkeep(words: &[&str], data: &Path) -> Run {
    TestHome::new().run([&["relay"], words, &["--data-dir", data.to_str().unwrap()]].concat())
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

fn commands(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| noise(&format!("{name} {i}"))).collect()
}

/// Two devices that are in sync through a relay.
fn two_devices(relay: &Relay) -> (SyncHome, SyncHome, PathBuf) {
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&commands("a", 400));
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    b.add(&commands("b", 100));
    b.now();
    a.now();
    (a, b, phrase)
}

/// Devices compare all that they hold with what the relay has, and bring what it lacks.
fn repaired(devices: &[&SyncHome]) {
    for device in devices {
        device.ok(["sync", "verify", "--repair"]);
    }
}

/// The devices meet again, and one that joins gets everything from the relay alone.
fn nothing_is_lost(relay: &Relay, a: &SyncHome, b: &SyncHome, phrase: &Path) -> usize {
    for device in [a, b, a] {
        let report = device.now();
        assert_eq!((report.pending, report.missing), (0, 0), "{}", relay.log());
    }
    let joins = SyncHome::new("tower");
    joins.restored(&relay.url(), phrase);
    assert_equal_histories(&[a, b, &joins])
}

#[test]
fn a_backup_made_while_devices_write_brings_a_lost_relay_back() {
    let mut relay = Relay::new();
    let (a, b, phrase) = two_devices(&relay);
    let file = a.home.path().join("backup.db");
    let shown = file.to_str().unwrap();
    let done = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut written = 0;
            while !done.load(Ordering::Relaxed) {
                written += a.add(&commands(&format!("meanwhile {written}"), 5)).len();
                a.now();
            }
            written
        });
        for _ in 0..5 {
            let run = upkeep(&["backup", "--json", "--force", shown], relay.data());
            assert_eq!(run.code, Some(0), "{run:?}");
            let made = json(&run);
            assert_eq!((&made["schema_version"], &made["accounts"]), (&1.into(), &1.into()));
            assert!(made["bytes"].as_u64() > Some(400_000), "{made}");
        }
        done.store(true, Ordering::Relaxed);
        writing.join().unwrap()
    });
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = upkeep(&["backup", shown], relay.data());
    assert!(again.code == Some(1) && again.stderr.contains("is there already"), "{again:?}");
    let running = upkeep(&["restore", shown], relay.data());
    assert!(running.code == Some(1) && running.stderr.contains("another relay is using"), "{running:?}");
    // Beside a relay that runs it can be checked.
    let sound = upkeep(&["check"], relay.data());
    assert!(sound.code == Some(0) && sound.stdout.contains("nothing is damaged"), "{sound:?}");

    relay.kill();
    std::fs::remove_dir_all(relay.data()).unwrap();
    let lost = upkeep(&["check"], relay.data());
    assert!(lost.code == Some(1) && lost.stderr.contains("there is no relay's store"), "{lost:?}");
    let restored = upkeep(&["restore", "--json", shown], relay.data());
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert_eq!(json(&restored)["kept"], Value::Null);
    relay.start_again();
    assert_eq!(nothing_is_lost(&relay, &a, &b, &phrase), 500 + written);
}

#[test]
fn a_backup_touches_no_other_file() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init(&relay.url());
    let file = device.home.path().join("backup.db");
    let beside = ["new", "new-wal", "new-shm"].map(|name| device.home.path().join(format!("backup.db.{name}")));
    for path in &beside {
        std::fs::write(path, "the user's").unwrap();
    }
    assert_eq!(upkeep(&["backup", file.to_str().unwrap()], relay.data()).code, Some(0));
    for path in &beside {
        assert_eq!(std::fs::read_to_string(path).unwrap(), "the user's");
    }
    let named = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let all = std::fs::read_dir(device.home.path()).unwrap().map(named);
    assert_eq!(all.filter(|name| name.starts_with("backup.db")).count(), 1 + beside.len(), "nothing is left");
}

#[test]
fn a_restored_store_takes_the_place_of_one_that_is_kept_and_what_is_no_backup_changes_nothing() {
    let mut relay = Relay::new();
    let (a, b, phrase) = two_devices(&relay);
    let file = a.home.path().join("backup.db");
    assert_eq!(upkeep(&["backup", file.to_str().unwrap()], relay.data()).code, Some(0));
    a.add(&commands("later", 50));
    a.now();
    relay.stop();
    let count = |file: &Path| -> i64 {
        let db = Connection::open(file).unwrap();
        db.query_row("SELECT count(*) FROM transactions", [], |row| row.get(0)).unwrap()
    };
    let now = count(&relay.data().join("relay.db"));

    let other = a.home.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let bent = a.home.path().join("bent.db");
    std::fs::copy(&file, &bent).unwrap();
    let db = Connection::open(&bent).unwrap();
    db.execute_batch("UPDATE transactions SET tx = replace(tx, '\"madeAt\":1', '\"madeAt\":2')").unwrap();
    drop(db);
    for wrong in [&other, &bent, &a.home.file("text", "no database".repeat(1000))] {
        let run = upkeep(&["restore", wrong.to_str().unwrap()], relay.data());
        assert!(run.code == Some(6) && run.stderr.contains("no usable backup"), "{run:?}");
        assert_eq!(count(&relay.data().join("relay.db")), now);
    }
    let run = upkeep(&["restore", "--json", file.to_str().unwrap()], relay.data());
    assert_eq!(run.code, Some(0), "{run:?}");
    let kept = PathBuf::from(json(&run)["kept"].as_str().expect("the old one is kept"));
    assert_eq!(count(&kept), now);
    assert!(count(&relay.data().join("relay.db")) < now);
    relay.start_again();
    assert_eq!(nothing_is_lost(&relay, &a, &b, &phrase), 550);
}

#[test]
fn what_is_not_as_it_was_written_is_named_and_taken_out_and_devices_bring_it_again() {
    let mut relay = Relay::new();
    let (a, b, phrase) = two_devices(&relay);
    let path = relay.data().join("relay.db");
    let bend = |sql: &str| assert_eq!(Connection::open(&path).unwrap().execute(sql, []).unwrap(), 1, "{sql}");
    relay.stop();
    let longest = "(SELECT ses FROM transactions GROUP BY ses ORDER BY sum(length(tx)) DESC LIMIT 1)";
    let cases = [
        (
            format!("UPDATE transactions SET tx = replace(tx, '\"madeAt\":1', '\"madeAt\":2') WHERE ses = {longest} AND idx = 0"),
            "it is not what its author has signed",
        ),
        (format!("DELETE FROM transactions WHERE ses = {longest} AND idx = 0"), "transactions are missing"),
        (
            "UPDATE coValues SET header = replace(header, 'createdAt', 'createdat') WHERE rowID = (SELECT max(rowID) FROM coValues)"
                .to_owned(),
            "its header is not what its id says",
        ),
    ];
    for (sql, said) in cases {
        bend(&sql);
        let found = upkeep(&["check", "--json"], relay.data());
        assert_eq!(found.code, Some(6), "{sql}: {found:?}");
        let report = json(&found);
        assert_eq!(report["sound"], false);
        let damaged = report["damaged"].as_array().unwrap();
        assert_eq!(damaged.len(), 1, "{report}");
        assert_eq!(damaged[0]["reason"], said);
        let id = damaged[0]["id"].as_str().unwrap();
        assert!(id.starts_with("co_z"), "{report}");

        relay.start_again();
        let running = upkeep(&["check", "--quarantine"], relay.data());
        assert!(running.code == Some(1) && running.stderr.contains("another relay is using"), "{running:?}");
        relay.stop();
        let run = upkeep(&["check", "--quarantine", "--json"], relay.data());
        assert_eq!(run.code, Some(0), "{run:?}");
        let kept = json(&run)["kept"].as_str().expect("what was taken out is kept").to_owned();
        assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        let kept = Connection::open(kept).unwrap();
        let sessions: i64 = kept.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
        assert!(sessions > 0, "its rows are there");
        assert_eq!(upkeep(&["check"], relay.data()).code, Some(0));
        relay.start_again();
        repaired(&[&a, &b]);
        assert_eq!(nothing_is_lost(&relay, &a, &b, &phrase), 500, "{said}");
        relay.stop();
    }
}

#[test]
fn of_a_store_with_broken_pages_all_is_saved_that_can_be_read() {
    let mut relay = Relay::new();
    let (a, b, phrase) = two_devices(&relay);
    let path = relay.data().join("relay.db");
    for seed in 0..3_u32 {
        relay.stop();
        let db = Connection::open(&path).unwrap();
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let before: i64 = db.query_row("SELECT count(*) FROM coValues", [], |row| row.get(0)).unwrap();
        let root: u32 = db
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'transactions'", [], |row| row.get(0))
            .unwrap();
        let pages: u32 = db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        drop(db);
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        // What leads to every transaction, and one page anywhere behind the first.
        for page in [root, 2 + (seed * 7919) % (pages - 1)] {
            file.write_all_at(&[0x5a; 4096], u64::from(page - 1) * 4096).unwrap();
        }
        drop(file);
        let broken = std::fs::read(&path).unwrap();
        let found = upkeep(&["check", "--json"], relay.data());
        assert_eq!(found.code, Some(6), "{found:?}");
        assert!(!json(&found)["structure"].as_array().unwrap().is_empty(), "{found:?}");
        let run = upkeep(&["check", "--quarantine", "--json"], relay.data());
        assert_eq!(run.code, Some(0), "{run:?}");
        let report = json(&run);
        assert_eq!(std::fs::read(report["kept"].as_str().unwrap()).unwrap(), broken, "the damaged one is kept whole");
        let left = report["covalues_left"].as_i64().unwrap();
        assert!(left > 0 && left <= before, "{left} of {before}");
        assert_eq!(upkeep(&["check"], relay.data()).code, Some(0));
        relay.start_again();
        repaired(&[&a, &b]);
        assert_eq!(nothing_is_lost(&relay, &a, &b, &phrase), 500);
    }
}

#[test]
fn what_was_erased_since_a_backup_is_erased_again_after_it_was_restored() {
    let mut relay = Relay::new();
    let (a, b, phrase) = two_devices(&relay);
    let file = a.home.path().join("backup.db");
    assert_eq!(upkeep(&["backup", file.to_str().unwrap()], relay.data()).code, Some(0));
    let before = ciphertexts(&relay.data().join("relay.db"));
    let secret = a.add_one("echo secret");
    a.now();
    let added: Vec<_> =
        ciphertexts(&relay.data().join("relay.db")).into_iter().filter(|piece| !before.contains(piece)).collect();
    assert!(!added.is_empty());
    assert_eq!(upkeep(&["backup", "--force", file.to_str().unwrap()], relay.data()).code, Some(0));
    assert!(holds(&file, &added));
    a.ok(["history", "delete", "--yes", &secret]);
    a.now();
    await_erasure(&relay, &added);
    relay.stop();
    assert_eq!(upkeep(&["restore", file.to_str().unwrap()], relay.data()).code, Some(0));
    std::fs::read_dir(relay.data()).unwrap().flatten().map(|entry| entry.path()).for_each(|path| {
        if path.to_string_lossy().contains("before-restore") {
            std::fs::remove_file(path).unwrap();
        }
    });
    assert!(holds(relay.data(), &added), "the backup had it");
    relay.start_again();
    a.now();
    b.now();
    repaired(&[&a, &b]);
    await_erasure(&relay, &added);
    assert_eq!(nothing_is_lost(&relay, &a, &b, &phrase), 500);
}

#[test]
fn where_there_is_no_room_for_a_copy_nothing_is_changed_and_it_is_said_where() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("small"), 256) else {
        println!("skipped: mounting needs root");
        return;
    };
    let mut relay = Relay::new();
    let (a, _, _) = two_devices(&relay);
    let small = folder.path().join("small/backup.db");
    std::fs::write(&small, "an older one").unwrap();
    let run = upkeep(&["backup", "--force", small.to_str().unwrap()], relay.data());
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("small/backup.db cannot be written"), "{run:?}");
    assert_eq!(std::fs::read_to_string(&small).unwrap(), "an older one");
    assert_eq!(std::fs::read_dir(folder.path().join("small")).unwrap().count(), 1, "nothing else is left there");

    let file = a.home.path().join("backup.db");
    assert_eq!(upkeep(&["backup", file.to_str().unwrap()], relay.data()).code, Some(0));
    relay.stop();
    std::fs::remove_file(&small).unwrap();
    let run = upkeep(&["restore", file.to_str().unwrap()], &folder.path().join("small"));
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("cannot use the relay's store"), "{run:?}");
    assert!(!folder.path().join("small/relay.db").exists());
    drop(disk);
}
