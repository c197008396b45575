//! PostgreSQL of a test's own: a cluster in a temporary folder that listens on loopback alone.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Row};

use super::authority::Authority;
use super::home::wait_until;
use super::sync::signal;

/// The user that tests are, and his password.
pub const USER: &str = "relay";
/// See [`USER`].
pub const PASSWORD: &str = "s3cret-of-the-database";

/// A running database server; it ends when it goes away.
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Postgres {
    /// Whether it can be started here.
    #[allow(dead_code, reason = "a benchmark asks")]
    pub fn is_installed() -> bool {
        programs().is_some()
    }

    /// A new one; none where PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// One that speaks TLS alone, with a certificate for `localhost` of this authority.
    pub fn start_with_tls(authority: &Authority) -> Option<Self> {
        let (chain, key) = authority.issue("localhost").write(authority.folder(), "database");
        Self::start_with(&[(&chain, "server.crt"), (&key, "server.key")])
    }

    fn start_with(files: &[(&Path, &str)]) -> Option<Self> {
        let Some(programs) = programs() else {
            println!("skipped: there is no PostgreSQL here");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        std::fs::write(folder.path().join("password"), PASSWORD).expect("the password is written");
        own(folder.path());
        own(&folder.path().join("password"));
        let mut init = as_user(&programs.join("initdb"));
        init.args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--username", USER]);
        init.arg("--pwfile").arg(folder.path().join("password")).arg("-D").arg(folder.path().join("data"));
        let output = init.output().expect("initdb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let data = folder.path().join("data");
        for (from, to) in files {
            std::fs::copy(from, data.join(to)).expect("a file is copied");
            std::fs::set_permissions(data.join(to), std::fs::Permissions::from_mode(0o600)).expect("it is private");
            own(&data.join(to));
        }
        if !files.is_empty() {
            std::fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n").expect("rules");
        }
        let child = serve(&programs, folder.path(), port, !files.is_empty());
        let server = Self { programs, folder, port, child };
        server.await_start();
        Some(server)
    }

    /// The address for a relay.
    pub fn url(&self) -> String {
        Self::url_at(self.port)
    }

    fn url_at(port: u16) -> String {
        format!("postgres://{USER}:{PASSWORD}@localhost:{port}/postgres")
    }

    /// Rows of a query.
    pub fn query(&self, sql: &str) -> Vec<Row> {
        let (runtime, client) = self.connect().expect("the database answers");
        runtime.block_on(client.query(sql, &[])).expect("a query")
    }

    /// Runs statements, separated by semicolons, all of them or none.
    pub fn run(&self, sql: &str) {
        let (runtime, client) = self.connect().expect("the database answers");
        runtime.block_on(client.batch_execute(sql)).expect("statements");
    }

    /// Keeps rows from being changed by anybody else, as long as the result lives.
    pub fn hold(&self, rows: &str) -> Held {
        let (runtime, client) = self.connect().expect("the database answers");
        runtime.block_on(client.batch_execute(&format!("BEGIN; {rows} FOR UPDATE"))).expect("they can be held");
        Held { _client: client, _runtime: runtime }
    }

    fn connect(&self) -> Option<(Runtime, Client)> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
        let (client, connection) = runtime.block_on(tokio_postgres::connect(&self.url(), NoTls)).ok()?;
        runtime.spawn(connection);
        Some((runtime, client))
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        signal("QUIT", self.child.id());
        self.child.wait().expect("it ends");
    }

    /// Starts it again, with what it holds.
    pub fn start_again(&mut self) {
        self.child = serve(&self.programs, self.folder.path(), self.port, false);
        self.await_start();
    }

    fn await_start(&self) {
        let ready = || {
            let mut ask = Command::new(self.programs.join("pg_isready"));
            ask.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            ask.status().is_ok_and(|status| status.success())
        };
        wait_until("the database answers", ready);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// Rows of which a test has the lock.
pub struct Held {
    _client: Client,
    _runtime: Runtime,
}

/// A way to a database on which a connection ends in the middle of a transaction when a test asks for that.
pub struct Breaking {
    port: u16,
    armed: Arc<AtomicBool>,
    runtime: Option<Runtime>,
}

impl Breaking {
    /// To this database.
    pub fn to(database: &Postgres) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (armed, to) = (Arc::new(AtomicBool::new(false)), database.port);
        let arming = armed.clone();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, to, arming.clone()));
            }
        });
        Self { port, armed, runtime: Some(runtime) }
    }

    /// The address for a relay.
    pub fn url(&self) -> String {
        Postgres::url_at(self.port)
    }

    /// Once the database has next answered with the number of a row that it took in an open transaction, that connection ends.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Whether one has ended since.
    pub fn has_broken(&self) -> bool {
        !self.armed.load(Ordering::SeqCst)
    }
}

impl Drop for Breaking {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A row of one number of eight bytes, that a row was taken, and that a transaction is open, as the protocol says them.
const NUMBER: &[u8] = b"D\0\0\0\x12\0\x01\0\0\0\x08";
const TAKEN: &[u8] = b"C\0\0\0\x0fINSERT 0 1\0Z\0\0\0\x05T";

async fn carry(client: TcpStream, port: u16, armed: Arc<AtomicBool>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = tokio::io::copy(&mut from_client, &mut to_server);
    let down = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let Ok(read @ 1..) = from_server.read(&mut buffer).await else { return };
            let answer = &buffer[..read];
            let sent = to_client.write_all(answer).await;
            let is_row = answer.windows(NUMBER.len()).any(|bytes| bytes == NUMBER);
            if sent.is_err() || is_row && answer.ends_with(TAKEN) && armed.swap(false, Ordering::SeqCst) {
                return;
            }
        }
    };
    // Either end ends both.
    tokio::select! {
        _ = up => {}
        () = down => {}
    }
}

fn serve(programs: &Path, folder: &Path, port: u16, tls: bool) -> Child {
    let mut server = as_user(&programs.join("postgres"));
    server.arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
    server.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    if tls {
        server.args(["-c", "ssl=on"]);
    }
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the database starts")
}

/// Where the programs of PostgreSQL are: Debian keeps them out of the path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let found = versions.flatten().map(|version| version.path().join("bin"));
    found.filter(|folder| folder.join("initdb").exists()).max()
}

/// A program as somebody who is not root: the database refuses to be run by it.
fn as_user(program: &Path) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program);
    command.current_dir("/");
    command
}

/// Gives a file or folder to whoever runs the database.
fn own(path: &Path) {
    if rustix::process::getuid().is_root() {
        let given = Command::new("chown").arg("nobody:nogroup").arg(path).status();
        assert!(given.is_ok_and(|status| status.success()), "{} can be given away", path.display());
    }
}
