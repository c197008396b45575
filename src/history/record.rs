//! One remembered command: what was asked, what ran, where, when and with what result.
//!
//! A record is identified by a UUIDv7 for life and never depends on which device holds it. Fields
//! are only ever added. A field that this program does not know, or whose value it does not
//! understand, stays in [`Record::unknown`] and is written back unchanged: a record that passes
//! through an older program loses nothing. Times are nanoseconds since the Unix epoch, in UTC.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The record layout this program writes, kept per record as [`Record::version`].
pub const RECORD_VERSION: u32 = 1;

/// Longest command, prompt or explanation that is stored, in bytes.
///
/// A line beyond this is never something a person typed, and one such record would fill a whole
/// sync batch.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// A moment in nanoseconds since 1970-01-01T00:00:00Z; covers the years 1677 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixNanos(pub i64);

impl UnixNanos {
    /// The moment `seconds` after the epoch, or `None` where that does not fit.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        seconds.checked_mul(1_000_000_000).map(Self)
    }

    /// Whole milliseconds since the epoch, as a UUIDv7 carries them; 0 before 1970.
    pub fn millis_for_id(self) -> u64 {
        u64::try_from(self.0 / 1_000_000).unwrap_or(0)
    }
}

/// How dangerous a command is: a property of the command, unlike the preference of a similar name
/// that says how much danger a user accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RiskLevel {
    /// Changes nothing that matters.
    Safe,
    /// Changes things that can be restored.
    Moderate,
    /// Changes things that are hard to restore.
    High,
    /// May destroy a system or its data.
    Critical,
}

impl RiskLevel {
    /// Every level, from the least to the most dangerous.
    pub const ALL: [Self; 4] = [Self::Safe, Self::Moderate, Self::High, Self::Critical];

    /// The lower-case name used in every format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Moderate => "moderate",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for RiskLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no risk level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the safety level is one of safe, moderate, high, critical")]
pub struct UnknownRiskLevel;

impl FromStr for RiskLevel {
    type Err = UnknownRiskLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(UnknownRiskLevel)
    }
}

/// One remembered command.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// UUIDv7; its time is that of `started_at` where that is known.
    pub id: Uuid,
    /// The layout of the program that wrote the record first; see [`RECORD_VERSION`].
    pub version: u32,
    /// The command line as typed or generated; may span lines.
    pub command: String,
    /// What the user had asked the generator for.
    pub prompt: Option<String>,
    /// The generator's words about the command.
    pub explanation: Option<String>,
    /// Exit status; absent while it runs, or where the source does not say.
    pub exit: Option<i32>,
    /// When the command began.
    pub started_at: UnixNanos,
    /// How long it ran, in nanoseconds.
    pub duration_ns: Option<i64>,
    /// Working directory.
    pub cwd: Option<String>,
    /// The shell session it ran in.
    pub session: Option<String>,
    /// The shell that ran it, for example `bash`.
    pub shell: Option<String>,
    /// The host name at the time.
    pub host: Option<String>,
    /// The device that recorded it.
    pub device_id: Uuid,
    /// How dangerous the command is.
    pub safety: Option<RiskLevel>,
    /// Free labels, in the order given.
    pub tags: Vec<String>,
    /// The model that generated the command.
    pub model: Option<String>,
    /// The usage category, for example `git_version_control`.
    pub category: Option<String>,
    /// Whether the command ran (true) or was only suggested (false); nothing is said of what a shell recorded.
    pub executed: Option<bool>,
    /// The kind of history file it was imported from, for example `bash`.
    pub imported_from: Option<String>,
    /// Further fields by name, kept as they are: those of a newer program, and those without a column of their own (see
    /// [`generated`](Self::generated) and [`is_truncated`](Self::is_truncated)).
    pub unknown: BTreeMap<String, ciborium::Value>,
}

impl Record {
    /// A record of `command` with a fresh id and nothing else known.
    pub fn new(command: impl Into<String>, started_at: UnixNanos, device_id: Uuid) -> Self {
        Self::with_id(new_id(started_at), command, started_at, device_id)
    }

    /// A record under an id that the caller determined.
    pub fn with_id(id: Uuid, command: impl Into<String>, started_at: UnixNanos, device_id: Uuid) -> Self {
        Self {
            id,
            version: RECORD_VERSION,
            command: command.into(),
            prompt: None,
            explanation: None,
            exit: None,
            started_at,
            duration_ns: None,
            cwd: None,
            session: None,
            shell: None,
            host: None,
            device_id,
            safety: None,
            tags: Vec::new(),
            model: None,
            category: None,
            executed: None,
            imported_from: None,
            unknown: BTreeMap::new(),
        }
    }

    /// Whether `self` replaces `other`, a different state of the same record.
    ///
    /// A finished state beats an unfinished one, then the greater canonical encoding wins. That is
    /// a total order, so devices that see the states in any order keep the same one.
    pub fn supersedes(&self, other: &Self) -> bool {
        match self.finished().cmp(&other.finished()) {
            std::cmp::Ordering::Equal => self.canonical() > other.canonical(),
            unequal => unequal.is_gt(),
        }
    }

    /// How much of its end is known; orders like time.
    pub fn finished(&self) -> (bool, bool) {
        (self.exit.is_some(), self.duration_ns.is_some())
    }
}

/// A fresh UUIDv7 whose time is `at` and whose other 74 bits are random.
pub fn new_id(at: UnixNanos) -> Uuid {
    let millis = at.millis_for_id();
    let subsec_nanos = (millis % 1000) as u32 * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, subsec_nanos))
}

/// The UUIDv7 (RFC 9562, section 5.7) made of the time `at` and 74 bits of `rest`.
pub fn id_from_parts(at: UnixNanos, rest: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(at.millis_for_id(), &rest).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_is_version_7_and_carries_the_time() {
        let at = UnixNanos(1_700_000_000_123_456_789);
        let id = new_id(at);
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(u64::from_str_radix(&id.simple().to_string()[..12], 16), Ok(1_700_000_000_123));
        assert_ne!(id, new_id(at));
    }

    #[test]
    fn a_time_before_1970_gives_an_id_of_time_zero() {
        let id = new_id(UnixNanos(-5));
        assert!(id.simple().to_string().starts_with("0000000000007"));
    }

    #[test]
    fn risk_levels_parse_and_order() {
        for level in RiskLevel::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
        }
        assert_eq!("Safe".parse::<RiskLevel>(), Err(UnknownRiskLevel));
        assert!(RiskLevel::Safe < RiskLevel::Critical);
    }

    #[test]
    fn a_finished_state_wins_whatever_the_order() {
        let running = Record::new("make", UnixNanos(1), Uuid::nil());
        let mut finished = running.clone();
        finished.exit = Some(0);
        assert!(finished.supersedes(&running));
        assert!(!running.supersedes(&finished));
        assert!(!finished.supersedes(&finished.clone()));
    }
}
