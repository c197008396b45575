//! The two mechanical steps under a blob: compression within bounds, and XChaCha20-Poly1305.
//!
//! Compressing before encrypting could tell a secret by its size to somebody who can also put
//! text of his own into the same blob; nobody but the user's own devices can, and padding
//! blurs what sizes are left.

use std::io::Read;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use zeroize::Zeroizing;

use super::{SealError, blob::MAX_PLAINTEXT};

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Bytes of an XChaCha20 nonce: long enough to be random.
pub(super) const NONCE_LEN: usize = 24;
/// Bytes of a Poly1305 tag.
pub(super) const TAG_LEN: usize = 16;

const COMPRESSION_LEVEL: i32 = 3;
/// No frame of at most [`MAX_PLAINTEXT`] bytes needs to look back further.
const MAX_WINDOW_LOG: u32 = MAX_PLAINTEXT.ilog2();

/// One zstd frame.
pub(super) fn compress(plaintext: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    zstd::bulk::compress(plaintext, COMPRESSION_LEVEL).map(Zeroizing::new).map_err(|_| SealError::NoMemory)
}

/// The content of exactly one zstd frame, at most `limit` bytes. The frame's own claims about
/// its size and window are not trusted: memory is bounded by the limit and [`MAX_WINDOW_LOG`].
pub(super) fn decompress(frame: &[u8], limit: usize) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let mut rest = frame;
    let mut out = Zeroizing::new(Vec::new());
    let mut decoder =
        zstd::stream::read::Decoder::with_buffer(&mut rest).map_err(|_| SealError::NoMemory)?.single_frame();
    decoder.window_log_max(MAX_WINDOW_LOG).map_err(|_| SealError::Unreadable)?;
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.by_ref().take(most).read_to_end(&mut out).map_err(|_| SealError::Unreadable)?;
    drop(decoder);
    if out.len() > limit {
        return Err(SealError::TooLarge { limit });
    }
    if !rest.is_empty() {
        return Err(SealError::Unreadable);
    }
    Ok(out)
}

/// Ciphertext and tag.
pub(super) fn encrypt(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    associated_data: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, SealError> {
    XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(*nonce), Payload { msg: plaintext, aad: associated_data })
        .map_err(|_| SealError::NoMemory)
}

/// What [`encrypt`] was given, if key, nonce, associated data and all bytes are the same.
pub(super) fn decrypt(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    associated_data: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: associated_data })
        .map(Zeroizing::new)
        .map_err(|_| SealError::Unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
        assert!(bomb.len() < 16 << 10);
        assert_eq!(decompress(&bomb, 1 << 20), Err(SealError::TooLarge { limit: 1 << 20 }));
    }

    #[test]
    fn a_huge_window_is_refused() {
        // A frame header that asks for a 2 GiB window: magic, descriptor, window descriptor.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
        assert_eq!(decompress(&frame, 16 << 20), Err(SealError::Unreadable));
        // The same with the smallest window is an empty frame.
        let empty = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 0x01, 0x00, 0x00];
        assert_eq!(decompress(&empty, 16 << 20).unwrap().len(), 0);
    }

    #[test]
    fn exactly_one_frame() {
        let mut two = compress(b"one").unwrap().to_vec();
        assert_eq!(**decompress(&two, 100).unwrap(), b"one"[..]);
        two.extend_from_slice(&compress(b"two").unwrap());
        assert_eq!(decompress(&two, 100), Err(SealError::Unreadable));
        assert_eq!(decompress(&[], 100), Err(SealError::Unreadable));
    }

    #[test]
    fn the_limit_itself_fits() {
        for size in [0, 1, 999, 1000] {
            let frame = compress(&vec![b'x'; size]).unwrap();
            assert_eq!(decompress(&frame, 1000).unwrap().len(), size);
        }
        let frame = compress(&[b'x'; 1001]).unwrap();
        assert_eq!(decompress(&frame, 1000), Err(SealError::TooLarge { limit: 1000 }));
    }

    proptest! {
        #[test]
        fn junk_frames_never_panic(junk: Vec<u8>, magic: bool) {
            let mut frame = if magic { vec![0x28, 0xb5, 0x2f, 0xfd] } else { Vec::new() };
            frame.extend_from_slice(&junk);
            if let Ok(out) = decompress(&frame, 1000) {
                prop_assert!(out.len() <= 1000);
            }
        }
    }
}
