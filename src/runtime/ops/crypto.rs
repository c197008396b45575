//! The stateless half of the crypto provider.

use deno_core::op2;
use deno_error::JsErrorBox;

use super::{exception, guarded};
use crate::runtime::crypto;

/// Fills the buffer from the operating system's random source.
#[op2(fast)]
pub fn op_crypto_random(#[buffer] out: &mut [u8]) -> Result<(), JsErrorBox> {
    crypto::fill_random(out).map_err(exception)
}

/// The signer id of a signer secret.
#[op2]
#[string]
pub fn op_crypto_signer_id(#[string] signer_secret: &str) -> Result<String, JsErrorBox> {
    guarded(|| crypto::signer_id(signer_secret).map_err(exception))
}

/// The sealer id of a sealer secret.
#[op2]
#[string]
pub fn op_crypto_sealer_id(#[string] sealer_secret: &str) -> Result<String, JsErrorBox> {
    guarded(|| crypto::sealer_id(sealer_secret).map_err(exception))
}

/// Signs a text.
#[op2]
#[string]
pub fn op_crypto_sign(#[string] signer_secret: &str, #[string] text: &str) -> Result<String, JsErrorBox> {
    guarded(|| crypto::sign(signer_secret, text).map_err(exception))
}

/// Whether a signature belongs to a text and a signer.
#[op2(fast)]
pub fn op_crypto_verify(
    #[string] signature: &str,
    #[string] text: &str,
    #[string] signer_id: &str,
) -> Result<bool, JsErrorBox> {
    guarded(|| crypto::verify(signature, text, signer_id).map_err(exception))
}

/// BLAKE3 of the context and the data.
#[op2(fast)]
pub fn op_crypto_blake3(
    #[buffer] data: &[u8],
    #[buffer] context: &[u8],
    #[buffer] out: &mut [u8],
) -> Result<(), JsErrorBox> {
    crypto::blake3_into(data, context, out).map_err(exception)
}

/// The short hash of a text.
#[op2]
#[string]
pub fn op_crypto_short_hash(#[string] text: &str) -> String {
    crypto::short_hash(text)
}

/// Encrypts a text with a key, for one place.
#[op2]
#[string]
pub fn op_crypto_encrypt(
    #[string] text: &str,
    #[string] key_secret: &str,
    #[string] nonce_text: &str,
) -> Result<String, JsErrorBox> {
    guarded(|| crypto::encrypt(text, key_secret, nonce_text).map_err(exception))
}

/// Decrypts what [`op_crypto_encrypt`] made.
#[op2]
#[string]
pub fn op_crypto_decrypt(
    #[string] encrypted: &str,
    #[string] key_secret: &str,
    #[string] nonce_text: &str,
) -> Result<String, JsErrorBox> {
    guarded(|| crypto::decrypt(encrypted, key_secret, nonce_text).map_err(exception))
}

/// Seals a text from one sealer to another.
#[op2]
#[string]
pub fn op_crypto_seal(
    #[string] text: &str,
    #[string] from: &str,
    #[string] to: &str,
    #[string] nonce_text: &str,
) -> Result<String, JsErrorBox> {
    guarded(|| crypto::seal(text, from, to, nonce_text).map_err(exception))
}

/// Opens what [`op_crypto_seal`] made.
#[op2]
#[string]
pub fn op_crypto_unseal(
    #[string] sealed: &str,
    #[string] sealer_secret: &str,
    #[string] from: &str,
    #[string] nonce_text: &str,
) -> Result<String, JsErrorBox> {
    guarded(|| crypto::unseal(sealed, sealer_secret, from, nonce_text).map_err(exception))
}

/// Seals a text to a group, from nobody.
#[op2]
#[string]
pub fn op_crypto_seal_for_group(
    #[string] text: &str,
    #[string] to: &str,
    #[string] nonce_text: &str,
) -> Result<String, JsErrorBox> {
    guarded(|| crypto::seal_for_group(text, to, nonce_text).map_err(exception))
}

/// Opens what [`op_crypto_seal_for_group`] made.
#[op2]
#[string]
pub fn op_crypto_unseal_for_group(
    #[string] sealed: &str,
    #[string] group_sealer_secret: &str,
    #[string] nonce_text: &str,
) -> Result<String, JsErrorBox> {
    guarded(|| crypto::unseal_for_group(sealed, group_sealer_secret, nonce_text).map_err(exception))
}
