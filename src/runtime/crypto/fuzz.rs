//! What other clients' messages are taken apart by: headers, logs of transactions, known states, keys, signatures, ciphertexts.

use super::{
    SessionMap, agent_secret, decrypt, encrypt, seal, sealer_id, sign, signer_id, unseal, unseal_for_group, verify,
};
use crate::fuzz::{Target, text, texts};

pub(crate) const FUZZED: &[Target] =
    &[Target { name: "crypto-log", seeds: logs, run: log }, Target { name: "crypto-texts", seeds: sealed, run: open }];

const HEADER: &str =
    r#"{"createdAt":null,"meta":null,"ruleset":{"type":"unsafeAllowAll"},"type":"costream","uniqueness":"x"}"#;
const SESSION: &str = "co_z1_session_z2";
const NONCE: &str = r#"{"in":"co_z1","tx":{"sessionID":"co_z1_session_z2","txIndex":0}}"#;
const KEY: &str = "keySecret_z11111111111111111111111111111111";

/// Header, transactions and known state, each in a line.
fn logs() -> Vec<Vec<u8>> {
    texts(&[
        &format!(
            "{HEADER}\n[{{\"privacy\":\"trusting\",\"madeAt\":1,\"changes\":\"[]\"}}]\n{{\"{SESSION}\":2,\"co_z1_session_z3$\":1}}"
        ),
        &format!(
            "{HEADER}\n[{{\"privacy\":\"private\",\"madeAt\":1.5,\"keyUsed\":\"key_z1\",\"encryptedChanges\":\"encrypted_UAAA\",\"meta\":\"encrypted_Uxx\"}},{{\"privacy\":\"trusting\",\"madeAt\":-1,\"changes\":\"\\u00e9\",\"meta\":\"{{}}\"}}]\n{{}}"
        ),
        "{\"type\":\"comap\",\"ruleset\":{\"type\":\"group\",\"initialAdmin\":\"sealer_z1/signer_z2\"},\"meta\":{\"type\":\"account\"},\"createdAt\":null,\"uniqueness\":null}\n[]\n{\"a\":1e3}",
    ])
}

/// What is taken into a log comes out of it, and whatever is refused changes nothing.
fn log(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let mut lines = text.splitn(3, '\n');
    let [Some(header), Some(transactions), Some(known)] = [lines.next(), lines.next(), lines.next()] else { return };
    let _ = SessionMap::new("co_z1", header, None, false);
    let Ok(mut map) = SessionMap::new("co_z1", header, Some(64), true) else { return };
    let again = SessionMap::new("co_z1", map.header(), None, true);
    assert_eq!(again.as_ref().map(SessionMap::header).ok(), Some(map.header()), "a canonical header is one");
    let before = map.known_state_json();
    match map.add_transactions(SESSION, None, transactions, "signature_z1", true) {
        Ok(()) => {
            let count = map.transaction_count(SESSION).unwrap_or(0);
            let json = map.transactions_json(SESSION, 0).unwrap_or_default();
            let mut copy = SessionMap::new("co_z1", header, None, true).unwrap_or_else(|error| panic!("{error}"));
            let taken = copy.add_transactions(SESSION, None, &json, "signature_z1", true);
            assert_eq!((taken, copy.transaction_count(SESSION)), (Ok(()), Some(count)), "{json}");
            assert_eq!(copy.transactions_json(SESSION, 0), Some(json));
            for index in 0..count.min(8) {
                assert!(map.transaction(SESSION, index).is_some());
                let _ = (map.decrypt(SESSION, index, KEY), map.decrypt_meta(SESSION, index, KEY));
                let _ = map.signature_after(SESSION, index);
            }
        }
        Err(_) => assert_eq!(map.known_state_json(), before),
    }
    let _ = map.add_transactions(SESSION, Some("signer_z1"), transactions, "signature_z1", false);
    let _ = map.set_streaming_known_state(known);
    for json in
        map.known_state_with_streaming_json().into_iter().chain([map.known_state_json(), map.session_ids_json()])
    {
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
    }
    map.mark_deleted();
    let _ = map.add_transactions(&format!("{SESSION}$"), None, transactions, "signature_z1", true);
}

fn keys() -> Option<(String, String, String, String)> {
    let secret = agent_secret(&[5; 32]);
    let (sealer, signer) = secret.split_once('/')?;
    Some((sealer.to_owned(), signer.to_owned(), sealer_id(sealer).ok()?, signer_id(signer).ok()?))
}

/// A text of any of these kinds; what is signed is always the nonce's.
fn sealed() -> Vec<Vec<u8>> {
    let made = keys().and_then(|(sealer_secret, signer_secret, sealer, signer)| {
        Some(vec![
            encrypt("\"hello\"", KEY, NONCE).ok()?,
            seal("\"hello\"", &sealer_secret, &sealer, NONCE).ok()?,
            sign(&signer_secret, NONCE).ok()?,
            signer,
            sealer,
            signer_secret,
            KEY.to_owned(),
        ])
    });
    made.unwrap_or_default().into_iter().map(String::into_bytes).collect()
}

/// Nothing that was made up opens, or is taken for signed.
fn open(bytes: &[u8]) {
    let (Some(text), Some((sealer_secret, signer_secret, sealer, signer))) = (text(bytes), keys()) else { return };
    let _ = (decrypt(text, KEY, NONCE), decrypt(text, text, text), unseal_for_group(text, &sealer_secret, NONCE));
    let _ = (encrypt("x", text, NONCE), signer_id(text), sealer_id(text), sign(text, "x"), verify(text, "x", text));
    if let Ok(plain) = unseal(text, &sealer_secret, &sealer, NONCE) {
        assert_eq!(plain, "\"hello\"");
    }
    if verify(text, NONCE, &signer) == Ok(true) {
        assert_eq!(sign(&signer_secret, NONCE).as_deref(), Ok(text));
    }
}
