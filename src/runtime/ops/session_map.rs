//! The stateful half of the crypto provider: one [`SessionMap`] for each CoValue in memory, known to
//! the script by an integer handle that its finalizer frees.
//!
//! Absent text crosses as the empty string in both directions, which no value here ever is.

use std::collections::HashMap;

use deno_core::{OpState, op2, v8};
use deno_error::JsErrorBox;

use super::{exception, guarded, text};
use crate::runtime::crypto::SessionMap;

/// The maps of an isolate.
#[derive(Default)]
pub(crate) struct SessionMaps {
    maps: HashMap<u32, SessionMap>,
    next: u32,
}

impl SessionMaps {
    pub(super) fn get(&self, map: u32) -> Result<&SessionMap, JsErrorBox> {
        self.maps.get(&map).ok_or_else(freed)
    }

    fn get_mut(&mut self, map: u32) -> Result<&mut SessionMap, JsErrorBox> {
        self.maps.get_mut(&map).ok_or_else(freed)
    }

    fn add(&mut self, map: SessionMap) -> u32 {
        // Handles are reused only after 2^32 of them; those still in use then are passed over.
        while self.maps.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let handle = self.next;
        self.next = self.next.wrapping_add(1);
        self.maps.insert(handle, map);
        handle
    }
}

fn freed() -> JsErrorBox {
    JsErrorBox::generic("that session map was freed")
}

fn maps(state: &OpState) -> &SessionMaps {
    state.borrow::<SessionMaps>()
}

fn maps_mut(state: &mut OpState) -> &mut SessionMaps {
    state.borrow_mut::<SessionMaps>()
}

fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Bytes as the script counts them.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn number(bytes: usize) -> f64 {
    bytes as f64
}

/// A time of the script as whole milliseconds.
fn millis(made_at: f64) -> Result<u64, JsErrorBox> {
    if (0.0..=9_007_199_254_740_992.0).contains(&made_at) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
        Ok(made_at as u64)
    } else {
        Err(JsErrorBox::range_error("a transaction's time is not one"))
    }
}

/// A new map.
#[op2(fast)]
#[smi]
pub fn op_session_map_new(
    state: &mut OpState,
    #[string] co_id: &str,
    #[string] header_json: &str,
    #[smi] max_tx_size: u32,
    skip_verify: bool,
) -> Result<u32, JsErrorBox> {
    let limit = (max_tx_size > 0).then_some(max_tx_size);
    let map = guarded(|| SessionMap::new(co_id, header_json, limit, skip_verify).map_err(exception))?;
    Ok(maps_mut(state).add(map))
}

/// Frees a map.
#[op2(fast)]
pub fn op_session_map_free(state: &mut OpState, #[smi] map: u32) {
    maps_mut(state).maps.remove(&map);
}

/// Looks through the heap for what nobody reaches any more, so that its maps are freed soon. All of the heap is walked for that.
#[op2(nofast)]
pub fn op_session_map_collect(isolate: &mut v8::Isolate) {
    isolate.low_memory_notification();
}

/// Bytes of the transactions in all maps.
#[op2(fast)]
pub fn op_session_map_bytes(state: &OpState) -> f64 {
    number(maps(state).maps.values().map(SessionMap::content_bytes).sum())
}

/// Bytes that a map takes up.
#[op2(fast)]
pub fn op_session_map_size(state: &OpState, #[smi] map: u32) -> Result<f64, JsErrorBox> {
    Ok(number(maps(state).get(map)?.extent().bytes))
}

/// Bytes of the names of a map's sessions.
#[op2(fast)]
pub fn op_session_map_names(state: &OpState, #[smi] map: u32) -> Result<f64, JsErrorBox> {
    Ok(number(maps(state).get(map)?.extent().names))
}

/// The header's canonical JSON.
#[op2]
#[string]
pub fn op_session_map_header(state: &OpState, #[smi] map: u32) -> Result<String, JsErrorBox> {
    Ok(maps(state).get(map)?.header().to_owned())
}

/// Adds transactions of others.
#[op2(fast)]
#[allow(clippy::too_many_arguments, reason = "the call of the SDK's interface")]
pub fn op_session_map_add(
    isolate: &mut v8::Isolate,
    state: &mut OpState,
    #[smi] map: u32,
    #[string] session_id: &str,
    #[string] signer_id: &str,
    transactions_json: &v8::String,
    #[string] signature: &str,
    skip_verify: bool,
) -> Result<(), JsErrorBox> {
    let transactions = text(isolate, transactions_json)?;
    let map = maps_mut(state).get_mut(map)?;
    guarded(|| {
        map.add_transactions(session_id, given(signer_id), &transactions, signature, skip_verify).map_err(exception)
    })
}

/// Makes an encrypted transaction.
#[op2]
#[string]
#[allow(clippy::too_many_arguments, reason = "the call of the SDK's interface")]
pub fn op_session_map_make_private(
    state: &mut OpState,
    #[smi] map: u32,
    #[string] session_id: &str,
    #[string] signer_secret: &str,
    #[string] changes_json: &str,
    #[string] key_id: &str,
    #[string] key_secret: &str,
    #[string] meta_json: &str,
    made_at: f64,
) -> Result<String, JsErrorBox> {
    let made_at = millis(made_at)?;
    let map = maps_mut(state).get_mut(map)?;
    guarded(|| {
        map.make_private(session_id, signer_secret, changes_json, key_id, key_secret, given(meta_json), made_at)
            .map_err(exception)
    })
}

/// Makes a transaction that all may read.
#[op2]
#[string]
#[allow(clippy::too_many_arguments, reason = "the call of the SDK's interface")]
pub fn op_session_map_make_trusting(
    state: &mut OpState,
    #[smi] map: u32,
    #[string] session_id: &str,
    #[string] signer_secret: &str,
    #[string] changes_json: &str,
    #[string] meta_json: &str,
    made_at: f64,
) -> Result<String, JsErrorBox> {
    let made_at = millis(made_at)?;
    let map = maps_mut(state).get_mut(map)?;
    guarded(|| map.make_trusting(session_id, signer_secret, changes_json, given(meta_json), made_at).map_err(exception))
}

/// The session ids.
#[op2]
#[string]
pub fn op_session_map_session_ids(state: &OpState, #[smi] map: u32) -> Result<String, JsErrorBox> {
    Ok(maps(state).get(map)?.session_ids_json())
}

/// How many transactions a session has, or -1.
#[op2(fast)]
#[smi]
pub fn op_session_map_count(state: &OpState, #[smi] map: u32, #[string] session_id: &str) -> Result<i32, JsErrorBox> {
    let count = maps(state).get(map)?.transaction_count(session_id);
    count.map_or(Ok(-1), |count| i32::try_from(count).map_err(exception))
}

/// One transaction, or "".
#[op2]
#[string]
pub fn op_session_map_transaction(
    state: &OpState,
    #[smi] map: u32,
    #[string] session_id: &str,
    #[smi] index: u32,
) -> Result<String, JsErrorBox> {
    Ok(maps(state).get(map)?.transaction(session_id, index).unwrap_or_default().to_owned())
}

/// The transactions from an index on, or "".
#[op2]
#[string]
pub fn op_session_map_transactions(
    state: &OpState,
    #[smi] map: u32,
    #[string] session_id: &str,
    #[smi] from: u32,
) -> Result<String, JsErrorBox> {
    Ok(maps(state).get(map)?.transactions_json(session_id, from).unwrap_or_default())
}

/// The signature over a whole session, or "".
#[op2]
#[string]
pub fn op_session_map_last_signature(
    state: &OpState,
    #[smi] map: u32,
    #[string] session_id: &str,
) -> Result<String, JsErrorBox> {
    Ok(maps(state).get(map)?.last_signature(session_id).unwrap_or_default().to_owned())
}

/// The signature kept after a transaction, or "".
#[op2]
#[string]
pub fn op_session_map_signature_after(
    state: &OpState,
    #[smi] map: u32,
    #[string] session_id: &str,
    #[smi] index: u32,
) -> Result<String, JsErrorBox> {
    Ok(maps(state).get(map)?.signature_after(session_id, index).unwrap_or_default().to_owned())
}

/// The last index after which a signature was kept; -1 for none, -2 where there is no such session.
#[op2(fast)]
#[smi]
pub fn op_session_map_checkpoint(
    state: &OpState,
    #[smi] map: u32,
    #[string] session_id: &str,
) -> Result<i32, JsErrorBox> {
    match maps(state).get(map)?.last_checkpoint(session_id) {
        None => Ok(-2),
        Some(None) => Ok(-1),
        Some(Some(index)) => i32::try_from(index).map_err(exception),
    }
}

/// What is here.
#[op2]
#[string]
pub fn op_session_map_known_state(state: &OpState, #[smi] map: u32) -> Result<String, JsErrorBox> {
    Ok(maps(state).get(map)?.known_state_json())
}

/// What is here or announced, or "".
#[op2]
#[string]
pub fn op_session_map_known_state_streaming(state: &OpState, #[smi] map: u32) -> Result<String, JsErrorBox> {
    Ok(maps(state).get(map)?.known_state_with_streaming_json().unwrap_or_default())
}

/// Whether announced content is missing.
#[op2(fast)]
pub fn op_session_map_is_streaming(state: &OpState, #[smi] map: u32) -> Result<bool, JsErrorBox> {
    Ok(maps(state).get(map)?.is_streaming())
}

/// Announces content.
#[op2(fast)]
pub fn op_session_map_set_streaming(
    state: &mut OpState,
    #[smi] map: u32,
    #[string] known_state_json: &str,
) -> Result<(), JsErrorBox> {
    let map = maps_mut(state).get_mut(map)?;
    guarded(|| map.set_streaming_known_state(known_state_json).map_err(exception))
}

/// Marks the CoValue as deleted.
#[op2(fast)]
pub fn op_session_map_mark_deleted(state: &mut OpState, #[smi] map: u32) -> Result<(), JsErrorBox> {
    maps_mut(state).get_mut(map)?.mark_deleted();
    Ok(())
}

/// Whether the CoValue is marked as deleted.
#[op2(fast)]
pub fn op_session_map_is_deleted(state: &OpState, #[smi] map: u32) -> Result<bool, JsErrorBox> {
    Ok(maps(state).get(map)?.is_deleted())
}

/// The changes of a transaction in plain, or "".
#[op2]
#[string]
pub fn op_session_map_decrypt(
    state: &OpState,
    #[smi] map: u32,
    #[string] session_id: &str,
    #[smi] index: u32,
    #[string] key_secret: &str,
) -> Result<String, JsErrorBox> {
    let map = maps(state).get(map)?;
    guarded(|| map.decrypt(session_id, index, key_secret).map(Option::unwrap_or_default).map_err(exception))
}

/// The meta of a transaction in plain, or "".
#[op2]
#[string]
pub fn op_session_map_decrypt_meta(
    state: &OpState,
    #[smi] map: u32,
    #[string] session_id: &str,
    #[smi] index: u32,
    #[string] key_secret: &str,
) -> Result<String, JsErrorBox> {
    let map = maps(state).get(map)?;
    guarded(|| map.decrypt_meta(session_id, index, key_secret).map(Option::unwrap_or_default).map_err(exception))
}
