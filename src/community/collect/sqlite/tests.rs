use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::community::questions::{QUESTIONS, Question};
use crate::history::UnixNanos;

impl SqliteStore {
    /// Waits for no disk any more, which takes the most time of all.
    pub(in crate::community::collect) fn forget_the_disk(&self) {
        self.0.lock().unwrap().pragma_update(None, "synchronous", "OFF").unwrap();
    }
}

fn entry(key: u8, answer: usize) -> Entry {
    Entry { key: KeyId([key; 32]), question: Question::named("weekend").unwrap(), answer }
}

/// All counts, with the year that begins in November.
async fn all(store: &SqliteStore) -> Counts {
    let mut counts = Counts::new();
    for part in Part::all() {
        counts = store.count(part, november(), counts).await.unwrap();
    }
    counts
}

fn november() -> Month {
    Month::of(UnixNanos(1_795_953_600_000_000_000))
}

#[tokio::test]
async fn a_key_has_one_report_and_none_once_it_was_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    assert_eq!(store.look(entry(1, 2)).await.unwrap(), Known::New);
    assert_eq!(store.add(entry(1, 2), november()).await.unwrap(), Known::New);
    assert_eq!(store.add(entry(1, 2), november()).await.unwrap(), Known::Same);
    assert_eq!(store.add(entry(1, 3), november()).await.unwrap(), Known::Another);
    let other = Entry { question: &QUESTIONS[0], ..entry(1, 2) };
    assert_eq!(store.look(other).await.unwrap(), Known::Another);
    assert!(!store.revoke(KeyId([2; 32])).await.unwrap());
    assert!(store.revoke(KeyId([1; 32])).await.unwrap());
    assert!(store.revoke(KeyId([1; 32])).await.unwrap(), "there was one");
    assert_eq!(store.add(entry(1, 2), november()).await.unwrap(), Known::Revoked);
    assert_eq!(all(&store).await, Counts::new());
}

#[tokio::test]
async fn what_is_counted_is_what_was_told_by_year_and_in_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let long_ago = Month::of(UnixNanos(0));
    for (key, answer, month) in [(1, 0, november()), (2, 0, november()), (3, 3, november()), (4, 0, long_ago)] {
        store.add(entry(key, answer), month).await.unwrap();
    }
    // As a later version would have stored it.
    store
        .0
        .lock()
        .unwrap()
        .execute("INSERT INTO reports VALUES (zeroblob(32), 'cooking', 'often', '2026-11')", [])
        .unwrap();
    let mut expected = Counts::new();
    for (answer, is_of_the_year, count) in [("too few", true, 2), ("too few", false, 1), ("25% or more", true, 1)] {
        expected.add("weekend", answer, is_of_the_year, count);
    }
    assert_eq!(all(&store).await, expected);
}

#[tokio::test]
async fn no_rows_are_written_to_a_temporary_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let kept_in: i64 = store.0.lock().unwrap().query_row("PRAGMA temp_store", [], |row| row.get(0)).unwrap();
    assert_eq!(kept_in, 2, "in memory");
}

#[tokio::test]
async fn it_is_private_and_stays_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("collector");
    SqliteStore::open(&below).unwrap().add(entry(1, 2), november()).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&below), 0o700);
    for file in std::fs::read_dir(&below).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    assert_eq!(SqliteStore::open(&below).unwrap().look(entry(1, 2)).await.unwrap(), Known::Same);
}

#[tokio::test]
async fn one_of_a_newer_version_or_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let newer = SqliteStore::open(folder.path()).unwrap();
    newer.0.lock().unwrap().pragma_update(None, "user_version", LAYOUT + 1).unwrap();
    assert!(SqliteStore::open(folder.path()).err().unwrap().contains("newer version"));
    std::fs::write(folder.path().join(DATABASE), "not a database, but quite long enough to be taken for one").unwrap();
    assert!(SqliteStore::open(folder.path()).err().unwrap().contains("not a database"));
}

/// The bytes of the file.
fn file(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join(DATABASE)).unwrap()
}

/// Where the rows of these keys lie in the file.
fn places(folder: &Path, keys: &[KeyId]) -> Vec<usize> {
    let bytes = file(folder);
    keys.iter().map(|key| bytes.windows(32).position(|window| window == key.0).unwrap()).collect()
}

#[tokio::test]
async fn written_anew_it_tells_no_order_in_which_anything_came() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys: Vec<KeyId> = (0..60_u8).map(|number| KeyId(*blake3::hash(&[number]).as_bytes())).collect();
    let mut stores = Vec::new();
    for (folder, backwards) in [(&one, false), (&other, true)] {
        let store = SqliteStore::open(folder.path()).unwrap();
        // The disk is another test's business.
        store.forget_the_disk();
        let mut order = keys.clone();
        if backwards {
            order.reverse();
        }
        for key in order {
            store.add(Entry { key, ..entry(0, 1) }, november()).await.unwrap();
        }
        stores.push(store);
    }
    assert_ne!(places(one.path(), &keys), places(other.path(), &keys), "there is an order to be forgotten");
    for store in &stores {
        store.write_anew().await.unwrap();
    }
    assert_eq!(places(one.path(), &keys), places(other.path(), &keys));
}

#[tokio::test]
async fn what_was_revoked_leaves_nothing_but_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.add(entry(7, 2), november()).await.unwrap();
    let holds = |text: &str| file(folder.path()).windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("5% to 25%"));
    store.revoke(KeyId([7; 32])).await.unwrap();
    assert!(!holds("5% to 25%") && !holds("2026-11"));
    assert_eq!(places(folder.path(), &[KeyId([7; 32])]).len(), 1);
}
