//! The store under test: what goes in comes out, and the file is treated with care.

use std::collections::HashSet;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::history::testing::{DEVICE, any_record, plain, sample};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_survive_the_database(records in proptest::collection::vec(any_record(), 1..8)) {
        let history = History::in_memory().unwrap();
        history.add_batch(&records).unwrap();
        for record in &records {
            let stored = history.get(record.id).unwrap();
            prop_assert_eq!(stored.as_ref(), Some(record));
        }
    }

    #[test]
    fn the_digest_ignores_the_order_of_arrival(
        records in proptest::collection::vec(any_record(), 2..8),
    ) {
        let (a, b) = (History::in_memory().unwrap(), History::in_memory().unwrap());
        a.add_batch(&records).unwrap();
        let reversed: Vec<_> = records.iter().rev().cloned().collect();
        b.add_batch(&reversed).unwrap();
        prop_assert_eq!(a.digest().unwrap(), b.digest().unwrap());
        a.delete(&[records[0].id], UnixNanos(0)).unwrap();
        prop_assert_ne!(a.digest().unwrap(), b.digest().unwrap());
    }
}

use crate::history::UnixNanos;

#[test]
fn adding_twice_stores_once() {
    let history = History::in_memory().unwrap();
    let record = sample("true");
    assert_eq!(history.add(&record).unwrap(), Stored::Added);
    assert_eq!(history.add(&record).unwrap(), Stored::AlreadyThere);
    assert_eq!(history.count().unwrap(), 1);
}

#[test]
fn a_later_state_replaces_an_earlier_one_and_never_the_other_way() {
    let history = History::in_memory().unwrap();
    let mut running = sample("make");
    running.exit = None;
    running.duration_ns = None;
    let mut finished = running.clone();
    finished.exit = Some(2);
    assert_eq!(history.add(&running).unwrap(), Stored::Added);
    assert_eq!(history.add(&finished).unwrap(), Stored::Updated);
    assert_eq!(history.add(&running).unwrap(), Stored::AlreadyThere);
    assert_eq!(history.get(running.id).unwrap().unwrap(), finished);
}

#[test]
fn a_batch_is_stored_whole_or_not_at_all() {
    let history = History::in_memory().unwrap();
    let too_long = plain(&"x".repeat(MAX_TEXT_BYTES + 1), 2);
    let error = history.add_batch(&[plain("ls", 1), too_long]).unwrap_err();
    assert_eq!(error.to_string(), "the command is longer than 1 MiB");
    assert_eq!(history.count().unwrap(), 0);
}

#[test]
fn a_record_is_found_by_a_unique_prefix_of_its_id() {
    let history = History::in_memory().unwrap();
    let one = Record::with_id(Uuid::from_u128(0xabcd_ef00 << 96), "one", UnixNanos(1), DEVICE);
    let two = Record::with_id(Uuid::from_u128(0xabcd_e100 << 96), "two", UnixNanos(2), DEVICE);
    history.add_batch(&[one.clone(), two]).unwrap();
    assert_eq!(history.find("abcdef").unwrap(), one);
    assert_eq!(history.find("ABCDEF00-0000").unwrap(), one);
    assert_eq!(history.find(&one.id.to_string()).unwrap(), one);
    assert!(matches!(history.find("abcde"), Err(HistoryError::Ambiguous(_))));
    assert!(matches!(history.find("b"), Err(HistoryError::NotFound(_))));
    for bad in ["", "-", "xyz", "ab cd", &"a".repeat(33)] {
        assert!(matches!(history.find(bad), Err(HistoryError::InvalidId(_))));
    }
}

#[test]
fn counts_are_per_device() {
    let history = History::in_memory().unwrap();
    let other = Uuid::from_u128(1);
    let mut foreign = plain("c", 3);
    foreign.device_id = other;
    history.add_batch(&[plain("a", 1), plain("b", 2), foreign]).unwrap();
    assert_eq!(history.count_per_device().unwrap(), [(other, 1), (DEVICE, 2)]);
}

#[test]
fn meta_values_are_set_changed_and_removed() {
    let history = History::in_memory().unwrap();
    assert_eq!(history.meta_get("k").unwrap(), None);
    history.meta_set("k", Some("v")).unwrap();
    history.meta_set("k", Some("w")).unwrap();
    assert_eq!(history.meta_get("k").unwrap().as_deref(), Some("w"));
    history.meta_set("k", None).unwrap();
    assert_eq!(history.meta_get("k").unwrap(), None);
}

#[test]
fn a_history_is_there_after_it_was_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/down/history.db");
    let record = sample("true");
    let device = {
        let history = History::open(&path).unwrap();
        history.add(&record).unwrap();
        history.device_id().unwrap()
    };
    let history = History::open(&path).unwrap();
    assert_eq!(history.get(record.id).unwrap(), Some(record));
    assert_eq!(history.device_id().unwrap(), device);
    assert_eq!(history.path(), Some(path.as_path()));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data/history.db");
    let history = History::open(&path).unwrap();
    history.add(&sample("true")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in fs::read_dir(path.parent().unwrap()).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn writers_that_meet_on_the_first_run_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let (threads, each) = (16, 10);
    let devices: HashSet<Uuid> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let history = History::open(&path).unwrap();
                    for number in 0..each {
                        let stored = history.add(&plain("ls", number)).unwrap();
                        assert_eq!(stored, Stored::Added);
                    }
                    history.device_id().unwrap()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(devices.len(), 1);
    let history = History::open(&path).unwrap();
    assert_eq!(history.count().unwrap(), threads * each as u64);
    assert_eq!(history.pending_count().unwrap(), threads * each as u64);
}

/// Every file that holds something: the engine may put an empty log and its shared memory beside them.
fn tree(directory: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name(), fs::read(entry.path()).unwrap())
        })
        .filter(|(name, bytes)| !bytes.is_empty() && !name.to_string_lossy().ends_with("-shm"))
        .collect();
    files.sort();
    files
}

#[test]
fn a_newer_layout_is_refused_and_left_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    {
        let history = History::open(&path).unwrap();
        history.add(&sample("true")).unwrap();
        history.db.pragma_update(None, "user_version", LATEST + 1).unwrap();
    }
    // First with the new number in the log only, then in the file's header too.
    for _ in 0..2 {
        let error = History::open(&path).unwrap_err();
        assert!(matches!(error, HistoryError::Newer { found, .. } if found == LATEST + 1));
        let db = Connection::open(&path).unwrap();
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
    let before = tree(directory.path());
    assert!(matches!(History::open(&path), Err(HistoryError::Newer { .. })));
    assert!(tree(directory.path()) == before, "a file changed");
}

#[test]
fn another_file_is_refused_and_left_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("notes.txt");
    fs::write(&text, "shopping list\n".repeat(100)).unwrap();
    let database = directory.path().join("other.db");
    {
        let db = Connection::open(&database).unwrap();
        db.execute_batch("CREATE TABLE t (x)").unwrap();
    }
    let before = tree(directory.path());
    for path in [text, database] {
        assert!(matches!(History::open(&path), Err(HistoryError::NotAHistory { .. })));
    }
    assert!(tree(directory.path()) == before, "a file changed");
}

#[test]
fn a_damaged_database_is_called_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    {
        let history = History::open(&path).unwrap();
        history.add(&sample("true")).unwrap();
        history.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let outcome = History::open(&path).and_then(|history| history.count());
    assert!(matches!(outcome, Err(HistoryError::Damaged(_))), "{outcome:?}");
}

#[cfg(unix)]
#[test]
fn a_directory_in_the_way_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let blocker = directory.path().join("blocker");
    fs::write(&blocker, "").unwrap();
    let error = History::open(blocker.join("history.db")).unwrap_err();
    assert!(error.to_string().contains(&blocker.display().to_string()));
}

#[test]
fn the_log_stays_short_between_short_lived_processes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut longest = 0;
    for second in 0..100 {
        let history = History::open(&path).unwrap();
        history.add(&plain("git status", second)).unwrap();
        drop(history);
        let log = fs::metadata(directory.path().join("history.db-wal")).unwrap();
        longest = longest.max(log.len());
    }
    assert!(longest > 0, "commands are not folded in one by one");
    assert!(longest <= LONG_LOG, "{longest}");
    assert_eq!(History::open(&path).unwrap().count().unwrap(), 100);
}

#[test]
fn a_reader_does_not_hold_up_a_writer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let history = History::open(&path).unwrap();
    history.add(&plain("first", 0)).unwrap();
    let reader = History::open(&path).unwrap();
    let reading = reader.db.unchecked_transaction().unwrap();
    let seen = || count(&reading, "SELECT count(*) FROM records").unwrap();
    assert_eq!(seen(), 1);
    let big = "x".repeat(200_000);
    for second in 0..10 {
        history.add(&plain(&format!("{second}{big}"), second)).unwrap();
    }
    assert_eq!(seen(), 1);
    assert_eq!(history.count().unwrap(), 11);
}

#[test]
fn patience_runs_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let holder = History::open(&path).unwrap();
    let _held = Transaction::new_unchecked(&holder.db, TransactionBehavior::Immediate).unwrap();
    let impatient = History::open_within(&path, Duration::from_millis(20)).unwrap();
    assert!(matches!(impatient.add(&plain("ls", 1)), Err(HistoryError::Busy(_))));
}

#[test]
fn patience_runs_out_once_and_not_at_each_step() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let holder = History::open(&path).unwrap();
    let patience = Duration::from_millis(400);
    let impatient = History::open_within(&path, patience).unwrap();
    let _held = Transaction::new_unchecked(&holder.db, TransactionBehavior::Immediate).unwrap();
    let began = Instant::now();
    for second in 0..10 {
        assert!(matches!(impatient.add(&plain("ls", second)), Err(HistoryError::Busy(_))));
    }
    // Ten times as long otherwise.
    assert!(began.elapsed() < patience * 4, "{:?}", began.elapsed());
}

/// POSIX drops every lock of a process on a file when the process closes any descriptor of it.
#[cfg(target_os = "linux")]
#[test]
fn opening_once_more_keeps_the_locks_of_this_process() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let holder = History::open(&path).unwrap();
    assert_eq!(holder.count().unwrap(), 0);
    let inode = fs::metadata(&path).unwrap().ino();
    let locks = || {
        let table = fs::read_to_string("/proc/locks").unwrap();
        table.lines().filter(|line| line.contains(&format!(":{inode} "))).count()
    };
    let held = locks();
    assert!(held > 0, "an open history holds a lock");
    drop(History::open(&path).unwrap());
    assert_eq!(locks(), held);
}

/// The engine would sync the folder too, in each process anew.
#[cfg(target_os = "linux")]
#[test]
fn the_engine_syncs_only_a_log_that_may_be_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let by_the_engine = |history: &History| {
        let level: i64 = history.db.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
        level == 2
    };
    let history = History::open(&path).unwrap();
    assert!(by_the_engine(&history));
    history.add(&plain("ls", 1)).unwrap();
    let next = History::open(&path).unwrap();
    next.meta_note("seen", "1").unwrap();
    assert!(!by_the_engine(&next));
    drop(history);
    assert!(next.fold_log(Duration::ZERO));
    let last = History::open(&path).unwrap();
    last.meta_note("seen", "2").unwrap();
    assert!(by_the_engine(&last), "the log is empty: it may have been made anew");
}
