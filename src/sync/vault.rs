//! Seals what leaves and opens what arrives, in the text form that the account holds:
//! `schema.device.blob`, for example `1.0190…af.Ae3k…`.
//!
//! Schema and device stand in front since a reader needs them to open the blob; both are bound into it,
//! so that changing either makes it unreadable.

use std::collections::BTreeMap;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::SyncError;
use super::rotation::KeyName;
use super::schema;
use crate::history::UnixNanos;
use crate::identity::KeyEncryptionKey;
use crate::seal::{Context, EncryptedBlob, Keyring, Purpose, SealError, VersionedKey};

/// The account's data keys, and who this device is.
pub(super) struct Vault {
    keyring: Keyring,
    device: String,
}

/// What opening gave.
pub(super) enum Opening {
    /// The content, and the device that sealed it.
    Opened { device: Uuid, plaintext: Zeroizing<Vec<u8>> },
    /// A newer version of the program is needed.
    Newer,
    /// The data key has not arrived here yet.
    KeyMissing,
}

/// What a value says, with its labels.
pub(super) struct Lifted {
    schema: u32,
    device: String,
    pub(super) plaintext: Zeroizing<Vec<u8>>,
}

/// What lifting gave.
pub(super) enum Lifting {
    Lifted(Lifted),
    /// A newer version of the program is needed to open its seal.
    Newer,
    /// The data key has not arrived here yet.
    KeyMissing,
}

impl Vault {
    /// A vault without keys.
    pub(super) fn new(device: Uuid) -> Self {
        Self { keyring: Keyring::new(), device: device.simple().to_string() }
    }

    /// Makes a data key; its name and its wrapped form for the registry of keys.
    pub(super) fn new_key(
        &mut self,
        wrapping: &KeyEncryptionKey,
        registry: &str,
        now: UnixNanos,
    ) -> Result<(String, String), SyncError> {
        let millis = u64::try_from(now.0 / 1_000_000).unwrap_or(0);
        let key = self.keyring.rotate(millis).map_err(unsealable)?;
        let wrapped = key.wrap(wrapping.expose(), registry).map_err(unsealable)?;
        Ok((key.id().to_string(), wrapped.to_text()))
    }

    /// Takes over the data keys that the registry holds.
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] where one does not open with the identity's key, or none is there.
    pub(super) fn load_keys(
        &mut self,
        wrapping: &KeyEncryptionKey,
        registry: &str,
        entries: BTreeMap<String, String>,
    ) -> Result<(), SyncError> {
        let damaged = || SyncError::Damaged { what: "the account's keys".into() };
        for wrapped in entries.values() {
            let key = EncryptedBlob::from_text(wrapped)
                .and_then(|blob| VersionedKey::unwrap(&blob, wrapping.expose(), registry));
            match key {
                Ok(key) => drop(self.keyring.insert(key).map_err(|_| damaged())?),
                Err(SealError::FutureVersion { .. }) => {}
                Err(_) => return Err(damaged()),
            }
        }
        if self.keyring.is_empty() {
            return Err(if entries.is_empty() { damaged() } else { SyncError::Newer });
        }
        Ok(())
    }

    /// The key that [`Vault::seal`] uses.
    pub(super) fn current_key(&self) -> Result<KeyName, SyncError> {
        let key = self.keyring.current().ok_or(SealError::NoKey).map_err(unsealable)?;
        Ok(KeyName { id: key.id().to_string(), generation: key.generation() })
    }

    /// Seals something for a place in the account.
    pub(super) fn seal(&self, purpose: Purpose, container: &str, plaintext: &[u8]) -> Result<String, SyncError> {
        self.seal_as(purpose, container, (schema::version(), &self.device), plaintext)
    }

    /// Seals what was lifted from another place, under the schema and the device that it had there.
    pub(super) fn put_down(&self, purpose: Purpose, container: &str, value: &Lifted) -> Result<String, SyncError> {
        self.seal_as(purpose, container, (value.schema, &value.device), &value.plaintext)
    }

    fn seal_as(
        &self,
        purpose: Purpose,
        container: &str,
        (schema_version, device): (u32, &str),
        plaintext: &[u8],
    ) -> Result<String, SyncError> {
        let context = Context { purpose, container, device, schema_version };
        let blob = self.keyring.seal(&context, plaintext).map_err(unsealable)?;
        Ok(format!("{schema_version}.{device}.{}", blob.to_text()))
    }

    /// Opens what stands at a place in the account.
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] where it is not what its writer sealed for this place.
    pub(super) fn open(&self, purpose: Purpose, container: &str, text: &str) -> Result<Opening, SyncError> {
        let (schema, ..) = parts(text)?;
        if schema > schema::version() {
            return Ok(Opening::Newer);
        }
        match self.lift(purpose, container, text)? {
            Lifting::Lifted(Lifted { device, plaintext, .. }) => {
                let device = Uuid::try_parse(&device).map_err(|_| damaged())?;
                Ok(Opening::Opened { device, plaintext })
            }
            Lifting::Newer => Ok(Opening::Newer),
            Lifting::KeyMissing => Ok(Opening::KeyMissing),
        }
    }

    /// Takes what stands at a place in the account to be put down at another, also where only a newer version understands it.
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] where it is not what its writer sealed for this place.
    pub(super) fn lift(&self, purpose: Purpose, container: &str, text: &str) -> Result<Lifting, SyncError> {
        let (schema, device, blob) = parts(text)?;
        let context = Context { purpose, container, device, schema_version: schema };
        match EncryptedBlob::from_text(blob).and_then(|blob| self.keyring.open(&context, &blob)) {
            Ok(plaintext) => Ok(Lifting::Lifted(Lifted { schema, device: device.to_owned(), plaintext })),
            Err(SealError::FutureVersion { .. }) => Ok(Lifting::Newer),
            Err(SealError::UnknownKey(_)) => Ok(Lifting::KeyMissing),
            Err(SealError::NoMemory) => Err(unsealable(SealError::NoMemory)),
            Err(_) => Err(damaged()),
        }
    }
}

/// Schema, device and blob of a value.
fn parts(text: &str) -> Result<(u32, &str, &str), SyncError> {
    let (schema, rest) = text.split_once('.').ok_or_else(damaged)?;
    let (device, blob) = rest.split_once('.').ok_or_else(damaged)?;
    Ok((schema.parse().map_err(|_| damaged())?, device, blob))
}

fn damaged() -> SyncError {
    SyncError::Damaged { what: "part of the synced data".into() }
}

fn unsealable(error: SealError) -> SyncError {
    SyncError::Seal(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{MasterKey, Phrase};

    const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

    fn keys() -> KeyEncryptionKey {
        let phrase = Phrase::from_entropy(&[7; 16]).unwrap();
        MasterKey::derive(&phrase).unwrap().keys().unwrap().key_encryption
    }

    #[test]
    fn another_device_opens_with_the_registry_and_only_at_the_same_place() {
        let wrapping = keys();
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut writer = Vault::new(a);
        let (name, wrapped) = writer.new_key(&wrapping, "co_zKeys", NOW).unwrap();
        let sealed = writer.seal(Purpose::History, "co_zSegment", b"ls").unwrap();

        let mut reader = Vault::new(b);
        assert!(matches!(reader.open(Purpose::History, "co_zSegment", &sealed), Ok(Opening::KeyMissing)));
        reader.load_keys(&wrapping, "co_zKeys", BTreeMap::from([(name, wrapped)])).unwrap();
        let Ok(Opening::Opened { device, plaintext }) = reader.open(Purpose::History, "co_zSegment", &sealed) else {
            panic!("it opens");
        };
        assert_eq!((device, plaintext.as_slice()), (a, &b"ls"[..]));

        let refused = |purpose, container: &str, text: &str| {
            matches!(reader.open(purpose, container, text), Err(SyncError::Damaged { .. }))
        };
        assert!(refused(Purpose::History, "co_zOther", &sealed));
        assert!(refused(Purpose::Index, "co_zSegment", &sealed));
        let other_device = sealed.replace(&a.simple().to_string(), &b.simple().to_string());
        assert!(refused(Purpose::History, "co_zSegment", &other_device));
        assert!(refused(Purpose::History, "co_zSegment", "junk"));
        assert!(refused(Purpose::History, "co_zSegment", ""));
    }

    #[test]
    fn what_was_sealed_after_a_rotation_does_not_open_with_the_old_keys() {
        let wrapping = keys();
        let mut writer = Vault::new(Uuid::from_u128(1));
        let mut registry = BTreeMap::from([writer.new_key(&wrapping, "co_zKeys", NOW).unwrap()]);
        let before = writer.seal(Purpose::History, "co_zSegment", b"before").unwrap();
        let mut old = Vault::new(Uuid::from_u128(2));
        old.load_keys(&wrapping, "co_zKeys", registry.clone()).unwrap();

        let (name, wrapped) = writer.new_key(&wrapping, "co_zKeys", NOW).unwrap();
        registry.insert(name, wrapped);
        let after = writer.seal(Purpose::History, "co_zSegment", b"after").unwrap();
        assert!(matches!(old.open(Purpose::History, "co_zSegment", &before), Ok(Opening::Opened { .. })));
        assert!(matches!(old.open(Purpose::History, "co_zSegment", &after), Ok(Opening::KeyMissing)));

        let mut new = Vault::new(Uuid::from_u128(3));
        new.load_keys(&wrapping, "co_zKeys", registry).unwrap();
        for (text, plain) in [(&before, &b"before"[..]), (&after, b"after")] {
            let Ok(Opening::Opened { plaintext, .. }) = new.open(Purpose::History, "co_zSegment", text) else {
                panic!("it opens");
            };
            assert_eq!(plaintext.as_slice(), plain);
        }
    }

    #[test]
    fn after_two_rotations_at_once_all_seal_with_the_same_key() {
        let wrapping = keys();
        let [mut a, mut b] = [1, 2].map(|id| Vault::new(Uuid::from_u128(id)));
        let mut registry = BTreeMap::from([a.new_key(&wrapping, "co_zKeys", NOW).unwrap()]);
        b.load_keys(&wrapping, "co_zKeys", registry.clone()).unwrap();
        registry.extend([&mut a, &mut b].map(|vault| vault.new_key(&wrapping, "co_zKeys", NOW).unwrap()));
        for vault in [&mut a, &mut b] {
            vault.load_keys(&wrapping, "co_zKeys", registry.clone()).unwrap();
        }
        assert_eq!(a.current_key().unwrap(), b.current_key().unwrap());
        assert_eq!(a.current_key().unwrap().generation, 2);
        let sealed = a.seal(Purpose::History, "co_zSegment", b"ls").unwrap();
        assert!(matches!(b.open(Purpose::History, "co_zSegment", &sealed), Ok(Opening::Opened { .. })));
    }

    #[test]
    fn a_newer_schema_is_not_called_damage() {
        let mut vault = Vault::new(Uuid::from_u128(1));
        vault.new_key(&keys(), "co_zKeys", NOW).unwrap();
        let sealed = vault.seal(Purpose::History, "co_zSegment", b"ls").unwrap();
        let newer = sealed.replacen("1.", "2.", 1);
        assert!(matches!(vault.open(Purpose::History, "co_zSegment", &newer), Ok(Opening::Newer)));
    }

    #[test]
    fn what_is_put_down_elsewhere_keeps_its_labels_and_opens_there_only() {
        let mut vault = Vault::new(Uuid::from_u128(1));
        vault.new_key(&keys(), "co_zKeys", NOW).unwrap();
        let writer = (7, &*Uuid::from_u128(2).simple().to_string());
        let sealed = vault.seal_as(Purpose::Usage, "co_zA/k", writer, b"of a newer version").unwrap();
        assert!(matches!(vault.open(Purpose::Usage, "co_zA/k", &sealed), Ok(Opening::Newer)));
        let Ok(Lifting::Lifted(lifted)) = vault.lift(Purpose::Usage, "co_zA/k", &sealed) else {
            panic!("it is lifted")
        };
        let moved = vault.put_down(Purpose::Usage, "co_zB/k", &lifted).unwrap();
        assert!(moved.starts_with(&format!("7.{}.", writer.1)), "{moved}");
        assert!(
            matches!(vault.lift(Purpose::Usage, "co_zB/k", &moved), Ok(Lifting::Lifted(again)) if again.plaintext == lifted.plaintext)
        );
        assert!(matches!(vault.lift(Purpose::Usage, "co_zB/k", &sealed), Err(SyncError::Damaged { .. })));
    }

    #[test]
    fn keys_of_another_identity_are_damage_and_none_at_all_too() {
        let mut writer = Vault::new(Uuid::from_u128(1));
        let (name, wrapped) = writer.new_key(&keys(), "co_zKeys", NOW).unwrap();
        let other = MasterKey::derive(&Phrase::from_entropy(&[8; 16]).unwrap()).unwrap().keys().unwrap();
        let mut reader = Vault::new(Uuid::from_u128(2));
        let loaded = reader.load_keys(&other.key_encryption, "co_zKeys", BTreeMap::from([(name, wrapped)]));
        assert!(matches!(loaded, Err(SyncError::Damaged { .. })));
        assert!(matches!(reader.load_keys(&keys(), "co_zKeys", BTreeMap::new()), Err(SyncError::Damaged { .. })));
    }
}
