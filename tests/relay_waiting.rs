//! Content that names what a relay does not have: it waits a moment for that, keeps nobody else from writing, and counts for nothing
//! once its client has gone.

use serde_json::{Value, json};

use crate::common::home::wait_until;
use crate::common::node::OfficialClient;
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

#[test]
fn nobody_is_kept_from_writing_by_names_that_were_made_up_for_what_is_his() {
    let mut relay = Relay::new();
    let (mut first, account) = OfficialClient::with_new_account(&relay.url());
    let group = first.create_group();
    let map = first.create_map(&group, &json!({ "of": "the first" }));
    first.wait_for_sync();
    drop(first);
    let session = format!("{}_session_zMadeUp", account.id);
    let with = |changes: &str| {
        let transaction = json!({ "privacy": "trusting", "changes": changes, "madeAt": 1 });
        json!({ &session: { "after": 0, "newTransactions": [transaction], "lastSignature": "signature_z1" } })
    };
    let source = |source: Value| json!({ "type": "comap", "ruleset": { "type": "unsafeAllowAll" }, "meta": { "source": source }, "createdAt": null, "uniqueness": "x" });
    let owner =
        |owner: Value| json!({ "type": "comap", "ruleset": { "type": "ownedByGroup", "group": owner }, "meta": null });
    let nobody = |number: usize| format!("co_zNobody{number}");
    let member = |key: &str| with(&json!([{ "op": "set", "key": key, "value": "reader" }]).to_string());
    for round in ["in memory", "in the store alone"] {
        let mut stranger = client(&relay);
        for (id, header, new) in [
            (&group, None, member(&nobody(1))),
            (&group, None, member(&format!("parent_{}", nobody(2)))),
            (&group, Some(source(nobody(3).into())), member(&nobody(4))),
            (&group, None, with("7")),
            (&map, Some(source(nobody(5).into())), json!({})),
            (&map, Some(source(json!({ "of": "no" }))), json!({})),
            (&map, Some(owner(nobody(6).into())), json!({})),
            (&map, Some(owner(json!(7))), json!({})),
        ] {
            let mut content = json!({ "action": "content", "id": id, "priority": 3, "new": new });
            if let Some(header) = header {
                content["header"] = header;
            }
            stranger.send(&content.to_string());
        }
        assert!(goes_on(&mut stranger));
        let mut again = OfficialClient::with_account(&relay.url(), &account);
        assert_eq!(again.load(&map).value["of"], "the first");
        again.rotate_read_key(&group);
        again.set(&map, round, &json!(true));
        again.wait_for_sync();
        let mut other = OfficialClient::with_account(&relay.url(), &account);
        assert_eq!(other.load(&map).value[round], true, "what is written {round} gets there");
        drop((again, other));
        assert!(relay.stop().success());
        relay.start_again();
    }
}
