//! BLAKE3 in the three lengths the protocol uses: 32 bytes, 19 bytes for short hashes and CoValue ids,
//! 24 bytes for nonces.

use super::CryptoError;
use super::encoding::{Kind, SHORT_HASH};

/// Bytes of a hash that a short hash and a CoValue id keep.
const SHORT_LENGTH: usize = 19;

/// Writes BLAKE3 of `context ‖ data` into `out`. The context is a plain prefix (which is what the
/// protocol does), not BLAKE3's key derivation mode; it may be empty.
///
/// # Errors
/// [`CryptoError::HashBuffer`] unless `out` holds 32 bytes.
pub fn blake3_into(data: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
    let out: &mut [u8; 32] = out.try_into().map_err(|_| CryptoError::HashBuffer)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(context).update(data);
    *out = hasher.finalize().into();
    Ok(())
}

/// The short hash (`shortHash_z…`) of a text.
#[must_use]
pub fn short_hash(text: &str) -> String {
    short_hash_as(&SHORT_HASH, text)
}

/// A short hash under another prefix.
pub(super) fn short_hash_as(kind: &Kind, text: &str) -> String {
    kind.encode58(&blake3::hash(text.as_bytes()).as_bytes()[..SHORT_LENGTH])
}

/// The nonce that belongs to a text saying where a message stands.
pub(super) fn nonce(material: &str) -> [u8; 24] {
    let mut nonce = [0; 24];
    blake3::Hasher::new().update(material.as_bytes()).finalize_xof().fill(&mut nonce);
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_is_a_plain_prefix() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        blake3_into(b"hello", b"ctx", &mut one).unwrap();
        blake3_into(b"ctxhello", b"", &mut two).unwrap();
        assert_eq!(one, two);
    }

    #[test]
    fn buffers_of_another_size_are_refused() {
        for size in [0, 31, 33, 64] {
            assert_eq!(blake3_into(b"", b"", &mut vec![0; size]), Err(CryptoError::HashBuffer));
        }
    }

    #[test]
    fn nonces_are_the_head_of_the_hash() {
        assert_eq!(nonce("x"), blake3::hash(b"x").as_bytes()[..24]);
    }
}
