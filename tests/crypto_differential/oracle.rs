//! The official package, in a Node process that answers line by line.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::Value;

/// A running Node process; it ends with this value.
pub struct Oracle {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Oracle {
    /// Starts the process. Fails, rather than passing silently, where Node or the package is missing.
    pub fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let modules = env::var_os("CARO_TEST_NODE_MODULES")
            .map_or_else(|| root.join("target/interop/node_modules"), PathBuf::from);
        assert!(
            modules.join("cojson-core-napi").is_dir(),
            "the official package cojson-core-napi is not in {}: run `node tests/interop/install.mjs`, \
             or set CARO_TEST_NODE_MODULES to a node_modules folder that has it",
            modules.display()
        );
        let mut child = Command::new("node")
            .arg(root.join("tests/interop/crypto-oracle.mjs"))
            .arg(&modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node 20 or newer is installed as `node`");
        let stdin = child.stdin.take().expect("its input is a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        Self { child, pipes: Mutex::new((stdin, stdout)) }
    }

    /// The official answers to some requests, which are about fresh maps.
    pub fn ask(&self, requests: &[&Value]) -> Vec<Value> {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let (stdin, stdout) = &mut *pipes;
        let mut lines = String::from("[\"reset\"]\n");
        for request in requests {
            lines.push_str(&request.to_string());
            lines.push('\n');
        }
        // Both pipes are bounded, so questions and answers must flow at the same time.
        thread::scope(|scope| {
            scope.spawn(|| {
                stdin.write_all(lines.as_bytes()).and_then(|()| stdin.flush()).expect("the oracle reads");
            });
            let mut answers = Vec::with_capacity(requests.len() + 1);
            for asked in 0..=requests.len() {
                let mut line = String::new();
                let read = stdout.read_line(&mut line).expect("the oracle answers in text");
                let request = asked.checked_sub(1).map_or("the reset".into(), |at| requests[at].to_string());
                assert!(read > 0, "the oracle ended before it answered {request}; its messages are above");
                answers.push(serde_json::from_str(&line).expect("the oracle answers in JSON"));
            }
            answers.split_off(1)
        })
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // Nothing is left to be said to it; a failure here means it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
