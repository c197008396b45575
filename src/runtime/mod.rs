//! The isolate: a JavaScript engine on a thread of its own that runs the Jazz SDK from a snapshot.
//!
//! The rest of the program talks to it through [`Isolate`], with typed requests and events
//! ([`protocol`]); the script talks to the machine through a fixed list of ops (`ops`). What
//! crosses this border is sealed already: no command, phrase or data key ever comes in here.

mod boot;
pub mod crypto;
mod ending;
mod isolate;
mod listen;
mod ops;
pub mod protocol;
pub mod queue;
mod store;
mod store_check;

#[doc(hidden)]
pub use boot::{BootOptions, boot};
pub use ending::{Ending, HangUp};
#[doc(hidden)]
pub use isolate::TestHooks;
pub use isolate::{Isolate, IsolateError, IsolateOptions, Work};
#[doc(hidden)]
pub use listen::{Listener, listen};
pub use ops::socket::{Claim, Dialer, Frames, Queue, Received, Waiting};
pub use ops::storage::{flush_database, open_database, open_database_deferred};
#[doc(hidden)]
pub use ops::storage::{query_for_script, run_for_script};
pub use store::{Flush, Rows, Store, StoreError};
pub use store_check::{Flaw, StoreExamined, examine_store, is_damage, is_damaged, is_malformed};
