//! What a relay does with clients that mean harm: it goes on serving the others, and stores nothing that is wrong.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::home::{DEADLINE, is_slow_run, wait_until};
use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::common::wire::{Fate, Way, Wire};
use crate::relay_serving::{Client, websocket};

/// A CoValue that nobody has made.
pub const NOBODYS: &str = "co_z1111111111111111111111111";

/// A device that has synced with the relay, to see that it goes on.
pub fn device(relay: &Relay) -> SyncHome {
    let device = SyncHome::new("laptop");
    device.add_one("echo before");
    device.init(&relay.url());
    device
}

/// Insists that the relay still serves a device, at once.
#[track_caller]
pub fn serves(device: &SyncHome) {
    device.add_one("echo after");
    let exchanged = device.now();
    assert_eq!((exchanged.sent, exchanged.pending), (1, 0));
}

pub fn client(relay: &Relay) -> Client {
    let mut client = websocket(&relay.url(), &[]).unwrap();
    assert!(client.text().is_some(), "it says that it is there");
    client
}

/// One number from the relay's store.
pub fn count(relay: &Relay, query: &str) -> u64 {
    let database = rusqlite::Connection::open(relay.data().join("relay.db")).unwrap();
    database.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
}

/// The code with which the relay ends a connection.
fn ending(client: &mut Client) -> Option<u16> {
    while client.text().is_some() {}
    client.ended.as_ref().map(|(code, _)| *code)
}

/// Waits until everything sent so far has been dealt with, or the connection was ended: an answer to a question comes in
/// its turn. Whether it goes on.
pub fn goes_on(client: &mut Client) -> bool {
    client.send(&load(NOBODYS));
    while let Some(text) = client.text() {
        if text.contains(NOBODYS) {
            return true;
        }
    }
    false
}

pub fn load(id: &str) -> String {
    json!({ "action": "load", "id": id, "header": false, "sessions": {} }).to_string()
}

/// A header with its fields in the order in which an id is made of them.
pub fn header(uniqueness: &str) -> Value {
    json!({
        "createdAt": null, "meta": null, "ruleset": { "type": "unsafeAllowAll" }, "type": "costream",
        "uniqueness": uniqueness,
    })
}

/// The id that belongs to a header.
pub fn id_of(header: &Value) -> String {
    caro::runtime::crypto::short_hash(&header.to_string()).replacen("shortHash_", "co_", 1)
}

#[test]
fn what_is_no_message_is_left_out_and_the_connection_goes_on() {
    let relay = Relay::new();
    let device = device(&relay);
    let mut client = client(&relay);
    let before = count(&relay, "SELECT COUNT(*) FROM coValues");
    let session = format!("{NOBODYS}_session_z11111111111");
    let with = |new: Value| json!({ "action": "content", "id": id_of(&header("x")), "header": header("x"), "priority": 3, "new": new });
    for text in [
        "{",
        "null",
        "[]",
        "{}",
        "\u{0}\u{1}",
        "{\"action\":\"load\"}",
        "{\"action\":\"content\"}",
        "{\"action\":\"known\",\"id\":null}",
        "{\"action\":\"nonsense\",\"id\":\"co_zNobody\"}",
        "{\"action\":\"reconcile\",\"id\":\"x\",\"values\":[[]]}",
        "{\"action\":\"load\",\"id\":\"__proto__\",\"header\":true,\"sessions\":{\"__proto__\":1}}",
        "{\"action\":\"load\",\"id\":\"co_zNobody\",\"header\":true,\"sessions\":null}",
    ] {
        client.send(text);
    }
    assert!(goes_on(&mut client));
    for new in [
        json!(null),
        json!(7),
        json!({ &session: null }),
        json!({ &session: { "after": 0, "newTransactions": 3 } }),
        json!({ &session: { "after": -1, "newTransactions": [{ "privacy": "private" }], "lastSignature": "x" } }),
        json!({ &session: { "after": 1e300, "newTransactions": [null], "lastSignature": null } }),
    ] {
        let mut client = self::client(&relay);
        client.send(&with(new).to_string());
        goes_on(&mut client);
    }
    assert_eq!(count(&relay, "SELECT COUNT(*) FROM coValues"), before);
    serves(&device);
}

#[test]
fn what_is_nested_deeply_or_too_long_never_reaches_the_engine() {
    let relay = Relay::new();
    let device = device(&relay);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for (text, code) in [
        (nested(1_000_000), 4400),
        (format!(r#"{{"action":"load","id":{}}}"#, "{\"a\":".repeat(100_000)), 4400),
        (format!(r#"{{"action":"load","id":"{}"}}"#, "x".repeat(5 << 20)), 4413),
    ] {
        let mut client = client(&relay);
        client.send(&text);
        assert_eq!(ending(&mut client), Some(code));
    }
    let transaction = json!({ "privacy": "trusting", "changes": "x".repeat(3 << 20), "madeAt": 1 });
    let new =
        json!({ device.session(): { "after": 0, "newTransactions": [transaction], "lastSignature": "signature_z1" } });
    let id = id_of(&header("x"));
    let content = json!({ "action": "content", "id": id, "header": header("x"), "priority": 3, "new": new });
    let mut client = client(&relay);
    client.send(&content.to_string());
    assert_eq!(ending(&mut client), Some(4413));
    // Its own header counts for nobody.
    let header = header(&"x".repeat(100_000));
    let content = json!({ "action": "content", "id": id_of(&header), "header": header, "priority": 3, "new": {} });
    let mut client = self::client(&relay);
    client.send(&content.to_string());
    assert_eq!(ending(&mut client), Some(4413));
    serves(&device);
}

/// A connection on which frames are made by hand.
pub fn raw(relay: &Relay) -> TcpStream {
    let mut stream = TcpStream::connect(relay.address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
        .write_all(
            b"GET / HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    stream
}

/// The beginning of a text frame that says how long it will be; its mask changes nothing.
pub fn announces(bytes: u64) -> Vec<u8> {
    let mut head = vec![0x81, 0x80 | 127];
    head.extend(bytes.to_be_bytes());
    head.extend([0; 4]);
    head
}

/// Reads to the end of a raw connection; the code with which the relay ended it.
pub fn raw_ending(stream: &mut TcpStream) -> Option<u16> {
    let mut bytes = Vec::new();
    // It may be cut off after it was ended.
    let _ = stream.read_to_end(&mut bytes);
    let mut rest = &bytes[..];
    while rest.len() >= 2 {
        let length = usize::from(rest[1] & 0x7f);
        assert!(length < 126, "a relay says little");
        if rest[0] & 0x0f == 8 && length >= 2 {
            return Some(u16::from_be_bytes([rest[2], rest[3]]));
        }
        rest = rest.get(2 + length..)?;
    }
    None
}

#[test]
fn a_frame_that_does_not_arrive_is_given_up_and_so_is_one_that_is_announced_too_large() {
    let relay = Relay::with(&["--frame-timeout", "1"]);
    let device = device(&relay);
    let mut slow = raw(&relay);
    slow.write_all(&announces(1 << 20)).unwrap();
    slow.write_all(&[b'x'; 5_000]).unwrap();
    assert_eq!(raw_ending(&mut slow), Some(4408));
    let mut huge = raw(&relay);
    huge.write_all(&announces(1 << 40)).unwrap();
    assert_eq!(raw_ending(&mut huge), Some(4413));
    // One that has said something before is no better.
    let mut later = raw(&relay);
    let question = load(NOBODYS);
    later.write_all(&announces(question.len() as u64)).unwrap();
    later.write_all(question.as_bytes()).unwrap();
    later.write_all(&announces(1 << 20)).unwrap();
    later.write_all(&[b'x'; 20_000]).unwrap();
    assert_eq!(raw_ending(&mut later), Some(4408));
    serves(&device);
}

/// Resident memory of the relay, in MiB.
pub fn memory(relay: &Relay) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", relay.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn what_is_unfinished_on_all_connections_together_is_bounded() {
    let relay = Relay::with(&["--frame-memory-mib", "65", "--frame-timeout", "600"]);
    let device = device(&relay);
    let before = memory(&relay);
    let chunk = vec![b'x'; 1 << 20];
    let mut held: Vec<TcpStream> = (0..12).map(|_| raw(&relay)).collect();
    for stream in &mut held {
        stream.set_nonblocking(true).unwrap();
        stream.write_all(&announces(60 << 20)).unwrap();
    }
    // As much as it takes, until it takes nothing more for a while.
    let (mut sent, mut last) = (0, Instant::now());
    while last.elapsed() < Duration::from_secs(2) {
        for stream in &mut held {
            if let Ok(more) = stream.write(&chunk) {
                sent += more;
                last = Instant::now();
            }
        }
    }
    assert!(sent > 60 << 20, "it took {sent} bytes");
    let grown = memory(&relay).saturating_sub(before);
    assert!(grown < 110, "{grown} MiB for {} MiB that were sent", sent >> 20);
    serves(&device);
    drop(held);
    wait_until("its memory is free for others", || {
        let mut whole = raw(&relay);
        whole.write_all(&announces(30 << 20)).is_ok() && (0..30).all(|_| whole.write_all(&chunk).is_ok())
    });
}

/// Sends a large frame of questions, from an address that a proxy names.
fn sends_many_questions(relay: &Relay, address: &str, mib: usize) -> Client {
    let mut client = websocket(&relay.url(), &[("x-forwarded-for", address)]).unwrap();
    let question = load(NOBODYS);
    client.send(&vec![question.as_str(); (mib << 20) / (question.len() + 1)].join("\n"));
    client
}

#[test]
fn a_frame_that_is_there_and_not_read_on_keeps_no_room_from_those_of_others() {
    let relay = Relay::with(&[
        "--trusted-proxy",
        "127.0.0.1",
        "--max-bytes-per-second",
        "100000",
        "--frame-memory-mib",
        "65",
        "--frame-timeout",
        "2",
    ]);
    let device = device(&relay);
    // At this pace it takes ten minutes.
    let mut large = sends_many_questions(&relay, "198.51.100.7", 60);
    // This is more than there is beside it.
    let url = relay.url();
    let other = std::thread::spawn(move || {
        let mut other = websocket(&url, &[("x-forwarded-for", "198.51.100.8")]).unwrap();
        other.send(&vec![load(NOBODYS).as_str(); 250_000].join("\n"));
    });
    wait_until("it is given up", || {
        large.text();
        large.ended.is_some()
    });
    assert_eq!(large.ended.as_ref().map(|(code, _)| *code), Some(4408));
    other.join().expect("the other's frame was read");
    serves(&device);
}

#[test]
fn what_is_neither_text_nor_needed_is_not_taken_or_taken_slowly() {
    let relay = Relay::new();
    let device = device(&relay);
    let mut binary = raw(&relay);
    binary.write_all(&[0x82, 0x83, 0, 0, 0, 0, b'{', b'}', b'\n']).unwrap();
    assert_eq!(raw_ending(&mut binary), Some(4400));
    let mut pinging = raw(&relay);
    let question = load(NOBODYS);
    let mut frames = [0x89, 0x80, 0, 0, 0, 0].repeat(200);
    frames.extend(announces(question.len() as u64));
    frames.extend(question.as_bytes());
    let begun = Instant::now();
    pinging.write_all(&frames).unwrap();
    let mut answers = Vec::<u8>::new();
    while !answers.windows(NOBODYS.len()).any(|window| window == NOBODYS.as_bytes()) {
        let mut some = [0; 4096];
        let read = pinging.read(&mut some).unwrap();
        assert!(read > 0, "it goes on");
        answers.extend(&some[..read]);
    }
    assert!(begun.elapsed() > Duration::from_millis(1_900), "{:?}", begun.elapsed());
    serves(&device);
}

#[test]
fn beside_two_that_flood_others_are_answered() {
    let relay = Relay::new();
    let _device = device(&relay);
    let mut other = client(&relay);
    let mut round_trips = |count: usize| -> Duration {
        let mut times: Vec<Duration> = (0..count)
            .map(|_| {
                let begun = Instant::now();
                assert!(goes_on(&mut other));
                begun.elapsed()
            })
            .collect();
        times.sort();
        times[count / 2]
    };
    let quiet = round_trips(50);
    let stop = AtomicBool::new(false);
    let busy = std::thread::scope(|scope| {
        for reads in [true, false] {
            let stop = &stop;
            let mut stream = raw(&relay);
            let mut answers = stream.try_clone().unwrap();
            scope.spawn(move || {
                // A frame of a thousand questions, as fast as they are taken.
                let frame = [load(NOBODYS).as_str(); 1000].join("\n");
                let mut bytes = announces(frame.len() as u64);
                bytes.extend(frame.as_bytes());
                while !stop.load(Ordering::Relaxed) && stream.write_all(&bytes).is_ok() {}
                drop(stream.shutdown(Shutdown::Both));
            });
            scope.spawn(move || {
                let mut bytes = vec![0; 1 << 16];
                while reads && answers.read(&mut bytes).is_ok_and(|read| read > 0) {}
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(crate::common::home::BETWEEN_LOOKS);
                }
                // Whoever waits until his questions are taken need not any more.
                drop(answers.shutdown(Shutdown::Both));
            });
        }
        let busy = round_trips(50);
        stop.store(true, Ordering::Relaxed);
        busy
    });
    println!("a round trip takes {quiet:?}, and {busy:?} beside two that flood");
}

#[test]
fn a_flood_of_connections_takes_no_more_than_there_are_for_all() {
    let relay = Relay::with(&["--max-connections", "20"]);
    let device = device(&relay);
    let held: Vec<Client> = (0..20).map(|_| client(&relay)).collect();
    assert_eq!(websocket(&relay.url(), &[]).err().map(|status| status.as_u16()), Some(503));
    // Half open, and in the middle of asking.
    let asking: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(relay.address()).unwrap()).collect();
    let refused = device.run(["sync", "now", "--timeout", "5"]);
    assert!(refused.stderr.contains("the relay has as many connections as it takes (ws://"), "{refused:?}");
    assert!(refused.stderr.contains("max_connections") && !refused.stderr.contains("your network"), "{refused:?}");
    drop((held, asking));
    wait_until("there is room again", || websocket(&relay.url(), &[]).is_ok());
    serves(&device);
}

#[test]
fn a_header_that_is_not_that_of_its_id_is_not_stored() {
    let relay = Relay::new();
    let device = device(&relay);
    let mut client = client(&relay);
    let content = json!({ "action": "content", "id": NOBODYS, "header": header("forged"), "priority": 3, "new": {} });
    client.send(&content.to_string());
    assert!(goes_on(&mut client));
    assert_eq!(count(&relay, &format!("SELECT COUNT(*) FROM coValues WHERE id = '{NOBODYS}'")), 0);
    serves(&device);
}

/// Has a device sync through somebody who changes every content of it on its way; the relay must keep nothing of that.
fn tampered(change: impl Fn(&mut Value) + Send + 'static, stored: impl Fn(&Relay) -> u64) {
    let relay = Relay::new();
    let honest = device(&relay);
    let before = stored(&relay);
    let wire = Wire::tampering(
        &relay.url(),
        Box::new(move |way, message| {
            if way == Way::Up && message["action"] == "content" {
                let mut changed = message.clone();
                change(&mut changed);
                return Fate::Instead(vec![changed]);
            }
            Fate::Pass
        }),
    );
    let victim = SyncHome::new("victim");
    victim.add_one("echo tampered with");
    let run = victim.run(["sync", "init", "--new", "--yes", "--relay", &wire.url(), "--phrase-out", "phrase"]);
    let then = victim.run(["sync", "now", "--timeout", "3"]);
    assert!(run.code != Some(0) || then.code != Some(0), "nothing of it is confirmed: {run:?} {then:?}");
    assert_eq!(stored(&relay), before, "{}", relay.log());
    serves(&honest);
}

fn transactions(relay: &Relay) -> u64 {
    count(relay, "SELECT COUNT(*) FROM transactions")
}

#[test]
fn what_carries_a_wrong_signature_is_not_stored() {
    tampered(
        |content| {
            for session in content["new"].as_object_mut().unwrap().values_mut() {
                let signature = session["lastSignature"].as_str().unwrap().to_owned();
                let mut letters: Vec<char> = signature.chars().collect();
                let last = letters.len() - 1;
                letters[last] = if letters[last] == '2' { '3' } else { '2' };
                session["lastSignature"] = letters.into_iter().collect::<String>().into();
            }
        },
        transactions,
    );
}

#[test]
fn what_another_account_has_not_signed_is_not_stored_as_its_writing() {
    let relay = Relay::new();
    let honest = device(&relay);
    let (session, before) = (honest.session(), transactions(&relay));
    let database = rusqlite::Connection::open(relay.data().join("relay.db")).unwrap();
    let (id, last, signature): (String, i64, String) = database
        .query_row(
            "SELECT id, lastIdx, lastSignature FROM sessions JOIN coValues ON coValues.rowID = coValue WHERE sessionID = ?1",
            [&session],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    drop(database);
    let mut client = client(&relay);
    for (after, session) in [(last, session.clone()), (0, session.replace("_session_z", "_session_z9"))] {
        let transaction = json!({ "privacy": "trusting", "changes": "[]", "madeAt": 1_700_000_000_000_u64 });
        let new = json!({ session: { "after": after, "newTransactions": [transaction], "lastSignature": signature } });
        client.send(&json!({ "action": "content", "id": id, "priority": 3, "new": new }).to_string());
    }
    goes_on(&mut client);
    assert_eq!(transactions(&relay), before);
    let second = SyncHome::new("desktop");
    second.restored(&relay.url(), &honest.home.path().join("phrase"));
    assert_equal_histories(&[&honest, &second]);
    serves(&honest);
}

#[test]
fn who_sends_more_than_he_may_is_read_slowly_and_nobody_else() {
    let relay = Relay::with(&["--trusted-proxy", "127.0.0.1", "--max-messages-per-second", "20"]);
    let from = |address: &str| websocket(&relay.url(), &[("x-forwarded-for", address)]).unwrap();
    let (mut fast, mut other) = (from("198.51.100.7"), from("198.51.100.8"));
    let begun = Instant::now();
    for _ in 0..100 {
        fast.send(&load(NOBODYS));
    }
    assert!(goes_on(&mut other) && begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let mut answers = 0;
    while answers < 100 {
        answers += fast.text().expect("nothing is lost").matches(NOBODYS).count();
    }
    assert!(begun.elapsed() > Duration::from_millis(2_500), "40 at once, 60 in 3 s: {:?}", begun.elapsed());
}

/// Asks for names that nobody has until the relay sends it away; says how many it was answered at least.
fn asked_for_names(relay: &Relay, round: usize) -> usize {
    let mut client = client(relay);
    let mut number = 0;
    while client.ended.is_none() {
        assert!(number < 30_000, "it is asked for {number} names");
        let names: Vec<String> = (number..number + 500).map(|n| format!("co_z{round}z{n:020}")).collect();
        client.send(&names.iter().map(|name| load(name)).collect::<Vec<_>>().join("\n"));
        while client.text().is_some_and(|text| !text.contains(&names[499])) {}
        number += 500;
    }
    assert_eq!(client.ended.as_ref().map(|(code, _)| *code), Some(4429));
    number
}

#[test]
fn who_asks_for_more_names_that_nobody_has_than_are_kept_for_one_is_sent_away() {
    let relay = Relay::new();
    let device = device(&relay);
    let before = memory(&relay);
    assert!(asked_for_names(&relay, 0) > 10_000);
    let grown = memory(&relay).saturating_sub(before);
    assert!(grown < 250, "{grown} MiB");
    serves(&device);
}

#[test]
fn who_brings_content_of_more_authors_that_nobody_has_than_there_can_be_is_sent_away() {
    let relay = Relay::new();
    let device = device(&relay);
    let content = |authors: &[String]| {
        let new = |author: &String| {
            let transaction = json!({ "privacy": "trusting", "changes": "[]", "madeAt": 1 });
            let session = json!({ "after": 0, "newTransactions": [transaction], "lastSignature": "signature_z1" });
            (format!("{author}_session_z1"), session)
        };
        let new: serde_json::Map<String, Value> = authors.iter().map(new).collect();
        json!({ "action": "content", "id": id_of(&header("x")), "header": header("x"), "priority": 3, "new": new })
            .to_string()
    };
    let names = |from: usize, to: usize| (from..to).map(|number| format!("co_zA{number:020}")).collect::<Vec<_>>();
    let before = memory(&relay);
    // In one message, and in many.
    let mut at_once = client(&relay);
    at_once.send(&content(&names(0, 20_000)));
    assert_eq!(ending(&mut at_once), Some(4429));
    let mut one_by_one = client(&relay);
    let mut number = 0;
    while one_by_one.ended.is_none() {
        assert!(number < 10_000, "it looks for {number}");
        let names = names(number, number + 900);
        one_by_one.send(&content(&names));
        // It asks whoever brings it for each of them.
        while one_by_one.text().is_some_and(|text| !text.contains(&names[899])) {}
        number += 900;
    }
    assert_eq!(one_by_one.ended.map(|(code, _)| code), Some(4429));
    let grown = memory(&relay).saturating_sub(before);
    assert!(grown < 150, "{grown} MiB for {number} names");
    serves(&device);
}

#[test]
fn slow_names_that_nobody_waits_for_any_more_are_forgotten() {
    if !is_slow_run() {
        return;
    }
    let relay = Relay::new();
    let device = device(&relay);
    let before = memory(&relay);
    for round in 0..10 {
        asked_for_names(&relay, round);
    }
    let grown = memory(&relay).saturating_sub(before);
    assert!(grown < 400, "{grown} MiB for ten times what one may ask for");
    serves(&device);
}

#[test]
fn an_id_that_is_none_is_not_remembered() {
    let relay = Relay::new();
    let device = device(&relay);
    let mut client = client(&relay);
    client.send(&load(&format!("co_z{}", "x".repeat(1 << 20))));
    assert_eq!(ending(&mut client), Some(4400));
    serves(&device);
}
