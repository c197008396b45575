//! Relays that nobody here wrote: the official SDK's under Node, and `jazz-run sync`.
//!
//! Both listen on a free port of 127.0.0.1 that they choose themselves, so tests run side by side.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::process::LineProcess;
use super::{START, node_script};

/// A relay on the official `cojson` and `cojson-transport-ws` 0.20.19.
pub struct NodeRelay {
    process: LineProcess,
    url: String,
}

impl NodeRelay {
    /// Starts it on a free port of 127.0.0.1 with the database file `db`, or in memory. Like every upstream relay it
    /// keeps the ciphertext of deleted values.
    #[track_caller]
    pub fn start(db: Option<&Path>) -> Self {
        Self::launch(node_script("relay.mjs").args(storage_arguments(db)))
    }

    /// The same, but deleted values are erased from the file at once, as Caro's relay does.
    #[track_caller]
    pub fn start_erasing(db: &Path) -> Self {
        Self::launch(node_script("relay.mjs").args(storage_arguments(Some(db))).arg("--erase-deleted"))
    }

    /// The same, but what it has acknowledged is on disk, as on Caro's relay.
    #[track_caller]
    pub fn start_durable(db: &Path) -> Self {
        Self::launch(node_script("relay.mjs").args(storage_arguments(Some(db))).arg("--durable"))
    }

    #[track_caller]
    fn launch(command: &mut Command) -> Self {
        let mut process = LineProcess::start("the official relay", command);
        let url = url_from(&process.json(START));
        Self { process, url }
    }

    /// Its address, `ws://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it gracefully and returns the highest resident memory it had, in bytes.
    #[track_caller]
    pub fn stop(self) -> u64 {
        let rest = self.process.stop().join("\n");
        match serde_json::from_str::<Value>(&rest).ok().and_then(|last| last["peakRssBytes"].as_u64()) {
            Some(bytes) => bytes,
            None => panic!("the official relay did not report its memory but: {rest}"),
        }
    }
}

/// The released `jazz-run sync` 0.15.10 from npm: a relay of an older protocol version that nobody here wrote.
pub struct JazzRun {
    process: LineProcess,
    url: String,
}

impl JazzRun {
    /// Starts it on a free port of 127.0.0.1 with the database file `db`, or in memory.
    #[track_caller]
    pub fn start(db: Option<&Path>) -> Self {
        let mut process = LineProcess::start("jazz-run", node_script("jazz-run.mjs").args(storage_arguments(db)));
        let url = url_from(&process.json(START));
        Self { process, url }
    }

    /// Its address, `ws://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn storage_arguments(db: Option<&Path>) -> Vec<&OsStr> {
    match db {
        Some(file) => vec!["--db".as_ref(), file.as_os_str()],
        None => vec!["--in-memory".as_ref()],
    }
}

#[track_caller]
fn url_from(announcement: &Value) -> String {
    match announcement["port"].as_u64() {
        Some(port) => format!("ws://127.0.0.1:{port}"),
        None => panic!("the relay announced no port but {announcement}"),
    }
}
