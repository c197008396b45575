//! The SDK's own work: create and confirm, open on an empty device, live updates.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use caro::net::{Connection, Network, Proxies, RelayAddress};
use caro::runtime::protocol::{
    Append, CreateSegment, Entries, Event, Exchange, Items, LoadRegistries, Open, Outcome, Positions, Registries, Set,
    Watch,
};
use caro::runtime::{Isolate, IsolateOptions, crypto, open_database_deferred};

use crate::node::{NodeRelay, node_script};
use crate::our_relay::OurRelay;
use crate::text::random_text;
use crate::times::percentile;
use crate::{BATCH, RECORDS, ROUNDS};

const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_MS: u64 = 60_000;
const MONTH: &str = "2026-11-01T00:00:00.000Z";

/// What one side took.
#[derive(Default)]
pub struct Figures {
    pub up: Duration,
    pub down: Duration,
    pub live_p50: Duration,
    pub live_p95: Duration,
    /// Bytes; 0 where it is printed elsewhere.
    pub relay_peak: u64,
}

/// The official SDK on Node over the official relay.
pub fn on_node(folder: &Path) -> Figures {
    let relay = NodeRelay::start(Some(&folder.join("node-relay.db")));
    let mut bench = node_script("bench.mjs");
    bench.args(["--relay", relay.url()]);
    bench.args(["--records", &RECORDS.to_string(), "--batch", &BATCH.to_string(), "--rounds", &ROUNDS.to_string()]);
    let output = bench.output().expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut figures = Figures::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let phase: serde_json::Value = serde_json::from_str(line).expect("a line of JSON for each phase");
        let time = |name: &str| Duration::from_secs_f64(phase[name].as_f64().expect("a figure") / 1e3);
        match phase["phase"].as_str() {
            Some("up") => figures.up = time("totalMs"),
            Some("down") => figures.down = time("totalMs"),
            Some("live") => (figures.live_p50, figures.live_p95) = (time("p50Ms"), time("p95Ms")),
            other => panic!("an unknown phase {other:?}"),
        }
    }
    figures.relay_peak = relay.stop();
    figures
}

/// The same in our isolate over our relay.
pub fn in_isolate(folder: &Path) -> Figures {
    let relay = OurRelay::start(&folder.join("caro-relay"));
    let secret = crypto::agent_secret(&{
        let mut seed = [0; 32];
        crypto::fill_random(&mut seed).expect("random bytes");
        seed
    });
    let contents: Vec<String> = (0..RECORDS).map(|_| random_text(300)).collect();

    let device = Device::open(&relay.url, &folder.join("up.db"), &secret, true);
    let begun = Instant::now();
    let mut segments = BTreeMap::new();
    for batch in contents.chunks(BATCH) {
        let id = device.ask(&CreateSegment { month: MONTH.into() }).id;
        device.ask(&Append { id: id.clone(), values: batch.to_vec() });
        segments.insert(id, batch.len().to_string());
    }
    device.ask(&Set { id: device.registries.index.clone(), entries: segments.clone() });
    let mut ids: Vec<String> = segments.into_keys().collect();
    ids.push(device.registries.index.clone());
    device.exchange(ids);
    let up = begun.elapsed();
    drop(device);

    let begun = Instant::now();
    let device = Device::open(&relay.url, &folder.join("down.db"), &secret, false);
    let index = device.ask(&Entries { id: device.registries.index.clone() }).entries;
    let ids: Vec<String> = index.into_keys().collect();
    device.exchange(ids.clone());
    let mut arrived = Vec::with_capacity(RECORDS);
    for id in ids {
        arrived.extend(device.ask(&Items { id, after: BTreeMap::new() }).items.into_iter().map(|(_, _, value)| value));
    }
    let down = begun.elapsed();
    let sorted = |mut texts: Vec<String>| {
        texts.sort_unstable();
        texts
    };
    assert!(sorted(arrived) == sorted(contents), "what arrived is what was sent");

    let (live_p50, live_p95) = live(&relay.url, folder, &secret, device);
    Figures { up, down, live_p50, live_p95, relay_peak: 0 }
}

/// Updates of one record, from the write on one device until another one has been told.
fn live(relay: &str, folder: &Path, secret: &str, sender: Device) -> (Duration, Duration) {
    let receiver = Device::open(relay, &folder.join("live.db"), secret, false);
    let id = sender.ask(&CreateSegment { month: MONTH.into() }).id;
    sender.ask(&Append { id: id.clone(), values: vec![random_text(300)] });
    sender.exchange(vec![id.clone()]);
    receiver.exchange(vec![id.clone()]);
    receiver.ask(&Watch { ids: vec![id.clone()] });
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            sender.ask(&Append { id: id.clone(), values: vec![random_text(300)] });
            while receiver.isolate.next_event(PATIENCE).expect("the update arrives")
                != (Event::Changed { id: id.clone() })
            {}
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    (percentile(&times, 50), percentile(&times, 95))
}

struct Device {
    isolate: Isolate,
    registries: Registries,
    _network: Network,
}

impl Device {
    fn open(relay: &str, database: &Path, secret: &str, create: bool) -> Self {
        let network = Network::start().expect("a network thread");
        let address = RelayAddress::parse(relay, None, Proxies::default()).expect("an address");
        let peer = address.fingerprint();
        let (dialer, dialled) = Connection::begin(address, network.handle(), Default::default()).split();
        let isolate = Isolate::start(IsolateOptions {
            store: Box::new(open_database_deferred(database).expect("a database")),
            dialer: Some(dialer),
            memory_limit: 1 << 30,
        })
        .expect("an isolate");
        network.block_on(dialled).expect("the relay takes the connection");
        let open = Open {
            agent_secret: secret,
            session: None,
            create,
            peer: Some(&peer),
            month: MONTH,
            ahead: &Positions::new(),
            timeout_ms: PATIENCE_MS,
        };
        isolate.call(&open, PATIENCE).expect("the account opens");
        let loaded = isolate.call(&LoadRegistries { timeout_ms: PATIENCE_MS }, PATIENCE).expect("registries");
        assert_eq!(loaded.outcome, Outcome::Current);
        Self { isolate, registries: loaded.registries, _network: network }
    }

    fn ask<R: caro::runtime::protocol::Request>(&self, request: &R) -> R::Answer {
        self.isolate.call(request, PATIENCE).expect("an answer")
    }

    fn exchange(&self, ids: Vec<String>) {
        let outcomes = self.ask(&Exchange { ids, timeout_ms: PATIENCE_MS }).outcomes;
        assert!(outcomes.values().all(|outcome| *outcome == Outcome::Current), "{outcomes:?}");
    }
}
