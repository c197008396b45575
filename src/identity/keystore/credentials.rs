//! The one item that a key store keeps for each home, and its compact form.
//!
//! ```text
//! version (1 B, = 1) ‖ created_at (8 B, milliseconds since 1970, little-endian) ‖ master key (32 B)
//!   ‖ length of the entropy (1 B: 0, 16 or 32) ‖ entropy ‖ checksum (8 B)
//! ```
//!
//! The checksum is the beginning of SHA-256 over all before it: it finds damage, it is no
//! protection; that is the key store's part. The entropy is there so that the phrase can be shown
//! again for another device; [`Credentials::forget_phrase`] drops it for good, and the rest goes
//! on working. Where a key store wants text, the same bytes are base64url behind `caro:`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::KeyStoreError;
use crate::identity::{KeyError, MasterKey, Phrase};

const VERSION: u8 = 1;
const CHECKSUM_LEN: usize = 8;
const TEXT_PREFIX: &str = "caro:";
/// Version, time, master key, entropy length, the longest entropy, checksum.
pub(super) const MAX_LEN: usize = 1 + 8 + 32 + 1 + 32 + CHECKSUM_LEN;

/// What a home needs to be itself: the master key and, unless forgotten, the phrase.
#[derive(Debug)]
pub struct Credentials {
    master: MasterKey,
    phrase: Option<Phrase>,
    created_at: u64,
}

impl Credentials {
    /// Derives the master key from `phrase` (slow, see [`MasterKey::derive`]) and keeps both.
    /// `created_at` is in milliseconds since 1970.
    pub fn from_phrase(phrase: Phrase, created_at: u64) -> Result<Self, KeyError> {
        Ok(Self { master: MasterKey::derive(&phrase)?, phrase: Some(phrase), created_at })
    }

    /// The root of all keys.
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// The phrase; `None` once forgotten.
    pub fn phrase(&self) -> Option<&Phrase> {
        self.phrase.as_ref()
    }

    /// When this home got its identity, in milliseconds since 1970.
    pub fn created_at(&self) -> u64 {
        self.created_at
    }

    /// Drops the phrase. Store the credentials again to make it last.
    pub fn forget_phrase(&mut self) {
        self.phrase = None;
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let entropy = self.phrase.as_ref().map_or(&[][..], Phrase::expose_entropy);
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_LEN));
        out.push(VERSION);
        out.extend_from_slice(&self.created_at.to_le_bytes());
        out.extend_from_slice(self.master.expose());
        // At most 32.
        out.push(entropy.len() as u8);
        out.extend_from_slice(entropy);
        let checksum = checksum(&out);
        out.extend_from_slice(&checksum);
        out
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, KeyStoreError> {
        let (&version, _) = bytes.split_first().ok_or(KeyStoreError::Damaged)?;
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(KeyStoreError::Damaged)?;
        if checksum(body) != *sum {
            return Err(KeyStoreError::Damaged);
        }
        if version > VERSION {
            return Err(KeyStoreError::FutureVersion);
        }
        if version != VERSION {
            return Err(KeyStoreError::Damaged);
        }
        let (created_at, rest) = body[1..].split_first_chunk::<8>().ok_or(KeyStoreError::Damaged)?;
        let (master, rest) = rest.split_first_chunk::<32>().ok_or(KeyStoreError::Damaged)?;
        let (&entropy_len, entropy) = rest.split_first().ok_or(KeyStoreError::Damaged)?;
        if usize::from(entropy_len) != entropy.len() {
            return Err(KeyStoreError::Damaged);
        }
        let phrase = if entropy.is_empty() {
            None
        } else {
            Some(Phrase::from_entropy(entropy).map_err(|_| KeyStoreError::Damaged)?)
        };
        Ok(Self {
            master: MasterKey::from_stored(master).map_err(|_| KeyStoreError::Damaged)?,
            phrase,
            created_at: u64::from_le_bytes(*created_at),
        })
    }

    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(TEXT_PREFIX.len() + 2 * MAX_LEN));
        out.push_str(TEXT_PREFIX);
        URL_SAFE_NO_PAD.encode_string(self.to_bytes().as_slice(), &mut out);
        out
    }

    pub(super) fn from_text(text: &[u8]) -> Result<Self, KeyStoreError> {
        let encoded = text.strip_prefix(TEXT_PREFIX.as_bytes()).ok_or(KeyStoreError::Damaged)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| KeyStoreError::Damaged)?;
        Self::from_bytes(&Zeroizing::new(bytes))
    }
}

pub(super) fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut out = [0; CHECKSUM_LEN];
    out.copy_from_slice(&Sha256::digest(bytes)[..CHECKSUM_LEN]);
    out
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Credentials without the cost of Argon2.
    pub(crate) fn sample(fill: u8) -> Credentials {
        Credentials {
            master: MasterKey::from_stored(&[fill; 32]).unwrap(),
            phrase: Some(Phrase::from_entropy(&[fill ^ 0x55; 32]).unwrap()),
            created_at: 1_700_000_000_123,
        }
    }

    pub(crate) fn assert_same(a: &Credentials, b: &Credentials) {
        assert_eq!(*a.to_bytes(), *b.to_bytes());
    }

    #[test]
    fn the_form_is_frozen() {
        let bytes = sample(0x11).to_bytes();
        let body = [&[1][..], &[0x7b, 0x68, 0xe5, 0xcf, 0x8b, 1, 0, 0], &[0x11; 32], &[32], &[0x44; 32]].concat();
        assert_eq!(bytes[..74], body);
        assert_eq!(bytes[74..], Sha256::digest(&body)[..8]);
    }

    #[test]
    fn text_round_trip_with_and_without_phrase() {
        let mut credentials = sample(3);
        assert_same(&Credentials::from_text(credentials.to_text().as_bytes()).unwrap(), &credentials);
        credentials.forget_phrase();
        let again = Credentials::from_text(credentials.to_text().as_bytes()).unwrap();
        assert!(again.phrase().is_none());
        assert_eq!(again.created_at(), 1_700_000_000_123);
        assert_eq!(again.master().expose(), &[3; 32]);
        for junk in [&b""[..], b"caro:", b"hunter2", b"caro:!!!", b"caro:AAAA", b"caro:\xff"] {
            assert!(matches!(Credentials::from_text(junk), Err(KeyStoreError::Damaged)));
        }
    }

    #[test]
    fn a_newer_form_is_not_called_damage() {
        let mut bytes = sample(1).to_bytes().to_vec();
        bytes.truncate(bytes.len() - CHECKSUM_LEN);
        bytes[0] = 2;
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        assert!(matches!(Credentials::from_bytes(&bytes), Err(KeyStoreError::FutureVersion)));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(
            format!("{:?}", sample(0xab)),
            "Credentials { master: MasterKey(..), phrase: Some(Phrase(..)), \
             created_at: 1700000000123 }"
        );
    }

    proptest! {
        #[test]
        fn any_change_is_found(at in 0usize..82, bit in 0u8..8, keep in 0usize..82) {
            let bytes = sample(9).to_bytes();
            prop_assert_eq!(bytes.len(), 82);
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1 << bit;
            prop_assert!(matches!(Credentials::from_bytes(&flipped), Err(KeyStoreError::Damaged)));
            prop_assert!(matches!(Credentials::from_bytes(&bytes[..keep]), Err(KeyStoreError::Damaged)));
        }
    }
}
