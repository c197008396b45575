//! A collector of a test's own, and what is sent to it: mostly the frozen report of `tests/vectors`, for which the work was done
//! once and for all.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use caro::community::{BODY_BYTES, REPORT_PATH, REVOKE_PATH};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::sync::{Relay, server};
use crate::relay_outside::body;
use crate::relay_serving::{get, tcp};

/// The question of the frozen report.
pub(crate) const QUESTION: &str = "git_version_control";
/// The header without which nothing is taken.
pub(crate) const JSON: &str = "content-type: application/json\r\n";

/// A collector on loopback that counts anew at every look; killed when it goes away.
pub(crate) struct Collector {
    pub(crate) process: Relay,
    pub(crate) args: Vec<String>,
    pub(crate) _folder: Option<TempDir>,
}

impl Collector {
    /// One with a store of its own.
    pub(crate) fn new(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut collector = Self::start(&folder.path().join("collector"), args);
        collector._folder = Some(folder);
        collector
    }

    /// One with this store.
    pub(crate) fn start(data: &Path, args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let process = Self::spawn(data, SocketAddr::from(([127, 0, 0, 1], 0)), &args);
        Self { process, args, _folder: None }
    }

    fn spawn(data: &Path, address: SocketAddr, args: &[String]) -> Relay {
        let mut command = server(["community", "collect"], data, address);
        command.args(["--publish-every", "0"]).args(args);
        Relay::spawn(data, address, command)
    }

    pub(crate) fn start_again(&mut self) {
        self.process = Self::spawn(&self.data(), self.process.address(), &self.args);
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.process.data().to_owned()
    }

    pub(crate) fn sends(&self, path: &str, body: &[u8]) -> u16 {
        self.sends_for(JSON, path, body).0
    }

    /// What somebody is answered who sends these headers: the status, and what is said.
    pub(crate) fn sends_for(&self, headers: &str, path: &str, body: &[u8]) -> (u16, String) {
        post(self.process.address(), headers, path, body)
    }

    pub(crate) fn reports(&self, bytes: &[u8]) -> u16 {
        self.sends(REPORT_PATH, bytes)
    }

    pub(crate) fn revokes(&self, bytes: &[u8]) -> u16 {
        self.sends(REVOKE_PATH, bytes)
    }

    pub(crate) fn gets(&self, path: &str) -> String {
        get(tcp(self.process.address()), path)
    }

    pub(crate) fn published(&self) -> Value {
        serde_json::from_str(body(&self.gets("/v1/aggregates.json"))).unwrap()
    }

    /// How many reports of the last year it has in all.
    pub(crate) fn holds(&self) -> u64 {
        self.published()["reports"].as_u64().unwrap()
    }
}

/// The status with which a request is answered, and what is said.
pub(crate) fn post(to: SocketAddr, headers: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = tcp(to);
    let head = format!("POST {path} HTTP/1.1\r\nhost: collector\r\nconnection: close\r\n{headers}");
    write!(stream, "{head}content-length: {}\r\n\r\n", body.len()).unwrap();
    // Who is refused at once need not be heard to the end.
    drop(stream.write_all(body));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    let answer = String::from_utf8(answer).unwrap();
    (status(&answer), answer.split_once("\r\n\r\n").map(|(_, said)| said.to_owned()).unwrap_or_default())
}

pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer:?}")).parse().unwrap()
}

/// One of the frozen bodies: `report`, `other` of the same key, `revocation`.
pub(crate) fn frozen(name: &str) -> Vec<u8> {
    let all: Value = serde_json::from_str(include_str!("../vectors/community-report.json")).unwrap();
    padded(all[name].as_str().unwrap())
}

pub(crate) fn padded(line: &str) -> Vec<u8> {
    let mut bytes = line.as_bytes().to_vec();
    bytes.resize(BODY_BYTES, b' ');
    bytes
}

/// The figures of a question.
pub(crate) fn of<'a>(published: &'a Value, question: &str) -> &'a Value {
    let all = published["questions"].as_array().unwrap();
    all.iter().find(|asked| asked["question"] == question).unwrap()
}
