//! A relay that lies: it changes, moves, invents, withholds, or talks nonsense.
//!
//! Whatever it does, no device crashes or hangs, and no history changes. What can be told from the data itself is
//! told as damage (exit code 6); a relay that only keeps things to itself cannot be told from one that never had them,
//! and is not called damaged. The liar is a proxy before an honest relay, so that each test can also show that
//! everything is well again once the lies end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::common::sync::{Relay, SyncHome, assert_equal_histories};
use crate::common::wire::{Fate, Tamper, Way, Wire};

/// Records in the history of [`Scene::a`].
const COUNT: usize = 60;

/// An honest device with a history on an honest relay, and a second device that is about to be lied to.
struct Scene {
    relay: Relay,
    a: SyncHome,
    b: SyncHome,
    phrase: std::path::PathBuf,
}

impl Scene {
    fn new() -> Self {
        let relay = Relay::new();
        let (a, b) = (SyncHome::new("laptop"), SyncHome::new("desktop"));
        // Two months, so that there are two segments.
        let lines: String = (0..COUNT)
            .map(|i| format!("{{\"command\":\"command {i}\",\"at\":\"2025-0{}-11T10:00:{i:02}Z\"}}\n", i % 2 + 1))
            .collect();
        assert_eq!(a.run_with_input(["history", "add"], lines).code, Some(0));
        let phrase = a.init(&relay.url());
        b.add_one("b's own");
        Self { relay, a, b, phrase }
    }

    /// Restores b through the liar, which has to end with exit code 6 (or one of the others that are allowed), and
    /// then through the honest relay.
    #[track_caller]
    fn told(&self, lie: &str, codes: &[i32], tamper: Tamper) {
        let liar = Wire::tampering(&self.relay.url(), tamper);
        let run = self.b.run([
            "sync",
            "restore",
            "--phrase-file",
            self.phrase.to_str().unwrap(),
            "--relay",
            &liar.url(),
            "--yes",
        ]);
        assert!(codes.iter().any(|code| run.code == Some(*code)), "{lie}: {run:?}");
        let own = self.b.commands();
        assert!(own.contains(&"b's own".to_owned()), "{lie}: the local history is untouched");
        let invented: Vec<_> = own.iter().filter(|c| !c.starts_with("command ") && *c != "b's own").collect();
        assert!(invented.is_empty(), "{lie}: {invented:?}");
        if run.code == Some(6) {
            assert!(run.stderr.contains("damaged or tampered with"), "{lie}: {run:?}");
            assert!(run.stderr.contains("local history is safe"), "{lie}: {run:?}");
        }
        // The lies end.
        liar.tamper(Box::new(|_, _| Fate::Pass));
        if self.b.data("sync.json").exists() {
            self.b.now();
        } else {
            self.b.restored(&liar.url(), &self.phrase);
        }
        self.a.now();
        assert_eq!(assert_equal_histories(&[&self.a, &self.b]), COUNT + 1, "{lie}");
    }
}

/// Whether this is content of a segment, from the relay.
fn is_segment(way: Way, message: &Value) -> bool {
    way == Way::Down && message["action"] == "content" && message["header"]["type"] == "costream"
}

/// Does something to the first transaction of each session in a message.
fn with_transactions(message: &Value, change: impl Fn(&mut Value)) -> Fate {
    let mut message = message.clone();
    for session in message["new"].as_object_mut().expect("content has sessions").values_mut() {
        for transaction in session["newTransactions"].as_array_mut().expect("transactions") {
            change(transaction);
        }
    }
    Fate::Instead(vec![message])
}

/// Another character of the same alphabet in the middle of a text.
fn flip(text: &mut Value) {
    let mut bytes = text.as_str().expect("a text").as_bytes().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
    *text = Value::String(String::from_utf8(bytes).unwrap());
}

#[test]
fn a_changed_byte_in_a_segment_is_damage() {
    Scene::new().told(
        "a byte",
        &[6],
        Box::new(|way, message| {
            if !is_segment(way, message) {
                return Fate::Pass;
            }
            with_transactions(message, |transaction| flip(&mut transaction["encryptedChanges"]))
        }),
    );
}

#[test]
fn a_changed_byte_in_any_map_is_damage() {
    Scene::new().told(
        "a byte",
        &[6],
        Box::new(|way, message| {
            if way != Way::Down
                || message["action"] != "content"
                || message["header"]["ruleset"]["type"] != "ownedByGroup"
            {
                return Fate::Pass;
            }
            with_transactions(message, |transaction| {
                if transaction["privacy"] == "private" {
                    flip(&mut transaction["encryptedChanges"]);
                }
            })
        }),
    );
}

#[test]
fn a_changed_time_is_damage() {
    Scene::new().told(
        "a time",
        &[6],
        Box::new(|way, message| {
            if !is_segment(way, message) {
                return Fate::Pass;
            }
            with_transactions(message, |transaction| transaction["madeAt"] = json!(1_600_000_000_000u64))
        }),
    );
}

#[test]
fn a_changed_transaction_of_the_account_is_damage() {
    Scene::new().told(
        "the account",
        &[6],
        Box::new(|way, message| {
            if way != Way::Down || message["action"] != "content" || message["header"]["meta"]["type"] != "account" {
                return Fate::Pass;
            }
            with_transactions(message, |transaction| transaction["madeAt"] = json!(1_600_000_000_000u64))
        }),
    );
}

#[test]
fn a_forged_header_is_damage() {
    for of in ["costream", "comap"] {
        Scene::new().told(
            "a header",
            &[6],
            Box::new(move |way, message| {
                if way != Way::Down || message["action"] != "content" || message["header"]["type"] != of {
                    return Fate::Pass;
                }
                let mut message = message.clone();
                message["header"]["uniqueness"] = json!("z1234567890123456");
                Fate::Instead(vec![message])
            }),
        );
    }
}

#[test]
fn a_private_transaction_that_is_relabelled_as_readable_is_damage() {
    Scene::new().told(
        "a label",
        &[6],
        Box::new(|way, message| {
            if !is_segment(way, message) {
                return Fate::Pass;
            }
            with_transactions(message, |transaction| {
                // Signed are the encrypted changes; the forger adds readable ones of his own.
                transaction["privacy"] = json!("trusting");
                transaction["changes"] = json!("[\"1.00000000000000000000000000000000.AAAA\"]");
            })
        }),
    );
}

/// Holds one segment back until the second comes, then gives each the other's sessions, which carry valid signatures.
fn swapping() -> Tamper {
    let held: Arc<Mutex<Option<Value>>> = Arc::default();
    Box::new(move |way, message| {
        if !is_segment(way, message) {
            return Fate::Pass;
        }
        let mut held = held.lock().unwrap();
        match held.take() {
            None => {
                *held = Some(message.clone());
                Fate::Drop
            }
            Some(mut first) if first["id"] != message["id"] => {
                let mut second = message.clone();
                std::mem::swap(&mut first["new"], &mut second["new"]);
                Fate::Instead(vec![first, second])
            }
            same => {
                *held = same;
                Fate::Drop
            }
        }
    })
}

#[test]
fn two_segments_with_swapped_contents_are_damage() {
    Scene::new().told("swapped", &[6], swapping());
}

#[test]
fn content_of_one_segment_under_anothers_name_is_damage_for_a_device_that_is_set_up_too() {
    let scene = Scene::new();
    scene.b.restored(&scene.relay.url(), &scene.phrase);
    let liar = Wire::tampering(&scene.relay.url(), swapping());
    let lines = "{\"command\":\"command 100\",\"at\":\"2025-07-11T10:00:00Z\"}\n{\"command\":\"command 101\",\"at\":\"2025-08-11T10:00:00Z\"}\n";
    assert_eq!(scene.a.run_with_input(["history", "add"], lines).code, Some(0));
    scene.a.now();
    scene.b.ok(["sync", "relay", "set", &liar.url(), "--yes"]);
    let run = scene.b.run(["sync", "now"]).failure(6);
    assert!(run.stderr.contains("damaged or tampered with"), "{run:?}");
    assert_eq!(scene.b.records().len(), COUNT + 1, "nothing came in, nothing went");
    scene.b.ok(["sync", "relay", "set", &scene.relay.url(), "--yes"]);
    scene.b.now();
    scene.a.now();
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b]), COUNT + 3);
}

#[test]
fn a_segment_that_the_relay_denies_is_reported_and_not_called_damaged() {
    let scene = Scene::new();
    let denied: Arc<Mutex<Option<Value>>> = Arc::default();
    let liar = Wire::tampering(
        &scene.relay.url(),
        Box::new(move |way, message| {
            let mut denied = denied.lock().unwrap();
            if is_segment(way, message) && denied.is_none() {
                *denied = Some(message["id"].clone());
            }
            if way == Way::Down && denied.as_ref() == Some(&message["id"]) {
                return Fate::Instead(vec![
                    json!({ "action": "known", "id": message["id"], "header": false, "sessions": {} }),
                ]);
            }
            Fate::Pass
        }),
    );
    let run = scene.b.restore(&liar.url(), &scene.phrase);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("1 part of the history is not on the relay yet"), "{run:?}");
    assert_eq!(scene.b.records().len(), COUNT / 2 + 1);
    let again = scene.b.now();
    assert_eq!(again.missing, 1);
    scene.b.ok(["sync", "relay", "set", &scene.relay.url(), "--yes"]);
    assert_eq!(scene.b.now().missing, 0);
    scene.a.now();
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b]), COUNT + 1);
}

#[test]
fn a_relay_that_was_set_back_gets_what_it_lost_and_is_not_called_damaged() {
    let mut scene = Scene::new();
    scene.b.restored(&scene.relay.url(), &scene.phrase);
    assert!(scene.relay.stop().success());
    let backup = tempfile::tempdir().unwrap();
    std::fs::copy(scene.relay.data().join("relay.db"), backup.path().join("relay.db")).unwrap();
    scene.relay.start_again();
    scene.a.add_one("command after the backup");
    scene.a.now();
    scene.b.now();
    assert!(scene.relay.stop().success());
    std::fs::copy(backup.path().join("relay.db"), scene.relay.data().join("relay.db")).unwrap();
    scene.relay.start_again();

    scene.b.now();
    let late = SyncHome::new("server");
    late.restored(&scene.relay.url(), &scene.phrase);
    scene.a.now();
    late.now();
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b, &late]), COUNT + 2);
}

#[test]
fn a_relay_that_claims_to_have_more_than_it_shows_is_given_up_in_time() {
    let scene = Scene::new();
    scene.b.restored(&scene.relay.url(), &scene.phrase);
    let liar = Wire::tampering(
        &scene.relay.url(),
        Box::new(|way, message| {
            if way != Way::Down || message["action"] != "known" {
                return Fate::Pass;
            }
            let mut message = message.clone();
            for count in message["sessions"].as_object_mut().expect("sessions").values_mut() {
                *count = json!(count.as_u64().unwrap() + 7);
            }
            Fate::Instead(vec![message])
        }),
    );
    scene.b.ok(["sync", "relay", "set", &liar.url(), "--yes"]);
    let run = scene.b.run(["sync", "now", "--timeout", "2"]).failure(5);
    assert!(run.stderr.contains("does not answer"), "{run:?}");
}

#[test]
fn a_change_on_the_way_up_is_refused_by_the_relay_and_told() {
    let scene = Scene::new();
    let liar = Wire::tampering(
        &scene.relay.url(),
        Box::new(|way, message| {
            if way != Way::Up || message["action"] != "content" {
                return Fate::Pass;
            }
            with_transactions(message, |transaction| {
                if transaction["privacy"] == "private" {
                    flip(&mut transaction["encryptedChanges"]);
                }
            })
        }),
    );
    scene.a.ok(["sync", "relay", "set", &liar.url(), "--yes"]);
    scene.a.add_one("command changed on its way");
    let run = scene.a.run(["sync", "now", "--timeout", "2"]);
    assert!(matches!(run.code, Some(5 | 6)), "{run:?}");
    scene.a.ok(["sync", "relay", "set", &scene.relay.url(), "--yes"]);
    scene.a.now();
    scene.b.restored(&scene.relay.url(), &scene.phrase);
    scene.a.now();
    assert_eq!(assert_equal_histories(&[&scene.a, &scene.b]), COUNT + 2);
}

#[test]
fn nonsense_neither_crashes_nor_hangs_anything() {
    let nonsense = [
        Message::text("not json"),
        Message::text(""),
        Message::text("null"),
        Message::text("[]"),
        Message::text("{}"),
        Message::text("{\"action\":\"content\"}"),
        Message::text("{\"action\":\"known\",\"id\":\"co_z\",\"header\":\"x\",\"sessions\":[]}"),
        Message::text("{\"action\":\"content\",\"id\":7,\"new\":{\"a\":{\"newTransactions\":[null]}}}"),
        Message::text("{\"action\":\"load\",\"id\":null}"),
        Message::text("{\"action\":\"unheard-of\"}"),
        Message::text("{\"__proto__\":{\"action\":\"done\"},\"action\":\"done\"}"),
        Message::text(format!("{{\"action\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000))),
        Message::text("x".repeat(5 << 20)),
        Message::binary(vec![0xff; 1 << 20]),
    ];
    for frame in nonsense {
        let scene = Scene::new();
        let begun = Instant::now();
        let count = AtomicUsize::new(0);
        let shown = format!("{frame:?}").chars().take(60).collect::<String>();
        scene.told(
            &shown,
            &[0, 5, 6],
            Box::new(move |way, message| {
                if way == Way::Down && message["type"] != "ping" && count.fetch_add(1, Ordering::Relaxed) == 2 {
                    Fate::After(frame.clone())
                } else {
                    Fate::Pass
                }
            }),
        );
        assert!(begun.elapsed() < Duration::from_secs(30), "{shown} took {:?}", begun.elapsed());
    }
}

#[test]
fn a_connection_that_is_cut_again_and_again_loses_nothing() {
    let scene = Scene::new();
    for after in [1, 3, 6, 10, 15] {
        let count = AtomicUsize::new(0);
        let liar = Wire::tampering(
            &scene.relay.url(),
            Box::new(move |way, _| {
                if way == Way::Down && count.fetch_add(1, Ordering::Relaxed) == after { Fate::Cut } else { Fate::Pass }
            }),
        );
        if scene.b.data("sync.json").exists() {
            scene.b.ok(["sync", "relay", "set", &liar.url(), "--yes"]);
            scene.b.add_one(&format!("command cut {after}"));
            let run = scene.b.run(["sync", "now", "--timeout", "10"]);
            assert!(matches!(run.code, Some(0 | 5)), "{run:?}");
        } else {
            let run = scene.b.restore(&liar.url(), &scene.phrase);
            assert!(matches!(run.code, Some(0 | 5)), "{run:?}");
        }
    }
    if scene.b.data("sync.json").exists() {
        scene.b.ok(["sync", "relay", "set", &scene.relay.url(), "--yes"]);
        scene.b.now();
    } else {
        scene.b.restored(&scene.relay.url(), &scene.phrase);
    }
    scene.a.now();
    assert!(assert_equal_histories(&[&scene.a, &scene.b]) > COUNT);
}

#[test]
fn a_relay_that_hides_the_end_of_a_full_segment_only_delays_it() {
    use crate::sync_session_guard::noise;
    let scene = Scene::new();
    scene.a.add_one(&noise("begins a segment"));
    scene.a.now();
    scene.b.restored(&scene.relay.url(), &scene.phrase);
    // What b knows of every segment now is all that the liar will admit.
    let known: Arc<Mutex<std::collections::HashMap<String, Value>>> = Arc::default();
    let (learning, telling) = (known.clone(), known);
    let liar = Wire::tampering(
        &scene.relay.url(),
        Box::new(move |way, message| {
            if way == Way::Up && message["action"] == "load" && message["header"] == true {
                learning
                    .lock()
                    .unwrap()
                    .insert(message["id"].as_str().unwrap().to_owned(), message["sessions"].clone());
            }
            Fate::Pass
        }),
    );
    scene.b.ok(["sync", "relay", "set", &liar.url(), "--yes"]);
    scene.b.now();
    scene.a.add(&(0..400).map(|i| noise(&format!("fills it {i}"))).collect::<Vec<_>>());
    scene.a.now();
    let segments: Vec<String> = liar
        .seen()
        .iter()
        .filter(|(way, m)| is_segment(*way, m))
        .map(|(_, m)| m["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(segments.is_empty(), "b had them all");
    let streams = streams_of(&scene);
    liar.tamper(Box::new(move |way, message| {
        let id = message["id"].as_str().unwrap_or_default();
        match telling.lock().unwrap().get(id) {
            Some(sessions) if way == Way::Down && streams.contains(id) => {
                Fate::Instead(vec![json!({ "action": "known", "id": id, "header": true, "sessions": sessions })])
            }
            _ => Fate::Pass,
        }
    }));
    let hidden = scene.b.now();
    assert!(hidden.missing > 0, "the index says that there is more: {hidden:?}");
    liar.tamper(Box::new(|_, _| Fate::Pass));
    assert_eq!(scene.b.now().missing, 0);
    scene.a.now();
    assert!(assert_equal_histories(&[&scene.a, &scene.b]) > 400);
}

/// The ids of all segments, from the relay's own store.
fn streams_of(scene: &Scene) -> std::collections::HashSet<String> {
    let db = rusqlite::Connection::open_with_flags(
        scene.relay.data().join("relay.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    let mut statement = db.prepare("SELECT id FROM coValues WHERE header LIKE '%\"costream\"%'").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
