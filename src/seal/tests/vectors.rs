//! The frozen blobs. They were computed by `tests/vectors/check-sealed-blobs.py`, which shares no
//! code with this program; those named "sealed by caro" were sealed here and are opened there.

use serde_json::Value;

use super::*;
use crate::seal::{EncryptedBlob, KeyId, SealError};

fn file() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/sealed-blobs.json")).unwrap()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("no {name} in {vector}"))
}

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    let digits = text(vector, name).as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn array<const N: usize>(vector: &Value, name: &str) -> [u8; N] {
    bytes(vector, name).try_into().unwrap()
}

fn context_of(vector: &Value) -> Context<'_> {
    let label = text(vector, "purpose");
    Context {
        purpose: *Purpose::ALL.iter().find(|purpose| purpose.label() == label).unwrap(),
        container: text(vector, "container"),
        device: text(vector, "device"),
        schema_version: u32::try_from(vector["schema_version"].as_u64().unwrap()).unwrap(),
    }
}

fn keyring_of(vector: &Value) -> Keyring {
    let mut keyring = Keyring::new();
    let key = VersionedKey::fixed(array(vector, "key_id"), 1, array(vector, "key"));
    keyring.insert(key).unwrap();
    keyring
}

#[test]
fn frozen_blobs_open() {
    let file = file();
    let blobs = file["blobs"].as_array().unwrap();
    assert!(blobs.len() >= Purpose::ALL.len());
    for purpose in Purpose::ALL {
        assert!(blobs.iter().any(|blob| text(blob, "purpose") == purpose.label()), "{purpose:?}");
    }
    for vector in blobs {
        let blob = EncryptedBlob::from_text(text(vector, "blob")).unwrap();
        let data = keyring_of(vector).open(&context_of(vector), &blob).unwrap();
        assert_eq!(*data, bytes(vector, "data"), "{}", text(vector, "name"));
        assert_eq!(blob.key_id().as_bytes(), &array(vector, "key_id"));
    }
}

/// With the same frame and nonce, sealing here gives the same blob bit for bit. (Frames are not
/// compared: another version of the compressor may make other ones.)
#[test]
fn sealing_gives_the_frozen_blobs() {
    let file = file();
    for vector in file["blobs"].as_array().unwrap() {
        let blob = EncryptedBlob::seal_frame_with_nonce(
            KeyId::from_bytes(array(vector, "key_id")),
            &array(vector, "key"),
            array(vector, "nonce"),
            &context_of(vector),
            &bytes(vector, "frame"),
        );
        assert_eq!(blob.to_text(), text(vector, "blob"), "{}", text(vector, "name"));
    }
}

#[test]
fn frozen_wrapped_keys_open() {
    let file = file();
    let wrapped = file["wrapped_keys"].as_array().unwrap();
    assert!(!wrapped.is_empty());
    for vector in wrapped {
        let blob = EncryptedBlob::from_text(text(vector, "blob")).unwrap();
        let kek = array(vector, "key_encryption_key");
        let key = VersionedKey::unwrap(&blob, &kek, text(vector, "container")).unwrap();
        assert_eq!(key.id().as_bytes(), &array(vector, "key_id"));
        assert_eq!(u64::from(key.generation()), vector["generation"].as_u64().unwrap());
        assert_eq!(key.created_at(), vector["created_at"].as_u64().unwrap());
        assert_eq!(key.expose(), &array(vector, "key"));
    }
}

#[test]
fn frozen_bad_blobs_stay_shut() {
    let file = file();
    let bad = file["bad"].as_array().unwrap();
    assert!(bad.len() >= 8);
    for vector in bad {
        let error = EncryptedBlob::from_text(text(vector, "blob"))
            .and_then(|blob| keyring_of(vector).open(&context_of(vector), &blob))
            .unwrap_err();
        let kind = match error {
            SealError::Unreadable => "unreadable",
            SealError::FutureVersion { .. } => "future version",
            SealError::UnknownKey(_) => "unknown key",
            other => panic!("{other:?}"),
        };
        assert_eq!(kind, text(vector, "error"), "{}", text(vector, "name"));
    }
}
