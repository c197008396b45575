//! Relays that share a PostgreSQL database, and engines that share a store: what one stores the others have.

use std::time::Duration;

use crate::common::authority::Authority;
use crate::common::home::wait_until;
use crate::common::postgres::{Breaking, PASSWORD, Postgres};
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, serve};
use crate::official_peers::{live_update_between, offline_writes_between};
use crate::relay_proxies::{adapted, installed, nginx, packaged};

/// Two relays on one database.
fn two(database: &Postgres) -> (Relay, Relay) {
    (Relay::with(&["--database", &database.url()]), Relay::with(&["--database", &database.url()]))
}

/// Two devices whose daemons exchange at once.
fn live_devices() -> (SyncHome, SyncHome) {
    let devices = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    devices.0.exchanges("realtime");
    devices.1.exchanges("realtime");
    devices
}

fn commands(device: &str, from: usize, to: usize) -> Vec<String> {
    (from..to).map(|i| format!("on {device} {i}")).collect()
}

#[test]
fn a_command_at_one_relay_reaches_a_device_at_another_one_at_once() {
    let Some(database) = Postgres::start() else { return };
    let (first, second) = two(&database);
    let (a, b) = live_devices();
    a.add(&commands("a", 0, 300));
    let phrase = a.init(&first.url());
    b.restored(&second.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 300);

    let daemons = (a.daemon(), b.daemon());
    for i in 0..5 {
        let (from, to) = if i % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let command = format!("live {i}");
        from.add(std::slice::from_ref(&command));
        wait_until("it has come", || to.commands().contains(&command));
    }
    drop(daemons);
    assert_eq!(assert_equal_histories(&[&a, &b]), 305);
    for relay in [&first, &second] {
        assert!(!relay.log().contains("WARN") && !relay.log().contains("ERROR"), "{}", relay.log());
    }
}

#[test]
fn devices_of_a_relay_that_was_killed_go_on_at_another_one() {
    let Some(database) = Postgres::start() else { return };
    let (mut first, second) = two(&database);
    let (a, b) = live_devices();
    let phrase = a.init(&first.url());
    b.restored(&first.url(), &phrase);
    let daemons = (a.daemon(), b.daemon());
    a.add(&commands("a", 0, 200));
    b.add(&commands("b", 0, 200));
    wait_until("something has arrived", || b.commands().iter().any(|command| command.starts_with("on a")));
    first.kill();
    drop(daemons);

    for device in [&a, &b] {
        device.ok(["sync", "relay", "set", "--yes", &second.url()]);
    }
    for _ in 0..2 {
        a.now();
        b.now();
    }
    a.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 400);
}

#[test]
fn behind_nginx_a_relay_that_was_killed_is_stood_in_for() {
    let Some(database) = Postgres::start() else { return };
    let Some(program) = installed("nginx") else { return };
    let relays = ["--path", "/caro", "--database", &database.url()];
    let mut relays = [Relay::with(&relays), Relay::with(&relays)];
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = adapted(
        &packaged("nginx-several.conf"),
        &[
            ("relay-1.internal:4200", &relays[0].address().to_string()),
            ("relay-2.internal:4200", &relays[1].address().to_string()),
            ("listen 443 ssl;", &format!("listen {address};")),
            ("    listen [::]:443 ssl;\n", ""),
            ("    ssl_certificate /etc/ssl/relay.example/fullchain.pem;\n", ""),
            ("    ssl_certificate_key /etc/ssl/relay.example/privkey.pem;\n", ""),
        ],
    );
    let mut proxy = nginx(&program, folder.path(), &server).spawn().unwrap();
    wait_until("the proxy listens", || std::net::TcpStream::connect(address).is_ok());

    let (a, b) = live_devices();
    let phrase = a.init(&format!("ws://{address}/caro/a-token-of-the-first-user"));
    b.restored(&format!("ws://{address}/caro/a-token-of-the-first-user"), &phrase);
    let daemons = (a.daemon(), b.daemon());
    a.add(&commands("a", 0, 100));
    wait_until("they have come", || b.commands().len() == 100);
    let serving = relays.iter_mut().find(|relay| connections(relay) > 0).expect("one of them serves");
    serving.kill();
    a.add(&commands("a", 100, 150));
    b.add(&commands("b", 0, 50));
    wait_until("both have all", || a.commands().len() == 200 && b.commands().len() == 200);
    drop(daemons);
    assert_eq!(assert_equal_histories(&[&a, &b]), 200);
    drop(proxy.kill());
    drop(proxy.wait());
}

#[test]
fn a_database_that_was_gone_is_used_again_and_nothing_is_lost() {
    let Some(mut database) = Postgres::start() else { return };
    let relay = Relay::with(&["--database", &database.url()]);
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    a.add(&commands("a", 0, 200));
    a.now();

    database.kill();
    a.add(&commands("a", 200, 250));
    let refused = a.run(["sync", "now"]);
    assert_ne!(refused.code, Some(0), "nothing is confirmed that is not in the database: {refused:?} {}", relay.log());
    wait_until("it says that it cannot serve", || ready(&relay).starts_with("HTTP/1.1 503"));

    database.start_again();
    wait_until("it serves again", || ready(&relay).starts_with("HTTP/1.1 200"));
    wait_until("everything is there", || {
        let _ = a.run(["sync", "now"]);
        let _ = b.run(["sync", "now"]);
        b.records().len() == 250
    });
    assert_eq!(assert_equal_histories(&[&a, &b]), 250);
}

#[test]
fn half_a_change_is_never_stored_where_the_connection_to_the_database_ends_in_the_middle() {
    let Some(database) = Postgres::start() else { return };
    let way = Breaking::to(&database);
    let mut relay = Relay::with(&["--database", &way.url()]);
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    let phrase = a.init(&relay.url());
    for i in 0..5 {
        way.arm();
        a.add(&commands("a", i, i + 1));
        assert_eq!(a.now().pending, 0);
        assert!(way.has_broken());
    }
    let halves =
        r#"SELECT COUNT(*) FROM transactions LEFT JOIN sessions ON ses = "rowID" WHERE idx >= COALESCE("lastIdx", 0)"#;
    assert_eq!(database.query(halves)[0].get::<_, i64>(0), 0);
    // What it has in memory helps nobody any more.
    relay.kill();
    let relay = Relay::with(&["--database", &database.url()]);
    b.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 5);
}

/// How many clients a relay has.
fn connections(relay: &Relay) -> u64 {
    let mut status = std::process::Command::new(env!("CARGO_BIN_EXE_caro"));
    status.args(["relay", "status", "--json", "--data-dir"]).arg(relay.data());
    let output = status.output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a status");
    said["relay"]["connections"]["now"].as_u64().expect("a number")
}

/// What a relay answers to the question whether it takes connections.
fn ready(relay: &Relay) -> String {
    use std::io::{Read, Write};
    let mut answer = String::new();
    let asked = std::net::TcpStream::connect(relay.address()).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /ready HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")?;
        stream.read_to_string(&mut answer)
    });
    asked.map(|_| answer).unwrap_or_default()
}

#[test]
fn what_is_deleted_leaves_the_tables() {
    let Some(database) = Postgres::start() else { return };
    let relay = Relay::with(&["--database", &database.url()]);
    let a = SyncHome::new("laptop");
    a.init(&relay.url());
    let ids = a.add(&commands("a", 0, 50));
    a.now();
    let of_deleted = |what: &str| {
        let sql = format!(
            "SELECT count(*) FROM \"deletedCoValues\" JOIN \"coValues\" ON id = \"coValueID\" \
             JOIN sessions ON \"coValue\" = \"coValues\".\"rowID\" JOIN transactions ON ses = sessions.\"rowID\" WHERE {what}"
        );
        database.query(&sql)[0].get::<_, i64>(0)
    };
    assert_eq!(of_deleted("true"), 0, "nothing is deleted yet");
    a.ok(["history", "delete", "--yes", &ids[7]]);
    a.now();
    wait_until("the content is erased, and the mark is left", || {
        of_deleted("\"sessionID\" NOT LIKE '%$'") == 0 && of_deleted("\"sessionID\" LIKE '%$'") > 0
    });
    assert_eq!(a.records().len(), 49);
}

#[test]
fn a_database_is_reached_by_tls_and_its_password_is_never_shown() {
    let authority = Authority::new();
    let Some(database) = Postgres::start_with_tls(&authority) else { return };
    let url = format!("{}?sslmode=verify-full", database.url());
    let root = authority.root();
    let relay = Relay::with(&["--database", &url, "--database-ca", root.to_str().unwrap()]);
    let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
    a.add(&commands("a", 0, 10));
    let phrase = a.init(&relay.url());
    b.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&a, &b]), 10);

    // Another authority's certificate is not believed.
    let folder = tempfile::tempdir().unwrap();
    let stranger = Authority::new();
    let mut command = serve(&folder.path().join("relay"), ([127, 0, 0, 1], 0).into());
    command.args(["--database", &url, "--database-ca", stranger.root().to_str().unwrap()]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("cannot use the database at postgres://localhost"), "{said}");
    assert!(!said.contains(PASSWORD) && !relay.log().contains(PASSWORD), "{said}");
}

#[test]
fn official_devices_at_different_relays_see_each_other() {
    let Some(database) = Postgres::start() else { return };
    let (first, second) = two(&database);
    live_update_between([&first.url(), &second.url()]);
    offline_writes_between([&first.url(), &second.url()]);
}

#[test]
fn engines_on_one_file_serve_many_accounts() {
    let relay = Relay::with(&["--engines", "3"]);
    let devices: Vec<_> = (0..6).map(|_| (SyncHome::new("laptop"), SyncHome::new("desktop"))).collect();
    for (at, (a, b)) in devices.iter().enumerate() {
        a.add(&commands("a", 0, 20 + at));
        let phrase = a.init(&relay.url());
        b.restored(&relay.url(), &phrase);
        b.add(&commands("b", 0, 5));
        b.now();
        a.now();
        assert_eq!(assert_equal_histories(&[a, b]), 25 + at);
    }
    assert!(!relay.log().contains("WARN") && !relay.log().contains("ERROR"), "{}", relay.log());
}
