//! XSalsa20 without authentication: how the protocol encrypts with a group's read key.
//!
//! A wrong key yields garbage, not an error; integrity comes from the session's signature. The nonce
//! follows from where the text stands, so no two texts may share a place and a key.

use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};

use super::CryptoError;
use super::encoding::ENCRYPTED;
use super::hash::nonce;
use super::keys::KeySecret;

/// Encrypts a text to `encrypted_U…`.
///
/// # Errors
/// When the key secret is malformed.
pub fn encrypt(text: &str, key_secret: &str, nonce_text: &str) -> Result<String, CryptoError> {
    let key = KeySecret::parse(key_secret)?;
    Ok(encrypt_with(&key, &nonce(nonce_text), text))
}

/// Decrypts `encrypted_U…`. Bytes that are not UTF-8 come out as replacement characters, as the SDK's
/// text decoder does, so a wrong key gives a text that is not JSON.
///
/// # Errors
/// When the ciphertext or the key secret is malformed.
pub fn decrypt(encrypted: &str, key_secret: &str, nonce_text: &str) -> Result<String, CryptoError> {
    let mut bytes = ENCRYPTED.decode64(encrypted)?;
    apply(&KeySecret::parse(key_secret)?, &nonce(nonce_text), &mut bytes);
    Ok(String::from_utf8(bytes).unwrap_or_else(|garbage| String::from_utf8_lossy(garbage.as_bytes()).into_owned()))
}

pub(super) fn encrypt_with(key: &KeySecret, nonce: &[u8; 24], text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    apply(key, nonce, &mut bytes);
    ENCRYPTED.encode64(&bytes)
}

/// Decrypts a field of a transaction, which must have the one canonical spelling and hold text.
pub(super) fn decrypt_field(key: &KeySecret, nonce: &[u8; 24], encrypted: &str) -> Result<String, CryptoError> {
    let mut bytes = ENCRYPTED.decode64_strict(encrypted)?;
    apply(key, nonce, &mut bytes);
    String::from_utf8(bytes).map_err(|_| CryptoError::NotText)
}

/// Encryption and decryption are the same: the key stream is added to the bytes.
fn apply(key: &KeySecret, nonce: &[u8; 24], bytes: &mut [u8]) {
    XSalsa20::new(key.expose().into(), nonce.into()).apply_keystream(bytes);
}
