//! Random requests to the functions: keys that are whole and damaged, texts, places, and messages that
//! were changed on the way.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::calls::{Calls, to_hex};

/// What a case is made of.
#[derive(Debug)]
pub struct Input {
    text: String,
    other_text: String,
    place: String,
    other_place: String,
    data: Vec<u8>,
    signers: [String; 2],
    sealers: [String; 2],
    keys: [String; 2],
    flip: (Index, u8),
}

pub fn input() -> impl Strategy<Value = Input> {
    (
        (text(), text(), text(), text()),
        prop::collection::vec(any::<u8>(), 0..3000),
        ([key("signerSecret_z"), key("signerSecret_z")], [key("sealerSecret_z"), key("sealerSecret_z")]),
        [key("keySecret_z"), key("keySecret_z")],
        (any::<Index>(), 0_u8..8),
    )
        .prop_map(|((text, other_text, place, other_place), data, (signers, sealers), keys, flip)| Input {
            text,
            other_text,
            place,
            other_place,
            data,
            signers,
            sealers,
            keys,
            flip,
        })
}

/// Any text, most of it short.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<String>(),
        1 => r#"\{"[a-zé\\n"]{1,9}":\[[0-9]{1,9}\]\}"#,
        1 => "[a-z]{0,3000}",
    ]
}

/// A key of a kind: whole most of the time, else of a wrong length, of a wrong kind, or junk.
fn key(prefix: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        12 => any::<[u8; 32]>().prop_map(move |bytes| encode(prefix, &bytes)),
        1 => prop::collection::vec(any::<u8>(), 0..70).prop_map(move |bytes| encode(prefix, &bytes)),
        1 => any::<[u8; 32]>().prop_map(|bytes| encode("other_z", &bytes)),
        1 => "[0-9A-Za-zé]{0,60}".prop_map(move |junk| format!("{prefix}{junk}")),
        1 => any::<String>(),
    ]
}

fn encode(prefix: &str, bytes: &[u8]) -> String {
    format!("{prefix}{}", bs58::encode(bytes).into_string())
}

/// The requests of a case with our answers.
pub fn exchanges(input: &Input) -> Vec<(Value, Value)> {
    let mut asked = Asked::default();
    let Input { text, other_text, place, other_place, .. } = input;

    for [data, context] in [[&input.data[..], &[]], [&[], &input.data], [&input.data, text.as_bytes()]] {
        asked.ask(json!(["blake3", to_hex(data), to_hex(context)]));
    }
    asked.ask(json!(["shortHash", text]));

    let signers: Vec<_> = input.signers.iter().map(|secret| asked.ask(json!(["signerId", secret]))).collect();
    let sealers: Vec<_> = input.sealers.iter().map(|secret| asked.ask(json!(["sealerId", secret]))).collect();

    for secret in &input.signers {
        let Some(signature) = asked.ask(json!(["sign", secret, text])) else {
            continue;
        };
        for signer in signers.iter().flatten() {
            asked.ask(json!(["verify", signature, text, signer]));
            asked.ask(json!(["verify", signature, other_text, signer]));
            asked.ask(json!(["verify", flipped58(&signature, input.flip), text, signer]));
            asked.ask(json!(["verify", signature, text, flipped58(signer, input.flip)]));
        }
        asked.ask(json!(["verify", other_text, text, secret]));
    }

    for key in &input.keys {
        let Some(encrypted) = asked.ask(json!(["encrypt", text, key, place])) else {
            continue;
        };
        for key in &input.keys {
            asked.ask(json!(["decrypt", encrypted, key, place]));
            asked.ask(json!(["decrypt", encrypted, key, other_place]));
            asked.ask(json!(["decrypt", flipped64("encrypted_U", &encrypted, input.flip), key, place]));
        }
    }

    let [from, to] = &input.sealers;
    if let [Some(from_id), Some(to_id)] = &sealers[..] {
        let sealed = asked.ask(json!(["seal", text, from, to_id, place])).expect("the keys are good");
        let changed = flipped64("sealed_U", &sealed, input.flip);
        asked.ask(json!(["unseal", sealed, to, from_id, place]));
        asked.ask(json!(["unseal", sealed, from, from_id, place]));
        asked.ask(json!(["unseal", sealed, to, to_id, place]));
        asked.ask(json!(["unseal", sealed, to, from_id, other_place]));
        asked.ask(json!(["unseal", changed, to, from_id, place]));
        asked.ask(json!(["seal", text, from, flipped58(to_id, input.flip), place]));
        // Messages for a group hold randomness, so only their opening can be compared.
        let sealed = Calls::default().answer(&json!(["sealForGroup", text, to_id, place]))["ok"].clone();
        let changed = flipped64("sealedForGroup_U", sealed.as_str().expect("the key is good"), input.flip);
        asked.ask(json!(["unsealForGroup", sealed, to, place]));
        asked.ask(json!(["unsealForGroup", sealed, from, place]));
        asked.ask(json!(["unsealForGroup", sealed, to, other_place]));
        asked.ask(json!(["unsealForGroup", changed, to, place]));
    }
    asked.ask(json!(["seal", text, from, to, place]));
    asked.ask(json!(["sealForGroup", text, to, place]));
    asked.exchanges
}

#[derive(Default)]
struct Asked {
    calls: Calls,
    exchanges: Vec<(Value, Value)>,
}

impl Asked {
    /// Notes a request with our answer, which it returns if it is a string.
    fn ask(&mut self, request: Value) -> Option<String> {
        let answer = self.calls.answer(&request);
        let text = answer["ok"].as_str().map(str::to_owned);
        self.exchanges.push((request, answer));
        text
    }
}

/// A base58 value with one bit of its bytes flipped.
fn flipped58(text: &str, flip: (Index, u8)) -> String {
    let (prefix, body) = text.split_once("_z").expect("it has a prefix");
    let mut bytes = bs58::decode(body).into_vec().expect("it is base58");
    flip_bit(&mut bytes, flip);
    encode(&format!("{prefix}_z"), &bytes)
}

/// A base64url value with one bit of its bytes flipped.
fn flipped64(prefix: &str, text: &str, flip: (Index, u8)) -> String {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::URL_SAFE;
    let mut bytes = engine.decode(&text[prefix.len()..]).expect("it is base64url");
    flip_bit(&mut bytes, flip);
    format!("{prefix}{}", engine.encode(&bytes))
}

fn flip_bit(bytes: &mut [u8], (at, bit): (Index, u8)) {
    if !bytes.is_empty() {
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
    }
}
