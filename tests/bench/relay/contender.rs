//! Who is measured: our relay in its variants, relays that nobody here wrote, and the limit.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::echo;
use crate::common::node::{JazzRun, NodeRelay, interop_dir};
use crate::common::postgres::Postgres;
use crate::home::BINARY;
use crate::our_relay::OurRelay;

/// Our relay in the forms that are measured: a name, and what `caro relay serve` is told.
const VARIANTS: [(&str, &[&str]); 3] =
    [("caro", &[]), ("2 engines", &["--engines", "2"]), ("4 engines", &["--engines", "4"])];
/// Where a program is that was built with the second engine, if there is one.
const V8_BINARY: &str = "CARO_V8";
/// What all of them are told, so that ten thousand connections are not one too many.
const CONNECTIONS: [&str; 2] = ["--max-connections", "100000"];

/// Somebody who is measured.
pub struct Contender {
    /// What its column is called.
    pub name: &'static str,
    kind: Kind,
    /// The database server for what it has in a folder.
    database: RefCell<Option<(PathBuf, Postgres)>>,
}

#[derive(Clone, Copy)]
enum Kind {
    Ours(&'static [&'static str]),
    /// Ours on the second engine.
    OnV8,
    /// Ours on a database server of its own, whose processor time is not counted as the relay's.
    OnPostgres,
    /// `jazz-run sync` 0.15.10; it brings each transaction to disk.
    JazzRun,
    /// On the official SDK 0.20.19, with its native cryptography.
    Official {
        durable: bool,
    },
    Limit,
}

/// How it is talked to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// The protocol.
    Jazz,
    /// What it is sent it sends back.
    Echo,
}

impl Contender {
    /// All of them; those that are not installed are left out.
    pub fn all() -> Vec<Self> {
        let column = |name, kind| Self { name, kind, database: RefCell::default() };
        let mut all: Vec<Self> =
            VARIANTS.into_iter().map(|(name, arguments)| column(name, Kind::Ours(arguments))).collect();
        if std::env::var_os(V8_BINARY).is_some() {
            all.push(column("V8", Kind::OnV8));
        }
        if Postgres::is_installed() {
            all.push(column("PostgreSQL", Kind::OnPostgres));
        }
        if interop_dir().join(".installed").exists() {
            all.push(column("jazz-run", Kind::JazzRun));
            all.push(column("official", Kind::Official { durable: true }));
            all.push(column("no fsync", Kind::Official { durable: false }));
        }
        all.push(column("limit", Kind::Limit));
        all
    }

    /// Whether it is a relay, and not the limit.
    pub fn is_relay(&self) -> bool {
        !matches!(self.kind, Kind::Limit)
    }

    /// The address of the server with what it has in this folder; that of another folder ends.
    fn database(&self, folder: &Path) -> String {
        let mut database = self.database.borrow_mut();
        match database.as_ref() {
            Some((of, server)) if of == folder => server.url(),
            _ => {
                let (_, server) = database.insert((folder.to_owned(), Postgres::start().expect("PostgreSQL starts")));
                server.url()
            }
        }
    }

    /// Starts it on what it has in this folder.
    pub fn start(&self, folder: &Path) -> Running {
        std::fs::create_dir_all(folder).expect("a folder");
        let database = folder.join("relay.db");
        match self.kind {
            Kind::Ours(arguments) => ours(BINARY.as_ref(), folder, arguments),
            Kind::OnV8 => ours(&std::env::var_os(V8_BINARY).expect("looked at before"), folder, &[]),
            Kind::OnPostgres => ours(BINARY.as_ref(), folder, &["--database", &self.database(folder)]),
            Kind::JazzRun => {
                let relay = JazzRun::start(Some(&database));
                Running::new(relay.url().to_owned(), relay.pid(), Speech::Jazz, relay)
            }
            Kind::Official { durable } => {
                let relay = match durable {
                    true => NodeRelay::start_durable(&database),
                    false => NodeRelay::start(Some(&database)),
                };
                Running::new(relay.url().to_owned(), relay.pid(), Speech::Jazz, relay)
            }
            Kind::Limit => {
                let limit = Limit::start(&folder.join("echoed"));
                Running::new(limit.url.clone(), limit.child.id(), Speech::Echo, limit)
            }
        }
    }
}

fn ours(binary: &OsStr, folder: &Path, arguments: &[&str]) -> Running {
    let arguments: Vec<&str> = CONNECTIONS.iter().chain(arguments).copied().collect();
    let relay = OurRelay::of(binary, folder, &arguments);
    Running::new(relay.url.clone(), relay.pid(), Speech::Jazz, relay)
}

/// It runs; killed when dropped.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// How it is talked to.
    pub speech: Speech,
    _process: Box<dyn Send>,
}

impl Running {
    fn new(url: String, pid: u32, speech: Speech, process: impl Send + 'static) -> Self {
        let address = url.trim_start_matches("ws://").parse().expect("an address");
        Self { address, pid, speech, _process: Box::new(process) }
    }
}

/// This program as the limit.
struct Limit {
    child: Child,
    url: String,
}

impl Limit {
    fn start(file: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .env(echo::ECHO, file)
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its port");
        Self { child, url: format!("ws://127.0.0.1:{}", line.trim()) }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
