//! The local history: every command this user ran or was given, on all devices, in one SQLite file.
//!
//! This is the source of truth for everything local and works with sync never set up. It knows
//! nothing of sync, encryption or the command line: paths and the current time come as arguments. `examples/generator.rs`
//! shows how another program adds to it and finds what it added.
//!
//! - [`record`](Record): one command; [`encoding`](encode_batch): records as bytes.
//! - `store`: opening the database, adding and reading records. `migrations`: its layout. `busy`: waiting for other processes.
//! - `outbox`: what has not been handed to other devices yet, and what arrives from them.
//! - `placement`: in which segments of the synced history a record lies.
//! - `deletions`: deleted records and the marks that keep them deleted.
//! - `removals`: what was removed a moment ago and can be taken back; `dedup`: what is there more than once.
//! - `waiting`: commands that could not be stored at once. `rescue`: what becomes of a damaged database.
//! - `usage`: counters that outlive the records, per device and day. `statistics`: what the records say; `category`: what
//!   kind of work a command is; `habits`: what a report of the community is made from.
//! - [`filter`]: which records may leave this device; [`secrets`]: what never does. `intake`: what is recorded at all.
//! - `place`: where it lies, and that a copy is a device of its own; `forget`: what is left when sync was erased.
//! - `truncation`: long records, which sync may cut. `generated`: what the generator said beside a command.
//! - `search`: filters, listing, searching; [`ranking`]: which match comes first; `text_index`: what makes that fast;
//!   [`recall`]: searching while one types.
//! - `import`: the history files of shells.

mod busy;
mod category;
mod dedup;
mod deletions;
mod encoding;
mod error;
pub mod filter;
mod forget;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod generated;
mod habits;
pub mod import;
mod intake;
mod migrations;
mod outbox;
mod place;
mod placement;
pub mod ranking;
pub mod recall;
mod record;
mod removals;
mod rescue;
mod room;
mod rows;
mod search;
pub mod secrets;
mod statistics;
mod store;
#[cfg(test)]
pub(crate) mod testing;
mod text_index;
mod truncation;
mod usage;
mod waiting;

pub use busy::tell_of_waiting;
pub use category::Category;
pub use encoding::{DecodeError, MAX_BATCH_BYTES, decode_batch, encode_batch};
pub use error::{HistoryError, Result};
pub use generated::Generated;
pub use habits::Habits;
pub use intake::Intake;
pub use outbox::{Cursor, Ingested};
pub use place::{Place, Settled};
pub(crate) use placement::{COPIES, ORPHANS};
pub use record::{
    MAX_TEXT_BYTES, RECORD_VERSION, Record, RiskLevel, UnixNanos, UnknownRiskLevel, id_from_parts, new_id,
};
pub use removals::Undone;
pub use rescue::{Rescued, examine, rescue, set_aside};
pub use search::{Filter, Matcher, Scope, Search, SearchMode};
pub use statistics::{LocalTime, Statistics};
pub use store::{History, Stored, check_size};
pub use usage::{Counts, Recount, Usage, UsageRow, day_of};
pub use waiting::Waiting;
