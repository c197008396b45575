//! The log of sync: what was exchanged when, and what failed; one JSON object a line.
//!
//! It says counts, times and errors in plain words: no command, no key, no phrase, and no address with a token in
//! it. The file is private, and kept small: one that has grown to `LONGEST` bytes is set aside, and `KEPT`
//! of those stay. Several processes write at the same time, each line in one piece.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::daemon::rfc3339;
use crate::history::UnixNanos;
use crate::private_file;

/// A file that is longer, in bytes, is set aside.
const LONGEST: u64 = 1 << 20;
/// Files that stay, besides the one that is written.
const KEPT: u32 = 3;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Info,
    /// It will be tried again.
    Warning,
    /// The user has to do something.
    Error,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, RFC 3339.
    pub at: String,
    /// How grave it is.
    pub level: Level,
    /// Which kind of process tells: `daemon`, `background`, or the command.
    pub by: String,
    /// The process.
    pub pid: u32,
    /// What happened, in plain words.
    pub message: String,
}

/// A log to write to.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
    by: &'static str,
    now: fn() -> UnixNanos,
}

impl Log {
    /// The log of a home, for one kind of process. Nothing is written yet.
    #[must_use]
    pub fn new(path: PathBuf, by: &'static str, now: fn() -> UnixNanos) -> Self {
        Self { path, by, now }
    }

    /// Writes a line, and gives it back. Where it cannot be written there is nobody to tell, and nothing stops for it.
    pub fn write(&self, level: Level, message: impl Into<String>) -> Entry {
        let entry = Entry {
            at: rfc3339((self.now)()),
            level,
            by: self.by.into(),
            pid: std::process::id(),
            message: message.into(),
        };
        if let Err(error) = self.append(&entry) {
            tracing::debug!(%error, "the log could not be written");
        }
        entry
    }

    fn append(&self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        private_file::make_folder(private_file::folder_of(&self.path))?;
        // Whoever has the file open may set it aside; nobody else does meanwhile.
        let mut file = private_file::open_append(&self.path)?;
        file.lock()?;
        if !is_still(&file, &self.path) {
            file = private_file::open_append(&self.path)?;
            file.lock()?;
        }
        if file.metadata()?.len() + line.len() as u64 > LONGEST {
            set_aside(&self.path)?;
            file = private_file::open_append(&self.path)?;
        }
        file.write_all(&line)
    }
}

/// Whether the name still means the file that was opened under it.
fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(opened), Ok(named)) => (opened.dev(), opened.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn set_aside(path: &Path) -> io::Result<()> {
    for number in (1..KEPT).rev() {
        match fs::rename(aside(path, number), aside(path, number + 1)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    fs::rename(path, aside(path, 1))
}

/// The last lines of a log, oldest first; a line that is none is left out.
///
/// # Errors
///
/// What the file system says.
pub fn last(path: &Path, lines: usize) -> io::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for number in 0..=KEPT {
        if entries.len() >= lines {
            break;
        }
        let file = if number == 0 { path.to_owned() } else { aside(path, number) };
        let text = match fs::read(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        let mut older: Vec<Entry> = text.lines().filter_map(read).collect();
        older.append(&mut entries);
        entries = older;
    }
    Ok(entries.split_off(entries.len().saturating_sub(lines)))
}

/// A line of the log; none where it is none.
#[must_use]
pub fn read(line: &str) -> Option<Entry> {
    serde_json::from_str(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(folder: &Path) -> Log {
        Log::new(folder.join("state/sync.log"), "daemon", || UnixNanos(0))
    }

    #[test]
    fn what_is_written_is_read_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path());
        assert_eq!(last(&log.path, 10).unwrap(), []);
        for i in 0..5 {
            log.write(Level::Info, format!("line {i}\nof two"));
        }
        let entries = last(&log.path, 2).unwrap();
        assert_eq!(
            entries.iter().map(|e| e.message.as_str()).collect::<Vec<_>>(),
            ["line 3\nof two", "line 4\nof two"]
        );
        assert_eq!(entries[0].at, "1970-01-01T00:00:00Z");
    }

    #[test]
    fn the_log_stays_small_and_loses_only_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path());
        let long = "x".repeat(50_000);
        for i in 0..120 {
            log.write(Level::Warning, format!("{i} {long}"));
        }
        let kept: Vec<u64> = fs::read_dir(folder.path().join("state"))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!(kept.len(), KEPT as usize + 1);
        assert!(kept.iter().all(|length| *length <= LONGEST), "{kept:?}");
        let entries = last(&log.path, usize::MAX).unwrap();
        let numbers: Vec<u32> = entries.iter().map(|e| e.message.split(' ').next().unwrap().parse().unwrap()).collect();
        assert_eq!(numbers, (120 - u32::try_from(numbers.len()).unwrap()..120).collect::<Vec<_>>());
        assert!(numbers.len() > 60);
    }

    #[test]
    fn processes_that_write_at_the_same_time_lose_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| drop(log.write(Level::Info, "y".repeat(4000)))));
            }
        });
        assert_eq!(last(&log.path, usize::MAX).unwrap().len(), 400);
    }
}
