//! The kinds of history that can be taken over, and one to be read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use uuid::Uuid;

use super::database::{Database, is_database};
use super::{Content, Item, Origin, Report, bash, fish, import, nu, powershell, zsh};
use crate::history::{History, HistoryError, Intake, Result, UnixNanos};

/// How much of a file is looked at to tell whether it is text.
const LOOKED_AT: usize = 64 * 1024;
/// Control characters that text has.
const CONTROLS: &[u8] = b"\t\r\x1b";

/// Whose history it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
    /// Nushell, as text or in SQLite.
    Nu,
    /// PowerShell with PSReadLine.
    PowerShell,
    /// Atuin, which records what is run in other shells.
    Atuin,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Bash, Self::Zsh, Self::Fish, Self::Nu, Self::PowerShell, Self::Atuin];

    /// The name in ids, records and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Nu => "nu",
            Self::PowerShell => "powershell",
            Self::Atuin => "atuin",
        }
    }

    /// The name in sentences.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bash => "Bash",
            Self::Zsh => "Zsh",
            Self::Fish => "Fish",
            Self::Nu => "Nushell",
            Self::PowerShell => "PowerShell",
            Self::Atuin => "Atuin",
        }
    }

    /// The shell in which its commands were run, if that is known.
    pub(super) fn shell(self) -> Option<&'static str> {
        (self != Self::Atuin).then_some(self.as_str())
    }

    pub(in crate::history) fn entries<'r>(
        self,
        reader: impl BufRead + 'r,
    ) -> Box<dyn Iterator<Item = io::Result<Item>> + 'r> {
        match self {
            Self::Bash => Box::new(bash::Entries::new(reader)),
            Self::Zsh => Box::new(zsh::entries(reader)),
            Self::Fish => Box::new(fish::Entries::new(reader)),
            Self::Nu => Box::new(nu::Entries::new(reader)),
            Self::PowerShell => Box::new(powershell::entries(reader)),
            Self::Atuin => {
                let error = io::Error::new(io::ErrorKind::InvalidData, "it is not a database of Atuin");
                Box::new(std::iter::once(Err(error)))
            }
        }
    }
}

/// A history that is to be taken over.
#[derive(Debug, Clone)]
pub struct Source {
    /// Whose it is.
    pub kind: Kind,
    /// This device.
    pub device_id: Uuid,
    /// This machine's name, if it is to be recorded.
    pub host: Option<String>,
    /// When the file last changed.
    pub modified_at: UnixNanos,
    /// What of it is let in.
    pub intake: Intake,
}

impl Source {
    /// Imports a file, text or database. `progress` is told how far it is, of how much.
    ///
    /// # Errors
    /// Where the file cannot be read on, or the database says no; what was stored until then stays, and a second run
    /// completes it.
    pub fn import_file(&self, history: &History, path: &Path, mut progress: impl FnMut(u64, u64)) -> Result<Report> {
        let mut file = File::open(path).map_err(HistoryError::Import)?;
        if !is_database_of(self.kind, &mut file).map_err(HistoryError::Import)? {
            let size = file.metadata().map_err(HistoryError::Import)?.len();
            return self.import_text(history, file, |done| progress(done, size));
        }
        let database = Database::open(self.kind, path).map_err(HistoryError::Import)?;
        let count = database.count().map_err(HistoryError::Import)?;
        database
            .with_entries(|items| import(history, &self.origin(None), items, |done| progress(done, count)))
            .map_err(HistoryError::Import)?
    }

    /// Imports text. `progress` is told the bytes read, once a batch.
    ///
    /// # Errors
    /// See [`import_file`](Self::import_file).
    pub fn import_text(&self, history: &History, text: impl Read + Seek, progress: impl FnMut(u64)) -> Result<Report> {
        let mut reader = BufReader::with_capacity(64 * 1024, text);
        let first = first_stamp(self.kind.entries(&mut reader)).map_err(HistoryError::Import)?;
        reader.seek(SeekFrom::Start(0)).map_err(HistoryError::Import)?;
        import(history, &self.origin(first), self.kind.entries(reader), progress)
    }

    /// How many commands the file holds.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn count(kind: Kind, path: &Path) -> io::Result<u64> {
        let mut file = File::open(path)?;
        if is_database_of(kind, &mut file)? {
            return Database::open(kind, path)?.count();
        }
        let mut count = 0;
        for item in kind.entries(BufReader::with_capacity(64 * 1024, file)) {
            count += u64::from(matches!(item?.content, Content::Entry { .. }));
        }
        Ok(count)
    }

    /// Whether a file is what this kind of history can be: a database, or text. Looks at its beginning.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn may_be(kind: Kind, path: &Path) -> io::Result<bool> {
        let mut file = File::open(path)?;
        if is_database_of(kind, &mut file)? {
            return Ok(true);
        }
        let mut beginning = Vec::with_capacity(LOOKED_AT);
        file.take(LOOKED_AT as u64).read_to_end(&mut beginning)?;
        let (mut lines, mut odd) = (0, 0);
        for line in beginning.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            lines += 1;
            odd += usize::from(line.iter().any(|byte| byte.is_ascii_control() && !CONTROLS.contains(byte)));
        }
        // A disk that was full leaves some lines of nothing in the history of a shell, and one may have typed Ctrl-V.
        Ok(odd * 2 <= lines)
    }

    fn origin(&self, first_stamp: Option<UnixNanos>) -> Origin {
        Origin {
            kind: self.kind,
            device_id: self.device_id,
            host: self.host.clone(),
            anchor: first_stamp.unwrap_or(self.modified_at),
            intake: self.intake.clone(),
        }
    }
}

/// Whether a file of this kind is a database. Looks at its beginning and goes back there.
fn is_database_of(kind: Kind, file: &mut File) -> io::Result<bool> {
    let mut beginning = Vec::with_capacity(16);
    if matches!(kind, Kind::Nu | Kind::Atuin) {
        file.by_ref().take(16).read_to_end(&mut beginning)?;
        file.seek(SeekFrom::Start(0))?;
    }
    Ok(is_database(&beginning))
}

/// The first usable time.
fn first_stamp(items: impl Iterator<Item = io::Result<Item>>) -> io::Result<Option<UnixNanos>> {
    for item in items {
        if let Content::Entry { stamp: Some(seconds), .. } = item?.content {
            return Ok(UnixNanos::from_seconds(seconds));
        }
    }
    Ok(None)
}
