//! The relay behind nginx and Caddy, set up as `packaging/relay` says, and the units for systemd that lie there too.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::common::authority::Authority;
use crate::common::home::wait_until;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};

/// A file for a relay that packagers are given.
pub(crate) fn packaged(name: &str) -> String {
    packaged_in("relay", name)
}

/// A file that packagers are given.
pub(crate) fn packaged_in(folder: &str, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(folder).join(name);
    std::fs::read_to_string(path).expect("it is there")
}

/// Replaces what is different on this machine; every part has to be there.
pub(crate) fn adapted(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is missing in {text}");
        text.replace(from, to)
    })
}

/// A relay with the socket that the examples name, at `/caro`, and a certificate for the proxy before it.
struct Behind {
    relay: Relay,
    authority: Authority,
    socket: PathBuf,
    chain: PathBuf,
    key: PathBuf,
    address: SocketAddr,
    folder: TempDir,
}

impl Behind {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("relay.sock");
        let relay = Relay::with(&["--path", "/caro", "--listen", &format!("unix:{}", socket.display())]);
        let authority = Authority::new();
        let (chain, key) = authority.issue("127.0.0.1").write(authority.folder(), "proxy");
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { relay, authority, socket, chain, key, address, folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Two devices have one history through the proxy.
    fn works(&self, mut proxy: Child) {
        wait_until("the proxy listens", || {
            assert!(proxy.try_wait().unwrap().is_none(), "the proxy ended");
            TcpStream::connect(self.address).is_ok()
        });
        let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
        a.add(&(0..300).map(|i| format!("through a proxy {i}")).collect::<Vec<_>>());
        let (url, root, phrase) = (format!("wss://{}/caro", self.address), self.authority.root(), self.at("phrase"));
        let (root, phrase) = (root.to_str().unwrap(), phrase.to_str().unwrap());
        a.ok(["sync", "init", "--new", "--yes", "--relay", &url, "--relay-certificate", root, "--phrase-out", phrase]);
        b.ok(["sync", "restore", "--yes", "--relay", &url, "--relay-certificate", root, "--phrase-file", phrase]);
        assert_eq!(assert_equal_histories(&[&a, &b]), 300);
        assert!(!self.relay.log().contains("WARN"), "{}", self.relay.log());
        drop(proxy.kill());
        drop(proxy.wait());
    }
}

/// The program of a package, unless it is not installed.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let found = ["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(|folder| Path::new(folder).join(name));
    let found = found.into_iter().find(|path| path.exists());
    if found.is_none() {
        println!("skipped: there is no {name} here");
    }
    found
}

/// nginx with these servers, and everything that it writes in a folder.
pub(crate) fn nginx(program: &Path, folder: &Path, servers: &str) -> Command {
    // Run by root, its workers would be another user, who sees nothing of the test's folder.
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};\n", folder.join(kind).display()))
        .concat();
    let whole = format!(
        "{user} daemon off; pid {}; error_log stderr; worker_processes 1;\nevents {{}}\nhttp {{\n{temporary}{servers}}}\n",
        folder.join("pid").display()
    );
    std::fs::write(folder.join("nginx.conf"), whole).unwrap();
    let mut command = Command::new(program);
    command.arg("-c").arg(folder.join("nginx.conf")).arg("-p").arg(folder);
    // One process, so that it ends whole.
    command.args(["-g", "master_process off;"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn behind_nginx_it_works_as_the_example_says() {
    let Some(program) = installed("nginx") else { return };
    let behind = Behind::new();
    let server = adapted(
        &packaged("nginx.conf"),
        &[
            ("unix:/run/caro-relay/relay.sock", &format!("unix:{}", behind.socket.display())),
            ("listen 443 ssl;", &format!("listen {} ssl;", behind.address)),
            ("    listen [::]:443 ssl;\n", ""),
            ("/etc/ssl/relay.example/fullchain.pem", behind.chain.to_str().unwrap()),
            ("/etc/ssl/relay.example/privkey.pem", behind.key.to_str().unwrap()),
        ],
    );
    behind.works(nginx(&program, behind.folder.path(), &server).spawn().unwrap());
}

#[test]
fn behind_caddy_it_works_as_the_example_says() {
    let Some(program) = installed("caddy") else { return };
    let behind = Behind::new();
    let certificate = format!("tls {} {}", behind.chain.display(), behind.key.display());
    let site = adapted(
        &packaged("Caddyfile"),
        &[
            ("relay.example {\n", &format!("https://{} {{\n\t{certificate}\n", behind.address)),
            ("unix//run/caro-relay/relay.sock", &format!("unix/{}", behind.socket.display())),
        ],
    );
    let whole = format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}");
    std::fs::write(behind.at("Caddyfile"), whole).unwrap();
    let mut command = Command::new(program);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(behind.at("Caddyfile"));
    command.env_clear().env("HOME", behind.folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    behind.works(command.spawn().unwrap());
}

#[test]
fn the_units_are_ones_that_systemd_understands() {
    for (folder, name) in [("relay", "caro-relay"), ("collector", "caro-collector")] {
        is_understood_by_systemd(folder, name);
    }
}

fn is_understood_by_systemd(packaging: &str, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (service, socket) = (format!("{name}.service"), format!("{name}.socket"));
    let text = adapted(&packaged_in(packaging, &service), &[("/usr/bin/caro", env!("CARGO_BIN_EXE_caro"))]);
    std::fs::write(folder.path().join(&service), text).unwrap();
    std::fs::write(folder.path().join(&socket), packaged_in(packaging, &socket)).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(folder.path().join(&service));
    verify.arg(folder.path().join(&socket)).stdin(Stdio::null());
    let Ok(output) = verify.output() else {
        println!("skipped: there is no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains(&format!("{name}.")), "{said}");

    // Systemd's own measure of how much a service could do: 10 is everything.
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=yes", "--threshold=20"]).arg(folder.path().join(&service));
    let output = security.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
