//! A damaged database: it is set aside and built anew from what can be read, which is said; nothing that was acknowledged and can
//! be read is lost, whoever is at work meanwhile and whenever it is killed; and no prompt waits for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rusqlite::Connection;
use rustix::fs::inotify;

use crate::common::home::{Run, TestHome, wait_until};
use crate::common::random::Random;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::sync_disk_full::SmallDisk;

const PAGE: usize = 4096;

/// Imports so many commands.
fn fill(home: &TestHome, count: usize) {
    let lines: String =
        (0..count).map(|n| format!("#{}\necho {n} '{}'\n", 1_700_000_000 + n, "x".repeat(n % 90))).collect();
    let file = home.file("bash_history", lines);
    assert_eq!(home.import(&file)["added"], count);
}

/// Brings everything into the file itself.
fn fold(path: &Path) {
    let db = Connection::open(path).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn overwrite(path: &Path, at: usize, bytes: &[u8]) {
    fold(path);
    let mut file = fs::read(path).unwrap();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(path, file).unwrap();
}

/// Overwrites a page in the middle of the records, which opening the history does not look at.
fn damage_a_record_page(path: &Path) {
    damage_page_of_records(path, "pageno LIMIT 1 OFFSET 3");
}

/// Overwrites one of the pages with records, by its place in an order.
fn damage_page_of_records(path: &Path, place: &str) {
    fold(path);
    let db = Connection::open(path).unwrap();
    let sql = format!("SELECT pageno FROM dbstat WHERE name = 'records' AND pagetype = 'leaf' ORDER BY {place}");
    let page: i64 = db.query_row(&sql, [], |row| row.get(0)).unwrap();
    drop(db);
    overwrite(path, (page as usize - 1) * PAGE, &[0xa5; PAGE]);
}

/// The damaged databases that were set aside.
fn set_aside(home: &TestHome) -> Vec<PathBuf> {
    let files = fs::read_dir(home.data_dir()).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|file| {
            file.display().to_string().contains(".damaged-") && !file.display().to_string().ends_with("-wal")
        })
        .collect()
}

fn commands(home: &TestHome) -> Vec<String> {
    let run = home.run(["history", "list", "--cmd-only"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.lines().into_iter().map(str::to_owned).collect()
}

/// What it says, with the time in the name of the file left out.
fn words(run: &Run) -> String {
    let mut words = run.stderr.clone();
    while let Some(at) = words.find(".damaged-2") {
        words.replace_range(at..at + ".damaged-20261128T110611Z".len(), ".damaged-TIME");
    }
    words
}

#[test]
fn a_history_that_does_not_open_is_built_anew_by_the_command_that_finds_it_so() {
    let home = TestHome::new();
    fill(&home, 3000);
    let before = commands(&home);
    let deleted = home.add("a secret that went");
    assert_eq!(home.run(["history", "delete", &deleted, "--yes", "--for-good"]).code, Some(0));
    let device = home.history().device_id().unwrap();
    overwrite(&home.history_path(), 0, &[0; 100]);
    let run = home.run(["history", "list", "--cmd-only"]);
    assert_eq!((run.code, run.lines().len()), (Some(0), 3000), "{run:?}");
    insta::assert_snapshot!(words(&run), @r"
    Warning: the history database was damaged, and is built anew: 3000 commands saved
    Hint: The damaged one is $HOME/data/history.db.damaged-TIME; delete it when you miss nothing, for it holds your commands too.
    ");
    assert_eq!(commands(&home), before);
    assert_eq!(home.history().device_id().unwrap(), device);
    assert!(home.history().is_deleted(deleted.parse().unwrap()).unwrap());
    let aside = set_aside(&home);
    assert_eq!(aside.len(), 1);
    // Readable by its owner only, like all that a home has.
    #[cfg(unix)]
    for file in fs::read_dir(home.data_dir()).unwrap().map(|file| file.unwrap()) {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    let again = home.run(["history", "list", "--json"]).success();
    assert_eq!(again.lines().len(), 3000);
    let found = home.run(["history", "search", "--mode", "fulltext", "echo 2999"]).success();
    assert_eq!(found.lines().len(), 1);
}

#[test]
fn damage_that_is_met_half_way_is_mended_and_the_command_is_to_be_run_again() {
    let home = TestHome::new();
    fill(&home, 3000);
    damage_a_record_page(&home.history_path());
    let run = home.run(["history", "list", "--cmd-only"]);
    assert_eq!(run.code, Some(6), "{run:?}");
    let said = words(&run);
    let saved: usize = said.split("anew: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
    assert!((2900..3000).contains(&saved), "{said}");
    assert_eq!(
        said,
        format!(
            "Warning: the history database was damaged, and is built anew: {saved} commands saved; {} could not be read\n\
             Hint: The damaged one is $HOME/data/history.db.damaged-TIME; delete it when you miss nothing, for it holds your \
             commands too.\n\
             Error: the command met the damage before it was done\nHint: Run it again: the history is in order now.\n",
            3000 - saved
        )
    );
    assert_eq!(commands(&home).len(), saved);
}

#[test]
fn lines_that_meet_damage_are_stored_once_each() {
    let home = TestHome::new();
    fill(&home, 3000);
    // Where new records go, which opening the history does not look at.
    damage_page_of_records(&home.history_path(), "path DESC LIMIT 1");
    let lines: String = (0..5).map(|n| format!("{{\"command\":\"new {n}\"}}\n")).collect();
    let run = home.run_with_input(["history", "add"], lines);
    assert_eq!((run.code, run.lines().len()), (Some(0), 5), "{run:?}");
    assert!(words(&run).contains("was damaged, and is built anew"), "{run:?}");
    let new: Vec<_> = commands(&home).into_iter().filter(|command| command.starts_with("new")).collect();
    assert_eq!(new, ["new 0", "new 1", "new 2", "new 3", "new 4"]);
    assert_eq!(set_aside(&home).len(), 1);
}

#[test]
fn a_prompt_waits_for_nothing_and_its_command_is_there_afterwards() {
    let home = TestHome::new();
    fill(&home, 3000);
    let begun = home.run(["history", "start", "--", "make before"]).success().stdout;
    overwrite(&home.history_path(), 0, b"not a database at all");
    let run = home.run(["history", "start", "--session", "s1", "--", "make test"]).success();
    home.run(["history", "end", begun.trim(), "--exit", "1"]).success();
    home.run(["history", "end", run.stdout.trim(), "--exit", "2", "--duration-ns", "1500"]).success();
    assert!(set_aside(&home).is_empty(), "nothing was built anew at the prompt");
    assert_eq!(fs::read_dir(home.data_dir().join("waiting")).unwrap().count(), 3);
    let list = home.run(["history", "list", "--json"]);
    assert_eq!((list.code, list.lines().len()), (Some(0), 3002), "{}", list.stderr);
    let records = list.json();
    let ended = |command: &str| {
        let record = records.iter().find(|record| record["command"] == command).unwrap();
        (record["exit"].as_i64(), record["duration_ns"].as_i64())
    };
    assert_eq!(ended("make test"), (Some(2), Some(1500)));
    assert_eq!(ended("make before").0, Some(1));
    assert_eq!(fs::read_dir(home.data_dir().join("waiting")).unwrap().count(), 0);
}

#[test]
fn of_many_that_find_it_damaged_one_builds_it_anew() {
    let home = TestHome::new();
    fill(&home, 2000);
    overwrite(&home.history_path(), 0, &[0; 100]);
    let readers: Vec<_> = (0..16).map(|_| home.command(["history", "list", "--cmd-only"]).spawn().unwrap()).collect();
    for reader in readers {
        let output = reader.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 2000);
    }
    assert_eq!(set_aside(&home).len(), 1);
}

#[test]
fn what_is_recorded_while_it_is_built_anew_is_not_lost() {
    let home = TestHome::new();
    fill(&home, 20_000);
    damage_a_record_page(&home.history_path());
    let acknowledged: BTreeSet<String> = std::thread::scope(|scope| {
        // None of these meets the damage.
        let shells: Vec<_> = (0..4)
            .map(|shell| {
                let home = &home;
                scope.spawn(move || {
                    (0..15)
                        .map(|n| {
                            home.run(["history", "add", "--command", &format!("echo from {shell}/{n}")])
                                .success()
                                .stdout
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let run = home.run(["history", "list", "--cmd-only"]);
        assert_eq!(run.code, Some(6), "{run:?}");
        shells.into_iter().flat_map(|shell| shell.join().unwrap()).map(|id| id.trim().to_owned()).collect()
    });
    assert_eq!(acknowledged.len(), 60);
    let ids: BTreeSet<String> =
        home.run(["history", "list", "--format", "{id}"]).success().lines().into_iter().map(str::to_owned).collect();
    assert!(acknowledged.is_subset(&ids), "{:?}", acknowledged.difference(&ids));
    assert!(ids.len() > 19_900);
}

#[test]
fn whoever_is_killed_leaves_the_damaged_one_or_the_new_one() {
    let mut random = Random::from_environment();
    let home = TestHome::new();
    fill(&home, 20_000);
    let mut met = BTreeSet::new();
    for _ in 0..12 {
        let was_whole = set_aside(&home).len();
        overwrite(&home.history_path(), 0, &[0; 100]);
        let mut child = home
            .command(["history", "list", "--limit", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Somewhere between its first step and its last.
        let look = |home: &TestHome| {
            let scratch = home.data_dir().join("history.db.rebuilding");
            (scratch.exists(), set_aside(home).len() > was_whole)
        };
        let until = match random.below(3) {
            0 => (true, false),
            1 => (true, true),
            _ => (false, true),
        };
        wait_until("it is killed or done", || look(&home) == until || child.try_wait().unwrap().is_some());
        met.insert(look(&home));
        child.kill().unwrap();
        child.wait().unwrap();
        let list = home.run(["history", "list", "--cmd-only"]);
        assert_eq!((list.code, list.lines().len()), (Some(0), 20_000), "{}", list.stderr);
        assert!(!home.data_dir().join("history.db.rebuilding").exists());
        for file in set_aside(&home) {
            fs::remove_file(file).unwrap();
        }
    }
    assert!(met.len() > 1, "it was killed at one place only: {met:?}");
}

#[test]
fn without_room_everything_stays_as_it_was() {
    let home = TestHome::new();
    let Some(disk) = SmallDisk::mount(&home.data_dir(), 16_384) else {
        println!("skipped: mounting needs root");
        return;
    };
    fill(&home, 3000);
    overwrite(&home.history_path(), 0, &[0; 100]);
    let before = fs::read(home.history_path()).unwrap();
    // From nothing at all to enough for part of the copy, for the copy, and for part of the new one.
    for leave in [0, 100 << 10, before.len() as u64 + (64 << 10), before.len() as u64 + (600 << 10)] {
        let filler = disk.fill(leave);
        let run = home.run(["history", "list"]).failure(6);
        assert!(run.stderr.contains("is damaged and could not be built anew: "), "{run:?}");
        assert!(run.stderr.contains("space") || run.stderr.contains("room"), "{run:?}");
        assert!(set_aside(&home).is_empty() && !home.data_dir().join("history.db.rebuilding").exists());
        assert!(fs::read(home.history_path()).unwrap() == before);
        fs::remove_file(filler).unwrap();
    }
    let run = home.run(["history", "list", "--cmd-only"]);
    assert_eq!((run.code, run.lines().len()), (Some(0), 3000), "{}", run.stderr);
}

#[test]
fn a_device_that_lost_part_of_its_history_gets_it_back_from_sync_and_brings_nothing_back_that_was_deleted() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    fill(&a.home, 1500);
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    let (gone, elsewhere) = (a.add_one("deleted here"), b.add_one("from the desktop"));
    a.now();
    b.now();
    a.now();
    a.ok(["history", "delete", &gone, "--yes"]);
    a.add_one("never sent");
    let count = a.records().len();
    damage_a_record_page(&a.home.history_path());
    assert_eq!(a.run(["history", "list"]).code, Some(6));
    let left = a.records().len();
    assert!(left < count, "something was lost");
    let run = a.ok(["sync", "now"]);
    assert!(!run.stderr.contains("damaged"), "{run:?}");
    b.now();
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), count);
    let records = a.records();
    assert!(!records.contains_key(&gone) && records.contains_key(&elsewhere));
    assert_eq!(a.ok(["sync", "verify"]).code, Some(0));
    assert_eq!((a.now().sent, a.now().pending), (0, 0));
}

/// An exchange notes how far it has read, as if what it read before were there.
#[test]
fn it_is_not_built_anew_in_the_middle_of_an_exchange() {
    let (relay, a) = (Relay::new(), SyncHome::new("laptop"));
    fill(&a.home, 600);
    a.init(&relay.url());
    overwrite(&a.home.history_path(), 0, &[0; 100]);
    let lock_path = a.data("sync.lock");
    let exchange = fs::File::open(&lock_path).unwrap();
    exchange.lock().unwrap();
    // It has the file open for a moment only, each time it looks.
    let looks = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    inotify::add_watch(&looks, &lock_path, inotify::WatchFlags::OPEN).unwrap();
    let mut list = a.home.command(["history", "list"]).stdout(Stdio::null()).spawn().unwrap();
    wait_until("it looks whether somebody exchanges", || {
        assert_eq!(list.try_wait().unwrap(), None, "it waits for the exchange");
        rustix::io::read(&looks, &mut [0; 4096]).is_ok()
    });
    assert_eq!(set_aside(&a.home), Vec::<PathBuf>::new());
    assert_eq!(list.try_wait().unwrap(), None);
    drop(exchange);
    assert!(list.wait().unwrap().success());
    assert_eq!((set_aside(&a.home).len(), commands(&a.home).len()), (1, 600));
}

#[test]
fn a_daemon_goes_on_with_the_history_that_was_built_anew() {
    let relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    fill(&a.home, 600);
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    a.exchanges("realtime");
    let daemon = a.daemon();
    daemon.wait_for("listening");
    damage_a_record_page(&a.home.history_path());
    assert_eq!(a.run(["history", "list"]).code, Some(6));
    let after = a.add_one("after the damage");
    let arrived = || {
        b.now();
        b.records().contains_key(&after)
    };
    wait_until("the daemon has sent what came afterwards", arrived);
    b.add_one("from the desktop");
    b.now();
    wait_until("everything is there again", || a.records().len() == 602);
    wait_until("nothing waits", || a.status()["pending"] == 0);
    assert_equal_histories(&[&a, &b]);
    assert!(daemon.stop().success());
}
