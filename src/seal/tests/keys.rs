//! How data keys are made, ordered, wrapped and confused.

use proptest::prelude::*;
use zeroize::ZeroizeOnDrop;

use super::*;
use crate::seal::{DataKey, EncryptedBlob, KeyId, SealError};

const KEK: [u8; 32] = [0x42; 32];

#[test]
fn rotation_adds_and_old_blobs_still_open() {
    let mut keyring = Keyring::new();
    assert!(keyring.is_empty() && keyring.current().is_none());
    assert_eq!(keyring.seal(&context(), b"early"), Err(SealError::NoKey));
    let first = keyring.rotate(1000).unwrap().id();
    let old = keyring.seal(&context(), b"old").unwrap();
    let second = keyring.rotate(2000).unwrap();
    assert_eq!((second.generation(), second.created_at()), (2, 2000));
    let second = second.id();
    assert_ne!(first, second);
    let new = keyring.seal(&context(), b"new").unwrap();
    assert_eq!((old.key_id(), new.key_id()), (first, second));
    assert_eq!(keyring.open(&context(), &old).unwrap().as_slice(), b"old");
    assert_eq!(keyring.open(&context(), &new).unwrap().as_slice(), b"new");
    assert_eq!(keyring.len(), 2);
    assert_eq!(keyring.iter().count(), 2);
}

#[test]
fn fresh_keys_are_random() {
    let (mut a, mut b) = (Keyring::new(), Keyring::new());
    let (a, b) = (a.rotate(0).unwrap(), b.rotate(0).unwrap());
    assert_ne!(a.id(), b.id());
    assert_ne!(a.expose(), b.expose());
    assert_ne!(a.expose(), &[0; 32]);
}

#[test]
fn a_key_that_is_not_here_is_named() {
    let mut elsewhere = Keyring::new();
    let id = elsewhere.rotate(0).unwrap().id();
    let blob = elsewhere.seal(&context(), b"data").unwrap();
    let error = keyring(7).open(&context(), &blob).unwrap_err();
    assert_eq!(error, SealError::UnknownKey(id));
    assert!(error.to_string().contains(&id.to_string()));
}

#[test]
fn all_devices_agree_on_the_current_key() {
    let keys = [([5; 8], 1), ([9; 8], 2), ([3; 8], 3), ([4; 8], 3)];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let mut keyring = Keyring::new();
        for i in order {
            let (id, generation) = keys[i];
            assert!(keyring.insert(VersionedKey::fixed(id, generation, [1; 32])).unwrap());
        }
        assert_eq!(keyring.current().unwrap().id(), KeyId::from_bytes([4; 8]));
        assert_eq!(keyring.rotate(0).unwrap().generation(), 4);
    }
}

#[test]
fn the_same_key_twice_is_fine_and_an_impostor_is_not() {
    let mut keyring = keyring(7);
    assert!(!keyring.insert(VersionedKey::fixed([1; 8], 1, [7; 32])).unwrap());
    let id = KeyId::from_bytes([1; 8]);
    for impostor in [VersionedKey::fixed([1; 8], 1, [8; 32]), VersionedKey::fixed([1; 8], 2, [7; 32])] {
        assert_eq!(keyring.insert(impostor), Err(SealError::KeyConflict(id)));
    }
    assert_eq!(keyring.get(id).unwrap().expose(), &[7; 32]);
}

#[test]
fn generations_end() {
    let mut keyring = Keyring::new();
    keyring.insert(VersionedKey::fixed([1; 8], u32::MAX, [7; 32])).unwrap();
    assert!(matches!(keyring.rotate(0), Err(SealError::NoGenerationLeft)));
}

#[test]
fn wrapping_round_trip() {
    let mut keyring = Keyring::new();
    let key = keyring.rotate(1_700_000_000_123).unwrap();
    let wrapped = EncryptedBlob::from_text(&key.wrap(&KEK, "co_zAccount").unwrap().to_text());
    let again = VersionedKey::unwrap(&wrapped.unwrap(), &KEK, "co_zAccount").unwrap();
    assert_eq!(again.id(), key.id());
    assert_eq!(again.generation(), 1);
    assert_eq!(again.created_at(), 1_700_000_000_123);
    assert_eq!(again.expose(), key.expose());
}

#[test]
fn a_wrapped_key_opens_for_its_phrase_and_account_only() {
    let wrapped = VersionedKey::fixed([1; 8], 1, [7; 32]).wrap(&KEK, "co_zAccount").unwrap();
    for (kek, account) in [(&[0x43; 32], "co_zAccount"), (&KEK, "co_zOther")] {
        let error = VersionedKey::unwrap(&wrapped, kek, account).unwrap_err();
        assert_eq!(error, SealError::Unreadable);
    }
    // A data key is no key-encryption key, and a blob of data is no wrapped key.
    let data = keyring(0x42).seal(&context(), b"data").unwrap();
    assert_eq!(VersionedKey::unwrap(&data, &KEK, "co_zAccount").unwrap_err(), SealError::Unreadable);
    let error = keyring(0x42).open(&context(), &wrapped).unwrap_err();
    assert_eq!(error, SealError::UnknownKey(KeyId::from_bytes([0; 8])));
}

fn wrapped_content(inside: &[u8]) -> Result<VersionedKey, SealError> {
    let context = Context { purpose: Purpose::Keyring, container: "co_zAccount", device: "", schema_version: 1 };
    let frame = zstd::bulk::compress(inside, 3).unwrap();
    let id = KeyId::from_bytes([0; 8]);
    let blob = EncryptedBlob::seal_frame_with_nonce(id, &KEK, [9; 24], &context, &frame);
    VersionedKey::unwrap(&blob, &KEK, "co_zAccount")
}

#[test]
fn malformed_content_of_a_wrapped_key() {
    let good = [&[1][..], &[5; 8], &[1, 0, 0, 0], &[0; 8], &[7; 32]].concat();
    assert_eq!(wrapped_content(&good).unwrap().expose(), &[7; 32]);
    let with = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        wrapped_content(&bad).unwrap_err()
    };
    assert_eq!(with(0, 2), SealError::FutureVersion { version: 2 });
    assert_eq!(with(0, 0), SealError::Unreadable);
    let longer = [&good[..], &[0]].concat();
    let reserved_id = [&[1][..], &[0; 8], &good[9..]].concat();
    for bad in [&good[..52], &longer, &reserved_id, &[]] {
        assert_eq!(wrapped_content(bad).unwrap_err(), SealError::Unreadable);
    }
}

#[test]
fn secrets_are_wiped_and_not_shown() {
    fn wiped<T: ZeroizeOnDrop>() {
        assert!(std::mem::needs_drop::<T>());
    }
    wiped::<DataKey>();
    assert_eq!(
        format!("{:?}", keyring(0xab)),
        "Keyring { keys: {KeyId(0101010101010101): VersionedKey { id: KeyId(0101010101010101), \
         generation: 1, created_at: 1700000000123, key: DataKey(..) }} }"
    );
}

proptest! {
    #[test]
    fn wrapped_junk_never_panics(inside: Vec<u8>) {
        let _ = wrapped_content(&inside);
    }
}
