//! Where a history lies, and what follows when it turns up elsewhere: a copy is a device of its own.
//!
//! The database notes the machine and the path at which it was last opened. Found at another path of the same machine
//! it was moved, unless the one at the old path is still there; then, and on another machine, this is a copy. A copy
//! gets a new device id, while the original, which notices nothing, keeps the old one. Whatever the copy has of the
//! old device's records is queued once more: it may be the only one that has them, and what the account has
//! already leaves the queue again when it comes down. Each place remembers its id, so a disk that travels between two machines is two
//! devices and not a new one each time.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::error::{HistoryError, Result};
use super::outbox::QUEUE_ALL_OF;
use super::store::{DEVICE_ID, History};

/// Where it was last opened: the machine and the path, one a line.
const PLACE: &str = "place";
/// The device that this one is a copy of.
const COPIED_FROM: &str = "copied_from";
/// Begins the keys of the ids that it had elsewhere.
const DEVICE_AT: &str = "device_at/";

/// A machine and a path on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The machine; empty where the system does not say.
    pub machine: String,
    /// The database file.
    pub path: PathBuf,
}

/// What became of the device id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is what it was.
    Same,
    /// This is a copy, and has an id of its own from now on.
    Copied,
}

impl Place {
    fn text(&self) -> String {
        format!("{}\n{}", self.machine, self.path.display())
    }

    fn of(text: &str) -> Option<Self> {
        let (machine, path) = text.split_once('\n')?;
        Some(Self { machine: machine.to_owned(), path: path.into() })
    }

    /// Whether both may be one machine: one that does not say who it is counts as the same.
    fn same_machine(&self, other: &Self) -> bool {
        self.machine.is_empty() || other.machine.is_empty() || self.machine == other.machine
    }
}

impl History {
    /// Notes that this history is at `here` now, and gives it a device id of its own where it turns out to be a copy.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn settle(&self, here: &Place) -> Result<Settled> {
        let text = here.text();
        let Some(before) = self.meta_get(PLACE)? else {
            self.write(|db| meta_set(db, PLACE, &text))?;
            return Ok(Settled::Same);
        };
        if before == text {
            return Ok(Settled::Same);
        }
        let device = self.device_id()?;
        let is_copy = Place::of(&before).is_some_and(|before| {
            !before.same_machine(here) || (!same_file(&before.path, &here.path) && holds(&before.path, device))
        });
        if !is_copy {
            self.write(|db| meta_set(db, PLACE, &text))?;
            return Ok(Settled::Same);
        }
        self.write(|db| {
            // Another process may have done so while this one looked.
            if meta_get(db, PLACE)?.is_some_and(|now| now == text) {
                return Ok(());
            }
            let known = meta_get(db, &at(&text))?;
            if known.is_none() {
                db.execute(QUEUE_ALL_OF, [device.as_bytes()])?;
            }
            let own = known.unwrap_or_else(|| Uuid::new_v4().to_string());
            meta_set(db, &at(&before), &device.to_string())?;
            meta_set(db, COPIED_FROM, &device.to_string())?;
            meta_set(db, DEVICE_ID, &own)?;
            meta_set(db, PLACE, &text)
        })?;
        Ok(Settled::Copied)
    }

    /// Gives this history a device id of its own, where another one turned out to have the same; what it has of the device's
    /// records is queued.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn become_a_copy(&self) -> Result<Uuid> {
        let (device, own) = (self.device_id()?, Uuid::new_v4());
        self.write(|db| {
            db.execute(QUEUE_ALL_OF, [device.as_bytes()])?;
            meta_set(db, COPIED_FROM, &device.to_string())?;
            meta_set(db, DEVICE_ID, &own.to_string())
        })?;
        Ok(own)
    }

    /// The device that this one was copied from, if it is a copy.
    ///
    /// # Errors
    /// What the database says.
    pub fn copied_from(&self) -> Result<Option<Uuid>> {
        self.meta_get(COPIED_FROM)?
            .map(|id| Uuid::try_parse(&id).map_err(|error| HistoryError::Damaged(Box::new(error))))
            .transpose()
    }
}

fn at(place: &str) -> String {
    format!("{DEVICE_AT}{}", blake3::hash(place.as_bytes()).to_hex())
}

/// Whether two paths lead to one file, as where a folder is mounted twice.
fn same_file(one: &Path, other: &Path) -> bool {
    if one == other {
        return true;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let numbers = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
        numbers(one).is_some_and(|one| numbers(other) == Some(one))
    }
    #[cfg(not(unix))]
    false
}

/// Whether there is a history of this device at a path. One that cannot be read is not taken for it.
fn holds(path: &Path, device: Uuid) -> bool {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    path.exists()
        && Connection::open_with_flags(path, flags)
            .map_err(HistoryError::from)
            .and_then(|db| meta_get(&db, DEVICE_ID))
            .is_ok_and(|id| id.is_some_and(|id| id == device.to_string()))
}

fn meta_get(db: &Connection, key: &str) -> Result<Option<String>> {
    Ok(db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?)
}

fn meta_set(db: &Connection, key: &str, value: &str) -> Result<()> {
    db.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [key, value],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::plain;

    fn place(machine: &str, path: &Path) -> Place {
        Place { machine: machine.into(), path: path.into() }
    }

    #[test]
    fn a_history_stays_what_it_is_where_it_is_and_where_it_was_moved_to() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
        let history = History::open(&old).unwrap();
        let id = history.device_id().unwrap();
        for _ in 0..2 {
            assert_eq!(history.settle(&place("m", &old)).unwrap(), Settled::Same);
        }
        drop(history);
        for suffix in ["", "-wal", "-shm"] {
            let name = |path: &Path| format!("{}{suffix}", path.display());
            drop(std::fs::rename(name(&old), name(&new)));
        }
        let moved = History::open(&new).unwrap();
        assert_eq!(moved.settle(&place("m", &new)).unwrap(), Settled::Same);
        assert_eq!(moved.settle(&place("", &new)).unwrap(), Settled::Same, "a system that does not say which it is");
        assert_eq!((moved.device_id().unwrap(), moved.copied_from().unwrap()), (id, None));
    }

    #[test]
    fn a_copy_gets_its_own_id_once_and_queues_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let (original, copied) = (folder.path().join("a.db"), folder.path().join("b.db"));
        let history = History::open(&original).unwrap();
        let id = history.device_id().unwrap();
        history.settle(&place("m", &original)).unwrap();
        let mut record = plain("make", 1);
        record.device_id = id;
        history.add(&record).unwrap();
        let numbers: Vec<u64> = history.pending(9).unwrap().iter().map(|pending| pending.0).collect();
        history.acknowledge(&numbers).unwrap();
        drop(history);
        for suffix in ["", "-wal"] {
            let name = |path: &Path| format!("{}{suffix}", path.display());
            drop(std::fs::copy(name(&original), name(&copied)));
        }

        let copy = History::open(&copied).unwrap();
        assert_eq!(copy.settle(&place("m", &copied)).unwrap(), Settled::Copied);
        let own = copy.device_id().unwrap();
        assert_ne!(own, id);
        assert_eq!((copy.copied_from().unwrap(), copy.pending_count().unwrap()), (Some(id), 1));
        assert_eq!(copy.settle(&place("m", &copied)).unwrap(), Settled::Same);
        let history = History::open(&original).unwrap();
        assert_eq!(history.settle(&place("m", &original)).unwrap(), Settled::Same);
        assert_eq!(history.device_id().unwrap(), id, "the original keeps its own");
    }

    #[cfg(unix)]
    #[test]
    fn one_file_under_two_paths_is_one_device() {
        let folder = tempfile::tempdir().unwrap();
        let (mounted, again) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::create_dir(&mounted).unwrap();
        std::os::unix::fs::symlink(&mounted, &again).unwrap();
        let history = History::open(mounted.join("history.db")).unwrap();
        let id = history.device_id().unwrap();
        for path in [&mounted, &again, &mounted] {
            assert_eq!(history.settle(&place("m", &path.join("history.db"))).unwrap(), Settled::Same);
        }
        assert_eq!(history.device_id().unwrap(), id);
    }

    #[test]
    fn a_disk_that_travels_is_one_device_on_each_machine() {
        let history = History::in_memory().unwrap();
        let path = Path::new("/home/x/history.db");
        let ids: Vec<Uuid> = ["one", "two", "one", "two"]
            .map(|machine| {
                history.settle(&place(machine, path)).unwrap();
                history.device_id().unwrap()
            })
            .into();
        assert_eq!((ids[0], ids[1]), (ids[2], ids[3]));
        assert_ne!(ids[0], ids[1]);
    }
}
