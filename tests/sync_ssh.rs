//! `ssh://` as a relay, through a real `sshd` on loopback: two devices share what the machine there keeps, drops are
//! survived, and what goes wrong is told in plain words.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::common::daemon::Daemon;
use crate::common::home::{Run, wait_until};
use crate::common::sync::{SyncHome, assert_equal_histories, finish_within, signal};
use crate::relay_serving::holder;

const SSHD: &str = "/usr/sbin/sshd";

/// A machine that one can log in to; the relay there ends with it.
struct Machine {
    sshd: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Machine {
    /// Starts it; none where there is no `sshd`.
    fn start() -> Option<Self> {
        if !Path::new(SSHD).exists() {
            println!("skipped: there is no {SSHD} here");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for key in ["host", "user", "stranger"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(key));
            assert!(command.status().expect("ssh-keygen is there").success());
        }
        std::fs::copy(at("user.pub"), at("authorized_keys")).unwrap();
        // What a login shell finds; the machine's home is one of its own.
        std::fs::create_dir(at("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_caro"), at("bin/caro")).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut machine = Self { sshd: Command::new("true").spawn().unwrap(), address, folder };
        machine.listen();
        let known = std::fs::read_to_string(at_of(&machine, "host.pub")).unwrap();
        std::fs::write(at_of(&machine, "known_hosts"), format!("[127.0.0.1]:{} {known}", address.port())).unwrap();
        machine.client_config("config", "user", "known_hosts");
        machine.client_config("config-stranger", "stranger", "known_hosts");
        machine.client_config("config-unknown", "user", "empty");
        Some(machine)
    }

    /// Starts its `sshd`, at the same port as before.
    fn listen(&mut self) {
        drop(self.sshd.kill());
        drop(self.sshd.wait());
        let path = self.folder.path().display();
        let system = std::env::var("PATH").unwrap_or_default();
        let config = format!(
            "ListenAddress {}\nHostKey {path}/host\nAuthorizedKeysFile {path}/authorized_keys\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n\
             SetEnv PATH={path}/bin:{system} CARO_DATA_DIR={path}/data CARO_CONFIG_DIR={path}/settings \
             CARO_STATE_DIR={path}/state\n",
            self.address
        );
        std::fs::write(self.folder.path().join("sshd_config"), config).unwrap();
        // Where it separates its privileges as root.
        drop(std::fs::create_dir_all("/run/sshd"));
        let mut command = Command::new(SSHD);
        command.args(["-D", "-e", "-f"]).arg(self.folder.path().join("sshd_config"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.sshd = command.spawn().expect("sshd starts");
        wait_until("sshd listens", || TcpStream::connect(self.address).is_ok());
    }

    /// How a user's `ssh` is set up.
    fn client_config(&self, name: &str, key: &str, known: &str) {
        let path = self.folder.path().display();
        let config = format!(
            "Host *\n  IdentityFile {path}/{key}\n  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {path}/{known}\n  \
             GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n"
        );
        let file = self.folder.path().join(name);
        std::fs::write(&file, config).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn url(&self) -> String {
        format!("ssh://{}", self.address)
    }

    /// The program that stands for `ssh`, with one of these configurations.
    fn ssh(&self, config: &str) -> String {
        format!("ssh -F {}", self.folder.path().join(config).display())
    }

    /// Runs a command of a device that can log in.
    fn run(&self, device: &SyncHome, args: &[&str]) -> Run {
        self.run_by(device, "config", args)
    }

    fn run_by(&self, device: &SyncHome, config: &str, args: &[&str]) -> Run {
        let mut command = device.command(args);
        command.env("CARO_SSH", self.ssh(config)).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        device.finish(command, &[])
    }

    fn ok(&self, device: &SyncHome, args: &[&str]) -> Run {
        let run = self.run(device, args);
        assert_eq!(run.code, Some(0), "on {}: {run:?}", device.name);
        run
    }

    /// Where the relay there keeps what it is given.
    fn store(&self) -> PathBuf {
        self.folder.path().join("data/relay")
    }

    /// Ends every login that is open.
    fn hang_up(&self) {
        let sshd = self.sshd.id();
        let path = format!("/proc/{sshd}/task/{sshd}/children");
        for child in std::fs::read_to_string(path).unwrap_or_default().split_whitespace() {
            // It may have ended meanwhile.
            drop(Command::new("kill").args(["-KILL", child]).stderr(Stdio::null()).status());
        }
    }
}

fn at_of(machine: &Machine, name: &str) -> PathBuf {
    machine.folder.path().join(name)
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.hang_up();
        drop(self.sshd.kill());
        drop(self.sshd.wait());
        for folder in [self.store(), self.folder.path().join("elsewhere")] {
            if let Some(relay) = holder(&folder).filter(|_| folder.join("relay.sock").exists()) {
                drop(Command::new("kill").args(["-KILL", &relay.to_string()]).stderr(Stdio::null()).status());
            }
        }
    }
}

/// Sets a device up with a new identity; the file of its phrase.
fn init(machine: &Machine, device: &SyncHome, url: &str) -> PathBuf {
    let phrase = device.home.path().join("phrase");
    let file = phrase.to_str().unwrap();
    machine.ok(
        device,
        &["sync", "init", "--new", "--yes", "--relay", url, "--device-name", device.name, "--phrase-out", file],
    );
    phrase
}

fn restore(machine: &Machine, device: &SyncHome, url: &str, phrase: &Path) {
    let file = phrase.to_str().unwrap();
    machine
        .ok(device, &["sync", "restore", "--yes", "--relay", url, "--device-name", device.name, "--phrase-file", file]);
}

#[test]
fn two_devices_have_one_history_on_a_machine_that_they_can_log_in_to() {
    let Some(machine) = Machine::start() else { return };
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    // The path is for those who come through a proxy.
    std::fs::create_dir(at_of(&machine, "settings")).unwrap();
    std::fs::write(at_of(&machine, "settings/relay.toml"), "path = \"/caro\"\n").unwrap();
    a.add_one("from the laptop");
    let phrase = init(&machine, &a, &machine.url());
    restore(&machine, &b, &machine.url(), &phrase);
    b.add_one("from the desktop");
    // Both are logged in at once, and the relay there serves them both.
    std::thread::scope(|scope| {
        let both = [&a, &b].map(|device| scope.spawn(|| machine.ok(device, &["sync", "now"])));
        both.into_iter().for_each(|run| drop(run.join().unwrap()));
    });
    for device in [&a, &b, &a] {
        machine.ok(device, &["sync", "now"]);
    }
    assert_eq!(assert_equal_histories(&[&a, &b]), 2);
    assert!(machine.store().join("relay.db").exists());

    let shown = machine.ok(&a, &["sync", "relay", "show"]);
    assert_eq!(shown.stdout.trim(), machine.url());
    let tested = machine.ok(&a, &["sync", "relay", "test"]);
    assert!(tested.stdout.contains("it speaks as a relay does"), "{tested:?}");
    let status = machine.ok(&a, &["sync", "status"]);
    assert!(status.stdout.contains(&machine.url()) && status.stdout.contains("reachable"), "{status:?}");
}

#[test]
fn a_daemon_keeps_one_login_and_comes_back_when_it_is_cut() {
    let Some(mut machine) = Machine::start() else { return };
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = init(&machine, &a, &machine.url());
    restore(&machine, &b, &machine.url(), &phrase);
    [&a, &b].into_iter().for_each(|device| device.exchanges("realtime"));
    let (program, path) = (machine.ssh("config"), std::env::var_os("PATH").unwrap_or_default());
    let variables = [("CARO_SSH", program.as_ref()), ("PATH", path.as_os_str())];
    let (_one, _two) = (Daemon::start(&a, &variables), Daemon::start(&b, &variables));
    let listens = |device: &SyncHome| device.status()["daemon"]["doing"] == "listening";
    let both_listen = || wait_until("both listen", || listens(&a) && listens(&b));
    both_listen();
    a.add_one("live");
    wait_until("it is on the other device", || b.commands().contains(&"live".to_owned()));

    machine.hang_up();
    a.add_one("after the cut");
    wait_until("it comes after the cut", || b.commands().contains(&"after the cut".to_owned()));

    // Its host goes away altogether, with the relay, and comes back.
    drop(machine.sshd.kill());
    machine.hang_up();
    signal("KILL", holder(&machine.store()).expect("a relay runs there"));
    b.add_one("meanwhile");
    machine.listen();
    wait_until("it comes when the machine is back", || a.commands().contains(&"meanwhile".to_owned()));
}

#[test]
fn what_keeps_it_from_logging_in_is_told_in_plain_words() {
    let Some(machine) = Machine::start() else { return };
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    let url = machine.url();
    let says = |config: &str, url: &str, said: &str| {
        let run = machine.run_by(&device, config, &["sync", "relay", "test", url]);
        assert_eq!(run.code, Some(5), "{run:?}");
        assert!(run.stderr.contains(said), "{said}: {run:?}");
    };
    says("config-stranger", &url, "has to work without a question");
    says("config-unknown", &url, "its host key is not known");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    says("config", &format!("ssh://{nobody}"), "nothing listens there");
    says("config", "ssh://nobody.invalid", "its name is not known");

    std::fs::remove_file(at_of(&machine, "bin/caro")).unwrap();
    says("config", &url, "there is no caro on that machine");
    std::fs::write(
        at_of(&machine, "bin/caro"),
        "#!/bin/sh\necho \"Error: unexpected argument '--stdio' found\" >&2\nexit 2\n",
    )
    .unwrap();
    std::fs::set_permissions(at_of(&machine, "bin/caro"), std::fs::Permissions::from_mode(0o755)).unwrap();
    says("config", &url, "too old to be a relay");

    let words = "#!/bin/sh\nprintf 'Error: \\033[31mred\\033]0;title\\007\\n' >&2\nexit 2\n";
    std::fs::write(at_of(&machine, "bin/caro"), words).unwrap();
    let run = machine.run(&device, &["sync", "relay", "test", &url]);
    assert!(run.stderr.contains("says: [31mred]0;title") && !run.stderr.contains('\x1b'), "{run:?}");

    let mut command = device.command(["sync", "relay", "test", &url]);
    command.env("CARO_SSH", "no-such-ssh -v");
    let run = device.finish(command, &[]);
    assert!(run.stderr.contains("there is no `no-such-ssh` on this machine"), "{run:?}");
    for wrong in ["ssh://me:secret@host", "ssh://-oProxyCommand=touch", "ssh://host/?x=y"] {
        let run = device.run(["sync", "relay", "test", wrong]);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(!run.stderr.contains("secret"), "{run:?}");
    }
}

#[test]
fn a_relay_there_that_cannot_use_its_folder_is_told_here_and_another_folder_can_be_named() {
    let Some(machine) = Machine::start() else { return };
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    std::fs::create_dir_all(machine.store()).unwrap();
    std::fs::write(machine.store().join("relay.db"), "no database, but long enough to be taken for one".repeat(100))
        .unwrap();
    let run = machine.run(&device, &["sync", "relay", "test", &machine.url()]);
    assert_eq!(run.code, Some(5), "{run:?}");
    assert!(run.stderr.contains("the caro on that machine says") && run.stderr.contains("damaged"), "{run:?}");

    let elsewhere = machine.folder.path().join("elsewhere");
    init(&machine, &device, &format!("{}{}", machine.url(), elsewhere.display()));
    machine.ok(&device, &["sync", "now"]);
    assert!(elsewhere.join("relay.db").exists());
}

#[test]
fn nothing_is_left_running_here_when_a_command_has_ended() {
    let Some(machine) = Machine::start() else { return };
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    init(&machine, &device, &machine.url());
    machine.ok(&device, &["sync", "now"]);
    let config = machine.folder.path().join("config").display().to_string();
    let logins = || {
        let mut command = Command::new("pgrep");
        command.args(["-f", &format!("ssh -F {config} ")]).stdout(Stdio::piped()).stderr(Stdio::null());
        finish_within(command, &[], crate::common::home::DEADLINE).stdout
    };
    wait_until("no ssh is left", || logins().is_empty());
}
