//! One CoValue grows no larger than a relay takes it, whoever writes it and in whatever way; others are not disturbed, and
//! deleting it stays possible.

use caro::runtime::crypto::{CryptoError, SessionMap, agent_secret, fill_random, sealer_id, signer_id};
use serde_json::{Value, json};

use crate::common::home::wait_until;
use crate::common::node::OfficialClient;
use crate::common::postgres::Postgres;
use crate::common::sync::{Relay, SyncHome, assert_equal_histories, serve};
use crate::relay_hostile::{NOBODYS, client, device, load, serves};
use crate::relay_serving::Client;
use crate::sync_session_guard::noise;

/// So many bytes are in a large transaction: eight of them fit into a MiB.
const LARGE: usize = 120_000;

/// A CoValue that everybody may write to, of somebody who makes its messages by hand.
pub struct ByHand {
    pub id: String,
    header: Value,
    agent: String,
    signer: String,
    map: SessionMap,
}

impl ByHand {
    pub fn new() -> Self {
        let mut seed = [0; 32];
        fill_random(&mut seed).unwrap();
        let secret = agent_secret(&seed);
        let (sealer, signer) = secret.split_once('/').unwrap();
        let header = json!({
            "type": "costream", "ruleset": { "type": "unsafeAllowAll" }, "meta": null, "createdAt": null,
            "uniqueness": signer_id(signer).unwrap(),
        });
        let id = match SessionMap::new("co_z1", &header.to_string(), None, false) {
            Err(CryptoError::IdMismatch { expected, .. }) => expected,
            other => panic!("{other:?}"),
        };
        Self {
            map: SessionMap::new(&id, &header.to_string(), None, false).unwrap(),
            agent: format!("{}/{}", sealer_id(sealer).unwrap(), signer_id(signer).unwrap()),
            signer: signer.to_owned(),
            id,
            header,
        }
    }

    /// A session of its maker, whose name ends so.
    fn session(&self, end: &str) -> String {
        format!("{}_session_{end}", self.agent)
    }

    /// What brings one more transaction of a session, with so many bytes of changes and meta.
    pub fn writes(&mut self, session: &str, changes: usize, meta: usize) -> Value {
        let session = self.session(session);
        let after = self.map.transaction_count(&session).unwrap_or(0);
        let text = |bytes: usize| format!("[\"{}\"]", "x".repeat(bytes));
        let meta = (meta > 0).then(|| text(meta));
        let made = self.map.make_trusting(&session, &self.signer, &text(changes), meta.as_deref(), 1).unwrap();
        let made: Value = serde_json::from_str(&made).unwrap();
        let new =
            json!({ "after": after, "newTransactions": [made["transaction"]], "lastSignature": made["signature"] });
        json!({ "action": "content", "id": self.id, "header": self.header, "priority": 3, "new": { session: new } })
    }
}

/// Brings a message; how many transactions the relay says to have then, none where it does not confirm it.
pub fn brings(client: &mut Client, message: &Value) -> Option<u64> {
    client.send(&message.to_string());
    client.send(&load(NOBODYS));
    let mut held = None;
    while let Some(text) = client.text().filter(|text| !text.contains(NOBODYS)) {
        for line in text.lines() {
            let said: Value = serde_json::from_str(line).unwrap();
            if said["action"] == "known" && said["id"] == message["id"] {
                held = Some(said["sessions"].as_object().unwrap().values().filter_map(Value::as_u64).sum());
            }
        }
    }
    held
}

/// Without the header, as a client that knows that the relay has it.
fn headless(mut message: Value) -> Value {
    message.as_object_mut().unwrap().remove("header");
    message
}

/// Fills a CoValue at a relay that takes no more than a MiB, starts the relay again and goes on.
fn grows_no_further(args: &[&str]) {
    let args = [&["--max-value-mib", "1"], args].concat();
    let mut first = Relay::with(&args);
    let device = device(&first);
    let mut value = ByHand::new();
    let mut stranger = client(&first);
    let mut last = Value::Null;
    for held in 1..=8 {
        last = value.writes("z1", LARGE, 0);
        assert_eq!(brings(&mut stranger, &last), Some(held));
    }
    let too_large = [("z2", LARGE, 0), ("z3", 10, LARGE), ("d4$", LARGE, 0), ("d5$", 10, LARGE)];
    for (session, changes, meta) in too_large {
        let message = value.writes(session, changes, meta);
        assert_eq!(brings(&mut stranger, &message), None, "{session}");
        assert_eq!(brings(&mut stranger, &headless(message)), None, "{session}");
    }
    assert_eq!(brings(&mut stranger, &value.writes("z6", 10_000, 0)), Some(9), "what fits is taken");
    assert_eq!(brings(&mut stranger, &last), Some(9), "what is there already needs no room");

    first.stop();
    let mut command = serve(first.data(), first.address());
    command.args(&args);
    let relay = Relay::spawn(first.data(), first.address(), command);
    let mut stranger = client(&relay);
    // The relay begins to read it from its store, a part at a time.
    let message = headless(value.writes("z7", LARGE, 0));
    assert_eq!(brings(&mut stranger, &message), None, "it is as large while it is being read");
    assert!(brings(&mut stranger, &headless(value.writes("z8", 1_000, 0))).is_some());
    assert_eq!(brings(&mut client(&relay), &message), None);
    assert!(!relay.log().contains("co_z"), "{}", relay.log());
    serves(&device);
}

#[test]
fn a_covalue_grows_no_further_than_it_may() {
    grows_no_further(&[]);
    grows_no_further(&["--engines", "2"]);
}

#[test]
fn nor_does_it_in_a_database_of_several() {
    let Some(database) = Postgres::start() else { return };
    grows_no_further(&["--database", &database.url()]);
}

#[test]
fn it_has_no_more_sessions_than_a_message_can_name() {
    let relay = Relay::new();
    let mut value = ByHand::new();
    let mut stranger = client(&relay);
    // A thousand sessions with names of 450 bytes or so.
    let mut many = |of: usize| {
        let mut message = value.writes(&format!("z{of}"), 1, 0);
        for number in 0..1_000 {
            let more = value.writes(&format!("z{of}{number:0>300}"), 1, 0);
            message["new"].as_object_mut().unwrap().extend(more["new"].as_object().unwrap().clone());
        }
        message
    };
    assert_eq!(brings(&mut stranger, &many(1)), Some(1_001));
    assert_eq!(brings(&mut stranger, &many(2)), Some(2_002));
    assert_eq!(brings(&mut stranger, &many(3)), None);
}

#[test]
fn what_no_signature_covers_is_not_stored() {
    let relay = Relay::new();
    let mut value = ByHand::new();
    let mut message = value.writes("z1", 10, 0);
    let session = value.session("z1");
    message["new"][&session]["newTransactions"][0]["more"] = "y".repeat(1 << 20).into();
    assert_eq!(brings(&mut client(&relay), &message), Some(1));
    let database = rusqlite::Connection::open(relay.data().join("relay.db")).unwrap();
    let length: i64 = database.query_row("SELECT MAX(length(tx)) FROM transactions", [], |row| row.get(0)).unwrap();
    assert!(length < 1_000, "{length}");
}

/// Bytes of what a relay has of a CoValue, without what deletes it.
pub fn stored_of(relay: &Relay, id: &str) -> i64 {
    let database = rusqlite::Connection::open(relay.data().join("relay.db")).unwrap();
    let sql = "SELECT COALESCE(SUM(length(tx)), 0) FROM transactions JOIN sessions ON ses = sessions.rowID
               JOIN coValues ON coValue = coValues.rowID WHERE id = ? AND sessionID NOT LIKE '%$'";
    database.query_row(sql, [id], |row| row.get(0)).unwrap()
}

#[test]
fn whoever_made_one_too_large_hears_so_and_can_delete_it() {
    let relay = Relay::with(&["--max-value-mib", "1"]);
    let (mut a, _) = OfficialClient::with_new_account(&relay.url());
    let group = a.create_group();
    let (large, other) = (a.create_map(&group, &json!({})), a.create_map(&group, &json!({})));
    for number in 0..4 {
        a.set(&large, &format!("key {number}"), &"x".repeat(250_000).into());
    }
    a.set(&other, "key", &"another one".into());
    let sent_away = || caro::relay::ask(relay.data()).unwrap().unwrap().sent_away["value"];
    wait_until("it is sent away", || sent_away() > 0);
    wait_until("what fits is there", || stored_of(&relay, &other) > 0);
    assert!((400_000..1 << 20).contains(&stored_of(&relay, &large)), "{}", stored_of(&relay, &large));
    assert!(relay.log().contains("max_value_mib") && !relay.log().contains("co_z"), "{}", relay.log());
    assert!(a.request("waitForSync", json!({})).is_err(), "what is not stored is not confirmed");
    a.delete(&large);
    wait_until("it is erased", || stored_of(&relay, &large) == 0);
    a.wait_for_sync();
}

#[test]
fn a_history_of_many_mib_has_no_covalue_that_large() {
    let relay = Relay::with(&["--max-value-mib", "1"]);
    let device = SyncHome::new("laptop");
    device.add(&(0..3_000).map(|i| noise(&format!("large {i}"))).collect::<Vec<_>>());
    let phrase = device.init(&relay.url());
    assert_eq!(device.now().pending, 0);
    let other = SyncHome::new("desktop");
    other.restored(&relay.url(), &phrase);
    assert_eq!(assert_equal_histories(&[&device, &other]), 3_000);
    let database = rusqlite::Connection::open(relay.data().join("relay.db")).unwrap();
    let bytes: i64 = database.query_row("SELECT SUM(length(tx)) FROM transactions", [], |row| row.get(0)).unwrap();
    assert!(bytes > 1 << 20, "{bytes}");
}
