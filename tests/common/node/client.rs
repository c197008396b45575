//! Devices on the official SDK, driven by a test over `tests/interop/client.mjs`.
//!
//! Requests are answered in order, one at a time. A device that a test uses beside another is another process, as it
//! would be in life: nothing passes between the two but what the relay carries.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::LineProcess;
use super::{ANSWER, START, node_script};

/// The deadline a client is given for what it waits for.
const ARRIVAL: Duration = Duration::from_secs(20);

/// What opens an account on a further device.
#[derive(Clone)]
pub struct OfficialAccount {
    /// `co_z…`
    pub id: String,
    secret: String,
}

/// A `CoValue` as a client sees it.
#[derive(Debug)]
pub struct Loaded {
    /// True once its deletion is known.
    pub deleted: bool,
    /// A map as an object, a stream as an array of its entries, by session and in the order they were appended.
    pub value: Value,
    /// The ids of the read keys its transactions are encrypted under.
    pub keys: Vec<String>,
}

/// A device on the official SDK (native crypto, reconnecting WebSocket peer), driven by a test.
pub struct OfficialClient {
    process: LineProcess,
}

impl OfficialClient {
    /// Starts it, without an account yet.
    #[track_caller]
    pub fn start() -> Self {
        let mut process = LineProcess::start("the official client", &mut node_script("client.mjs"));
        let announcement = process.json(START);
        assert_eq!(announcement, json!({ "ready": true }), "the official client announces itself");
        Self { process }
    }

    /// Starts it with a new account on `relay`, in memory.
    #[track_caller]
    pub fn with_new_account(relay: &str) -> (Self, OfficialAccount) {
        let mut client = Self::start();
        let account = client.create_account(Some(relay), None);
        (client, account)
    }

    /// Starts it as a further device of `account`, in memory.
    #[track_caller]
    pub fn with_account(relay: &str, account: &OfficialAccount) -> Self {
        let mut client = Self::start();
        client.open_account(Some(relay), None, account);
        client
    }

    /// Sends `{"do": command, …arguments}` and returns its answer, or the client's error message. For what has no
    /// method here, and for requests that are meant to fail.
    #[track_caller]
    pub fn request(&mut self, command: &str, mut arguments: Value) -> Result<Value, String> {
        arguments["do"] = json!(command);
        self.process.send(&arguments.to_string());
        let mut answer = self.process.json(ANSWER);
        match answer.get("error").and_then(Value::as_str) {
            Some(message) => Err(message.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    /// Makes a new account: without a relay it is offline, without a database in memory.
    #[track_caller]
    pub fn create_account(&mut self, relay: Option<&str>, db: Option<&Path>) -> OfficialAccount {
        let made = self.must("create", device_arguments(relay, db));
        OfficialAccount { id: text(&made, "accountID"), secret: text(&made, "accountSecret") }
    }

    /// Opens `account` as a further device of it; fails if neither relay nor database know it.
    #[track_caller]
    pub fn open_account(&mut self, relay: Option<&str>, db: Option<&Path>, account: &OfficialAccount) {
        if let Err(message) = self.try_open_account(relay, db, account) {
            self.fail("open", &message);
        }
    }

    /// The same, for accounts that are meant not to open.
    #[track_caller]
    pub fn try_open_account(
        &mut self,
        relay: Option<&str>,
        db: Option<&Path>,
        account: &OfficialAccount,
    ) -> Result<(), String> {
        let mut arguments = device_arguments(relay, db);
        arguments["accountID"] = json!(account.id);
        arguments["accountSecret"] = json!(account.secret);
        self.request("open", arguments).map(|_| ())
    }

    /// The id of the account's root map.
    #[track_caller]
    pub fn root(&mut self) -> String {
        text(&self.must("root", json!({})), "id")
    }

    /// Makes a group of this account alone and returns its id.
    #[track_caller]
    pub fn create_group(&mut self) -> String {
        text(&self.must("createGroup", json!({})), "id")
    }

    /// Lets everybody write what belongs to a group.
    #[track_caller]
    pub fn open_to_everyone(&mut self, group: &str) {
        self.must("openToEveryone", json!({ "group": group }));
    }

    /// Makes a `CoMap` with `values` (an object), owned by `group`.
    #[track_caller]
    pub fn create_map(&mut self, group: &str, values: &Value) -> String {
        text(&self.must("createMap", json!({ "group": group, "values": values })), "id")
    }

    /// Writes one key of a map.
    #[track_caller]
    pub fn set(&mut self, map: &str, key: &str, value: &Value) {
        self.must("set", json!({ "id": map, "key": key, "value": value }));
    }

    /// Makes an empty `CoStream` owned by `group`.
    #[track_caller]
    pub fn create_stream(&mut self, group: &str) -> String {
        text(&self.must("createStream", json!({ "group": group })), "id")
    }

    /// Appends `items` to a stream in one transaction.
    #[track_caller]
    pub fn push(&mut self, stream: &str, items: &[Value]) {
        self.must("push", json!({ "id": stream, "items": items }));
    }

    /// Loads a value: from memory if it is there already, else from the relay.
    #[track_caller]
    pub fn load(&mut self, id: &str) -> Loaded {
        loaded(self.must("load", json!({ "id": id })))
    }

    /// Waits until a subscription shows `value` under `key` of a map.
    #[track_caller]
    pub fn await_value(&mut self, map: &str, key: &str, value: &Value) -> Loaded {
        loaded(self.must("awaitValue", awaiting(json!({ "id": map, "key": key, "value": value }))))
    }

    /// Waits until a subscription shows at least `count` entries in a stream.
    #[track_caller]
    pub fn await_items(&mut self, stream: &str, count: usize) -> Loaded {
        loaded(self.must("awaitItems", awaiting(json!({ "id": stream, "count": count }))))
    }

    /// Waits until a subscription shows that a value has been deleted.
    #[track_caller]
    pub fn await_deleted(&mut self, id: &str) -> Loaded {
        loaded(self.must("awaitDeleted", awaiting(json!({ "id": id }))))
    }

    /// Gives a group a new read key and returns its id; what is written from now on is encrypted under it.
    #[track_caller]
    pub fn rotate_read_key(&mut self, group: &str) -> String {
        text(&self.must("rotateReadKey", json!({ "group": group })), "key")
    }

    /// Deletes a map or stream for everyone (`core.deleteCoValue`).
    #[track_caller]
    pub fn delete(&mut self, id: &str) {
        self.must("delete", json!({ "id": id }));
    }

    /// The encrypted changes of every transaction of a value, `encrypted_U…`, as relays store them.
    #[track_caller]
    pub fn ciphertexts(&mut self, id: &str) -> Vec<String> {
        strings(&self.must("ciphertexts", json!({ "id": id })), "ciphertexts")
    }

    /// Waits until the relay has confirmed everything this device holds.
    #[track_caller]
    pub fn wait_for_sync(&mut self) {
        self.must("uploaded", awaiting(json!({})));
    }

    /// Cuts the connection to the relay; the device goes on offline.
    #[track_caller]
    pub fn disconnect(&mut self) {
        self.must("disconnect", json!({}));
    }

    /// Connects again after [`Self::disconnect`].
    #[track_caller]
    pub fn reconnect(&mut self) {
        self.must("reconnect", json!({}));
    }

    /// The warnings and errors the SDK has logged on this device.
    #[track_caller]
    pub fn sdk_log(&mut self) -> Vec<String> {
        strings(&self.must("logs", json!({})), "lines")
    }

    /// Closes the account, its connection and its database, and ends the process.
    #[track_caller]
    pub fn stop(self) {
        self.process.stop();
    }

    #[track_caller]
    fn must(&mut self, command: &str, arguments: Value) -> Value {
        match self.request(command, arguments) {
            Ok(answer) => answer,
            Err(message) => self.fail(command, &message),
        }
    }

    #[track_caller]
    fn fail(&self, command: &str, message: &str) -> ! {
        panic!("the official client could not {command}: {message}; its stderr:\n{}", self.process.stderr())
    }
}

fn device_arguments(relay: Option<&str>, db: Option<&Path>) -> Value {
    let mut arguments = json!({});
    if let Some(url) = relay {
        arguments["relay"] = json!(url);
    }
    if let Some(file) = db {
        arguments["db"] = json!(file);
    }
    arguments
}

fn awaiting(mut arguments: Value) -> Value {
    arguments["timeoutMs"] = json!(ARRIVAL.as_millis());
    arguments
}

#[track_caller]
fn text(answer: &Value, field: &str) -> String {
    match answer[field].as_str() {
        Some(text) => text.to_owned(),
        None => panic!("the official client answered {answer} where {field} was expected"),
    }
}

#[track_caller]
fn strings(answer: &Value, field: &str) -> Vec<String> {
    match answer[field].as_array() {
        Some(values) => values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect(),
        None => panic!("the official client answered {answer} where {field} was expected"),
    }
}

#[track_caller]
fn loaded(mut answer: Value) -> Loaded {
    let keys = strings(&answer, "keys");
    Loaded { deleted: answer["deleted"] == json!(true), value: answer["value"].take(), keys }
}
