//! Commands that could not be stored at once: another process kept the database to itself, or it is damaged or of an older
//! layout.
//!
//! A prompt never waits for any of that. What cannot be stored within its patience goes into a folder beside the
//! database, one private file a record, which is durable when [`Waiting::put`] returns; whoever opens the history
//! next [takes it in](History::take_in). Records are stored before their files go, and storing is idempotent, so a
//! process that dies in between loses nothing and doubles nothing. The folder stays once it is there: another process may
//! be about to put something into it. How a command ended, where that could not be stored, waits in a file of its own; it
//! is taken in after all beginnings.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use uuid::Uuid;

use super::encoding::{decode_batch, encode_batch};
use super::error::{HistoryError, Result};
use super::record::{Record, UnixNanos};
use super::store::{History, check_size};
use crate::private_file;

/// How the names of files end that could not be read as records; they are left where they are.
const DAMAGED: &str = "damaged";
/// How the names of files end that say how a command ended.
const ENDED: &str = "ended";

/// The folder of records that wait to be stored.
#[derive(Debug, Clone)]
pub struct Waiting {
    folder: PathBuf,
}

impl Waiting {
    /// The folder at this path; it is made when something has to wait.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Keeps a record of a command that begins to run. The device it names does not matter: it is stored as
    /// this device's.
    ///
    /// # Errors
    /// [`HistoryError::Io`] and [`HistoryError::TooLong`]; then nothing was kept.
    pub fn put(&self, record: &Record) -> Result<()> {
        check_size(record)?;
        self.keep(self.folder.join(record.id.to_string()), record)
    }

    /// Keeps how a command ended.
    ///
    /// # Errors
    /// [`HistoryError::Io`]; then nothing was kept.
    pub fn put_end(&self, id: Uuid, exit: i32, duration_ns: Option<i64>, now: UnixNanos) -> Result<()> {
        let end = Record { exit: Some(exit), duration_ns, ..Record::with_id(id, "", now, Uuid::nil()) };
        self.keep(self.folder.join(id.to_string()).with_extension(ENDED), &end)
    }

    /// Whether a record of this id waits.
    pub fn has(&self, id: Uuid) -> bool {
        self.folder.join(id.to_string()).exists()
    }

    /// The files that were no records, and of how many commands something waits.
    ///
    /// # Errors
    /// [`HistoryError::Io`].
    pub fn damaged_and_waiting(&self) -> Result<(Vec<PathBuf>, usize)> {
        // A command and its end have one name.
        let waiting = [self.files(None)?, self.files(Some(ENDED))?].concat();
        let commands: BTreeSet<_> = waiting.iter().filter_map(|file| file.file_stem()).collect();
        Ok((self.files(Some(DAMAGED))?, commands.len()))
    }

    fn keep(&self, path: PathBuf, record: &Record) -> Result<()> {
        private_file::make_folder(&self.folder)
            .and_then(|()| private_file::replace(&path, &encode_batch(std::slice::from_ref(record))))
            .map_err(|source| HistoryError::Io { path, source })
    }

    /// The files that are there, of those whose names end so.
    fn files(&self, extension: Option<&str>) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| self.failed(error))?,
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
        let is_one = |path: &PathBuf| {
            path.extension() == extension.map(OsStr::new)
                && path.file_stem().and_then(OsStr::to_str).is_some_and(|name| Uuid::try_parse(name).is_ok())
        };
        Ok(paths.map_err(|error| self.failed(error))?.into_iter().filter(is_one).collect())
    }

    fn failed(&self, source: io::Error) -> HistoryError {
        HistoryError::Io { path: self.folder.clone(), source }
    }
}

impl History {
    /// Stores what waits, and says how many records that were. At the prompt it is no more than there is time for.
    ///
    /// # Errors
    /// What the database or the file system says; what was not stored goes on waiting.
    pub fn take_in(&self, waiting: &Waiting) -> Result<usize> {
        // Looked for in this order: an end is never there before its beginning.
        let ends = waiting.files(Some(ENDED))?;
        let begins = waiting.files(None)?;
        for (stored, path) in begins.iter().enumerate() {
            if !self.has_time() {
                return Ok(stored);
            }
            take_in(path, |record| {
                let record = Record { device_id: self.device_id()?, ..record };
                // Its end may be known already, from a process that took it in at the same time.
                if self.get(record.id)?.is_none() {
                    self.begin(&record)?;
                }
                Ok(())
            })?;
        }
        for path in ends.iter().take_while(|_| self.has_time()) {
            take_in(path, |end| match self.get(end.id)? {
                Some(record) if record.exit.is_none() => {
                    self.end(&record, end.exit.unwrap_or_default(), end.duration_ns, end.started_at)
                }
                // It was not recorded, was deleted meanwhile, or has ended.
                _ => Ok(()),
            })?;
        }
        Ok(begins.len())
    }

    /// Stores that a command ended at the moment `now`, after `duration_ns`, where that is known better than from its beginning.
    ///
    /// # Errors
    /// What the database says; then nothing was stored.
    pub fn end(&self, begun: &Record, exit: i32, duration_ns: Option<i64>, now: UnixNanos) -> Result<()> {
        let ran = now.0.saturating_sub(begun.started_at.0).max(0);
        let ended = Record { exit: Some(exit), duration_ns: Some(duration_ns.unwrap_or(ran)), ..begun.clone() };
        self.add(&ended).map(drop)
    }
}

/// Stores what a file holds, and removes it.
fn take_in(path: &Path, mut store: impl FnMut(Record) -> Result<()>) -> Result<()> {
    let failed = |source| HistoryError::Io { path: path.to_owned(), source };
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        // Another process has taken it in.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            // It may be another user's; it goes on waiting, and stands before nobody.
            tracing::warn!(%error, "a command that was put aside cannot be read");
            return Ok(());
        }
    };
    let Ok(records) = decode_batch(&bytes) else {
        return unless_gone(fs::rename(path, path.with_extension(DAMAGED))).map_err(failed);
    };
    match records.into_iter().try_for_each(&mut store) {
        // It will never be stored, and must not stand before what can be.
        Err(HistoryError::TooLong { .. }) => {
            unless_gone(fs::rename(path, path.with_extension(DAMAGED))).map_err(failed)
        }
        stored => stored.and_then(|()| unless_gone(fs::remove_file(path)).map_err(failed)),
    }
}

/// What became of a file that another process may have dealt with meanwhile.
fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::plain;
    use super::*;

    #[test]
    fn what_waits_is_stored_once_by_whoever_comes_next() {
        let folder = tempfile::tempdir().unwrap();
        let waiting = Waiting::new(folder.path().join("waiting"));
        let history = History::in_memory().unwrap();
        assert_eq!(history.take_in(&waiting).unwrap(), 0);
        let record = plain("make test", 1);
        waiting.put(&record).unwrap();
        waiting.put(&record).unwrap();
        assert_eq!(history.take_in(&waiting).unwrap(), 1);
        let stored = history.get(record.id).unwrap().unwrap();
        assert_eq!(stored.device_id, history.device_id().unwrap());
        assert!(waiting.files(None).unwrap().is_empty());
        assert_eq!(history.take_in(&waiting).unwrap(), 0);
    }

    #[test]
    fn at_the_prompt_it_goes_on_waiting_when_the_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (waiting, path) = (Waiting::new(folder.path().join("waiting")), folder.path().join("history.db"));
        drop(History::open(&path).unwrap());
        let begun = plain("make test", 1);
        waiting.put(&begun).unwrap();
        waiting.put_end(begun.id, 2, None, UnixNanos(5_000_000_000)).unwrap();
        let hurried = History::open_within(&path, std::time::Duration::ZERO).unwrap();
        assert_eq!(hurried.take_in(&waiting).unwrap(), 0);
        assert_eq!(waiting.damaged_and_waiting().unwrap(), (vec![], 1));
        History::open(&path).unwrap().take_in(&waiting).unwrap();
        assert_eq!(hurried.get(begun.id).unwrap().unwrap().exit, Some(2));
    }

    #[test]
    fn a_command_that_has_ended_meanwhile_stays_ended() {
        let folder = tempfile::tempdir().unwrap();
        let waiting = Waiting::new(folder.path());
        let history = History::in_memory().unwrap();
        let begun = plain("make test", 1);
        history.add(&Record { exit: Some(2), ..begun.clone() }).unwrap();
        waiting.put(&begun).unwrap();
        history.take_in(&waiting).unwrap();
        assert_eq!(history.get(begun.id).unwrap().unwrap().exit, Some(2));
    }

    #[test]
    fn a_command_and_its_end_that_both_wait_are_one_command() {
        let folder = tempfile::tempdir().unwrap();
        let waiting = Waiting::new(folder.path());
        let history = History::in_memory().unwrap();
        let (begun, stored, ended) = (plain("make test", 1), plain("make", 2), plain("make clean", 3));
        waiting.put(&begun).unwrap();
        history.begin(&Record { device_id: history.device_id().unwrap(), ..stored.clone() }).unwrap();
        history.add(&Record { exit: Some(1), ..ended.clone() }).unwrap();
        for id in [begun.id, stored.id, ended.id, Uuid::new_v4()] {
            waiting.put_end(id, 2, None, UnixNanos(5_000_000_000)).unwrap();
        }
        assert_eq!(waiting.damaged_and_waiting().unwrap(), (vec![], 4), "a command and its end are one");
        history.take_in(&waiting).unwrap();
        let end = |id| history.get(id).unwrap().map(|record| (record.exit, record.duration_ns));
        assert_eq!(end(begun.id), Some((Some(2), Some(4_000_000_000))));
        assert_eq!(end(stored.id), Some((Some(2), Some(3_000_000_000))));
        assert_eq!(end(ended.id), Some((Some(1), None)), "it had ended before");
        assert_eq!(history.count().unwrap(), 3);
        assert_eq!(waiting.damaged_and_waiting().unwrap(), (vec![], 0));
    }

    #[test]
    fn a_file_that_is_no_record_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let waiting = Waiting::new(folder.path());
        let name = uuid::Uuid::new_v4().to_string();
        fs::write(folder.path().join(&name), b"torn").unwrap();
        let history = History::in_memory().unwrap();
        history.take_in(&waiting).unwrap();
        assert_eq!(history.take_in(&waiting).unwrap(), 0);
        assert!(folder.path().join(name).with_extension(DAMAGED).exists());
    }

    #[test]
    fn what_is_put_aside_while_others_take_in_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (waiting, path) = (Waiting::new(folder.path().join("waiting")), folder.path().join("history.db"));
        let history = History::open(&path).unwrap();
        std::thread::scope(|scope| {
            for shell in 0..4 {
                let waiting = &waiting;
                scope.spawn(move || (0..50).for_each(|n| waiting.put(&plain("ls", shell * 100 + n)).unwrap()));
            }
            scope.spawn(|| {
                let history = History::open(&path).unwrap();
                for _ in 0..50 {
                    history.take_in(&waiting).unwrap();
                }
            });
        });
        history.take_in(&waiting).unwrap();
        assert_eq!(history.count().unwrap(), 200);
    }
}
