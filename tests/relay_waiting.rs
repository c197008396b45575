//! Content that names what a relay does not have: it waits a moment for that, keeps nobody else from writing, and counts for nothing
//! once its client has gone.

use serde_json::{Value, json};

use crate::common::home::wait_until;
use crate::common::sync::{Relay, SyncHome};
use crate::common::wire::{Way, Wire};
use crate::relay_hostile::{client, count, goes_on};

/// The content that a device brought to another relay as it made its account, and the account.
fn brought_elsewhere() -> (Vec<Value>, String) {
    let elsewhere = Relay::new();
    let wire = Wire::recording(&elsewhere.url());
    let device = SyncHome::new("elsewhere");
    device.add_one("echo elsewhere");
    device.init(&wire.url());
    let up = wire.seen().into_iter().filter(|(way, message)| *way == Way::Up && message["action"] == "content");
    let account = device.session().split("_session_").next().expect("it begins with the account").to_owned();
    (up.map(|(_, message)| message).collect(), account)
}

fn stored(relay: &Relay, id: &str) -> u64 {
    count(relay, &format!("SELECT COUNT(*) FROM coValues WHERE id = '{id}'"))
}

#[test]
fn what_waits_when_its_client_goes_is_not_taken_any_more() {
    let (content, account) = brought_elsewhere();
    let is_group = |message: &&Value| message["header"]["ruleset"]["type"] == "group" && message["id"] != *account;
    let group = content.iter().find(is_group).expect("a group of the account");
    let id = group["id"].as_str().expect("an id");
    let relay = Relay::new();
    // Whom the relay asks for the account, too: it goes on waiting for it.
    let mut other = client(&relay);
    let transaction = json!({ "privacy": "trusting", "changes": "[]", "madeAt": 1 });
    let new = json!({ format!("{account}_session_zMadeUp"): { "after": 0, "newTransactions": [transaction], "lastSignature": "signature_z1" } });
    other.send(&json!({ "action": "content", "id": "co_zOther", "priority": 3, "new": new }).to_string());
    assert!(goes_on(&mut other));
    let mut gone = client(&relay);
    gone.send(&group.to_string());
    assert!(goes_on(&mut gone));
    drop(gone);
    wait_until("it has gone", || caro::relay::ask(relay.data()).unwrap().unwrap().connections.now == 1);
    // Now what it waited for comes.
    for message in content.iter().filter(|message| message["id"] == *account) {
        other.send(&message.to_string());
    }
    assert!(goes_on(&mut other) && goes_on(&mut other));
    assert_eq!((stored(&relay, &account), stored(&relay, id)), (1, 0));
    other.send(&group.to_string());
    assert!(goes_on(&mut other));
    assert_eq!(stored(&relay, id), 1, "of a client that is there it is");
}
