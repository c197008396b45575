//! What the program may ask of the isolate and what it answers, mirroring `js/src/protocol.ts`.
//!
//! Every request is a struct that names its method and its answer; values are opaque text (sealed
//! blobs in base64url), ids are the SDK's (`co_z…`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A request that the script answers.
pub trait Request: Serialize {
    /// The method's name in `js/src/protocol.ts`.
    const METHOD: &'static str;
    /// What the script answers.
    type Answer: DeserializeOwned;
    /// Whether the script waits for the relay, and so says itself when that has been too long.
    const WAITS_FOR_RELAY: bool = false;
    /// Whether something of this device is in the store when the script answers.
    const WRITES: bool = false;
}

macro_rules! request {
    ($request:ident, $method:literal, $answer:ty $(, $property:ident)?) => {
        impl Request for $request {
            const METHOD: &'static str = $method;
            type Answer = $answer;
            $(const $property: bool = true;)?
        }
    };
}

/// The answer of requests that have nothing to say.
#[derive(Debug, Deserialize)]
pub struct Done {}

/// How many transactions of each session were read, by CoValue.
pub type Positions = BTreeMap<String, BTreeMap<String, u64>>;

/// Opens the account, or makes it. The first request of a client's isolate.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Open<'a> {
    /// The SDK's signing and sealing secret. Not the phrase, and no data key.
    pub agent_secret: &'a str,
    /// The session of this device, or none for a new one.
    pub session: Option<&'a str>,
    /// Make the account in the store instead of loading it.
    pub create: bool,
    /// Names the relay in the SDK's own records; none: no relay is configured.
    pub peer: Option<&'a str>,
    /// First day of the month, RFC 3339: the only time that headers carry.
    pub month: &'a str,
    /// Segments that will be asked for, with what was read of them: the relay is asked about all at once.
    pub ahead: &'a Positions,
    /// How long to wait for the relay.
    pub timeout_ms: u64,
}

/// Whose account was opened, and in which session.
#[derive(Debug, Deserialize)]
pub struct Opened {
    /// The account's id, which follows from the secret alone.
    pub account: String,
    /// The session that everything from here is written in.
    pub session: String,
}

impl Request for Open<'_> {
    const METHOD: &'static str = "open";
    type Answer = Opened;
    const WAITS_FOR_RELAY: bool = true;
    const WRITES: bool = true;
}

/// What became of a CoValue that was to be brought up to date.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Held here, and equal to what the relay holds.
    Current,
    /// Held here; no relay is configured.
    Local,
    /// Deleted for good.
    Deleted,
    /// Neither the relay nor this device has it.
    Absent,
    /// What came does not carry the right signatures, or is not what its id says.
    Damaged,
    /// There was no connection when the time ran out.
    Offline,
    /// Connected, but the answer did not come in time.
    Late,
}

/// Loads the registries and brings them up to date.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadRegistries {
    /// How long to wait for the relay.
    pub timeout_ms: u64,
}

/// Ids of the account's registries.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Registries {
    /// Segment id to its sealed description.
    pub index: String,
    /// Keyed hash of a preference's name to its sealed value.
    pub preferences: String,
    /// Device to its sealed record.
    pub devices: String,
    /// Device and day to sealed counters.
    pub usage: String,
    /// Sealed ids of deleted records.
    pub deletions: String,
    /// Key id to the wrapped data key.
    pub keyring: String,
}

/// The registries, and whether the relay agreed on all of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistriesLoaded {
    /// Their ids.
    pub registries: Registries,
    /// The map that names them.
    pub root: String,
    /// The mark of a closed account, sealed; none while it is open.
    pub closed: Option<String>,
    /// Version of the data, as the newest device wrote it; none in accounts older than this key.
    pub schema: Option<String>,
    /// [`Outcome::Current`] or [`Outcome::Local`] if all could be brought up to date, else the worst.
    pub outcome: Outcome,
    /// The relay held less of the account than this device when it came: it lost something, or is another one.
    pub relay_was_behind: bool,
}
request!(LoadRegistries, "registries", RegistriesLoaded, WAITS_FOR_RELAY);

/// Brings CoValues up to date with the relay, in both directions.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// Which ones.
    pub ids: Vec<String>,
    /// How long to wait for the relay.
    pub timeout_ms: u64,
}

/// What became of each.
#[derive(Debug, Deserialize)]
pub struct Exchanged {
    /// By id.
    pub outcomes: BTreeMap<String, Outcome>,
}
request!(Exchange, "exchange", Exchanged, WAITS_FOR_RELAY);

/// As [`Exchange`], for segments of which something was read. Where that is all that this device and the relay have,
/// nothing is taken out of the store.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeUnread {
    /// Which ones, and what was read of each.
    pub read: Positions,
    /// How long to wait for the relay.
    pub timeout_ms: u64,
}

/// What became of each.
#[derive(Debug, Deserialize)]
pub struct ExchangedUnread {
    /// By id, of those that may bring something.
    pub outcomes: BTreeMap<String, Outcome>,
    /// Those that bring nothing.
    pub unchanged: Vec<String>,
}
request!(ExchangeUnread, "exchangeUnread", ExchangedUnread, WAITS_FOR_RELAY);

/// Reads a map.
#[derive(Serialize)]
pub struct Entries {
    /// The map.
    pub id: String,
}

/// The current value of each key.
#[derive(Debug, Deserialize)]
pub struct EntriesRead {
    /// By key.
    pub entries: BTreeMap<String, String>,
    /// How many transactions the map has: it keeps all states that it ever had.
    pub transactions: u64,
}
request!(Entries, "entries", EntriesRead);

/// Reads a map unless it is as it was.
#[derive(Serialize)]
pub struct ChangedEntries {
    /// The map.
    pub id: String,
    /// The name of the state in which it was read last.
    pub known: Option<String>,
}

/// What a map holds now.
#[derive(Debug, Deserialize)]
pub struct ChangedEntriesRead {
    /// Names its state.
    pub state: String,
    /// By key; none where the state is the one that was known.
    pub entries: Option<BTreeMap<String, String>>,
}
request!(ChangedEntries, "changedEntries", ChangedEntriesRead);

/// Sets keys of a map in one transaction; in the store when it answers.
#[derive(Serialize)]
pub struct Set {
    /// The map.
    pub id: String,
    /// New values by key.
    pub entries: BTreeMap<String, String>,
}
request!(Set, "set", Done, WRITES);

/// Makes an empty map, which is stored with the first that is set in it.
#[derive(Serialize)]
pub struct CreateMap {
    /// First day of the month of writing, RFC 3339.
    pub month: String,
}

/// The new map.
#[derive(Debug, Deserialize)]
pub struct MapCreated {
    /// Its id.
    pub id: String,
}
request!(CreateMap, "createMap", MapCreated, WRITES);

/// Makes an empty segment.
#[derive(Serialize)]
pub struct CreateSegment {
    /// First day of the month of writing, RFC 3339.
    pub month: String,
}

/// The new segment.
#[derive(Debug, Deserialize)]
pub struct SegmentCreated {
    /// Its id.
    pub id: String,
}
request!(CreateSegment, "createSegment", SegmentCreated, WRITES);

/// Where values were written, and what the segment holds with them.
#[derive(Debug, Deserialize)]
pub struct Written {
    /// Number of the transaction in this device's session.
    pub transaction: u64,
    /// Values in the segment.
    pub entries: u64,
    /// Their length together.
    pub bytes: u64,
}

/// Appends values to a segment in one transaction; in the store when it answers.
#[derive(Serialize)]
pub struct Append {
    /// The segment.
    pub id: String,
    /// Sealed blobs.
    pub values: Vec<String>,
}
request!(Append, "append", Written, WRITES);

/// Reads a segment from a position on.
#[derive(Serialize)]
pub struct Items {
    /// The segment.
    pub id: String,
    /// By session, the number of transactions that were read before.
    pub after: BTreeMap<String, u64>,
}

/// Session, number of the transaction in it, value; in the order of writing within a session.
pub type Item = (String, u64, String);

/// What was read.
#[derive(Debug, Deserialize)]
pub struct ItemsRead {
    /// The items.
    pub items: Vec<Item>,
}
request!(Items, "items", ItemsRead);

/// Deletes CoValues of this account for good, those that are held here. In the store when it answers.
#[derive(Serialize)]
pub struct Erase {
    /// Which ones.
    pub ids: Vec<String>,
}

/// What could not be deleted.
#[derive(Debug, Deserialize)]
pub struct Erased {
    /// Those that are not held here.
    pub absent: Vec<String>,
}
request!(Erase, "erase", Erased, WRITES);

/// Asks what of this account the store holds and could be deleted.
#[derive(Serialize)]
pub struct Held {}

/// Everything but the account, its group, root and profile.
#[derive(Debug, Deserialize)]
pub struct HeldIds {
    /// Their ids.
    pub ids: Vec<String>,
}
request!(Held, "held", HeldIds);

/// Asks for a [`Event::Changed`] whenever another session changes one of these, in place of those named before.
/// Segments that are not among them leave memory.
#[derive(Serialize)]
pub struct Watch {
    /// Which ones.
    pub ids: Vec<String>,
}
request!(Watch, "watch", Done);

/// Drops CoValues from memory; what the store has of them stays there.
#[derive(Serialize)]
pub struct Release {
    /// Which ones.
    pub ids: Vec<String>,
}
request!(Release, "release", Done);

/// Becomes a relay. The first request of a relay's isolate.
#[derive(Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Serve {
    /// Bytes that one account may store; none: as many as it likes.
    pub bytes_per_account: Option<u64>,
    /// CoValues that one account may own; none: as many as it likes.
    pub values_per_account: Option<u64>,
    /// Whether it tells with [`Event::Stored`] what it has stored, since other engines use the same store.
    pub tells: bool,
    /// Whether the store is a database that other relays use too: it keeps by itself what each account holds.
    pub is_shared: bool,
    /// Bytes of transactions that may be in memory, beyond which what was used longest ago is forgotten; none: as many as come.
    pub content_in_memory: Option<u64>,
    /// Bytes that one CoValue may take up, with all that is in it; none: as many as come.
    pub largest_value: Option<u64>,
    /// Whether there is a relay above this one, which the isolate can dial.
    pub has_upstream: bool,
    /// Whether it is noted which day each account was last used.
    pub notes_use: bool,
}
request!(Serve, "serve", Done);

/// Has a relay look whether the store holds more than it knows, since others have written to it.
#[derive(Serialize)]
pub struct Refresh {
    /// Of which CoValues; none: of all that it has in memory.
    pub ids: Option<Vec<String>>,
}
request!(Refresh, "refresh", Done);

/// Who may write through a connection.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum MayWrite {
    /// Everybody.
    Anyone,
    /// This account; where there is none yet, the first that does.
    Account(Option<String>),
}

/// Hands an accepted connection to the relay.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accept {
    /// The handle that the isolate gave it.
    pub socket: u32,
    /// Who may write through it.
    pub may_write: MayWrite,
    /// Whether it is a relay, which brings what many accounts write.
    pub is_relay: bool,
}
request!(Accept, "accept", Done);

/// Asks a relay for its turn, and for the size of its heap where that is wanted: all of it is walked for that.
#[derive(Serialize)]
pub struct Measure {
    /// Whether the heap is to be measured.
    pub memory: bool,
}

/// What was measured.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// Bytes of heap in use.
    pub heap_bytes: Option<u64>,
    /// Bytes of transactions in memory, which are not in the heap.
    pub content_bytes: u64,
    /// How far it and the relay above it have come, where there is one.
    pub upstream: Option<Agreement>,
}

/// How far a relay and the one above it have come.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreement {
    /// Whether everything in the store was compared on this connection.
    pub is_compared: bool,
    /// CoValues of which it has not confirmed everything, as far as they were compared.
    pub unconfirmed: u64,
}
request!(Measure, "measure", Measured);

/// Erases everything that belongs to an account, and begins anew with what is left: every connection ends.
#[derive(Serialize)]
pub struct Forget {
    /// Whose it is.
    pub account: String,
}

/// What was erased.
#[derive(Debug, Deserialize)]
pub struct Forgotten {
    /// How many CoValues.
    pub values: u64,
}
request!(Forget, "forget", Forgotten);

/// Has a relay note what was used since it was last told.
#[derive(Serialize)]
pub struct NoteUse {
    /// Which day it is, as one of a number that goes up.
    pub day: i64,
}
request!(NoteUse, "noteUse", Done);

/// Asks a relay for the accounts that were last used before a day, without those that somebody else's CoValues need.
#[derive(Serialize)]
pub struct Unused {
    /// The day.
    pub before: i64,
}

/// Those accounts.
#[derive(Debug, Deserialize)]
pub struct UnusedAccounts {
    /// Their ids.
    pub accounts: Vec<String>,
}
request!(Unused, "unused", UnusedAccounts);

/// Erases some of what an account owns.
#[derive(Serialize)]
pub struct EraseSome {
    /// Whose it is.
    pub account: String,
    /// Unless it was used on this day or since.
    pub before: Option<i64>,
}

/// What was erased. Other engines are to [`Release`] it.
#[derive(Debug, Deserialize)]
pub struct SomeErased {
    /// The CoValues.
    pub ids: Vec<String>,
    /// Whether the account owns more.
    pub more: bool,
}
request!(EraseSome, "eraseSome", SomeErased);

/// Writes what is outstanding and closes every connection.
#[derive(Serialize)]
pub struct Close {}
request!(Close, "close", Done);

/// What the script tells unasked.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A watched CoValue changed.
    Changed {
        /// Which one.
        id: String,
    },
    /// A relay has stored something of a CoValue.
    Stored {
        /// Which one.
        id: String,
    },
    /// The relay answers.
    Connected,
    /// The connection was lost; the SDK will dial again.
    Disconnected,
}

/// Why the script could not do what it was asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Failure {
    /// To tell one from another.
    pub code: FailureCode,
    /// For the log.
    pub message: String,
}

/// The kinds of [`Failure`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The relay does not know this account.
    AccountUnknown,
    /// There is no connection to the relay.
    Offline,
    /// The relay does not answer.
    Late,
    /// The relay has sent this device away, with a reason.
    Refused,
    /// What the relay or the store holds was damaged or forged.
    Damaged,
    /// What the relay holds of this device's own session does not continue what is held of it here.
    Forked,
    /// The store could not be written.
    Storage,
    /// The request does not make sense now.
    Misuse,
    /// Anything else that went wrong in the script.
    Failed,
}
