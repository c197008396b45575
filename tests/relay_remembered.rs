//! What clients have a relay remember is bounded, whatever they say: of names that nobody has, and of sessions that are not there.

use serde_json::{Value, json};

use crate::common::sync::Relay;
use crate::relay_hostile::{NOBODYS, client, device, goes_on, load, memory, serves};
use crate::relay_serving::Client;

/// Messages in one frame.
const AT_ONCE: usize = 500;

fn name(number: usize) -> String {
    format!("co_zN{number:020}")
}

/// Sends what a number makes, for all numbers, until the relay sends it away for what it has to remember; says after how many.
fn until_sent_away(client: &mut Client, most: usize, message: impl Fn(usize) -> Value) -> usize {
    let mut number = 0;
    while client.ended.is_none() {
        assert!(number < most, "the relay remembers {number}");
        let frame: Vec<String> = (number..number + AT_ONCE).map(|number| message(number).to_string()).collect();
        client.send(&frame.join("\n"));
        goes_on(client);
        number += AT_ONCE;
    }
    assert_eq!(client.ended.as_ref().map(|(code, _)| *code), Some(4429));
    number
}

#[test]
fn whatever_a_client_says_of_what_is_not_there_it_is_not_remembered_without_end() {
    let relay = Relay::new();
    let device = device(&relay);
    let before = memory(&relay);
    let of_others = |action: &str| {
        let action = action.to_owned();
        move |number| json!({ "action": action, "id": name(number), "header": true, "sessions": {}, "new": {}, "priority": 3 })
    };
    let in_lists =
        |number: usize| json!({ "action": "reconcile", "id": format!("{number}"), "values": [[name(0), "x"]] });
    let listed = |number: usize| json!({ "action": "reconcile", "id": "x", "values": [[name(number), "x"]] });
    until_sent_away(&mut client(&relay), 30_000, of_others("known"));
    let without_header = |number| {
        let mut message = of_others("content")(number);
        message.as_object_mut().expect("it is one").remove("header");
        message
    };
    until_sent_away(&mut client(&relay), 30_000, without_header);
    until_sent_away(&mut client(&relay), 60_000, in_lists);
    until_sent_away(&mut client(&relay), 60_000, listed);
    let grown = memory(&relay).saturating_sub(before);
    assert!(grown < 400, "{grown} MiB");
    serves(&device);
}

#[test]
fn nor_are_sessions_that_are_not_there_of_what_is() {
    let relay = Relay::new();
    let device = device(&relay);
    let before = memory(&relay);
    let account = device.session().split("_session_").next().expect("it begins with the account").to_owned();
    for action in ["known", "load"] {
        let mut client = client(&relay);
        let mut number = 0;
        while client.ended.is_none() {
            assert!(number < 2_000_000, "the relay remembers {number} sessions");
            let sessions = (number..number + 10_000).map(|number| (format!("{account}_session_z{number}"), json!(1)));
            let sessions: serde_json::Map<String, Value> = sessions.collect();
            // What is said anew of the same takes the place of what was said.
            let id = if action == "load" { name(number) } else { account.clone() };
            client.send(&json!({ "action": action, "id": id, "header": true, "sessions": sessions }).to_string());
            goes_on(&mut client);
            number += 10_000;
        }
        assert_eq!(client.ended.map(|(code, _)| code), Some(4429));
    }
    let grown = memory(&relay).saturating_sub(before);
    assert!(grown < 400, "{grown} MiB");
    serves(&device);
}

#[test]
fn what_takes_the_place_of_what_was_said_is_not_counted_twice() {
    let relay = Relay::new();
    let device = device(&relay);
    let account = device.session().split("_session_").next().expect("it begins with the account").to_owned();
    let sessions = (0..10_000).map(|number| (format!("{account}_session_z{number}"), json!(1)));
    let sessions: serde_json::Map<String, Value> = sessions.collect();
    let mut client = client(&relay);
    for _ in 0..50 {
        client.send(&json!({ "action": "load", "id": account, "header": true, "sessions": sessions }).to_string());
        assert!(goes_on(&mut client));
    }
}

#[test]
fn a_name_in_a_list_that_is_too_long_for_one_is_not_asked_for() {
    let relay = Relay::new();
    let device = device(&relay);
    let mut client = client(&relay);
    let long = format!("co_z{}", "x".repeat(1 << 20));
    client.send(&json!({ "action": "reconcile", "id": "x", "values": [[long, "x"]] }).to_string());
    client.send(&load(NOBODYS));
    let answer = client.text().expect("it goes on");
    assert!(answer.contains(NOBODYS) && answer.len() < 1_000, "{} bytes", answer.len());
    serves(&device);
}
