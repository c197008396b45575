//! The key store against a real Secret Service: GNOME Keyring on a D-Bus of its own.
//!
//! Each test starts `dbus-run-session` with a temporary home and a bus on which nothing starts by
//! itself, so neither the developer's keyring nor another test is ever touched. What was stored is
//! looked at with `secret-tool`, a program that shares no code with ours.

#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use caro::identity::{
    Credentials, FileKeyStore, KeyStore, KeyStoreError, KeyStoreKind, OsKeyStore, Phrase, Protection, WordCount,
};
use tempfile::TempDir;

const PACKAGES: &str = "apt-get install -y dbus gnome-keyring libsecret-tools";
/// For a daemon to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(600);
/// What a busy machine may add to a time that is measured.
const SLACK: Duration = Duration::from_secs(5);

/// A session bus, with or without a keyring daemon on it. Ends when dropped, and the daemon with it.
struct Session {
    child: Child,
    address: String,
    daemon: Option<u32>,
    home: TempDir,
}

impl Session {
    /// With GNOME Keyring, unlocked, on the bus.
    fn with_keyring() -> Self {
        let session = Self::start(
            "printf 'test password' \
             | gnome-keyring-daemon --foreground --unlock --components=secrets \
             >/dev/null 2>&1 & echo $!",
        );
        let store = session.store();
        wait_until("the keyring is ready", || store.usable().is_ok());
        session
    }

    /// With nothing on the bus.
    fn empty() -> Self {
        Self::start("echo")
    }

    fn start(script: &str) -> Self {
        for program in ["dbus-run-session", "dbus-send", "gnome-keyring-daemon", "secret-tool"] {
            let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                .any(|directory| directory.join(program).is_file());
            assert!(found, "{program} is missing; install it: {PACKAGES}");
        }
        let home = TempDir::new().unwrap();
        let config = home.path().join("bus.conf");
        let listen = home.path().display();
        fs::write(
            &config,
            format!(
                "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"
                 \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">
                 <busconfig><type>session</type><listen>unix:dir={listen}</listen>
                 <auth>EXTERNAL</auth><policy context=\"default\">
                 <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>
                 <allow own=\"*\"/></policy></busconfig>"
            ),
        )
        .unwrap();
        // The session lives until this process closes the pipe that `cat` reads.
        let mut child = Command::new("dbus-run-session")
            .arg(format!("--config-file={}", config.display()))
            .args(["--", "sh", "-c"])
            .arg(format!("printf '%s\\n' \"$DBUS_SESSION_BUS_ADDRESS\"; {script}; cat"))
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path().join("data"))
            .env("XDG_RUNTIME_DIR", home.path())
            .env_remove("GNOME_KEYRING_CONTROL")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        let (address, daemon) = (line(), line().parse().ok());
        Self { child, address, daemon, home }
    }

    /// The store of one home, told apart from all others on this machine.
    fn store_for(&self, name: &str) -> OsKeyStore {
        let id = format!("test-{}-{name}", self.home.path().display());
        OsKeyStore::new(&id).with_bus_address(&self.address).with_deadline(PATIENCE)
    }

    fn store(&self) -> OsKeyStore {
        self.store_for("a")
    }

    fn run(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(program)
            .args(arguments)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("HOME", self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What `secret-tool` finds for a home.
    fn look_up(&self, name: &str) -> Option<String> {
        let id = format!("test-{}-{name}", self.home.path().display());
        let output = self.run("secret-tool", &["lookup", "service", "caro-sync", "username", &id], "");
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn lock(&self) {
        let output = self.run(
            "dbus-send",
            &[
                "--print-reply",
                "--dest=org.freedesktop.secrets",
                "/org/freedesktop/secrets",
                "org.freedesktop.Secret.Service.Lock",
                "array:objpath:/org/freedesktop/secrets/aliases/default",
            ],
            "",
        );
        assert!(output.status.success(), "{output:?}");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.daemon.unwrap().to_string()]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon {
            // It may have been left stopped by a failed assertion.
            let _ = Command::new("kill").args(["-CONT", &daemon.to_string()]).status();
        }
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::yield_now();
    }
}

fn credentials() -> Credentials {
    Credentials::from_phrase(Phrase::generate(WordCount::TwentyFour).unwrap(), 1234).unwrap()
}

fn assert_same(a: &Credentials, b: &Credentials) {
    assert_eq!(a.master().expose(), b.master().expose());
    assert_eq!(a.phrase().map(Phrase::expose_words), b.phrase().map(Phrase::expose_words));
    assert_eq!(a.created_at(), b.created_at());
}

/// How long `action` took, and what came of it.
fn timed<T>(action: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = action();
    (start.elapsed(), result)
}

#[test]
fn stores_loads_replaces_and_deletes() {
    let session = Session::with_keyring();
    let store = session.store();
    assert!(store.load().unwrap().is_none());
    assert!(!store.delete().unwrap());
    assert_eq!(session.look_up("a"), None);

    let first = credentials();
    store.store(&first).unwrap();
    let seen = session.look_up("a").unwrap();
    assert!(seen.starts_with("caro:"), "{seen}");
    // From the keyring itself, not from the kernel's copy.
    store.forget_copy().unwrap();
    assert_same(&store.load().unwrap().unwrap(), &first);

    let mut second = credentials();
    second.forget_phrase();
    store.store(&second).unwrap();
    assert_ne!(session.look_up("a").unwrap(), seen);
    assert_same(&store.load().unwrap().unwrap(), &second);
    store.forget_copy().unwrap();
    assert_same(&store.load().unwrap().unwrap(), &second);

    assert!(store.delete().unwrap());
    assert!(store.load().unwrap().is_none());
    assert!(!store.has_copy());
    assert_eq!(session.look_up("a"), None);
    assert!(!store.delete().unwrap());
}

#[test]
fn two_homes_never_meet() {
    let session = Session::with_keyring();
    let (a, b) = (session.store_for("a"), session.store_for("b"));
    let (for_a, for_b) = (credentials(), credentials());
    a.store(&for_a).unwrap();
    assert!(b.load().unwrap().is_none());
    b.store(&for_b).unwrap();
    for store in [&a, &b] {
        store.forget_copy().unwrap();
    }
    assert_same(&a.load().unwrap().unwrap(), &for_a);
    assert!(a.delete().unwrap());
    assert_same(&b.load().unwrap().unwrap(), &for_b);
    assert!(b.delete().unwrap());
}

#[test]
fn a_copy_in_the_kernel_spares_the_bus() {
    let session = Session::with_keyring();
    let stored = credentials();
    session.store().store(&stored).unwrap();
    session.signal("-STOP");
    let store = session.store().with_deadline(SHORT);
    let copied = store.has_copy();
    let (took, loaded) = timed(|| store.load());
    if copied {
        assert_same(&loaded.unwrap().unwrap(), &stored);
        assert!(took < SHORT, "{took:?}");
    } else {
        // No persistent keyrings here (a container may forbid them): then the bus is asked.
        assert!(matches!(loaded, Err(KeyStoreError::NoAnswer { .. })), "{loaded:?}");
    }
    // A change that got no answer may yet have happened: the copy is not trusted any more.
    assert!(matches!(store.store(&credentials()), Err(KeyStoreError::NoAnswer { .. })));
    assert!(!store.has_copy());
    session.signal("-CONT");
    // A load without a copy makes one again, where there can be one.
    store.forget_copy().unwrap();
    wait_until("the keyring answers again", || store.load().is_ok());
    assert_eq!(store.has_copy(), copied);
    wait_until("the keyring deletes", || store.delete().is_ok());
}

#[test]
fn a_locked_keyring_is_reported_and_not_prompted_for() {
    let session = Session::with_keyring();
    let store = session.store();
    let stored = credentials();
    store.store(&stored).unwrap();
    store.forget_copy().unwrap();
    session.lock();
    let other_home = session.store_for("b");
    let results = [
        timed(|| store.load().map(drop)),
        timed(|| store.store(&stored)),
        timed(|| store.delete().map(drop)),
        timed(|| store.usable()),
        timed(|| other_home.load().map(drop)),
        timed(|| other_home.store(&stored)),
    ];
    for (took, result) in results {
        let error = result.unwrap_err();
        assert!(matches!(error, KeyStoreError::Locked), "{error:?}");
        assert!(error.to_string().contains("CARO_KEYSTORE=file"));
        assert!(took < PATIENCE, "{took:?}");
    }
}

#[test]
fn a_keyring_that_hangs_ends_at_the_deadline() {
    let session = Session::with_keyring();
    session.signal("-STOP");
    let store = session.store().with_deadline(SHORT);
    let stored = credentials();
    let results = [
        timed(|| store.load().map(drop)),
        timed(|| store.store(&stored)),
        timed(|| store.delete().map(drop)),
        timed(|| store.usable()),
    ];
    for (took, result) in results {
        let error = result.unwrap_err();
        assert!(matches!(error, KeyStoreError::NoAnswer { deadline: SHORT }), "{error:?}");
        assert!(error.to_string().contains("0.6 s"), "{error}");
        assert!(took >= SHORT && took < SHORT + SLACK, "{took:?}");
    }
}

#[test]
fn a_bus_that_hangs_ends_at_the_deadline() {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("bus");
    // Connections are taken into the queue, and never answered.
    let _listener = UnixListener::bind(&socket).unwrap();
    let store = store_at(&socket).with_deadline(SHORT);
    let (took, result) = timed(|| store.load());
    assert!(matches!(result, Err(KeyStoreError::NoAnswer { .. })), "{result:?}");
    assert!(took >= SHORT && took < SHORT + SLACK, "{took:?}");
}

#[test]
fn no_bus_and_no_daemon_are_clear_and_fast() {
    let directory = TempDir::new().unwrap();
    let dead = directory.path().join("dead");
    drop(UnixListener::bind(&dead).unwrap());
    let empty = Session::empty();
    let stored = credentials();
    for store in [
        store_at(&directory.path().join("missing")),
        store_at(&dead),
        OsKeyStore::new("test-nonsense").with_bus_address("no address at all"),
        empty.store(),
    ] {
        for (took, result) in
            [timed(|| store.load().map(drop)), timed(|| store.store(&stored)), timed(|| store.delete().map(drop))]
        {
            let error = result.unwrap_err();
            assert!(matches!(error, KeyStoreError::NoService), "{error:?}");
            assert!(error.to_string().contains("CARO_KEYSTORE=file"));
            assert!(took < SLACK, "{took:?}");
        }
    }
}

#[test]
fn a_foreign_item_is_called_damaged() {
    let session = Session::with_keyring();
    let id = format!("test-{}-a", session.home.path().display());
    let stored =
        session.run("secret-tool", &["store", "--label=x", "service", "caro-sync", "username", &id], "hunter2");
    assert!(stored.status.success(), "{stored:?}");
    let error = session.store().load().unwrap_err();
    assert!(matches!(error, KeyStoreError::Damaged), "{error:?}");
    assert!(!error.to_string().contains("hunter2"));
    // Storing puts it right, in the same item.
    session.store().store(&credentials()).unwrap();
    assert!(session.look_up("a").unwrap().starts_with("caro:"));
    assert!(session.store().delete().unwrap());
}

#[test]
fn chooses_the_store_that_fits() {
    let session = Session::with_keyring();
    let directory = TempDir::new().unwrap();
    let file = || FileKeyStore::new(directory.path().join("keys"), None);
    let chosen = |kind, os| KeyStore::open(kind, os, file());

    let store = chosen(None, session.store());
    assert_eq!(store.kind(), KeyStoreKind::Os);
    assert_eq!(store.protection().unwrap(), Protection::Os);
    assert_eq!(chosen(Some(KeyStoreKind::File), session.store()).kind(), KeyStoreKind::File);
    session.lock();
    assert_eq!(chosen(None, session.store()).kind(), KeyStoreKind::Os);

    let nobody = || store_at(&directory.path().join("missing"));
    assert_eq!(chosen(Some(KeyStoreKind::Os), nobody()).kind(), KeyStoreKind::Os);
    let store = chosen(None, nobody());
    assert_eq!(store.kind(), KeyStoreKind::File);
    assert_eq!(store.protection().unwrap(), Protection::Plain);
    let stored = credentials();
    store.store(&stored).unwrap();
    assert_same(&store.load().unwrap().unwrap(), &stored);
    // Where the credentials already are wins over what could be used.
    assert_eq!(chosen(None, Session::with_keyring().store()).kind(), KeyStoreKind::File);
    assert!(store.delete().unwrap());
}

fn store_at(socket: &Path) -> OsKeyStore {
    let id = format!("test-{}", socket.display());
    OsKeyStore::new(&id).with_bus_address(&format!("unix:path={}", socket.display()))
}
