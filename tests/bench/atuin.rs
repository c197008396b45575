//! The same histories through Atuin: its released client against its own server on loopback, in the same run.
//!
//! `make setup` installs the client under `target/interop` (from PyPI), `make bench` the server under `target/atuin` (from
//! crates.io). Where they are missing, the columns of the peer stay empty.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where its programs are.
pub struct Atuin {
    client: PathBuf,
    server: PathBuf,
}

impl Atuin {
    /// Client and server; none where one of them is missing.
    pub fn installed() -> Option<Self> {
        Self::client().filter(|found| found.server.exists())
    }

    /// Its client alone, which needs no server.
    pub fn client() -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let client = folder.join("interop/atuin/bin/atuin");
        client.exists().then(|| Self { client, server: folder.join("atuin/server/bin/atuin-server") })
    }

    /// A machine that knows no server.
    pub fn alone(&self, folder: &Path) -> Machine<'_> {
        let config = folder.join("config");
        fs::create_dir_all(&config).expect("a folder for the client");
        let settings = "auto_sync = false\nupdate_check = false\n";
        fs::write(config.join("config.toml"), settings).expect("the client's settings");
        Machine { atuin: self, folder: folder.to_owned() }
    }

    /// Starts its server with an empty store.
    pub fn serve(&self, folder: &Path) -> Server {
        fs::create_dir_all(folder).expect("a folder for the server");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let store = folder.join("server.db");
        let child = Command::new(&self.server)
            .args(["start", "--host", "127.0.0.1", "--port", &free.port().to_string()])
            .env_clear()
            .env("HOME", folder)
            .env("ATUIN_CONFIG_DIR", folder)
            .env("ATUIN_OPEN_REGISTRATION", "true")
            .env("ATUIN_DB_URI", format!("sqlite://{}", store.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let begun = Instant::now();
        while TcpStream::connect(free).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Server { child, address: free }
    }

    /// A machine that knows this server.
    pub fn machine(&self, folder: &Path, server: SocketAddr) -> Machine<'_> {
        let config = folder.join("config");
        fs::create_dir_all(&config).expect("a folder for the client");
        let settings = format!("sync_address = \"http://{server}\"\nauto_sync = false\nupdate_check = false\n");
        fs::write(config.join("config.toml"), settings).expect("the client's settings");
        Machine { atuin: self, folder: folder.to_owned() }
    }
}

/// The running server.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One user's machine.
pub struct Machine<'a> {
    atuin: &'a Atuin,
    folder: PathBuf,
}

impl Machine<'_> {
    /// Where all of it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs the client to its end: time and output.
    pub fn run(&self, args: &[&str]) -> (Duration, String) {
        let begun = Instant::now();
        let output = self.command(args).output().expect("the client runs");
        let took = begun.elapsed();
        assert!(output.status.success(), "atuin {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        (took, String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// A run of the client.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.atuin.client);
        command
            .args(args)
            .env_clear()
            .env("HOME", &self.folder)
            .env("ATUIN_CONFIG_DIR", self.folder.join("config"))
            .env("ATUIN_SESSION", "0190a0000000700080000000000000aa")
            .env("HISTFILE", self.folder.join("history"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null());
        command
    }

    /// Takes over a bash history.
    pub fn import(&self, history: &Path) -> Duration {
        fs::copy(history, self.folder.join("history")).expect("the history is copied");
        self.run(&["import", "bash"]).0
    }

    /// Records a command that has run.
    pub fn capture(&self, line: &str) {
        let (_, id) = self.run(&["history", "start", "--", line]);
        self.run(&["history", "end", "--exit", "0", &id]);
    }

    /// The key that another machine needs to log in.
    pub fn key(&self) -> String {
        self.run(&["key"]).1
    }

    /// Whether its history holds a line.
    pub fn has(&self, line: &str) -> bool {
        let output = self.command(&["search", "--limit", "1", "--cmd-only", line]).output().expect("the client runs");
        String::from_utf8_lossy(&output.stdout).contains(line)
    }
}
