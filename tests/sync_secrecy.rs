//! Nothing readable leaves: canaries in everything a record holds, and where they must not be.
//!
//! Searched are the relay's store, both devices' sync stores, every byte between them, and everything that the
//! isolate is asked, for the canaries, the phrase, and the key that opens the data keys. The same search finds the
//! canaries in the history, so it can succeed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use caro::history::{History, UnixNanos};
use caro::identity::{Credentials, FileKeyStore, KeyStore, KeyStoreKind, OsKeyStore, Phrase, WordCount};
use caro::net::{Proxies, RelayAddress};
use caro::prefs::{PreferenceStore, PrefsPaths, Settings};
use caro::seal::{EncryptedBlob, VersionedKey};
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
        "session": session, "tags": [tag], "model": model, "exit": 0, "explanation": CANARIES[8],
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
    for canary in CANARIES[..6].iter().chain(&CANARIES[8..]) {
        assert!(contains(&history, canary.as_bytes()), "the search finds {canary} where it is");
    }
    nowhere_in("the relay's store", &bytes_of(relay.data()), &secrets);
    nowhere_in("a's sync store", &bytes_of(&a.data("sync.db")), &secrets);
    nowhere_in("b's sync store", &bytes_of(&b.data("sync.db")), &secrets);
    nowhere_in("the traffic", &wire.traffic(), &secrets);
    nowhere_in("a's state", &bytes_of(&a.data("sync.json")), &secrets);
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

/// The engine's binding would keep compiled scripts in the user's cache, or where anyone may write, and run what it finds.
#[test]
fn nothing_is_compiled_into_a_cache() {
    let (relay, home) = (Relay::new(), SyncHome::new("a"));
    let phrase = home.init(&relay.url());
    for (variable, without) in [("TMPDIR", Some("HOME")), ("XDG_CACHE_HOME", None)] {
        let (folder, second) = (tempfile::tempdir().unwrap(), SyncHome::new("b"));
        let mut command = second.command(["sync", "restore", "--yes", "--relay", &relay.url(), "--phrase-file"]);
        command.arg(&phrase).env(variable, folder.path());
        if let Some(without) = without {
            command.env_remove(without);
        }
        assert_eq!(second.finish(command, b"").code, Some(0));
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{variable}: {left:?}");
    }
}

/// Everything that this process tells isolates from now on, request by request.
fn heard() -> Arc<Mutex<Vec<String>>> {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let ears = heard.clone();
    caro::runtime::listen(Box::new(move |request| ears.lock().unwrap().push(request.to_owned())));
    heard
}

/// How many data keys these requests carry that open with this key of keys.
fn wrapped_data_keys(requests: &[String], key_encryption_key: &[u8; 32]) -> usize {
    let unwraps = |container: &str, value: &serde_json::Value| {
        let blob = value.as_str().and_then(|text| EncryptedBlob::from_text(text).ok());
        blob.is_some_and(|blob| VersionedKey::unwrap(&blob, key_encryption_key, container).is_ok())
    };
    let in_request = |request: &String| {
        let request: serde_json::Value = serde_json::from_str(request).unwrap();
        let container = request["params"]["id"].as_str().unwrap_or_default().to_owned();
        let entries = request["params"]["entries"].as_object().cloned().unwrap_or_default();
        entries.values().filter(|value| unwraps(&container, value)).count()
    };
    requests.iter().map(in_request).sum()
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
            paths: SyncPaths::new(self.folder.path(), self.folder.path(), self.folder.path()),
            history: self.history(),
            relay: Some(self.relay.clone()),
            patience: Duration::from_secs(30),
            now,
            settings: Settings::default(),
            preferences: PreferenceStore::open(
                PrefsPaths::new(self.folder.path(), self.folder.path()),
                self.history().device_id().unwrap(),
            ),
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
        let set_up = SetUp { credentials, key_store: &key_store, config: &config, leave: false };
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

    let requests = heard.lock().unwrap().clone();
    let text = requests.join("\n");
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
    // The data key is in there, wrapped, and only the phrase's key of keys opens it.
    assert_eq!(wrapped_data_keys(&requests, keys.key_encryption.expose()), 1);
    assert_eq!(wrapped_data_keys(&requests, &[7; 32]), 0);
    let places = [
        ("what the isolate was told", text.into_bytes()),
        ("the relay's store", bytes_of(relay.data())),
        ("a's sync store", bytes_of(&a.folder.path().join("sync.db"))),
        ("b's sync store", bytes_of(&b.folder.path().join("sync.db"))),
    ];
    for form in forms(keys.key_encryption.expose()) {
        for (place, bytes) in &places {
            assert!(!contains(bytes, &form), "the key of keys is in {place}");
        }
    }
}

/// The ways in which 32 bytes may be written.
fn forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        bytes.to_vec(),
        serde_json::to_vec(bytes).unwrap(),
        hex.into_bytes(),
        // Without its last character, which would depend on what follows.
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)[..42].into(),
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)[..42].into(),
        bs58::encode(bytes).into_vec(),
    ]
}
