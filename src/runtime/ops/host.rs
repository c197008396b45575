//! The way between the program and the script: requests in, answers and events out, all JSON.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;

use deno_core::{OpState, op2, v8};
use deno_error::JsErrorBox;
use tokio::sync::mpsc::UnboundedReceiver;

use super::text;

/// What the script sends.
pub(crate) enum HostMessage {
    /// The answer to a request: JSON of `{id, result}` or `{id, error}`.
    Reply(String),
    /// Something happened: JSON of a tagged event.
    Event(String),
}

/// The script's end of the channels.
pub(crate) struct Host {
    pub requests: Rc<tokio::sync::Mutex<UnboundedReceiver<String>>>,
    pub messages: mpsc::Sender<HostMessage>,
}

/// The next request, or null when there will be none.
#[op2]
#[string]
pub async fn op_host_receive(state: Rc<RefCell<OpState>>) -> Option<String> {
    let requests = state.borrow().try_borrow::<Host>()?.requests.clone();
    let mut requests = requests.lock().await;
    requests.recv().await
}

/// Answers a request.
#[op2(fast)]
pub fn op_host_reply(isolate: &mut v8::Isolate, state: &OpState, json: &v8::String) -> Result<(), JsErrorBox> {
    send(state, HostMessage::Reply(text(isolate, json)?));
    Ok(())
}

/// Tells what happened.
#[op2(fast)]
pub fn op_host_event(state: &OpState, #[string] json: String) {
    send(state, HostMessage::Event(json));
}

/// Nobody listens where an engine was booted bare, or when the program is ending.
fn send(state: &OpState, message: HostMessage) {
    if let Some(host) = state.try_borrow::<Host>() {
        let _ = host.messages.send(message);
    }
}
