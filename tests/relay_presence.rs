//! Who is only silent stays connected to a relay; who has gone without a word is given up.

use std::io::Write;

use crate::common::home::wait_until;
use crate::common::node::OfficialClient;
use crate::common::sync::Relay;
use crate::relay_hostile::{NOBODYS, announces, client, goes_on, load, raw, raw_ending};
use crate::relay_serving::websocket;

#[test]
fn who_has_gone_without_a_word_is_given_up_and_who_is_only_silent_is_not() {
    let relay = Relay::with(&["--client-timeout", "2", "--max-connections", "3"]);
    let mut silent = client(&relay);
    // Its WebSocket answers while it waits for these.
    let silent = std::thread::spawn(move || (0..2).all(|_| silent.text().is_some()) && goes_on(&mut silent));
    // Neither reads a question nor answers one; the other has said something before.
    let (mut gone, mut gone_later) = (raw(&relay), raw(&relay));
    let question = load(NOBODYS);
    gone_later.write_all(&announces(question.len() as u64)).unwrap();
    gone_later.write_all(question.as_bytes()).unwrap();
    let two_more = || Some((websocket(&relay.url(), &[]).ok()?, websocket(&relay.url(), &[]).ok()?));
    assert!(two_more().is_none(), "the relay is full");
    wait_until("their places are free", || two_more().is_some());
    assert_eq!((raw_ending(&mut gone), raw_ending(&mut gone_later)), (None, None));
    assert!(silent.join().unwrap(), "it is still there");
}

#[test]
fn an_official_client_that_is_silent_stays() {
    let relay = Relay::with(&["--client-timeout", "2"]);
    let (_official, _) = OfficialClient::with_new_account(&relay.url());
    let mut other = client(&relay);
    // One comes every four seconds.
    for _ in 0..2 {
        assert!(other.text().is_some());
    }
    let status = caro::relay::ask(relay.data()).unwrap().unwrap();
    assert_eq!((status.connections.now, status.connections.opened), (2, 2), "nobody had to come again");
}
