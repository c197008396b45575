//! `caro relay serve` as its operator sees it: health, stopping, one store each, and what it does not keep.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::common::home::DEADLINE;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, bytes_of, contains, finish_within, serve, signal};

/// What the relay answers to a plain request.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_says_that_it_is_well_and_what_it_is() {
    let relay = Relay::new();
    let health = get(relay.address(), "/health");
    assert!(health.starts_with("HTTP/1.1 200 OK") && health.ends_with("ok\n"), "{health}");
    let browser = get(relay.address(), "/");
    assert!(browser.starts_with("HTTP/1.1 426") && browser.contains("connect with a WebSocket"), "{browser}");
}

#[test]
fn it_stops_in_good_order_when_told_and_keeps_everything() {
    let mut relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&(0..50).map(|i| format!("kept {i}")).collect::<Vec<_>>());
    let phrase = a.init(&relay.url());
    // What is counted for whoever asks leaves nothing open.
    let asked = a.ok(["relay", "status", "--data-dir", relay.data().to_str().unwrap()]);
    assert!(asked.stdout.contains("stored"), "{asked:?}");
    assert_eq!(relay.stop().code(), Some(0), "{}", relay.log());
    for side in ["relay.db-wal", "relay.db-shm"] {
        assert!(!relay.data().join(side).exists(), "{side} is left");
    }
    relay.start_again();
    b.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 50);
}

#[test]
fn it_stops_while_clients_are_connected() {
    let mut relay = Relay::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connected = runtime.block_on(tokio_tungstenite::connect_async(relay.url())).unwrap();
    assert_eq!(relay.stop().code(), Some(0), "{}", relay.log());
    drop(connected);
}

#[test]
fn an_interrupt_stops_it_too() {
    use std::os::unix::process::ExitStatusExt;
    let mut relay = Relay::new();
    signal("INT", relay.pid());
    let status = relay.stop_quietly();
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{}", relay.log());
}

#[test]
fn two_of_them_cannot_share_a_store() {
    let relay = Relay::new();
    let second = serve(relay.data(), SocketAddr::from(([127, 0, 0, 1], 0)));
    let run = finish_within(second, &[], DEADLINE);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("another relay is using"), "{run:?}");
    assert!(run.stderr.contains("--data-dir"), "{run:?}");
    assert!(get(relay.address(), "/health").ends_with("ok\n"), "the first one is unharmed");
}

#[test]
fn a_taken_address_is_an_error_that_names_it() {
    let relay = Relay::new();
    let folder = tempfile::tempdir().unwrap();
    let run = finish_within(serve(&folder.path().join("relay"), relay.address()), &[], DEADLINE);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(&relay.address().to_string()), "{run:?}");
    assert!(run.stderr.contains("--listen"), "{run:?}");
}

#[test]
fn it_keeps_no_addresses_of_its_clients() {
    let relay = Relay::new();
    let device = SyncHome::new("laptop");
    device.add_one("ls");
    device.init(&relay.url());
    device.now();
    let bytes = bytes_of(relay.data());
    assert!(contains(&bytes, b"co_z"), "the search finds what is there");
    assert!(!contains(&bytes, b"127.0.0.1"), "a client's address is in the store");
    assert!(!relay.log().contains("127.0.0.1"), "a client's address is in the log: {}", relay.log());
}

#[test]
fn its_store_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let relay = Relay::new();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(relay.data().to_owned()), 0o700);
    assert_eq!(mode(relay.data().join("relay.db")), 0o600);
}

#[test]
fn a_restart_in_the_middle_is_survived_by_an_exchange() {
    let mut relay = Relay::new();
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    for round in 0..3 {
        a.add(&(0..200).map(|i| format!("round {round} {i}")).collect::<Vec<_>>());
        std::thread::scope(|scope| {
            let syncing = scope.spawn(|| a.run(["sync", "now", "--timeout", "20"]));
            relay.stop();
            relay.start_again();
            let run = syncing.join().unwrap();
            assert!(matches!(run.code, Some(0 | 5)), "{run:?}");
        });
    }
    a.now();
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 600);
}

#[test]
fn in_memory_it_leaves_no_file() {
    let device = SyncHome::new("laptop");
    let mut command = device.home.command(["relay", "serve", "--in-memory", "--listen", "127.0.0.1:0"]);
    command.stdin(std::process::Stdio::null());
    let mut process = crate::common::node::LineProcess::start("caro relay", &mut command);
    let url = process.line(DEADLINE).strip_prefix("listening on ").expect("it says where").to_owned();
    device.add_one("ls");
    device.init(&url);
    drop(process);
    assert!(!device.data("relay").exists());
}
