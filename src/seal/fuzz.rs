//! Sealed blobs from the relay, and what compressors and key rings find inside.

use super::cipher::decompress;
use super::keyring::{Keyring, VersionedKey, open_with_identity, seal_with_identity};
use super::{Context, EncryptedBlob, KEY_LEN, Purpose};
use crate::fuzz::{Target, text};

pub(crate) const FUZZED: &[Target] =
    &[Target { name: "seal-blob", seeds: blobs, run: blob }, Target { name: "seal-frame", seeds: frames, run: frame }];

const IDENTITY: [u8; KEY_LEN] = [7; KEY_LEN];
const CONTEXT: Context<'static> =
    Context { purpose: Purpose::History, container: "co_z1", device: "d", schema_version: 1 };
/// More than this is never inside.
const LIMIT: usize = 1 << 16;

fn blobs() -> Vec<Vec<u8>> {
    let sealed = seal_with_identity(&IDENTITY, &CONTEXT, b"git push").ok();
    let key = Keyring::new().rotate(5).ok().and_then(|key| key.wrap(&IDENTITY, "co_z1").ok());
    let blobs: Vec<EncryptedBlob> = sealed.into_iter().chain(key).collect();
    let texts = blobs.iter().map(|blob| blob.to_text().into_bytes());
    texts.chain(blobs.iter().map(|blob| blob.as_bytes().to_vec())).collect()
}

/// A blob is written as it was read, and opens only where nothing of it was changed.
fn blob(bytes: &[u8]) {
    if let Some(Ok(blob)) = text(bytes).map(EncryptedBlob::from_text) {
        assert_eq!(EncryptedBlob::from_text(&blob.to_text()).as_ref(), Ok(&blob));
    }
    let Ok(blob) = EncryptedBlob::from_bytes(bytes.to_vec()) else { return };
    assert_eq!(blob.as_bytes(), bytes);
    if let Ok(plain) = open_with_identity(&blob, &IDENTITY, &CONTEXT) {
        assert_eq!(plain.as_slice(), b"git push");
    }
    let _ = VersionedKey::unwrap(&blob, &IDENTITY, "co_z1");
    let _ = Keyring::new().open(&CONTEXT, &blob);
}

fn frames() -> Vec<Vec<u8>> {
    [b"git push".repeat(50), vec![0; LIMIT + 1], Vec::new()]
        .iter()
        .filter_map(|plain| super::cipher::compress(plain).ok())
        .map(|frame| frame.to_vec())
        .collect()
}

/// What is compressed never takes more memory than it may.
fn frame(bytes: &[u8]) {
    if let Ok(plain) = decompress(bytes, LIMIT) {
        assert!(plain.len() <= LIMIT);
    }
}
