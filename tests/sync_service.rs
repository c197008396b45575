//! The daemon as a service of the system: the definitions that are written, and systemd running one of them for real.
//!
//! A systemd of its own is started for that, as the user's manager, apart from the machine's own processes, mounts and
//! control groups. That takes root; elsewhere the test says that it was skipped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::home::{Run, wait_until};
use crate::common::sync::{Relay, SyncHome};

/// Where systemd lies.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// `caro sync service` with these arguments, in a home with its own folders for the system's files.
fn service_command(device: &SyncHome, args: &[&str]) -> Command {
    let mut command = device.command(["sync", "service"].iter().chain(args));
    command.envs(environment(device));
    command
}

fn service(device: &SyncHome, args: &[&str]) -> Run {
    device.finish(service_command(device, args), &[])
}

#[test]
fn the_unit_is_one_that_systemd_understands() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    assert_eq!(service(&device, &["install"]).code, Some(3), "without a setup there is nothing to run");
    device.init(&relay.url());
    let printed = service(&device, &["install", "--print", "--platform", "linux"]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let installed = service(&device, &["install", "--no-start"]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let unit = device.home.path().join("xdg/systemd/user/caro-sync.service");
    let text = std::fs::read_to_string(&unit).unwrap().replace(&device.home.path().display().to_string(), "$HOME");
    assert_eq!(text, printed.stdout);
    assert!(text.contains("CARO_DATA_DIR=$HOME/data") && text.contains("NoNewPrivileges=yes"), "{text}");
    let status = service(&device, &["status", "--json"]).json().remove(0);
    assert_eq!((status["installed"].as_bool(), status["schema_version"].as_u64()), (Some(true), Some(1)));

    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--user"]).arg(&unit).env("HOME", device.home.path()).env_remove("XDG_CONFIG_HOME");
    verify.env("XDG_RUNTIME_DIR", device.home.path()).stdin(Stdio::null());
    match verify.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains("caro-sync.service:"), "{said}");
            println!("systemd-analyze verify: the unit is well formed");
        }
        Err(_) => println!("skipped: there is no systemd-analyze here"),
    }

    let removed = service(&device, &["uninstall"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(!unit.exists());
    assert_eq!(service(&device, &["status", "--json"]).json().remove(0)["installed"], false);
    for (platform, part) in [("macos", "<key>RunAtLoad</key>"), ("windows", "<LogonTrigger>")] {
        let printed = service(&device, &["install", "--print", "--platform", platform]);
        assert!(printed.stdout.contains(part), "{printed:?}");
    }
}

/// Makes a machine in which a user's systemd starts: booted with systemd as it seems, all its control groups below
/// one of this test. As its first process systemd would take itself for the system's.
const MACHINE: &str = r#"
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/groups
mount -t cgroup2 cgroup2 /run/groups
mkdir "/run/groups/$2"
echo $$ > "/run/groups/$2/cgroup.procs"
umount /run/groups
mount -t tmpfs tmpfs /sys/fs/cgroup
exec unshare --cgroup sh -ec 'mount -t cgroup2 cgroup2 /sys/fs/cgroup; "$1" --user; exit' sh "$1"
"#;

/// What removes the control groups again, the innermost first; wherever they are mounted outside.
const NO_GROUPS: &str = r#"
mount -t tmpfs tmpfs /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} +
"#;

/// A user's systemd; it ends with everything it started when it goes away.
struct UserSystemd {
    child: Child,
    /// Its process, as it is seen from outside.
    pid: Option<u32>,
    group: String,
}

impl UserSystemd {
    /// None where none can be started.
    fn start(device: &SyncHome) -> Option<Self> {
        let systemd = SYSTEMD.into_iter().find(|path| Path::new(path).exists())?;
        std::fs::create_dir(device.home.path().join("run")).unwrap();
        let group = format!("caro-test-{}", std::process::id());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", MACHINE, "sh", systemd, &group]);
        command.envs(environment(device)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut manager = Self { child: command.spawn().ok()?, pid: None, group };
        let mut runs = false;
        wait_until("systemd runs, or has refused to", || {
            manager.pid = manager.pid.or_else(|| only_child(manager.child.id()));
            runs = matches!(manager.systemctl(device, &["is-system-running"]).trim(), "running" | "degraded");
            runs || manager.child.try_wait().unwrap().is_some()
        });
        runs.then_some(manager)
    }

    /// The command as it runs in that machine.
    fn inside(&self, plain: &Command) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.pid.unwrap_or_default().to_string()).args(["--mount", "--pid", "--cgroup"]);
        command.arg("--").arg(plain.get_program()).args(plain.get_args()).env_clear();
        command.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What `systemctl --user` prints.
    fn systemctl(&self, device: &SyncHome, args: &[&str]) -> String {
        let mut command = Command::new("systemctl");
        command.arg("--user").args(args).envs(environment(device));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let output = self.inside(&command).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }

    /// `caro sync service` with these arguments.
    fn service(&self, device: &SyncHome, args: &[&str]) -> Run {
        device.finish(self.inside(&service_command(device, args)), &[])
    }
}

impl Drop for UserSystemd {
    fn drop(&mut self) {
        // The first process of its machine: nothing there outlives it.
        match self.pid {
            Some(pid) => drop(Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status()),
            None => drop(self.child.kill()),
        }
        drop(self.child.wait());
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", NO_GROUPS, "sh", &self.group]).stderr(Stdio::null());
        drop(command.status());
    }
}

/// The child of a process that has one.
fn only_child(pid: u32) -> Option<u32> {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?.trim().parse().ok()
}

/// Where a device's systemd finds its socket and its units.
fn environment(device: &SyncHome) -> [(&'static str, PathBuf); 2] {
    [("XDG_RUNTIME_DIR", "run"), ("XDG_CONFIG_HOME", "xdg")]
        .map(|(name, folder)| (name, device.home.path().join(folder)))
}

#[test]
fn a_users_systemd_runs_the_daemon_and_starts_it_again() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.init(&relay.url());
    device.exchanges("realtime");
    let Some(systemd) = UserSystemd::start(&device) else {
        println!("skipped: no systemd of this user can be started here");
        return;
    };
    let daemon = || device.status()["daemon"].clone();
    let listens = || wait_until("the daemon listens", || daemon()["doing"] == "listening");
    let installed = systemd.service(&device, &["install"]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    assert!(installed.stderr.contains("The daemon runs"), "{installed:?}");
    listens();
    let status = systemd.service(&device, &["status", "--json"]).json().remove(0);
    assert_eq!((status["installed"].as_bool(), status["running"].as_bool()), (Some(true), Some(true)), "{status}");
    device.add_one("under systemd");
    wait_until("it has gone up", || device.status()["pending"] == 0);

    systemd.systemctl(&device, &["kill", "--signal=KILL", "caro-sync.service"]);
    let restarts = || systemd.systemctl(&device, &["show", "--property=NRestarts", "--value", "caro-sync.service"]);
    wait_until("systemd has started it again", || restarts().trim() == "1");
    listens();
    let again = systemd.service(&device, &["install"]);
    assert_eq!(again.code, Some(0), "{again:?}");

    let removed = systemd.service(&device, &["uninstall"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(!removed.stderr.contains("Warning"), "{removed:?}");
    assert!(daemon().is_null(), "{}", daemon());
    assert_eq!(systemd.systemctl(&device, &["is-active", "caro-sync.service"]).trim(), "inactive");
    assert_eq!(systemd.service(&device, &["status", "--json"]).json().remove(0)["installed"], false);
    let again = systemd.service(&device, &["uninstall"]);
    assert!(again.stderr.contains("The service is not installed"), "{again:?}");
}
