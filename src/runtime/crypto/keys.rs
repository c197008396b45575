//! Secrets and public keys as types, the ids that follow from secrets, and fresh randomness.
//!
//! The isolate hands secrets over as strings, which JavaScript cannot wipe; what this module makes of
//! them is wiped when dropped, never cloned and never printed.

use std::fmt;

use ed25519_dalek::{SigningKey, VerifyingKey};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::CryptoError;
use super::encoding::{KEY_SECRET, SEALER_ID, SEALER_SECRET, SIGNER_ID, SIGNER_SECRET};

/// An Ed25519 signing key.
pub(super) struct SignerSecret(SigningKey);

/// An X25519 secret.
pub(super) struct SealerSecret(StaticSecret);

/// The 32 bytes of an XSalsa20 key.
pub(super) struct KeySecret(Zeroizing<[u8; 32]>);

impl SignerSecret {
    /// Reads `signerSecret_z…`.
    pub(super) fn parse(text: &str) -> Result<Self, CryptoError> {
        Ok(Self(SigningKey::from_bytes(&*SIGNER_SECRET.decode58(text)?)))
    }

    pub(super) fn expose(&self) -> &SigningKey {
        &self.0
    }
}

impl SealerSecret {
    /// Reads `sealerSecret_z…`.
    pub(super) fn parse(text: &str) -> Result<Self, CryptoError> {
        Ok(Self(StaticSecret::from(*SEALER_SECRET.decode58(text)?)))
    }

    /// A fresh secret, for one message.
    pub(super) fn random() -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        fill_random(bytes.as_mut_slice())?;
        Ok(Self(StaticSecret::from(*bytes)))
    }

    pub(super) fn expose(&self) -> &StaticSecret {
        &self.0
    }
}

impl KeySecret {
    /// Reads `keySecret_z…`.
    pub(super) fn parse(text: &str) -> Result<Self, CryptoError> {
        Ok(Self(KEY_SECRET.decode58(text)?))
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SignerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignerSecret(..)")
    }
}

impl fmt::Debug for SealerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealerSecret(..)")
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(..)")
    }
}

/// Reads `signer_z…`: the public half of a signing key.
pub(super) fn parse_signer_id(text: &str) -> Result<VerifyingKey, CryptoError> {
    VerifyingKey::from_bytes(&*SIGNER_ID.decode58(text)?).map_err(|_| CryptoError::NotAPublicKey)
}

/// Reads `sealer_z…`: the public half of a sealing key. Points of small order are taken, as the
/// protocol does everywhere: refusing them here would let one bad member block a group's key rotation.
pub(super) fn parse_sealer_id(text: &str) -> Result<PublicKey, CryptoError> {
    Ok(PublicKey::from(*SEALER_ID.decode58(text)?))
}

/// The id (`signer_z…`) that belongs to a signer secret.
///
/// # Errors
/// When the secret is not `signerSecret_z` and 32 bytes in base58.
pub fn signer_id(signer_secret: &str) -> Result<String, CryptoError> {
    let secret = SignerSecret::parse(signer_secret)?;
    Ok(SIGNER_ID.encode58(secret.0.verifying_key().as_bytes()))
}

/// The id (`sealer_z…`) that belongs to a sealer secret.
///
/// # Errors
/// When the secret is not `sealerSecret_z` and 32 bytes in base58.
pub fn sealer_id(sealer_secret: &str) -> Result<String, CryptoError> {
    let secret = SealerSecret::parse(sealer_secret)?;
    Ok(SEALER_ID.encode58(PublicKey::from(&secret.0).as_bytes()))
}

/// The secret of an agent (`sealerSecret_z…/signerSecret_z…`) that follows from a seed: each half is the
/// BLAKE3 hash of a word and the seed. Source: `agentSecretFromSecretSeed` of the SDK.
pub fn agent_secret(seed: &[u8; 32]) -> Zeroizing<String> {
    let half = |word: &[u8]| {
        let mut hash = blake3::Hasher::new();
        hash.update(word).update(seed);
        Zeroizing::new(*hash.finalize().as_bytes())
    };
    let sealer = Zeroizing::new(SEALER_SECRET.encode58(half(b"seal").as_slice()));
    let signer = Zeroizing::new(SIGNER_SECRET.encode58(half(b"sign").as_slice()));
    Zeroizing::new(format!("{}/{}", *sealer, *signer))
}

/// Fills `out` from the operating system's random source. New signer, sealer and key secrets are
/// 32 such bytes.
///
/// # Errors
/// [`CryptoError::NoRandomness`] when the system has none to give.
pub fn fill_random(out: &mut [u8]) -> Result<(), CryptoError> {
    getrandom::fill(out).map_err(|_| CryptoError::NoRandomness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_secret_is_the_one_of_the_sdk() {
        let mut seed = [0; 32];
        for (index, byte) in (0..).zip(&mut seed) {
            *byte = index;
        }
        assert_eq!(
            *agent_secret(&seed),
            "sealerSecret_zG4mMpgwV15SSppv6ojNtGVUJdP4aqRvcx3gxErLF83Pe/\
             signerSecret_zBArFXTSgFncTtrATfYboyyy9eNffiajE1xrHR9nziEkR"
        );
    }

    #[test]
    fn debug_never_prints_key_bytes() {
        let signer = SignerSecret::parse(&SIGNER_SECRET.encode58(&[42; 32])).unwrap();
        let sealer = SealerSecret::parse(&SEALER_SECRET.encode58(&[42; 32])).unwrap();
        let key = KeySecret::parse(&KEY_SECRET.encode58(&[42; 32])).unwrap();
        assert_eq!(format!("{signer:?} {sealer:?} {key:?}"), "SignerSecret(..) SealerSecret(..) KeySecret(..)");
    }

    #[test]
    fn bytes_that_are_no_point_are_no_signer_id() {
        let text = SIGNER_ID.encode58(&[2; 32]);
        assert_eq!(parse_signer_id(&text).unwrap_err(), CryptoError::NotAPublicKey);
    }

    #[test]
    fn random_bytes_differ_and_fill_everything() {
        let (mut one, mut two) = ([0_u8; 64], [0_u8; 64]);
        fill_random(&mut one).unwrap();
        fill_random(&mut two).unwrap();
        assert_ne!(one, two);
        assert!(one[32..].iter().any(|byte| *byte != 0));
    }
}
