//! What must hold for any data, any damage and any confusion.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::*;
use crate::seal::{EncryptedBlob, KeyId, MAX_PLAINTEXT, SealError, padding::padded_len};

const OVERHEAD: usize = 1 + 8 + 24 + 16;

fn reopen(bytes: Vec<u8>) -> Result<Vec<u8>, SealError> {
    let blob = EncryptedBlob::from_bytes(bytes)?;
    keyring(7).open(&context(), &blob).map(|data| data.to_vec())
}

proptest! {
    #[test]
    fn round_trip(
        data: Vec<u8>,
        purpose in prop::sample::select(&Purpose::ALL),
        container: String,
        device: String,
        schema_version: u32,
    ) {
        let context = Context { purpose, container: &container, device: &device, schema_version };
        let keyring = keyring(7);
        let blob = keyring.seal(&context, &data).unwrap();
        prop_assert_eq!(keyring.open(&context, &blob).unwrap().to_vec(), data.clone());
        let text = blob.to_text();
        prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        let again = EncryptedBlob::from_text(&text).unwrap();
        prop_assert_eq!(keyring.open(&context, &again).unwrap().to_vec(), data);
    }

    #[test]
    fn any_flipped_bit_is_found(data: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = keyring(7).seal(&context(), &data).unwrap().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let error = reopen(bytes).unwrap_err();
        match at {
            0 => prop_assert!(
                error == SealError::Unreadable || matches!(error, SealError::FutureVersion { .. }),
                "{error:?}"
            ),
            1..=8 => prop_assert!(matches!(error, SealError::UnknownKey(_))),
            _ => prop_assert_eq!(error, SealError::Unreadable),
        }
    }

    #[test]
    fn any_cut_or_longer_blob_is_found(data: Vec<u8>, keep: prop::sample::Index, more in 1usize..40) {
        let bytes = keyring(7).seal(&context(), &data).unwrap().into_bytes();
        prop_assert_eq!(reopen(bytes[..keep.index(bytes.len())].to_vec()), Err(SealError::Unreadable));
        prop_assert_eq!(reopen([bytes, vec![0; more]].concat()), Err(SealError::Unreadable));
    }

    #[test]
    fn a_blob_opens_nowhere_else(
        data: Vec<u8>,
        purpose in prop::sample::select(&Purpose::ALL),
        container in "[a-z_]{0,12}",
        device in "[a-z-]{0,12}",
        schema_version in 0u32..4,
    ) {
        let keyring = keyring(7);
        let blob = keyring.seal(&context(), &data).unwrap();
        let elsewhere = [
            Context { purpose, ..context() },
            Context { container: &container, ..context() },
            Context { device: &device, ..context() },
            Context { schema_version, ..context() },
            Context { purpose, container: &container, device: &device, schema_version },
        ];
        for other in elsewhere {
            let opened = keyring.open(&other, &blob);
            if other == context() {
                prop_assert_eq!(opened.unwrap().to_vec(), data.clone());
            } else {
                prop_assert_eq!(opened, Err(SealError::Unreadable));
            }
        }
    }

    #[test]
    fn shifting_bytes_between_fields_makes_another_context(
        container in "[a-z]{1,8}", device in "[a-z]{1,8}", cut in 1usize..8,
    ) {
        let joined = format!("{container}{device}");
        let cut = cut.min(joined.len());
        let shifted = Context { container: &joined[..cut], device: &joined[cut..], ..context() };
        let original = Context { container: &container, device: &device, ..context() };
        let keyring = keyring(7);
        let blob = keyring.seal(&original, b"data").unwrap();
        prop_assert_eq!(keyring.open(&shifted, &blob).is_ok(), shifted == original);
    }

    #[test]
    fn a_wrong_key_looks_like_damage(data: Vec<u8>, fill in 8u8..) {
        let blob = keyring(7).seal(&context(), &data).unwrap();
        prop_assert_eq!(keyring(fill).open(&context(), &blob), Err(SealError::Unreadable));
    }

    #[test]
    fn the_length_tells_the_bucket_only(data in prop::collection::vec(any::<u8>(), 0..3000)) {
        let blob = keyring(7).seal(&context(), &data).unwrap();
        let padded = blob.as_bytes().len() - OVERHEAD;
        prop_assert_eq!(padded_len(padded), Some(padded));
        prop_assert!(padded >= 256);
    }

    #[test]
    fn junk_never_panics(junk: Vec<u8>, as_version_1: bool, text: String) {
        let mut bytes = junk;
        if as_version_1 && !bytes.is_empty() {
            bytes[0] = 1;
        }
        prop_assert!(reopen(bytes).is_err());
        prop_assert!(EncryptedBlob::from_text(&text).is_err());
    }

    /// Whoever has the key can put anything inside; opening still ends in an error.
    #[test]
    fn sealed_junk_never_panics(inner: Vec<u8>, frame: Vec<u8>) {
        let blob = EncryptedBlob::seal_inner(KeyId::from_bytes([1; 8]), &[7; 32], &context(), &inner);
        prop_assert!(keyring(7).open(&context(), &blob).is_err());
        let blob = EncryptedBlob::seal_frame_with_nonce(
            KeyId::from_bytes([1; 8]), &[7; 32], [9; 24], &context(), &frame);
        let _ = keyring(7).open(&context(), &blob);
    }
}

#[test]
fn small_values_all_look_alike() {
    let keyring = keyring(7);
    let sizes: BTreeSet<usize> = ["", "strict", "moderate", "git push --force origin main"]
        .iter()
        .map(|data| keyring.seal(&context(), data.as_bytes()).unwrap().as_bytes().len())
        .collect();
    assert_eq!(sizes, BTreeSet::from([256 + OVERHEAD]));
}

#[test]
fn equal_data_never_gives_equal_blobs() {
    let keyring = keyring(7);
    let mut nonces = HashSet::new();
    for _ in 0..1000 {
        let blob = keyring.seal(&context(), b"ls").unwrap();
        assert!(nonces.insert(blob.as_bytes()[9..33].to_vec()));
    }
}

#[test]
fn text_compresses() {
    let data = "git status\ncargo build --release\n".repeat(100);
    let blob = keyring(7).seal(&context(), data.as_bytes()).unwrap();
    assert!(blob.as_bytes().len() < data.len() / 5);
}

#[test]
fn a_future_version_is_told_apart() {
    let mut bytes = keyring(7).seal(&context(), b"data").unwrap().into_bytes();
    bytes[0] = 2;
    assert_eq!(reopen(bytes), Err(SealError::FutureVersion { version: 2 }));
    assert_eq!(reopen(vec![9]), Err(SealError::FutureVersion { version: 9 }));
    assert_eq!(reopen(vec![0; 400]), Err(SealError::Unreadable));
}

#[test]
fn size_limits_hold_both_ways() {
    let keyring = keyring(7);
    let largest = vec![0x5a; MAX_PLAINTEXT];
    let blob = keyring.seal(&context(), &largest).unwrap();
    assert_eq!(keyring.open(&context(), &blob).unwrap().len(), MAX_PLAINTEXT);
    let limit = MAX_PLAINTEXT - 1;
    let error = keyring.open_up_to(&context(), &blob, limit).unwrap_err();
    assert_eq!(error, SealError::TooLarge { limit });
    let error = keyring.seal(&context(), &vec![0; MAX_PLAINTEXT + 1]).unwrap_err();
    assert_eq!(error, SealError::TooLarge { limit: MAX_PLAINTEXT });
    // A bomb from somebody who has the key.
    let bomb = zstd::bulk::compress(&vec![0; MAX_PLAINTEXT * 4], 19).unwrap();
    let blob = EncryptedBlob::seal_frame_with_nonce(KeyId::from_bytes([1; 8]), &[7; 32], [9; 24], &context(), &bomb);
    let error = keyring.open(&context(), &blob).unwrap_err();
    assert_eq!(error, SealError::TooLarge { limit: MAX_PLAINTEXT });
    // Too long from outside, before anything is read.
    let mut huge = vec![0; MAX_PLAINTEXT * 2];
    huge[0] = 1;
    assert!(matches!(EncryptedBlob::from_bytes(huge), Err(SealError::TooLarge { .. })));
    let huge = "A".repeat(MAX_PLAINTEXT * 2);
    assert!(matches!(EncryptedBlob::from_text(&huge), Err(SealError::TooLarge { .. })));
}

/// Random data doesn't compress: the largest must still be within what opening accepts.
#[test]
fn incompressible_data_of_the_greatest_size() {
    let mut data = vec![0; MAX_PLAINTEXT];
    getrandom::fill(&mut data).unwrap();
    let blob = keyring(7).seal(&context(), &data).unwrap();
    assert!(reopen(blob.into_bytes()).unwrap() == data);
}

#[test]
fn other_forms_of_padding_are_refused() {
    let frame = zstd::bulk::compress(b"data", 3).unwrap();
    let seal = |length: usize, last: u8| {
        let mut inner = (frame.len() as u32).to_le_bytes().to_vec();
        inner.extend_from_slice(&frame);
        inner.resize(length, 0);
        *inner.last_mut().unwrap() = last;
        let id = KeyId::from_bytes([1; 8]);
        let blob = EncryptedBlob::seal_inner(id, &[7; 32], &context(), &inner);
        keyring(7).open(&context(), &blob)
    };
    assert_eq!(seal(256, 0).unwrap().as_slice(), b"data");
    assert_eq!(seal(256, 1), Err(SealError::Unreadable));
    assert_eq!(seal(255, 0), Err(SealError::Unreadable));
    assert_eq!(seal(272, 0), Err(SealError::Unreadable));
}

#[test]
fn debug_shows_no_content() {
    let blob = keyring(7).seal(&context(), b"hunter2").unwrap();
    assert_eq!(format!("{blob:?}"), "EncryptedBlob(key 0101010101010101, 305 bytes)");
}
