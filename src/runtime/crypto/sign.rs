//! Ed25519 signatures over texts.
//!
//! Verification is the plain one of the curve library, not the strict one: every node of a Jazz network
//! must accept the same signatures, or their histories part.

use ed25519_dalek::{Signature, Signer as _, Verifier as _, VerifyingKey};

use super::CryptoError;
use super::encoding::SIGNATURE;
use super::keys::{SignerSecret, parse_signer_id};

/// Signs a text; the signature is `signature_z…`.
///
/// # Errors
/// When the signer secret is malformed.
pub fn sign(signer_secret: &str, text: &str) -> Result<String, CryptoError> {
    Ok(sign_with(&SignerSecret::parse(signer_secret)?, text))
}

/// Whether the signature over the text was made by the signer.
///
/// # Errors
/// When the signature or the signer ID is malformed.
pub fn verify(signature: &str, text: &str, signer_id: &str) -> Result<bool, CryptoError> {
    verify_with(&parse_signer_id(signer_id)?, signature, text)
}

pub(super) fn sign_with(secret: &SignerSecret, text: &str) -> String {
    SIGNATURE.encode58(&secret.expose().sign(text.as_bytes()).to_bytes())
}

pub(super) fn verify_with(key: &VerifyingKey, signature: &str, text: &str) -> Result<bool, CryptoError> {
    let signature = Signature::from_bytes(&*SIGNATURE.decode58(signature)?);
    Ok(key.verify(text.as_bytes(), &signature).is_ok())
}
