//! Consent: nothing leaves before yes, and nothing after `disable` returns, whichever process was at it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::home::{Run, wait_until};
use crate::common::sync::{Relay, SyncHome};

/// Stands between devices and a relay and counts connections: those ever made, and those open now.
struct Counter {
    address: SocketAddr,
    made: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    /// While set, what the relay says is held back.
    silent: Arc<AtomicBool>,
}

impl Counter {
    fn before(relay: &Relay) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counter = Self { address, made: Arc::default(), open: Arc::default(), silent: Arc::default() };
        let (made, open, silent) = (counter.made.clone(), counter.open.clone(), counter.silent.clone());
        let target = relay.address();
        thread::spawn(move || {
            for device in listener.incoming().map_while(Result::ok) {
                made.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let relay = TcpStream::connect(target).unwrap();
                let (from_relay, to_device) = (relay.try_clone().unwrap(), device.try_clone().unwrap());
                let silent = silent.clone();
                thread::spawn(move || pass(from_relay, to_device, &silent));
                let open = open.clone();
                thread::spawn(move || {
                    pass(device, relay, &AtomicBool::new(false));
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        counter
    }

    fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// Passes bytes on until either side has gone.
fn pass(mut from: TcpStream, mut to: TcpStream, silent: &AtomicBool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(1..) = from.read(&mut buffer).inspect(|read| {
        if !silent.load(Ordering::SeqCst) {
            drop(to.write_all(&buffer[..*read]));
        }
    }) {}
    drop(to.shutdown(std::net::Shutdown::Both));
    drop(from.shutdown(std::net::Shutdown::Both));
}

/// Runs whatever might dial the relay.
fn everything(device: &SyncHome) -> Vec<Run> {
    let commands: [&[&str]; 8] = [
        &["history", "add", "--command", "ls"],
        &["sync", "now"],
        &["sync", "now", "--background"],
        &["sync", "status"],
        &["sync", "doctor"],
        &["sync", "relay", "test"],
        &["sync", "devices", "rename", "laptop", "other"],
        &["sync", "rotate-keys"],
    ];
    commands.into_iter().map(|command| device.run(command)).collect()
}

#[test]
fn after_disable_returns_there_is_no_connection_and_none_is_made() {
    let relay = Relay::new();
    let counter = Counter::before(&relay);
    let device = SyncHome::new("laptop");
    device.init(&counter.url());
    device.exchanges("realtime");
    let daemon = device.daemon();
    daemon.wait_for("listening");
    assert_eq!(counter.open(), 1);

    let begun = Instant::now();
    device.ok(["sync", "disable"]);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    wait_until("the connection is closed", || counter.open() == 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    daemon.wait_for("disabled");

    let before = counter.made();
    let runs = everything(&device);
    assert_eq!(counter.made(), before, "{runs:?}");
    assert!(runs[1].stderr.contains("sync is disabled on this device") && runs[1].code == Some(1), "{:?}", runs[1]);
    assert!(runs[1].stderr.contains("caro sync enable"), "{:?}", runs[1]);

    // Without its terminal it cannot ask.
    let refused = device.run(["sync", "enable"]).failure(2);
    assert!(refused.stderr.contains("--yes") && refused.stderr.contains("To undo it"), "{refused:?}");
    assert_eq!(counter.made(), before);
    device.ok(["sync", "enable", "--yes"]);
    daemon.wait_for("listening");
    wait_until("what was recorded meanwhile goes up", || device.status()["pending"] == 0);
}

#[test]
fn an_exchange_of_any_process_ends_when_consent_is_withdrawn() {
    let relay = Relay::new();
    let counter = Counter::before(&relay);
    let device = SyncHome::new("laptop");
    device.init(&counter.url());
    device.add_one("ls");
    counter.silent.store(true, Ordering::SeqCst);
    let before = counter.made();
    let mut running = device.command(["sync", "now", "--timeout", "60"]);
    let child = running.spawn().unwrap();
    wait_until("it has dialled", || counter.made() > before);
    let begun = Instant::now();
    device.ok(["sync", "disable"]);
    let output = child.wait_with_output().unwrap();
    println!("an exchange ended {:?} after consent was withdrawn", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("sync is disabled on this device"), "{said}");
    wait_until("the connection is closed", || counter.open() == 0);
}

#[test]
fn consent_is_each_devices_own() {
    let relay = Relay::new();
    let (a, b) = crate::sync_daemon::pair(&relay);
    a.ok(["sync", "disable"]);
    b.add_one("from b");
    assert_eq!(b.now().sent, 1);
    a.run(["sync", "now"]).failure(1);
    assert_eq!((a.status()["state"].as_str(), b.status()["state"].as_str()), (Some("disabled"), Some("on")));
    a.ok(["sync", "enable", "--yes"]);
    assert_eq!(a.now().received, 1);
}
