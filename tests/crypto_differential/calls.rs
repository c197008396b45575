//! Answers requests with our code.

use std::collections::HashMap;

use caro::runtime::crypto::{self, CryptoError, SessionMap};
use serde_json::{Value, json};

/// The session maps of a series of requests, by slot.
#[derive(Default)]
pub struct Calls {
    maps: HashMap<u64, SessionMap>,
}

impl Calls {
    /// Answers one request.
    pub fn answer(&mut self, request: &Value) -> Value {
        let request = request.as_array().expect("a request is an array");
        match self.call(request) {
            Ok(value) => json!({ "ok": value }),
            Err(error) => json!({ "error": kind(&error) }),
        }
    }

    /// The map in a slot.
    pub fn map(&self, slot: u64) -> &SessionMap {
        self.maps.get(&slot).expect("the slot has a map")
    }

    fn call(&mut self, request: &[Value]) -> Result<Value, CryptoError> {
        let operation = request[0].as_str().expect("an operation is a string");
        if let Some(operation) = operation.strip_prefix("map.") {
            return self.call_map(operation, &request[1..]);
        }
        let a = |at: usize| text(request, at);
        Ok(match operation {
            "reset" => {
                self.maps.clear();
                Value::Null
            }
            "signerId" => crypto::signer_id(a(1))?.into(),
            "sealerId" => crypto::sealer_id(a(1))?.into(),
            "sign" => crypto::sign(a(1), a(2))?.into(),
            "verify" => crypto::verify(a(1), a(2), a(3))?.into(),
            "blake3" => {
                let mut hash = [0; 32];
                crypto::blake3_into(&from_hex(a(1)), &from_hex(a(2)), &mut hash)?;
                to_hex(&hash).into()
            }
            "shortHash" => crypto::short_hash(a(1)).into(),
            "encrypt" => crypto::encrypt(a(1), a(2), a(3))?.into(),
            "decrypt" => crypto::decrypt(a(1), a(2), a(3))?.into(),
            "seal" => crypto::seal(a(1), a(2), a(3), a(4))?.into(),
            "unseal" => crypto::unseal(a(1), a(2), a(3), a(4))?.into(),
            "sealForGroup" => crypto::seal_for_group(a(1), a(2), a(3))?.into(),
            "unsealForGroup" => crypto::unseal_for_group(a(1), a(2), a(3))?.into(),
            other => panic!("no operation is called {other}"),
        })
    }

    fn call_map(&mut self, operation: &str, args: &[Value]) -> Result<Value, CryptoError> {
        let slot = args[0].as_u64().expect("a slot is a number");
        let a = |at: usize| text(args, at);
        let maybe = |at: usize| args[at].as_str();
        let flag = |at: usize| args[at].as_bool().expect("a flag is a boolean");
        let number = |at: usize| args[at].as_u64().expect("a number");
        let index = |at: usize| u32::try_from(number(at)).expect("an index has 32 bits");
        if operation == "new" {
            let max_tx_size = args[3].as_u64().map(|size| u32::try_from(size).expect("a size has 32 bits"));
            self.maps.insert(slot, SessionMap::new(a(1), a(2), max_tx_size, flag(4))?);
            return Ok(Value::Null);
        }
        let map = self.maps.get_mut(&slot).expect("the slot has a map");
        Ok(match operation {
            "header" => map.header().into(),
            "add" => {
                map.add_transactions(a(1), maybe(2), a(3), a(4), flag(5))?;
                Value::Null
            }
            "makePrivate" => map.make_private(a(1), a(2), a(3), a(4), a(5), maybe(6), number(7))?.into(),
            "makeTrusting" => map.make_trusting(a(1), a(2), a(3), maybe(4), number(5))?.into(),
            "sessionIds" => parsed(&map.session_ids_json()),
            "count" => map.transaction_count(a(1)).map_or(json!(-1), Value::from),
            "transaction" => map.transaction(a(1), index(2)).into(),
            "transactions" => transactions(map, a(1), index(2)),
            "lastSignature" => map.last_signature(a(1)).into(),
            "signatureAfter" => map.signature_after(a(1), index(2)).into(),
            "checkpoint" => match map.last_checkpoint(a(1)) {
                None => Value::Null,
                Some(None) => json!(-1),
                Some(Some(index)) => index.into(),
            },
            "knownState" => parsed(&map.known_state_json()),
            "knownStateWithStreaming" => {
                map.known_state_with_streaming_json().map_or(Value::Null, |json| parsed(&json))
            }
            "isStreaming" => map.is_streaming().into(),
            "setStreaming" => {
                map.set_streaming_known_state(a(1))?;
                Value::Null
            }
            "markDeleted" => {
                map.mark_deleted();
                Value::Null
            }
            "isDeleted" => map.is_deleted().into(),
            "decrypt" => map.decrypt(a(1), index(2), a(3))?.into(),
            "decryptMeta" => map.decrypt_meta(a(1), index(2), a(3))?.into(),
            other => panic!("no operation on maps is called {other}"),
        })
    }
}

/// The transactions from an index on, each as its canonical text; also checks that both ways of asking
/// agree.
fn transactions(map: &SessionMap, session: &str, from: u32) -> Value {
    let Some(json) = map.transactions_json(session, from) else {
        return Value::Null;
    };
    let count = map.transaction_count(session).expect("the session is there");
    let texts: Vec<&str> = (from..count).map(|index| map.transaction(session, index).expect("it is there")).collect();
    assert_eq!(json, format!("[{}]", texts.join(",")));
    texts.into()
}

/// What the two sides must agree on about an error.
fn kind(error: &CryptoError) -> String {
    match error {
        CryptoError::SignatureVerification { hash } => format!("signature {hash}"),
        CryptoError::WrongTag => "tag".into(),
        CryptoError::NotText => "not text".into(),
        CryptoError::Deleted { .. } => "deleted".into(),
        CryptoError::TransactionTooLarge { size, limit } => format!("size {size} > {limit}"),
        CryptoError::TransactionNotFound { index } => format!("no transaction {index}"),
        CryptoError::IdMismatch { expected, .. } => format!("id {expected}"),
        _ => "malformed".into(),
    }
}

fn text(args: &[Value], at: usize) -> &str {
    args[at].as_str().expect("this argument is a string")
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).expect("our own JSON can be read")
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits")).collect()
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
