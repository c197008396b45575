//! Taking over the history files of shells, so that a second run adds nothing.
//!
//! A source (one file per format here) yields [`Item`]s as it reads; nothing but the current batch
//! is held in memory, apart from nine bytes for every distinct command, which the ids need.
//!
//! **Ids are a function of the source alone.** They are UUIDv7-shaped: the entry's own time, then a
//! hash (BLAKE3) of what identifies the entry:
//!
//! - With a time: source kind, time, command, and the entry's ordinal among equal pairs of both.
//!   The device is left out, so that the same file on two machines (a copied home, a backup) does
//!   not double everything.
//! - With an id of the source's own (Atuin): source kind and that id.
//! - Without a time: source kind, device, command, and its ordinal among equal commands; the id's
//!   time is zero. Nothing else would be stable: line numbers shift when the shell cuts the file at
//!   its front. A file that has grown gives the old entries their old ids and only the rest is
//!   new; a file cut at its front adds a repeated command only when it occurs more often than ever
//!   before. The device is part of it because equal commands of two machines are two events.
//!
//! **Times of entries without one** only need to keep their order and come before what happens from
//! now on: one nanosecond apart from a second before the file's last change, or before its first
//! stamp where stamps begin later in the file. They are not part of the id; the first import counts.

mod bash;
mod continued;
mod database;
mod fish;
mod lines;
mod nu;
mod powershell;
mod source;
mod zsh;

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::error::{HistoryError, Result};
use super::filter::Why;
use super::intake::Intake;
use super::record::{Record, UnixNanos, id_from_parts};
use super::store::{History, Stored};

pub use source::{Kind, Source};

/// Entries stored in one transaction: few enough that other processes hardly wait.
const BATCH: usize = 1_000;
/// How many of the peculiar lines a report names.
const NOTES: usize = 10;
/// Entries without a time begin this long before the moment they are tied to.
const BEFORE_ANCHOR: i64 = 1_000_000_000;

/// One thing read from a history file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Number of its first line, or of its row in a database, counted from 1.
    pub line: u64,
    /// Bytes of the file, or rows of the database, read so far.
    pub done: u64,
    /// What was read.
    pub content: Content,
}

/// What an [`Item`] holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A command.
    Entry {
        /// The command; never empty.
        command: String,
        /// Seconds since the epoch, where the file says.
        stamp: Option<i64>,
        /// Whether something in it could not be kept as it was.
        repaired: Option<Reason>,
        /// What else the file says about it.
        details: Details,
    },
    /// Something that is no command.
    Skipped(Reason),
}

/// What some sources know about a command besides its text and time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// The source's own id of it, unique wherever it is copied to.
    pub source_id: Option<String>,
    /// The part of its time below a second, in nanoseconds.
    pub subsec_ns: i64,
    /// How long it ran.
    pub duration_ns: Option<i64>,
    /// Its exit status.
    pub exit: Option<i32>,
    /// Where it ran.
    pub cwd: Option<String>,
    /// The shell session it ran in.
    pub session: Option<String>,
    /// The machine it ran on.
    pub host: Option<String>,
    /// The shell that ran it, where that is not the one whose file it is.
    pub shell: Option<String>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Bytes that are no UTF-8 were replaced.
    NotUtf8,
    /// NUL bytes were removed.
    Nul,
    /// The line holds nothing but NUL bytes.
    OnlyNul,
    /// The command is too long to be kept.
    TooLong,
    /// The time is out of range.
    BadTime,
    /// No command follows the time.
    NoCommand,
    /// The line is nothing that this kind of file has.
    Unknown,
}

impl Reason {
    /// The reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not valid UTF-8; the bad bytes were replaced",
            Self::Nul => "contains NUL bytes; they were removed",
            Self::OnlyNul => "nothing but NUL bytes",
            Self::TooLong => "longer than 1 MiB",
            Self::BadTime => "the time is out of range",
            Self::NoCommand => "a time without a command",
            Self::Unknown => "not what such a file holds",
        }
    }
}

/// A peculiar line, for the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// Its number, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Entries that are new.
    pub added: u64,
    /// Entries that an earlier import or another device had brought.
    pub already_there: u64,
    /// Entries left out because the user deleted them earlier.
    pub deleted_earlier: u64,
    /// Entries kept with a change.
    pub repaired: u64,
    /// Things left out because they are no commands.
    pub skipped: u64,
    /// Commands left out because they hold a secret.
    pub secrets: u64,
    /// Commands left out because the user's rules exclude them.
    pub excluded: u64,
    /// The first few repaired or skipped lines.
    pub notes: Vec<Note>,
}

/// Where entries come from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The kind of file; its name goes into ids and `imported_from`.
    pub kind: Kind,
    /// This device.
    pub device_id: Uuid,
    /// This machine's name, if it is to be recorded.
    pub host: Option<String>,
    /// The moment entries without a time are placed before.
    pub anchor: UnixNanos,
    /// What is let in.
    pub intake: Intake,
}

/// Stores everything `items` yields. `progress` is told how far it is, once a batch.
///
/// # Errors
/// Where the file cannot be read on, or the database says no; what was stored until then stays, and
/// a second run completes it.
fn import(
    history: &History,
    origin: &Origin,
    items: impl Iterator<Item = std::io::Result<Item>>,
    mut progress: impl FnMut(u64),
) -> Result<Report> {
    let mut report = Report::default();
    let mut maker = RecordMaker::new(origin);
    let mut batch = Vec::with_capacity(BATCH);
    for item in items {
        let Item { line, done, content } = item.map_err(HistoryError::Import)?;
        let reason = match content {
            Content::Entry { command, stamp, repaired, details } => {
                // Made in any case, since the ids of the others depend on it.
                let record = maker.record(command, stamp, details);
                match origin.intake.refuses(&record) {
                    Some(Why::Rule(_)) => report.excluded += 1,
                    Some(Why::Secret(_)) => report.secrets += 1,
                    None => {
                        batch.push(record);
                        report.repaired += u64::from(repaired.is_some());
                    }
                }
                repaired
            }
            Content::Skipped(reason) => {
                report.skipped += 1;
                Some(reason)
            }
        };
        if let Some(reason) = reason.filter(|_| report.notes.len() < NOTES) {
            report.notes.push(Note { line, reason });
        }
        if batch.len() == BATCH {
            flush(history, &mut batch, &mut report)?;
            progress(done);
        }
    }
    flush(history, &mut batch, &mut report)?;
    history.index_backlog();
    Ok(report)
}

fn flush(history: &History, batch: &mut Vec<Record>, report: &mut Report) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    for stored in history.add_unindexed(batch)? {
        match stored {
            Stored::Added => report.added += 1,
            Stored::Updated | Stored::AlreadyThere => report.already_there += 1,
            Stored::Deleted => report.deleted_earlier += 1,
        }
    }
    batch.clear();
    Ok(())
}

/// Makes records out of entries; remembers what it needs for stable ids and times.
struct RecordMaker<'a> {
    origin: &'a Origin,
    ordinals: Ordinals,
    /// The latest stamp and how many entries in a row have had it.
    run: (i64, i64),
    without_time: i64,
}

impl<'a> RecordMaker<'a> {
    fn new(origin: &'a Origin) -> Self {
        Self { origin, ordinals: Ordinals::default(), run: (i64::MIN, 0), without_time: 0 }
    }

    fn record(&mut self, command: String, stamp: Option<i64>, details: Details) -> Record {
        let kind = self.origin.kind;
        let mut hasher = blake3::Hasher::new_derive_key("caro history import v1");
        hasher.update(kind.as_str().as_bytes());
        let stamped = stamp.and_then(|seconds| {
            let at = UnixNanos::from_seconds(seconds)?.0.checked_add(details.subsec_ns)?;
            Some((seconds, UnixNanos(at)))
        });
        let (at, id_time) = match stamped {
            Some((seconds, at)) => {
                hasher.update(b"\0stamp\0");
                hasher.update(&seconds.to_le_bytes());
                if details.subsec_ns != 0 {
                    hasher.update(&details.subsec_ns.to_le_bytes());
                }
                (self.after_stamp(at), at)
            }
            None => {
                hasher.update(b"\0device\0");
                hasher.update(self.origin.device_id.as_bytes());
                let at = self.origin.anchor.0.saturating_sub(BEFORE_ANCHOR).saturating_add(self.without_time);
                self.without_time += 1;
                (UnixNanos(at), UnixNanos(0))
            }
        };
        let key = details.source_id.as_deref().unwrap_or(&command);
        hasher.update(key.as_bytes());
        let ordinal = self.ordinals.next(hasher.finalize().as_bytes());
        hasher.update(&ordinal.to_le_bytes());
        let mut rest = [0u8; 10];
        hasher.finalize_xof().fill(&mut rest);
        let id = id_from_parts(id_time, rest);
        let mut record = Record::with_id(id, command, at, self.origin.device_id);
        record.host = details.host.or_else(|| self.origin.host.clone());
        record.shell = details.shell.or_else(|| kind.shell().map(str::to_owned));
        record.imported_from = Some(kind.as_str().to_owned());
        record.duration_ns = details.duration_ns;
        record.exit = details.exit;
        record.cwd = details.cwd;
        record.session = details.session;
        record
    }

    /// Entries of one moment stay in their order: each is a nanosecond after the one before.
    fn after_stamp(&mut self, at: UnixNanos) -> UnixNanos {
        if self.run.0 == at.0 {
            self.run.1 += 1;
        } else {
            self.run = (at.0, 0);
        }
        UnixNanos(at.0.saturating_add(self.run.1.min(999_999_999)))
    }
}

/// Counts how often each key has occurred. Most occur once, so those cost nine bytes each; a key is
/// 64 bits of a hash, and two keys that meet by chance merely share a count.
#[derive(Default)]
struct Ordinals {
    seen: HashSet<u64>,
    repeated: HashMap<u64, u64>,
}

impl Ordinals {
    fn next(&mut self, key: &[u8; 32]) -> u64 {
        let mut short = [0u8; 8];
        short.copy_from_slice(&key[..8]);
        let key = u64::from_le_bytes(short);
        if self.seen.insert(key) {
            return 0;
        }
        let count = self.repeated.entry(key).or_insert(0);
        *count += 1;
        *count
    }
}

#[cfg(test)]
mod tests;
