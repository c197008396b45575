//! A connection that is lost comes back by itself, and what was written meanwhile goes over.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use caro::net::{Connection, Network};
use caro::runtime::protocol::{Append, CreateSegment, Event, Exchange, Open, Outcome, Positions};
use caro::runtime::{Isolate, IsolateOptions, open_database};
use futures::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::peers::{DEADLINE, address};
use crate::common::node::LineProcess;
use crate::isolate::bare::agent_secret;

const MONTH: &str = "2026-11-01T00:00:00.000Z";

/// The relay on a port, and its process.
fn relay(folder: &Path, listen: &str) -> (LineProcess, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_caro"));
    command.args(["relay", "serve", "--listen", listen, "--data-dir"]).arg(folder).env("HOME", folder);
    let mut process = LineProcess::start("caro relay", &mut command);
    let line = process.line(DEADLINE);
    let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
    (process, url)
}

struct Client {
    // Dropped before the network that its sockets live on.
    isolate: Isolate,
    _network: Network,
}

impl Client {
    fn new(url: &str) -> Self {
        let network = Network::start().unwrap();
        let (dialer, first) = Connection::begin(address(url), network.handle(), Default::default()).split();
        network.block_on(first).unwrap();
        let database = open_database(None).unwrap();
        let isolate =
            Isolate::start(IsolateOptions { store: Box::new(database), dialer: Some(dialer), memory_limit: 256 << 20 })
                .unwrap();
        let open = Open {
            agent_secret: &agent_secret(),
            session: None,
            create: true,
            peer: Some("relay"),
            month: MONTH,
            ahead: &Positions::new(),
            timeout_ms: 20_000,
        };
        isolate.call(&open, DEADLINE).unwrap();
        Self { isolate, _network: network }
    }

    fn append(&self, id: &str, value: &str) {
        self.isolate.call(&Append { id: id.into(), values: vec![value.into()] }, DEADLINE).unwrap();
    }

    fn exchange(&self, id: &str, timeout: Duration) -> Outcome {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap();
        let exchanged = self.isolate.call(&Exchange { ids: vec![id.into()], timeout_ms }, timeout + DEADLINE).unwrap();
        exchanged.outcomes[id]
    }

    fn wait_for(&self, expected: &Event) {
        let end = Instant::now() + DEADLINE;
        while self.isolate.next_event(end.saturating_duration_since(Instant::now())).as_ref() != Some(expected) {
            assert!(Instant::now() < end, "never {expected:?}");
        }
    }
}

#[test]
fn a_relay_that_was_killed_and_comes_back_gets_what_it_missed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, url) = relay(folder.path(), "127.0.0.1:0");
    let client = Client::new(&url);
    client.wait_for(&Event::Connected);
    let segment = client.isolate.call(&CreateSegment { month: MONTH.into() }, DEADLINE).unwrap().id;
    client.append(&segment, "before");
    assert_eq!(client.exchange(&segment, DEADLINE), Outcome::Current);

    drop(first);
    client.wait_for(&Event::Disconnected);
    client.append(&segment, "meanwhile");
    assert_eq!(client.exchange(&segment, Duration::from_millis(500)), Outcome::Offline);

    let (_second, again) = relay(folder.path(), url.strip_prefix("ws://").unwrap());
    assert_eq!(again, url);
    assert_eq!(client.exchange(&segment, DEADLINE), Outcome::Current);
    client.append(&segment, "after");
    assert_eq!(client.exchange(&segment, DEADLINE), Outcome::Current);
}

#[test]
fn a_relay_that_loses_its_store_gets_everything_again() {
    let (folder, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, url) = relay(folder.path(), "127.0.0.1:0");
    let client = Client::new(&url);
    let segment = client.isolate.call(&CreateSegment { month: MONTH.into() }, DEADLINE).unwrap().id;
    client.append(&segment, "before");
    assert_eq!(client.exchange(&segment, DEADLINE), Outcome::Current);
    drop(first);
    client.wait_for(&Event::Disconnected);
    let (_second, _) = relay(empty.path(), url.strip_prefix("ws://").unwrap());
    client.wait_for(&Event::Connected);
    client.append(&segment, "after");
    assert_eq!(client.exchange(&segment, DEADLINE), Outcome::Current);
}

#[test]
fn the_relay_ends_a_connection_whose_frame_is_too_large_and_serves_on() {
    let folder = tempfile::tempdir().unwrap();
    let (_relay, url) = relay(folder.path(), "127.0.0.1:0");
    let network = Network::start().unwrap();
    network.block_on(async {
        let mut config = WebSocketConfig::default();
        config.max_message_size = None;
        config.max_frame_size = None;
        let (mut socket, _) = tokio_tungstenite::connect_async_with_config(&url, Some(config), false).await.unwrap();
        // The relay may have cut the connection before everything is written.
        let _ = socket.send(Message::text("m".repeat((64 << 20) + 1))).await;
        let end = tokio::time::timeout(DEADLINE, async { while let Some(Ok(_)) = socket.next().await {} }).await;
        assert!(end.is_ok(), "the connection stays open");
    });
    let client = Client::new(&url);
    let segment = client.isolate.call(&CreateSegment { month: MONTH.into() }, DEADLINE).unwrap().id;
    assert_eq!(client.exchange(&segment, DEADLINE), Outcome::Current);
}
