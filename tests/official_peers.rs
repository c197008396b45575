//! Two devices on the official SDK, which shares no code with Caro, exchange through `caro relay serve` what they
//! exchange through a relay of the SDK's own: create, load on a second device, live update, offline work, key
//! rotation, deletion.
//!
//! Each scenario is a function of the relay's address, and runs through three relays: Caro's, which is the one under
//! test, the official one, which proves the scenario itself, and the released `jazz-run`. What is asked of Caro's relay
//! alone is erasure: once a value is deleted, its ciphertext is in no byte of the data folder. That search is proved
//! both ways, on an official relay made to erase and on one that, like all upstream, does not.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::home::wait_until;
use crate::common::node::{JazzRun, LineProcess, NodeRelay, OfficialAccount, OfficialClient};

const RELAY_START: Duration = Duration::from_secs(30);
/// Longer than the minute the SDK itself waits between two erasures.
const ERASURE: Duration = Duration::from_secs(75);

/// `caro relay serve` on a free port of the loopback interface, with a data folder of its own.
struct CaroRelay {
    _process: LineProcess,
    url: String,
    folder: TempDir,
}

impl CaroRelay {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("relay");
        let mut command = Command::new(env!("CARGO_BIN_EXE_caro"));
        command.args(["relay", "serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data).env("HOME", folder.path());
        let mut process = LineProcess::start("caro relay", &mut command);
        let announcement = process.line(RELAY_START);
        let url = announcement
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("caro relay announced {announcement:?}"))
            .to_owned();
        Self { _process: process, url, folder }
    }

    fn url(&self) -> &str {
        &self.url
    }
}

/// A map and a stream made on one device are read on a second that knows nothing but the account.
fn create_and_load(relay: &str) {
    let (mut a, account) = OfficialClient::with_new_account(relay);
    let group = a.create_group();
    let map = a.create_map(&group, &json!({ "shell": "bash", "level": 3 }));
    let stream = a.create_stream(&group);
    a.push(&stream, &[json!("first"), json!({ "second": 2 })]);
    a.push(&stream, &[json!("third")]);
    let root = a.root();
    a.set(&root, "map", &json!(map));
    a.wait_for_sync();

    let mut b = OfficialClient::with_account(relay, &account);
    assert_eq!(b.root(), root);
    assert_eq!(b.load(&root).value, json!({ "map": map }));
    assert_eq!(b.load(&map).value, json!({ "shell": "bash", "level": 3 }));
    assert_eq!(b.load(&stream).value, json!(["first", { "second": 2 }, "third"]));
    assert_no_complaints(&mut [&mut a, &mut b]);
}

/// A stranger to the account gets nothing, and the SDK says so in its own words.
fn unknown_account(relay: &str) {
    let never_uploaded = OfficialClient::start().create_account(None, None);
    let mut stranger = OfficialClient::start();
    let refusal = stranger.try_open_account(Some(relay), None, &never_uploaded);
    assert_eq!(refusal, Err("Account unavailable from all peers".to_owned()));
}

/// What one device writes reaches a subscribed one without being asked for, in both directions.
fn live_update(relay: &str) {
    live_update_between([relay; 2]);
}

/// The same with each of them at its own relay.
pub(crate) fn live_update_between([first, second]: [&str; 2]) {
    let (mut a, account) = OfficialClient::with_new_account(first);
    let group = a.create_group();
    let map = a.create_map(&group, &json!({ "from": "nobody" }));
    let stream = a.create_stream(&group);
    a.wait_for_sync();

    let mut b = OfficialClient::with_account(second, &account);
    assert_eq!(b.load(&map).value, json!({ "from": "nobody" }));
    assert_eq!(b.load(&stream).value, json!([]));

    a.set(&map, "from", &json!("a"));
    b.await_value(&map, "from", &json!("a"));
    b.set(&map, "from", &json!("b"));
    a.await_value(&map, "from", &json!("b"));

    a.push(&stream, &[json!(1), json!(2)]);
    b.await_items(&stream, 2);
    b.push(&stream, &[json!(3)]);
    assert_eq!(sorted(&a.await_items(&stream, 3).value), [json!(1), json!(2), json!(3)]);
    assert_eq!(sorted(&b.load(&stream).value), [json!(1), json!(2), json!(3)]);
    assert_no_complaints(&mut [&mut a, &mut b]);
}

/// Devices that write while cut off agree once they are back, and neither loses anything.
fn offline_writes(relay: &str) {
    offline_writes_between([relay; 2]);
}

/// The same with each of them at its own relay.
pub(crate) fn offline_writes_between([first, second]: [&str; 2]) {
    let (mut a, account) = OfficialClient::with_new_account(first);
    let group = a.create_group();
    let stream = a.create_stream(&group);
    a.wait_for_sync();
    let mut b = OfficialClient::with_account(second, &account);
    assert_eq!(b.load(&stream).value, json!([]));

    a.disconnect();
    b.disconnect();
    a.push(&stream, &[json!("a offline")]);
    b.push(&stream, &[json!("b offline")]);
    assert_eq!(a.load(&stream).value, json!(["a offline"]));
    assert_eq!(b.load(&stream).value, json!(["b offline"]));

    a.reconnect();
    b.reconnect();
    let both = [json!("a offline"), json!("b offline")];
    assert_eq!(sorted(&a.await_items(&stream, 2).value), both);
    assert_eq!(sorted(&b.await_items(&stream, 2).value), both);
}

/// After two rotations of the group's key a device that knew none of the keys reads what was written under all three.
fn key_rotation(relay: &str) {
    let (mut a, account) = OfficialClient::with_new_account(relay);
    let group = a.create_group();
    let stream = a.create_stream(&group);
    a.push(&stream, &[json!("under the first key")]);
    a.wait_for_sync();
    let mut b = OfficialClient::with_account(relay, &account);
    let first = b.load(&stream).keys;
    assert_eq!(first.len(), 1);

    let second = a.rotate_read_key(&group);
    a.push(&stream, &[json!("under the second key")]);
    let third = a.rotate_read_key(&group);
    a.push(&stream, &[json!("under the third key")]);

    let written = json!(["under the first key", "under the second key", "under the third key"]);
    let keys = [first[0].clone(), second, third];
    let on_b = b.await_items(&stream, 3);
    assert_eq!((&on_b.value, &on_b.keys[..]), (&written, &keys[..]));

    a.wait_for_sync();
    let mut c = OfficialClient::with_account(relay, &account);
    let on_c = c.load(&stream);
    assert_eq!((&on_c.value, &on_c.keys[..]), (&written, &keys[..]));
    assert_no_complaints(&mut [&mut a, &mut b, &mut c]);
}

/// A deletion reaches a subscribed device, and every device that comes later.
fn deletion(relay: &str) {
    let (mut a, account, deleted, kept) = device_with_a_deleted_stream(relay);
    let mut late = OfficialClient::with_account(relay, &account);
    assert!(late.load(&deleted).deleted);
    assert_eq!(late.load(&kept).value, json!({ "kept": true }));
    let refused = a.request("push", json!({ "id": deleted, "items": ["too late"] }));
    assert!(refused.is_err(), "a deleted stream takes no more entries");
}

/// A relay hands out nothing of a deleted value but the deletion. (`jazz-run` 0.15.10 is older than deletion and does.)
fn deleted_content_is_not_handed_out(relay: &str) {
    let (_a, account, deleted, _) = device_with_a_deleted_stream(relay);
    let mut late = OfficialClient::with_account(relay, &account);
    assert_eq!(late.load(&deleted).value, json!([]));
}

/// A device that deleted a stream while another one watched, its account, the stream, and a map that it kept.
fn device_with_a_deleted_stream(relay: &str) -> (OfficialClient, OfficialAccount, String, String) {
    let (mut a, account) = OfficialClient::with_new_account(relay);
    let group = a.create_group();
    let stream = a.create_stream(&group);
    a.push(&stream, &[json!("to be deleted")]);
    let kept = a.create_map(&group, &json!({ "kept": true }));
    a.wait_for_sync();
    let mut watching = OfficialClient::with_account(relay, &account);
    assert_eq!(watching.load(&stream).value, json!(["to be deleted"]));

    a.delete(&stream);
    assert!(watching.await_deleted(&stream).deleted);
    a.wait_for_sync();
    (a, account, stream, kept)
}

/// One test for each scenario, through the relay that the expression starts.
macro_rules! scenarios {
    ($through:ident, $relay:expr, $($scenario:ident),+ $(,)?) => {
        mod $through {
            $(#[test]
            fn $scenario() {
                let relay = $relay;
                super::$scenario(relay.url());
            })+
        }
    };
}

scenarios!(
    through_caro_relay,
    super::CaroRelay::start(),
    create_and_load,
    unknown_account,
    live_update,
    offline_writes,
    key_rotation,
    deletion,
    deleted_content_is_not_handed_out,
);
scenarios!(
    through_official_relay,
    super::NodeRelay::start(None),
    create_and_load,
    unknown_account,
    live_update,
    offline_writes,
    key_rotation,
    deletion,
    deleted_content_is_not_handed_out,
);
scenarios!(
    through_jazz_run,
    super::JazzRun::start(None),
    create_and_load,
    unknown_account,
    live_update,
    offline_writes,
    key_rotation,
    deletion,
);

/// Stores a value, checks that the search finds its ciphertext on the relay's disk, deletes it, and tells how long it
/// took until no file of the folder held a trace of it; `None` if it is still there after `deadline`.
fn time_to_erasure(relay: &str, folder: &Path, deadline: Duration) -> Option<Duration> {
    let (mut a, account) = OfficialClient::with_new_account(relay);
    let group = a.create_group();
    let stream = a.create_stream(&group);
    a.push(&stream, &[json!("a command that has to disappear from the disk of the relay")]);
    let kept =
        a.create_map(&group, &json!({ "kept": "a value that has to stay there, for the search to be worth anything" }));
    a.wait_for_sync();
    let deleted = middle_of(&a.ciphertexts(&stream)[0]);
    let kept_bytes = middle_of(&a.ciphertexts(&kept)[0]);
    // The official relay confirms before it stores.
    wait_until("the search finds what is to be deleted", || folder_contains(folder, &deleted));
    wait_until("the search finds what is to stay", || folder_contains(folder, &kept_bytes));

    a.delete(&stream);
    a.wait_for_sync();
    let started = Instant::now();
    while folder_contains(folder, &deleted) {
        if started.elapsed() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let took = started.elapsed();

    assert!(folder_contains(folder, &kept_bytes), "what was not deleted stays");
    let mut late = OfficialClient::with_account(relay, &account);
    assert!(late.load(&stream).deleted, "the deletion itself stays known");
    assert!(!late.load(&kept).deleted);
    Some(took)
}

#[test]
fn caro_relay_erases_what_was_deleted() {
    let relay = CaroRelay::start();
    let erased = time_to_erasure(relay.url(), relay.folder.path(), ERASURE);
    assert!(erased.is_some(), "deleted ciphertext is still on the relay's disk after {ERASURE:?}");
}

#[test]
fn the_search_for_erased_content_can_succeed_and_fail() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let erasing = NodeRelay::start_erasing(&folder.path().join("relay.db"));
    assert!(time_to_erasure(erasing.url(), folder.path(), ERASURE).is_some());

    let folder = tempfile::tempdir().expect("a temporary folder");
    let keeping = NodeRelay::start(Some(&folder.path().join("relay.db")));
    assert_eq!(time_to_erasure(keeping.url(), folder.path(), Duration::from_secs(2)), None);
}

#[test]
fn jazz_run_keeps_values_in_its_database() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = folder.path().join("storage.db");
    let (account, map) = {
        let relay = JazzRun::start(Some(&db));
        let (mut a, account) = OfficialClient::with_new_account(relay.url());
        let group = a.create_group();
        let map = a.create_map(&group, &json!({ "kept": "over a restart" }));
        a.wait_for_sync();
        (account, map)
    };
    let relay = JazzRun::start(Some(&db));
    let mut b = OfficialClient::with_account(relay.url(), &account);
    assert_eq!(b.load(&map).value, json!({ "kept": "over a restart" }));
}

#[test]
fn official_devices_keep_values_in_their_database() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = folder.path().join("device.db");
    let relay = NodeRelay::start(None);
    let mut a = OfficialClient::start();
    let account = a.create_account(Some(relay.url()), Some(&db));
    let group = a.create_group();
    let map = a.create_map(&group, &json!({ "kept": "without a relay" }));
    a.wait_for_sync();
    a.stop();
    assert!(relay.stop() > 0, "the relay reports its memory when it ends");

    let mut again = OfficialClient::start();
    again.open_account(None, Some(&db), &account);
    assert_eq!(again.load(&map).value, json!({ "kept": "without a relay" }));
}

/// 60 characters from the middle of a ciphertext: enough to be unique, and too short to be split between pages.
fn middle_of(ciphertext: &str) -> String {
    let from = (ciphertext.len() - 60) / 2;
    ciphertext[from..from + 60].to_owned()
}

/// Whether any file of a folder holds these bytes. Looks twice: between two files the database may move them from the
/// one to the other, so that a single pass can miss them.
fn folder_contains(folder: &Path, needle: &str) -> bool {
    scan_finds(folder, needle) || scan_finds(folder, needle)
}

fn scan_finds(folder: &Path, needle: &str) -> bool {
    let finder = |bytes: Vec<u8>| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    fs::read_dir(folder).expect("the relay's folder").any(|entry| {
        let path = entry.expect("an entry of the relay's folder").path();
        if path.is_dir() {
            scan_finds(&path, needle)
        } else {
            // A journal may vanish between listing and reading; then it holds nothing.
            fs::read(&path).is_ok_and(finder)
        }
    })
}

fn sorted(array: &Value) -> Vec<Value> {
    let mut values = array.as_array().expect("an array of entries").clone();
    values.sort_by_key(Value::to_string);
    values
}

fn assert_no_complaints(clients: &mut [&mut OfficialClient]) {
    for client in clients {
        assert_eq!(client.sdk_log(), Vec::<String>::new(), "the SDK found nothing to warn of");
    }
}
