//! From the phrase to the keys: one slow step, then one fast step for each purpose.
//!
//! ```text
//! master  = Argon2id(words, salt = "caro-sync/v1/phrase", m = 64 MiB, t = 3, p = 4) → 32 bytes
//! key     = HKDF-SHA256(ikm = master, no salt, info = "caro-sync/<purpose>/v1")    → 32 bytes
//! ```
//!
//! `words` are UTF-8 in NFKD form, lower case, single spaces. The salt is fixed since the words
//! are all that a new device has; they carry 128 bits or more, so no table of guesses can be
//! made in advance. The labels and the salt may never change: other devices derive the same
//! keys. `tests/vectors/identity.json` freezes both steps, checked by other implementations.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

use super::{
    phrase::Phrase,
    stretch::{RECOMMENDED, StretchError, stretch},
};

const PHRASE_SALT: &[u8] = b"caro-sync/v1/phrase";
const JAZZ_SEED_LABEL: &[u8] = b"caro-sync/jazz-seed/v1";
const KEY_ENCRYPTION_LABEL: &[u8] = b"caro-sync/key-encryption/v1";
const LOCAL_STORE_LABEL: &[u8] = b"caro-sync/local-store/v1";
const PREFERENCE_NAME_LABEL: &[u8] = b"caro-sync/preference-name/v1";

/// Why a key could not be derived. It is never about the phrase being wrong.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Argon2id's working memory can't be had.
    #[error("Deriving keys takes 64 MiB of memory, which is not free. Close something and try again.")]
    NoMemory,
    /// The derivation refused its input; no valid phrase leads here.
    #[error("The keys could not be derived. Please report this.")]
    Failed,
}

secret_key! {
    /// What the phrase is turned into; the root of all other keys. The phrase can't be computed
    /// back from it, but it opens everything the phrase opens.
    MasterKey
}

secret_key! {
    /// The secret seed of the Jazz agent: the account and its id follow from it.
    JazzSeed
}

secret_key! {
    /// Wraps the random data keys that seal what is synced.
    KeyEncryptionKey
}

secret_key! {
    /// Protects what stays on this device only.
    LocalStoreKey
}

secret_key! {
    /// Turns names of preferences into keys that tell nothing. See [`PreferenceNameKey::hash`].
    PreferenceNameKey
}

/// One key for each purpose.
#[derive(Debug)]
pub struct DerivedKeys {
    /// For the Jazz account.
    pub jazz_seed: JazzSeed,
    /// For wrapping data keys.
    pub key_encryption: KeyEncryptionKey,
    /// For data that never leaves this device.
    pub local_store: LocalStoreKey,
    /// For hashing names of preferences.
    pub preference_name: PreferenceNameKey,
}

impl MasterKey {
    /// Derives it from the words: takes 64 MiB and a good part of a second, on purpose.
    pub fn derive(phrase: &Phrase) -> Result<Self, KeyError> {
        Self::try_init(|out| stretch(phrase.expose_words().as_bytes(), PHRASE_SALT, RECOMMENDED, out)).map_err(
            |error| match error {
                StretchError::NoMemory => KeyError::NoMemory,
                StretchError::BadInput => KeyError::Failed,
            },
        )
    }

    /// Takes over bytes that a key store kept.
    pub(super) fn from_stored(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::try_init(|out| {
            if bytes.len() != out.len() {
                return Err(KeyError::Failed);
            }
            out.copy_from_slice(bytes);
            Ok(())
        })
    }

    /// Derives the keys of all purposes; fast.
    pub fn keys(&self) -> Result<DerivedKeys, KeyError> {
        Ok(DerivedKeys {
            jazz_seed: JazzSeed::try_init(|out| self.expand(JAZZ_SEED_LABEL, out))?,
            key_encryption: KeyEncryptionKey::try_init(|out| self.expand(KEY_ENCRYPTION_LABEL, out))?,
            local_store: LocalStoreKey::try_init(|out| self.expand(LOCAL_STORE_LABEL, out))?,
            preference_name: PreferenceNameKey::try_init(|out| self.expand(PREFERENCE_NAME_LABEL, out))?,
        })
    }

    fn expand(&self, label: &[u8], out: &mut [u8; 32]) -> Result<(), KeyError> {
        Hkdf::<Sha256>::new(None, self.expose()).expand(label, out).map_err(|_| KeyError::Failed)
    }
}

impl PreferenceNameKey {
    /// HMAC-SHA256 of a preference's name. Equal on all devices of one phrase; to anybody else
    /// it tells neither the name nor whether two users set the same preference.
    pub fn hash(&self, name: &str) -> Result<[u8; 32], KeyError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.expose()).map_err(|_| KeyError::Failed)?;
        mac.update(name.as_bytes());
        Ok(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;
    use subtle::ConstantTimeEq;
    use zeroize::ZeroizeOnDrop;

    use super::*;
    use crate::identity::WordCount;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn vectors() -> Vec<Value> {
        let file: Value = serde_json::from_str(include_str!("../../tests/vectors/identity.json")).unwrap();
        file["vectors"].as_array().unwrap().clone()
    }

    /// Argon2, HKDF and HMAC values come from other implementations: see the script beside them.
    #[test]
    fn frozen_vectors() {
        let vectors = vectors();
        assert!(vectors.len() >= 4);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let phrase = Phrase::parse(text("typed")).unwrap();
            assert_eq!(phrase.expose_words(), text("words"));
            assert_eq!(hex(phrase.expose_entropy()), text("entropy"));
            let master = MasterKey::derive(&phrase).unwrap();
            assert_eq!(hex(master.expose()), text("master"));
            let keys = master.keys().unwrap();
            assert_eq!(hex(keys.jazz_seed.expose()), text("jazz_seed"));
            assert_eq!(hex(keys.key_encryption.expose()), text("key_encryption"));
            assert_eq!(hex(keys.local_store.expose()), text("local_store"));
            assert_eq!(hex(keys.preference_name.expose()), text("preference_name"));
            let hashed = keys.preference_name.hash(text("preference")).unwrap();
            assert_eq!(hex(&hashed), text("preference_hash"));
        }
    }

    #[test]
    fn purposes_and_masters_never_share_a_key() {
        let mut seen = HashSet::new();
        for byte in 0..8 {
            let master = MasterKey::from_stored(&[byte; 32]).unwrap();
            let keys = master.keys().unwrap();
            for key in [
                master.expose(),
                keys.jazz_seed.expose(),
                keys.key_encryption.expose(),
                keys.local_store.expose(),
                keys.preference_name.expose(),
            ] {
                assert!(seen.insert(*key));
            }
        }
    }

    #[test]
    fn stored_master_must_have_32_bytes() {
        assert!(MasterKey::from_stored(&[1; 31]).is_err());
        assert!(MasterKey::from_stored(&[1; 33]).is_err());
        let one = MasterKey::from_stored(&[1; 32]).unwrap();
        assert!(bool::from(one.ct_eq(&MasterKey::from_stored(&[1; 32]).unwrap())));
        assert!(!bool::from(one.ct_eq(&MasterKey::from_stored(&[2; 32]).unwrap())));
    }

    #[test]
    fn debug_shows_no_bytes() {
        let master = MasterKey::from_stored(&[0xab; 32]).unwrap();
        let keys = master.keys().unwrap();
        assert_eq!(format!("{master:?}"), "MasterKey(..)");
        assert_eq!(
            format!("{keys:?}"),
            "DerivedKeys { jazz_seed: JazzSeed(..), key_encryption: KeyEncryptionKey(..), \
             local_store: LocalStoreKey(..), preference_name: PreferenceNameKey(..) }"
        );
    }

    #[test]
    fn every_key_is_wiped_on_drop() {
        fn wiped<T: ZeroizeOnDrop>() {
            assert!(std::mem::needs_drop::<T>());
        }
        wiped::<MasterKey>();
        wiped::<JazzSeed>();
        wiped::<KeyEncryptionKey>();
        wiped::<LocalStoreKey>();
        wiped::<PreferenceNameKey>();
    }

    #[test]
    fn different_phrases_give_different_masters() {
        let phrase = || Phrase::generate(WordCount::Twelve).unwrap();
        let (a, b) = (MasterKey::derive(&phrase()).unwrap(), MasterKey::derive(&phrase()).unwrap());
        assert!(!bool::from(a.ct_eq(&b)));
    }
}
