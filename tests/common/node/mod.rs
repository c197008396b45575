//! The independent peers: programs on the official SDK that run under Node, in processes of their own.
//!
//! [`NodeRelay`] is a relay on `cojson` 0.20.19, [`JazzRun`] the released `jazz-run sync` 0.15.10, [`OfficialClient`] a
//! device on the SDK that a test drives. None of them shares code with Caro, which is what makes them worth testing
//! against. The scripts are in `tests/interop/`, the packages in `target/interop` (or `CARO_INTEROP_DIR`), where
//! `make setup` installs them.
//!
//! A peer speaks one line of JSON at a time on stdin and stdout. Every read has a deadline, a peer ends with the value
//! that owns it (and by itself when the test process dies, since its stdin closes), and a failure panics with what the
//! peer wrote to stderr, because a test can do nothing else about it.

mod client;
mod process;
mod relays;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub use client::{OfficialAccount, OfficialClient};
pub use process::LineProcess;
pub use relays::{JazzRun, NodeRelay};

/// How long a peer may take to start: Node, the SDK and the database, on a machine busy with other tests.
const START: Duration = Duration::from_secs(30);
/// How long a peer may take to answer. Longer than its own deadline, so that its explanation arrives first.
const ANSWER: Duration = Duration::from_secs(30);

/// The folder into which `tests/interop/install.mjs` installs the peers.
pub fn interop_dir() -> PathBuf {
    match std::env::var_os("CARO_INTEROP_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join("interop"),
    }
}

/// A command that runs a script of `tests/interop/` under Node.
///
/// Panics if the peers have not been installed.
pub fn node_script(script: &str) -> Command {
    let dir = interop_dir();
    for installed in [dir.join(".installed"), dir.join("jazz-run").join(".installed")] {
        assert!(
            installed.exists(),
            "the test peers under Node are not installed in {}: run `make setup`, then the tests again",
            dir.display()
        );
    }
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script)).env("CARO_INTEROP_DIR", dir);
    command
}
