//! What a relay for those who were invited does where its disk takes nothing.

use rusqlite::Connection;

use crate::common::home::wait_until;
use crate::common::sync::{Relay, SyncHome, serve};
use crate::relay_accounts::{invite, invited, listed};
use crate::relay_serving::websocket;

/// A database in the relay's folder, as any process may open it.
fn database(relay: &Relay, name: &str) -> Connection {
    Connection::open(relay.data().join(name)).expect("it is there")
}

#[test]
fn who_was_invited_comes_in_at_once_though_that_cannot_be_noted() {
    let relay = invited();
    let address = invite(&relay, "ann");
    let list = database(&relay, "accounts.db");
    list.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = std::time::Instant::now();
    assert!(websocket(&address, &[]).is_ok(), "somebody else changes the list");
    assert!(begun.elapsed() < std::time::Duration::from_secs(8));
    list.execute_batch(
        "CREATE TRIGGER full BEFORE UPDATE OF seen_day ON invitations BEGIN SELECT RAISE(ABORT, 'the disk is full'); END;
         COMMIT",
    )
    .unwrap();
    assert!(websocket(&address, &[]).is_ok(), "the disk is full");
    wait_until("it is told", || relay.log().contains("it is not noted who came today"));
    assert!(listed(&relay, "ann")["last_seen"].is_null());
    list.execute_batch("DROP TRIGGER full").unwrap();
    assert!(websocket(&address, &[]).is_ok());
    wait_until("it is noted", || listed(&relay, "ann")["last_seen"].is_string());
}

#[test]
fn an_erasure_that_the_disk_does_not_take_cuts_nobody_off_and_is_made_up_for() {
    let mut relay = invited();
    let (ann, bob) = (invite(&relay, "ann"), invite(&relay, "bob"));
    let (a, b) = (SyncHome::new("ann's"), SyncHome::new("bob's"));
    a.add_one("echo of ann");
    a.init(&ann);
    b.add_one("echo of bob");
    b.init(&bob);
    let store = database(&relay, "relay.db");
    let full = "CREATE TRIGGER full BEFORE DELETE ON coValues BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    store.execute_batch(full).unwrap();
    let mut held = websocket(&bob, &[]).expect("it is let in");
    let list = database(&relay, "accounts.db");
    let erase = |label: &str| {
        let sql = "UPDATE invitations SET revoked = 1, erase = 1 WHERE label = ?1";
        assert_eq!(list.execute(sql, [label]).unwrap(), 1);
    };
    erase("ann");
    let told = || relay.log().matches("what an account stored could not be erased").count();
    wait_until("it is told", || told() > 0);
    for _ in 0..3 {
        assert!(held.text().is_some(), "it goes on: {:?}", held.ended);
    }
    assert_eq!(told(), 1, "{}", relay.log());
    assert!(listed(&relay, "ann")["covalues"].as_u64() > Some(0));
    b.add_one("echo goes on");
    assert_eq!(b.now().pending, 0);

    assert!(relay.stop().success());
    store.execute_batch("DROP TRIGGER full").unwrap();
    let mut command = serve(relay.data(), relay.address());
    command.args(["--access", "accounts"]);
    let relay = Relay::spawn(relay.data(), relay.address(), command);
    let has_gone = |label: &str| listed(&relay, label)["covalues"] == 0;
    wait_until("it has gone", || has_gone("ann"));
    let stored = || caro::relay::ask(relay.data()).unwrap().unwrap().stored.expect("a store");
    let before = stored();
    assert_eq!(before.accounts, 1);
    erase("bob");
    wait_until("it has gone, too", || has_gone("bob"));
    wait_until("it is not counted any more", || (stored().covalues, stored().accounts) == (0, 0));
}
