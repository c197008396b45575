//! Accounts take turns at a relay, however many connections each has. What a message is worth is a CoValue of its own here,
//! so the relay's store says in which order they were dealt with.

use caro::runtime::crypto;
use serde_json::json;

use crate::common::home::wait_until;
use crate::common::sync::{Relay, signal};
use crate::relay_hostile::{client, load};
use crate::relay_serving::Client;

/// Messages that each connection has waiting: one piece of a frame.
const EACH: usize = 100;
/// The connections of the account that floods.
const MANY: usize = 30;

/// A client that has named its account, and has been answered.
fn of_account(relay: &Relay, id: &str) -> Client {
    let mut client = client(relay);
    client.send(&load(id));
    while !client.text().expect("it is answered").contains(id) {}
    client
}

/// A message that makes a CoValue, and the id of that.
pub fn making(name: &str) -> (String, String) {
    // In the order in which an id is made of it.
    let header = json!({
        "createdAt": null, "meta": null, "ruleset": { "type": "unsafeAllowAll" }, "type": "costream", "uniqueness": name,
    });
    let id = crypto::short_hash(&header.to_string()).replacen("shortHash_", "co_", 1);
    (json!({ "action": "content", "id": id, "header": header, "priority": 3, "new": {} }).to_string(), id)
}

/// What a relay has stored, in order.
fn stored(relay: &Relay) -> Vec<String> {
    let database = rusqlite::Connection::open(relay.data().join("relay.db")).unwrap();
    let mut ids = database.prepare("SELECT id FROM coValues ORDER BY rowID").unwrap();
    let rows = ids.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn who_floods_through_thirty_connections_has_no_more_turns_than_another_account_has() {
    let relay = Relay::new();
    let mut many: Vec<Client> = (0..MANY).map(|_| of_account(&relay, "co_z1111111111111111111111112")).collect();
    let mut one = of_account(&relay, "co_z1111111111111111111111113");
    let frame = |of: &str| (0..EACH).map(|n| making(&format!("{of} {n}"))).unzip::<_, _, Vec<_>, Vec<_>>();
    let (messages, ids) = frame("one");
    // All of them have everything there when it goes on.
    signal("STOP", relay.pid());
    for (index, client) in many.iter_mut().enumerate() {
        client.send(&frame(&format!("many {index}")).0.join("\n"));
    }
    one.send(&messages.join("\n"));
    signal("CONT", relay.pid());
    wait_until("all is stored", || stored(&relay).len() == (MANY + 1) * EACH);

    let order = stored(&relay);
    let places: Vec<usize> = (0..order.len()).filter(|place| ids.contains(&order[*place])).collect();
    let (first, last) = (places[0], places[EACH - 1]);
    let between = last + 1 - first - EACH;
    let after = order.len() - last - 1;
    println!("{first} before, {between} of the flood between {EACH} of the other account, {after} after");
    // By connections it would be thirty for each. The same in time is about the same in number, on a busy machine too.
    assert!(between < EACH * MANY / 3 && after > 0, "{between} between, {after} after");
}
