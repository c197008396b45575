//! What this device has agreed to and has ever sent: one private file, `community.json`.
//!
//! It is the budget. A report is written down as counted before its first byte may leave ([`Journal::count`], on disk when it
//! returns), with the bytes themselves, so that whoever goes on after an interruption sends the same ones and spends nothing
//! twice. Nothing is ever taken off the count but by time.
//!
//! Whoever changes it holds [`Place::lock`], from before the file is read until after it is written.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::noise::{REPORTS_A_YEAR, Random, YEAR_DAYS, below};
use super::questions::{QUESTIONS, Question};
use super::schedule::Plan;
use super::{Key, NoRandom, Report};
use crate::history::UnixNanos;
use crate::private_file;

/// A day in nanoseconds.
pub(super) const DAY: i64 = 86_400_000_000_000;
/// How long a draft is the one that would be sent.
const DRAFT_KEPT: i64 = DAY;
/// How long another process is waited for. One that asks its user may hold it for as long as it likes.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The layout this program writes.
const VERSION: u32 = 1;

/// Where it is.
#[derive(Debug, Clone)]
pub struct Place {
    file: PathBuf,
    lock: PathBuf,
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read or written.
    #[error("{} cannot be {action}: {source}", .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// `read` or `written`.
        action: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process works with it, and goes on doing so.
    #[error("another caro is asking about a report, or is sending or revoking one")]
    Busy,
    /// It is not what this program writes.
    #[error("{} is damaged", .file.display())]
    Damaged {
        /// Which.
        file: PathBuf,
    },
    /// A newer caro wrote it.
    #[error("{} is from a newer version of caro", .file.display())]
    Newer {
        /// Which.
        file: PathBuf,
    },
    /// The year's reports are spent.
    #[error("all reports of this year were sent")]
    Spent {
        /// When there will be one again.
        until: UnixNanos,
    },
    /// The system gives no random data.
    #[error(transparent)]
    Random(#[from] NoRandom),
}

/// A collector that was agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collector {
    /// Its address.
    pub address: String,
    /// A file with the certificate it is believed by, where that is not one of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
}

/// A report that was drawn and not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The bytes, without their padding.
    pub body: String,
    /// What is true, as the report would name it.
    pub truth: String,
    seed: String,
    drawn_at: i64,
}

/// A report that counts, since it was or may have been sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The bytes, without their padding.
    pub body: String,
    /// To whom, and to nobody else.
    pub to: Collector,
    /// What its key is made from, until the report was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
    /// When it was last sent, from when on it counts, in nanoseconds since 1970.
    pub counted_at: i64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is not known to have arrived, and goes to its collector again.
    Underway,
    /// It is not known to have arrived, and is never sent again.
    GivenUp,
    /// The collector has it.
    Sent,
    /// The collector did not want it.
    Refused,
    /// The collector does not have it any more, or never had it.
    Revoked,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    version: u32,
    /// Whom the user agreed to send to; none before he did, and after he revoked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collector: Option<Collector>,
    /// Whether reports go by themselves, and when the next one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    draft: Option<Draft>,
    /// All that was ever sent, in the order in which it first was.
    #[serde(default)]
    pub reports: Vec<Counted>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { version: VERSION, collector: None, plan: None, draft: None, reports: Vec::new() }
    }
}

impl Place {
    /// In this data folder.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { file: data_dir.join("community.json"), lock: data_dir.join("community.lock") }
    }

    /// Makes sure that no other process works with it, and waits a second for one that does.
    ///
    /// # Errors
    /// [`JournalError::Busy`], [`JournalError::File`].
    pub fn lock(&self) -> Result<File, JournalError> {
        let failed = |source| JournalError::File { file: self.lock.clone(), action: "written", source };
        let lock = private_file::make_folder(private_file::folder_of(&self.lock))
            .and_then(|()| private_file::open_lock(&self.lock))
            .map_err(failed)?;
        let give_up = Instant::now() + PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => std::thread::sleep(LOOK_AGAIN),
                Err(TryLockError::WouldBlock) => return Err(JournalError::Busy),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }

    /// Reads it; none where nothing was ever agreed to or drawn.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn load(&self) -> Result<Option<Journal>, JournalError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let file = || self.file.clone();
        let bytes = match fs::read(&self.file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(JournalError::File { file: file(), action: "read", source }),
        };
        match serde_json::from_slice(&bytes) {
            Ok(Versioned { version: VERSION }) => {}
            Ok(Versioned { version }) if version > VERSION => return Err(JournalError::Newer { file: file() }),
            _ => return Err(JournalError::Damaged { file: file() }),
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|_| JournalError::Damaged { file: file() })
    }

    /// Writes it, whole or not at all; it is on disk when this returns.
    ///
    /// # Errors
    /// [`JournalError::File`].
    pub fn save(&self, journal: &Journal) -> Result<(), JournalError> {
        let failed = |source| JournalError::File { file: self.file.clone(), action: "written", source };
        let mut bytes = serde_json::to_vec_pretty(journal).map_err(|error| failed(error.into()))?;
        bytes.push(b'\n');
        private_file::replace(&self.file, &bytes).map_err(failed)
    }
}

impl Journal {
    /// How many more reports may be sent now.
    #[must_use]
    pub fn left(&self, now: UnixNanos) -> usize {
        REPORTS_A_YEAR.saturating_sub(self.counting(now).count())
    }

    /// When the next report may be sent: now, unless the year's are spent.
    #[must_use]
    pub fn free_at(&self, now: UnixNanos) -> UnixNanos {
        let mut counted: Vec<i64> = self.counting(now).map(|report| report.counted_at).collect();
        counted.sort_unstable();
        match counted.len().checked_sub(REPORTS_A_YEAR).and_then(|at| counted.get(at)) {
            Some(at) => UnixNanos(at.saturating_add(YEAR_DAYS * DAY)),
            None => now,
        }
    }

    /// Those that count now: of the last year, or of a time that has yet to come by this clock.
    fn counting(&self, now: UnixNanos) -> impl Iterator<Item = &Counted> {
        let since = since(now);
        self.reports.iter().filter(move |report| report.counted_at > since)
    }

    /// The questions that were not answered within the year.
    fn open_questions(&self, now: UnixNanos) -> Vec<&'static Question> {
        let answered: Vec<&str> = self.counting(now).filter_map(|report| question_of(&report.body)).collect();
        QUESTIONS.iter().filter(|question| !answered.contains(&question.name)).collect()
    }

    /// The report that would be sent now: the one drawn before if that is of today, or a new one, of which `truth` says the true answer.
    ///
    /// # Errors
    /// [`JournalError::Spent`], [`JournalError::Random`].
    pub fn draft(
        &mut self,
        now: UnixNanos,
        random: &mut impl Random,
        truth: impl FnOnce(&'static Question) -> usize,
    ) -> Result<&Draft, JournalError> {
        if self.left(now) == 0 {
            return Err(JournalError::Spent { until: self.free_at(now) });
        }
        let is_of_today = |draft: &Draft| (0..DRAFT_KEPT).contains(&now.0.saturating_sub(draft.drawn_at));
        let draft = match self.draft.take().filter(is_of_today) {
            Some(draft) => draft,
            None => {
                let open = self.open_questions(now);
                let drawn = usize::try_from(below(open.len() as u64, random)?).unwrap_or_default();
                // There are more questions than reports in a year.
                let question = open.get(drawn).copied().ok_or(JournalError::Spent { until: self.free_at(now) })?;
                let (truth, key) = (truth(question), Key::generate()?);
                let report = Report::make(question, truth, &key, random)?;
                Draft {
                    body: String::from_utf8_lossy(&report.bytes()).trim_end().to_owned(),
                    truth: question.answers.get(truth).copied().unwrap_or_default().to_owned(),
                    seed: key.expose_seed_text().to_string(),
                    drawn_at: now.0,
                }
            }
        };
        Ok(self.draft.insert(draft))
    }

    /// Which of the reports may not have arrived at this address, and so goes there before any other does: the same bytes once
    /// more give nothing away.
    ///
    /// None that does not count any more: its question may have been answered since.
    #[must_use]
    pub fn underway(&self, address: &str, now: UnixNanos) -> Option<usize> {
        let since = since(now);
        self.reports.iter().position(|report| {
            report.outcome == Outcome::Underway && report.to.address == address && report.counted_at > since
        })
    }

    /// Counts what goes to this collector next, which is the report that is [underway](Self::underway) to it, or else the
    /// draft, and says which it is; none where there is neither. It has to be [saved](Place::save) before anything is sent.
    pub fn count(&mut self, to: &Collector, now: UnixNanos) -> Option<usize> {
        let at = match self.underway(&to.address, now) {
            Some(at) => at,
            None => {
                let Draft { body, seed, .. } = self.draft.take()?;
                let outcome = Outcome::Underway;
                self.reports.push(Counted { body, to: to.clone(), seed: Some(seed), counted_at: now.0, outcome });
                self.reports.len() - 1
            }
        };
        let report = self.reports.get_mut(at)?;
        // The certificate may be another than the last time.
        report.to = to.clone();
        report.counted_at = report.counted_at.max(now.0);
        Some(at)
    }

    /// Ends all consent: nothing is sent any more, and what may not have arrived is never sent again.
    pub fn withdraw(&mut self) {
        (self.collector, self.plan, self.draft) = (None, None, None);
        for report in &mut self.reports {
            if report.outcome == Outcome::Underway {
                report.outcome = Outcome::GivenUp;
            }
        }
    }
}

impl Counted {
    /// Its key, while it can be taken back.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        self.seed.as_deref().and_then(Key::from_seed_text)
    }

    /// Notes that it was taken back; nobody needs its key any more.
    pub fn revoked(&mut self) {
        (self.outcome, self.seed) = (Outcome::Revoked, None);
    }
}

/// The moment a year ago; what was sent after it counts.
fn since(now: UnixNanos) -> i64 {
    now.0.saturating_sub(YEAR_DAYS * DAY)
}

/// The question that a body answers.
fn question_of(body: &str) -> Option<&'static str> {
    let value: serde_json::Value = serde_json::from_str(body).ok()?;
    Question::named(value.get("question")?.as_str()?).map(|question| question.name)
}

#[cfg(test)]
mod tests;
