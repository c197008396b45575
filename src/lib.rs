//! Caro Sync: private, local-first history for what people do in a terminal.
//!
//! The library has everything; `main.rs` only calls [`cli::run`]. The rooms, from the bottom up:
//!
//! | module | holds | knows nothing of |
//! |---|---|---|
//! | [`history`] | records, their store, search, import | sync, crypto |
//! | [`prefs`] | preferences, in files edited in place | sync, crypto |
//! | [`identity`] | the phrase, the keys that follow from it, the key store | storage, network |
//! | [`seal`] | the sealed blob, padding, data keys | what is inside a blob |
//! | [`net`] | dialling a relay, moving frames | what the frames say |
//! | [`runtime`] | the isolate that runs the Jazz SDK, and its ops | records, phrases, data keys |
//! | [`sync`] | the exchange between history and relay | SQL, JavaScript |
//! | [`relay`] | the self-hosted relay around the same isolate | plaintext |
//! | `server` | what serves others: sockets, TLS, HTTP, limits by address, a shared database | what is served |
//! | [`community`] | the anonymous report: questions, noise, consent, format, collector | the text of commands, identity, sync |
//! | [`cli`] | commands; alone prints, prompts, reads the environment | the isolate's insides |
//!
//! `docs/architecture.md` has the picture. What reads bytes from outside is fuzzed: `src/fuzz.rs`.

// A test that panics has said what is wrong.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[cfg(all(feature = "engine-quickjs", feature = "engine-v8"))]
compile_error!("choose one engine: engine-quickjs, or engine-v8 with --no-default-features");
#[cfg(not(any(feature = "engine-quickjs", feature = "engine-v8")))]
compile_error!("choose an engine: engine-quickjs (the default) or engine-v8");

pub mod cli;
mod clock;
pub mod community;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod history;
pub mod identity;
mod local_socket;
mod machine;
mod nearest;
pub mod net;
pub mod prefs;
mod private_file;
pub mod relay;
pub mod runtime;
mod salvage;
pub mod seal;
mod server;
pub mod sync;
