//! How a relay does: one picture of a moment, which is told as metrics, as a page, as JSON and in words.
//!
//! Nothing in it names a person, an account or an address of a client.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::mishaps::Mishap;
use super::stored::Stored;

/// Version of the shape.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// How a relay does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of this shape.
    pub schema_version: u32,
    /// What it is doing.
    pub state: State,
    /// The version of the program.
    pub version: String,
    /// The engine in it.
    pub engine: String,
    /// Its process.
    pub pid: u32,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// How long ago that is, in nanoseconds.
    pub running_ns: u64,
    /// Where it listens, as clients name it.
    pub listening: Vec<String>,
    /// Who may use it: `open`, `token` or `accounts`.
    #[serde(default)]
    pub access: String,
    /// Its clients.
    pub connections: Connections,
    /// How many were not taken in, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// How many were sent away that had been taken in, by reason.
    #[serde(default)]
    pub sent_away: BTreeMap<String, u64>,
    /// What clients have sent.
    pub incoming: Messages,
    /// What they were sent.
    pub outgoing: Messages,
    /// What waits for the engine.
    pub waiting: Frames,
    /// The engine.
    pub work: Engine,
    /// Bytes of memory that the whole process has in use; none where the system does not tell.
    pub memory_bytes: Option<u64>,
    /// What is in its store; none where it cannot be read.
    pub stored: Option<Stored>,
    /// Accounts that were erased since it started, since nobody used them any more.
    #[serde(default)]
    pub forgotten_accounts: u64,
    /// The relay above it; none where it has none.
    #[serde(default)]
    pub upstream: Option<Above>,
    /// The last things that went wrong, the newest last.
    pub mishaps: Vec<Mishap>,
}

/// What a relay is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It serves.
    Serving,
    /// It serves those who are there, and takes nobody new.
    Stopping,
    /// Its engine has been busy with one thing for too long, and answers nobody.
    Stuck,
    /// The database that it shares with others does not answer.
    Away,
    /// Its disk took no change a moment ago, since it is full or broken.
    Full,
    /// Its engine has ended.
    Ended,
}

impl State {
    /// In words.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Stopping => "stopping",
            Self::Stuck => "its engine has been busy with one thing for too long",
            Self::Away => "its database does not answer",
            Self::Full => "its disk takes no changes",
            Self::Ended => "its engine has stopped",
        }
    }

    /// Whether it does what it is there for, or was told to stop; else somebody has to look after it.
    #[must_use]
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Serving | Self::Stopping)
    }
}

/// The connections of a relay.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Connections {
    /// That there are.
    pub now: u64,
    /// That there were since it started.
    pub opened: u64,
    /// That there may be.
    pub limit: u64,
}

/// The relay above another one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Above {
    /// Its host and port.
    pub address: String,
    /// Whether it is connected.
    pub connected: bool,
    /// Since when that is so, RFC 3339.
    pub since: String,
    /// How often it was connected.
    pub connections: u64,
    /// Why it is not, as far as that is known.
    pub reason: Option<String>,
    /// Whether everything that is stored was compared since it is connected.
    pub compared: bool,
    /// CoValues of which it has not confirmed everything, as far as they were compared; a few seconds old.
    pub unconfirmed: u64,
}

impl Above {
    /// In words, without the address.
    #[must_use]
    pub fn in_words(&self) -> String {
        let waiting = match self.unconfirmed {
            0 => String::new(),
            1 => "; 1 CoValue on its way".to_owned(),
            some => format!("; {some} CoValues on their way"),
        };
        match (self.connected, self.compared, &self.reason) {
            (true, true, _) if self.unconfirmed == 0 => "connected, and has everything".to_owned(),
            (true, true, _) => format!("connected{waiting}"),
            (true, false, _) => format!("connected, and being compared{waiting}"),
            (false, _, Some(reason)) => format!("away: {reason}{waiting}"),
            (false, _, None) => format!("away{waiting}"),
        }
    }
}

/// What passed one way.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Messages {
    /// Frames.
    pub frames: u64,
    /// Messages in them.
    #[serde(default)]
    pub messages: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Frames, and their length together.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Frames {
    /// Their number.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What an engine does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Engine {
    /// Steps that it has done.
    pub turns: u64,
    /// How long it has been busy with them, in nanoseconds.
    pub busy_ns: u64,
    /// How long the step takes that is under way; 0 between two.
    pub turn_ns: u64,
    /// Bytes of its heap, as they were measured within the last half minute.
    pub heap_bytes: u64,
    /// Bytes of content that it has in memory besides.
    pub content_bytes: u64,
    /// Steps that took too long.
    pub hangs: u64,
}
