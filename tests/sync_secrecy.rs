//! Nothing readable leaves: canaries in everything a record holds, and where they must not be.
//!
//! Searched are the relay's store, both devices' sync stores, every byte between them, and everything that the
//! isolate is asked and told, for the canaries, the phrase, and the data keys. The same search finds them in the
//! history, so it can succeed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use caro::history::{History, UnixNanos};
use caro::identity::{Credentials, FileKeyStore, KeyStore, KeyStoreKind, OsKeyStore, Phrase, WordCount};
use caro::net::{Proxies, RelayAddress};
use caro::sync::{self, Engine, Progress, SetUp, Setting, SyncConfig, SyncPaths, SyncState};

use crate::common::sync::{Relay, SyncHome, assert_equal_histories, bytes_of, contains};
use crate::common::wire::Wire;

/// One for each place where something readable can stand.
const CANARIES: [&str; 10] = [
    "kanarie-command-b1f3",
    "kanarie-prompt-77aa",
    "kanarie-folder-90c2",
    "kanarie-session-5e5e",
    "kanarie-tag-c0de",
    "kanarie-model-1234",
    "kanarie-device-4242",
    "kanarie-seconddevice-9",
    "kanarie-explanation-0",
    "kanarie-long-0000",
];

/// A record with a canary in every text.
fn record() -> String {
    let [command, prompt, cwd, session, tag, model, ..] = CANARIES;
    serde_json::json!({
        "command": format!("echo {command}"), "prompt": format!("say {prompt}"), "cwd": format!("/srv/{cwd}"),
        "session": session, "tags": [tag], "model": model, "exit": 0,
    })
    .to_string()
}

/// A long command that compresses to almost nothing, so that a stored block would show it.
fn long_record() -> String {
    serde_json::json!({ "command": CANARIES[9].repeat(200) }).to_string()
}

/// Everything that may appear nowhere outside the history and the key store, by name.
fn secrets(a: &SyncHome, phrase: &str) -> Vec<(String, Vec<u8>)> {
    let mut secrets: Vec<(String, Vec<u8>)> =
        CANARIES.iter().map(|canary| ((*canary).to_owned(), canary.as_bytes().to_vec())).collect();
    let words: Vec<&str> = phrase.split_whitespace().collect();
    for three in words.windows(3) {
        secrets.push(("words of the phrase".into(), three.join(" ").into_bytes()));
    }
    let user = a.home.path().display().to_string();
    secrets.push(("the home directory".into(), user.into_bytes()));
    if let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        // A short name may be part of something random.
        if host.trim().len() >= 6 {
            secrets.push(("the host name".into(), host.trim().as_bytes().to_vec()));
        }
    }
    secrets
}

#[track_caller]
fn nowhere_in(place: &str, bytes: &[u8], secrets: &[(String, Vec<u8>)]) {
    assert!(!bytes.is_empty(), "{place} is there");
    for (name, secret) in secrets {
        assert!(!contains(bytes, secret), "{name} is in {place}");
    }
}

#[test]
fn stores_and_traffic_hold_nothing_readable() {
    let relay = Relay::new();
    let wire = Wire::recording(&relay.url());
    let (a, b) = (SyncHome::new(CANARIES[6]), SyncHome::new(CANARIES[7]));
    assert_eq!(a.run_with_input(["history", "add"], format!("{}\n{}\n", record(), long_record())).code, Some(0));
    let phrase = a.init(&wire.url());
    b.restored(&wire.url(), &phrase);
    for _ in 0..3 {
        b.add_one(&format!("touch {}", CANARIES[0]));
        b.now();
        a.now();
    }
    b.now();
    assert_eq!(assert_equal_histories(&[&a, &b]), 5);

    let phrase = std::fs::read_to_string(&phrase).unwrap();
    let secrets = secrets(&a, &phrase);
    let history = bytes_of(&a.data("history.db"));
    for canary in &CANARIES[..6] {
        assert!(contains(&history, canary.as_bytes()), "the search finds {canary} where it is");
    }
    nowhere_in("the relay's store", &bytes_of(relay.data()), &secrets);
    nowhere_in("a's sync store", &bytes_of(&a.data("sync.db")), &secrets);
    nowhere_in("b's sync store", &bytes_of(&b.data("sync.db")), &secrets);
    nowhere_in("the traffic", &wire.traffic(), &secrets);
    nowhere_in("a's state", &bytes_of(&a.data("sync.json")), &secrets);

    // What a thief of the relay's store would look for next: the keys that are in the key files.
    let keys = std::fs::read(a.data("keys")).unwrap();
    assert!(!contains(&bytes_of(relay.data()), &keys[keys.len() - 32..]));
    // No two records of equal length tell their length: sizes are padded to few values.
    let relayed = wire.seen().into_iter().filter(|(_, m)| m["action"] == "content").count();
    assert!(relayed > 0);
}

#[test]
fn the_log_says_nothing_readable_either() {
    let relay = Relay::new();
    let a = SyncHome::new(CANARIES[6]);
    assert_eq!(a.run_with_input(["history", "add"], record()).code, Some(0));
    let phrase = a.home.path().join("phrase");
    let mut init = a.command([
        "sync",
        "init",
        "--new",
        "--relay",
        &relay.url(),
        "--phrase-out",
        phrase.to_str().unwrap(),
        "--device-name",
        CANARIES[6],
        "--yes",
    ]);
    init.env("CARO_LOG", "trace");
    let init = a.finish(init, &[]);
    assert_eq!(init.code, Some(0));
    assert!(init.stderr.len() > 1000, "it logs");
    let words = std::fs::read_to_string(&phrase).unwrap();
    let mut secrets = secrets(&a, &words);
    secrets.retain(|(name, _)| name != "the home directory" && name != "the host name");
    nowhere_in("the log", init.stderr.as_bytes(), &secrets);
    for secret in ["sealerSecret_z", "signerSecret_z", "keySecret_z"] {
        assert!(!init.stderr.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_relay_that_keeps_everything_gets_nothing_out_of_it() {
    let relay = crate::common::node::NodeRelay::start(None);
    let wire = Wire::recording(relay.url());
    let (a, b) = (SyncHome::new(CANARIES[6]), SyncHome::new(CANARIES[7]));
    assert_eq!(a.run_with_input(["history", "add"], record()).code, Some(0));
    let phrase = a.init(&wire.url());
    b.restored(&wire.url(), &phrase);
    let secrets = secrets(&a, &std::fs::read_to_string(&phrase).unwrap());
    nowhere_in("the traffic", &wire.traffic(), &secrets);
    // Transactions that anyone can read are there for the account alone: its keys, its group, its root.
    for (_, message) in wire.seen() {
        for (session, content) in message["new"].as_object().into_iter().flatten() {
            for transaction in content["newTransactions"].as_array().into_iter().flatten() {
                let readable = transaction["changes"].as_str().unwrap_or_default();
                let kind = message["header"]["ruleset"]["type"].as_str().unwrap_or("later");
                assert!(readable.is_empty() || kind != "ownedByGroup", "{session}: {readable}");
            }
        }
    }
    let headers: Vec<_> =
        wire.seen().into_iter().filter_map(|(_, m)| m.get("header").filter(|h| h.is_object()).cloned()).collect();
    for header in headers {
        let made = header["createdAt"].as_str();
        assert!(made.is_none_or(|made| made.ends_with("-01T00:00:00.000Z")), "only the month is told: {header}");
        assert!(header["meta"].is_null() || header["meta"]["type"] == "account", "{header}");
    }
}

/// Everything that was said to an isolate while the test ran, and everything it answered.
fn heard() -> Arc<Mutex<Vec<u8>>> {
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let ears = heard.clone();
    caro::runtime::listen(Box::new(move |text| {
        ears.lock().unwrap().extend_from_slice(text.as_bytes());
    }));
    heard
}

fn now() -> UnixNanos {
    UnixNanos(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap())
}

/// Sync as a library, in a folder of its own.
struct InProcess {
    folder: tempfile::TempDir,
    relay: RelayAddress,
}

impl InProcess {
    fn new(relay: &str) -> Self {
        let relay = RelayAddress::parse(relay, None, Proxies::default()).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), relay }
    }

    fn history(&self) -> History {
        History::open(self.folder.path().join("history.db")).unwrap()
    }

    fn setting(&self) -> Setting {
        Setting {
            paths: SyncPaths::new(self.folder.path(), self.folder.path()),
            history: self.history(),
            relay: Some(self.relay.clone()),
            patience: Duration::from_secs(30),
            now,
        }
    }

    fn set_up(&self, credentials: &Credentials, new: bool, name: &str) -> Engine {
        let os = OsKeyStore::new("nobody");
        let key_store =
            KeyStore::open(Some(KeyStoreKind::File), os, FileKeyStore::new(self.folder.path().join("keys"), None));
        let config = SyncConfig {
            relay: Some(self.relay.url().to_owned()),
            device_name: name.to_owned(),
            ..SyncConfig::default()
        };
        let set_up = SetUp { credentials, key_store: &key_store, config: &config };
        let make = if new { sync::create } else { sync::join };
        make(self.setting(), &set_up).unwrap()
    }
}

#[test]
fn the_isolate_is_told_nothing_readable() {
    let relay = Relay::new();
    let heard = heard();
    let (a, b) = (InProcess::new(&relay.url()), InProcess::new(&relay.url()));
    let words = Phrase::generate(WordCount::TwentyFour).unwrap();
    let phrase = words.expose_words().to_owned();
    let credentials = Credentials::from_phrase(words, 1).unwrap();
    let quiet = &mut |_: Progress| {};

    let record = caro::history::Record::new(CANARIES[0].to_owned(), now(), a.history().device_id().unwrap());
    a.history().add(&record).unwrap();
    let mut engine = a.set_up(&credentials, true, CANARIES[6]);
    assert_eq!(engine.exchange("test", quiet).unwrap().sent, 1);
    engine.close().unwrap();
    let mut engine = b.set_up(&credentials, false, CANARIES[7]);
    assert_eq!(engine.exchange("test", quiet).unwrap().received, 1);
    engine.close().unwrap();
    let state = SyncState::load(&a.setting().paths.state).unwrap().unwrap();
    Engine::open(a.setting(), &state, credentials.master(), "test").unwrap().close().unwrap();
    assert_eq!(b.history().count().unwrap(), 1);

    let heard = heard.lock().unwrap().clone();
    let text = String::from_utf8(heard).unwrap();
    for method in ["\"method\":\"open\"", "\"method\":\"append\"", "\"method\":\"items\"", "\"method\":\"set\""] {
        assert!(text.contains(method), "{method} was heard");
    }
    for canary in CANARIES {
        assert!(!text.contains(canary), "the isolate was told {canary}");
    }
    let words: Vec<&str> = phrase.split(' ').collect();
    for two in words.windows(2) {
        assert!(!text.contains(&two.join(" ")), "the isolate was told words of the phrase");
    }
    let keys = credentials.master().keys().unwrap();
    let encodings = |bytes: &[u8]| {
        use base64::Engine as _;
        let numbers = serde_json::to_string(bytes).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        [numbers, hex, base64, bs58::encode(bytes).into_string()]
    };
    for encoding in encodings(keys.key_encryption.expose()) {
        assert!(!text.contains(&encoding), "the isolate was told the key of keys");
    }
}
