//! Sealed messages: XSalsa20-Poly1305 between two X25519 keys.
//!
//! The cipher's key is the raw shared secret, not the derived key of NaCl's `box`; the output is the
//! tag followed by the ciphertext. A message for a group comes from a key made for it alone, whose
//! public half stands in front, so it says nothing about its sender. Opened bytes that are not UTF-8
//! come out as replacement characters, as the SDK's text decoder does.

use crypto_secretbox::XSalsa20Poly1305;
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use x25519_dalek::PublicKey;

use super::CryptoError;
use super::encoding::{SEALED, SEALED_FOR_GROUP};
use super::hash::nonce;
use super::keys::{SealerSecret, parse_sealer_id};

/// Bytes of the public key in front of a message sealed for a group.
const PUBLIC_KEY: usize = 32;

/// Seals a text from one sealer to another; the result is `sealed_U…`.
///
/// # Errors
/// When a key is malformed.
pub fn seal(text: &str, from: &str, to: &str, nonce_text: &str) -> Result<String, CryptoError> {
    let sealed = cipher(&SealerSecret::parse(from)?, &parse_sealer_id(to)?)
        .encrypt(&nonce(nonce_text).into(), text.as_bytes())
        .map_err(|_| CryptoError::WrongTag)?;
    Ok(SEALED.encode64(&sealed))
}

/// Opens `sealed_U…` with the receiver's secret and the sender's id.
///
/// # Errors
/// [`CryptoError::WrongTag`] when it does not open; others when something is malformed.
pub fn unseal(sealed: &str, sealer_secret: &str, from: &str, nonce_text: &str) -> Result<String, CryptoError> {
    let bytes = SEALED.decode64(sealed)?;
    open(&SealerSecret::parse(sealer_secret)?, &parse_sealer_id(from)?, &bytes, nonce_text)
}

/// Seals a text for whoever holds a group's sealer secret; the result is `sealedForGroup_U…`.
///
/// # Errors
/// When the group's sealer id is malformed, or there is no randomness.
pub fn seal_for_group(text: &str, to: &str, nonce_text: &str) -> Result<String, CryptoError> {
    let to = parse_sealer_id(to)?;
    let ephemeral = SealerSecret::random()?;
    let mut sealed = PublicKey::from(ephemeral.expose()).as_bytes().to_vec();
    let message = cipher(&ephemeral, &to)
        .encrypt(&nonce(nonce_text).into(), text.as_bytes())
        .map_err(|_| CryptoError::WrongTag)?;
    sealed.extend_from_slice(&message);
    Ok(SEALED_FOR_GROUP.encode64(&sealed))
}

/// Opens `sealedForGroup_U…` with the group's sealer secret.
///
/// # Errors
/// [`CryptoError::WrongTag`] when it does not open; others when something is malformed.
pub fn unseal_for_group(sealed: &str, group_sealer_secret: &str, nonce_text: &str) -> Result<String, CryptoError> {
    let bytes = SEALED_FOR_GROUP.decode64(sealed)?;
    let (from, message) = bytes.split_first_chunk::<PUBLIC_KEY>().ok_or(CryptoError::WrongTag)?;
    open(&SealerSecret::parse(group_sealer_secret)?, &PublicKey::from(*from), message, nonce_text)
}

fn open(secret: &SealerSecret, from: &PublicKey, sealed: &[u8], nonce_text: &str) -> Result<String, CryptoError> {
    let bytes = cipher(secret, from).decrypt(&nonce(nonce_text).into(), sealed).map_err(|_| CryptoError::WrongTag)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|garbage| String::from_utf8_lossy(garbage.as_bytes()).into_owned()))
}

fn cipher(secret: &SealerSecret, other: &PublicKey) -> XSalsa20Poly1305 {
    XSalsa20Poly1305::new(secret.expose().diffie_hellman(other).as_bytes().into())
}
