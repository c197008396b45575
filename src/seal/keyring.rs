//! The data keys: random, versioned, and wrapped before they travel.
//!
//! Every blob names the data key it was sealed with. Rotation adds a key of the next generation;
//! older ones stay, for older blobs. Two devices that rotate at the same time make two keys of one
//! generation; all devices then take the one with the greater id, and keep both.
//!
//! A wrapped key is a blob of purpose `keyring`, sealed with the key-encryption key that follows
//! from the phrase, under the reserved key id of eight zero bytes. Inside:
//!
//! ```text
//! version (1 B, = 1) ‖ key id (8 B) ‖ generation (4 B) ‖ created_at (8 B, ms since 1970) ‖ key (32 B)
//! ```
//!
//! Its context has the container the caller names, an empty device id (any device may re-wrap) and
//! schema version 1, so a wrapped key moved to another account does not open.

use std::{collections::BTreeMap, fmt};

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    SealError,
    blob::{Context, EncryptedBlob, MAX_PLAINTEXT, Purpose},
    cipher::KEY_LEN,
};

/// Bytes of a [`KeyId`].
pub const KEY_ID_LEN: usize = 8;

const WRAP_VERSION: u8 = 1;
const WRAP_SCHEMA: u32 = 1;
const WRAPPED_LEN: usize = 1 + KEY_ID_LEN + 4 + 8 + KEY_LEN;
/// Stands for the key-encryption key; never the id of a data key.
const KEY_ENCRYPTION_KEY: KeyId = KeyId([0; KEY_ID_LEN]);

/// The public name of a data key: random, so it tells nothing about the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KEY_ID_LEN]);

impl KeyId {
    /// An id read from elsewhere.
    pub fn from_bytes(bytes: [u8; KEY_ID_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; KEY_ID_LEN] {
        &self.0
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A random key that seals data. Wiped on drop, shown nowhere.
pub struct DataKey(Box<[u8; KEY_LEN]>);

impl DataKey {
    fn generate() -> Result<Self, SealError> {
        let mut key = Self(Box::new([0; KEY_LEN]));
        getrandom::fill(key.0.as_mut_slice()).map_err(|_| SealError::NoRandomness)?;
        Ok(key)
    }

    fn copy_of(bytes: &[u8; KEY_LEN]) -> Self {
        let mut key = Self(Box::new([0; KEY_LEN]));
        key.0.copy_from_slice(bytes);
        key
    }
}

impl Drop for DataKey {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

impl ZeroizeOnDrop for DataKey {}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// A data key with its place in the order of keys.
#[derive(Debug)]
pub struct VersionedKey {
    id: KeyId,
    generation: u32,
    created_at: u64,
    key: DataKey,
}

impl VersionedKey {
    /// Its name in blobs.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// 1 for an account's first key, one more with each rotation.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// When it was made, in milliseconds since 1970.
    pub fn created_at(&self) -> u64 {
        self.created_at
    }

    fn generate(generation: u32, created_at: u64) -> Result<Self, SealError> {
        let mut id = KEY_ENCRYPTION_KEY;
        while id == KEY_ENCRYPTION_KEY {
            getrandom::fill(&mut id.0).map_err(|_| SealError::NoRandomness)?;
        }
        Ok(Self { id, generation, created_at, key: DataKey::generate()? })
    }

    /// Wraps it with the key-encryption key for one container (say, the account's id).
    pub fn wrap(&self, key_encryption_key: &[u8; KEY_LEN], container: &str) -> Result<EncryptedBlob, SealError> {
        let mut inside = Zeroizing::new(Vec::with_capacity(WRAPPED_LEN));
        inside.push(WRAP_VERSION);
        inside.extend_from_slice(self.id.as_bytes());
        inside.extend_from_slice(&self.generation.to_le_bytes());
        inside.extend_from_slice(&self.created_at.to_le_bytes());
        inside.extend_from_slice(self.key.0.as_slice());
        EncryptedBlob::seal(KEY_ENCRYPTION_KEY, key_encryption_key, &wrap_context(container), &inside)
    }

    /// Reads [`VersionedKey::wrap`]. [`SealError::Unreadable`] also says that the
    /// key-encryption key, and so the phrase, is not the one of this container.
    pub fn unwrap(
        blob: &EncryptedBlob,
        key_encryption_key: &[u8; KEY_LEN],
        container: &str,
    ) -> Result<Self, SealError> {
        if blob.key_id() != KEY_ENCRYPTION_KEY {
            return Err(SealError::Unreadable);
        }
        let inside = blob.open(key_encryption_key, &wrap_context(container), MAX_PLAINTEXT)?;
        let (&version, rest) = inside.split_first().ok_or(SealError::Unreadable)?;
        if version > WRAP_VERSION {
            return Err(SealError::FutureVersion { version });
        }
        let (id, rest) = rest.split_first_chunk::<KEY_ID_LEN>().ok_or(SealError::Unreadable)?;
        let (generation, rest) = rest.split_first_chunk::<4>().ok_or(SealError::Unreadable)?;
        let (created_at, rest) = rest.split_first_chunk::<8>().ok_or(SealError::Unreadable)?;
        let key: &[u8; KEY_LEN] = rest.try_into().map_err(|_| SealError::Unreadable)?;
        let id = KeyId(*id);
        if version != WRAP_VERSION || id == KEY_ENCRYPTION_KEY {
            return Err(SealError::Unreadable);
        }
        Ok(Self {
            id,
            generation: u32::from_le_bytes(*generation),
            created_at: u64::from_le_bytes(*created_at),
            key: DataKey::copy_of(key),
        })
    }
}

/// Seals `data` with the key-encryption key itself: for the little that must be readable after the data keys are gone.
pub fn seal_with_identity(
    key_encryption_key: &[u8; KEY_LEN],
    context: &Context<'_>,
    data: &[u8],
) -> Result<EncryptedBlob, SealError> {
    EncryptedBlob::seal(KEY_ENCRYPTION_KEY, key_encryption_key, context, data)
}

/// Reads [`seal_with_identity`].
pub fn open_with_identity(
    blob: &EncryptedBlob,
    key_encryption_key: &[u8; KEY_LEN],
    context: &Context<'_>,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if blob.key_id() != KEY_ENCRYPTION_KEY {
        return Err(SealError::Unreadable);
    }
    blob.open(key_encryption_key, context, MAX_PLAINTEXT)
}

fn wrap_context(container: &str) -> Context<'_> {
    Context { purpose: Purpose::Keyring, container, device: "", schema_version: WRAP_SCHEMA }
}

/// All data keys of an account that have reached this device.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: BTreeMap<KeyId, VersionedKey>,
}

impl Keyring {
    /// No keys yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key. Adding one that is there already changes nothing; returns whether it is new.
    pub fn insert(&mut self, key: VersionedKey) -> Result<bool, SealError> {
        match self.keys.get(&key.id) {
            None => {
                self.keys.insert(key.id, key);
                Ok(true)
            }
            Some(known) => {
                let same_key: bool = known.key.0.as_slice().ct_eq(key.key.0.as_slice()).into();
                if same_key && known.generation == key.generation {
                    Ok(false)
                } else {
                    Err(SealError::KeyConflict(key.id))
                }
            }
        }
    }

    /// Makes a key of the next generation, which is the current one from then on. Also makes the
    /// first key. `created_at` is in milliseconds since 1970.
    pub fn rotate(&mut self, created_at: u64) -> Result<&VersionedKey, SealError> {
        let last = self.current().map_or(0, VersionedKey::generation);
        let generation = last.checked_add(1).ok_or(SealError::NoGenerationLeft)?;
        let key = VersionedKey::generate(generation, created_at)?;
        let id = key.id;
        Ok(self.keys.entry(id).or_insert(key))
    }

    /// The key that new blobs are sealed with: of the highest generation and, if there are
    /// several, with the greatest id.
    pub fn current(&self) -> Option<&VersionedKey> {
        self.keys.values().max_by_key(|key| (key.generation, key.id))
    }

    /// The key of this name.
    pub fn get(&self, id: KeyId) -> Option<&VersionedKey> {
        self.keys.get(&id)
    }

    /// All keys, by id.
    pub fn iter(&self) -> impl Iterator<Item = &VersionedKey> {
        self.keys.values()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Seals `data` with the current key.
    pub fn seal(&self, context: &Context<'_>, data: &[u8]) -> Result<EncryptedBlob, SealError> {
        let current = self.current().ok_or(SealError::NoKey)?;
        EncryptedBlob::seal(current.id, &current.key.0, context, data)
    }

    /// Opens `blob` with the key it names, as what `context` says it is.
    pub fn open(&self, context: &Context<'_>, blob: &EncryptedBlob) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.open_up_to(context, blob, MAX_PLAINTEXT)
    }

    /// As [`Keyring::open`], for data of at most `limit` bytes.
    pub fn open_up_to(
        &self,
        context: &Context<'_>,
        blob: &EncryptedBlob,
        limit: usize,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let key = self.get(blob.key_id()).ok_or_else(|| SealError::UnknownKey(blob.key_id()))?;
        blob.open(&key.key.0, context, limit)
    }
}

#[cfg(test)]
impl VersionedKey {
    /// A key with given content, for frozen vectors and collisions.
    pub(super) fn fixed(id: [u8; KEY_ID_LEN], generation: u32, key: [u8; KEY_LEN]) -> Self {
        Self { id: KeyId(id), generation, created_at: 1_700_000_000_123, key: DataKey::copy_of(&key) }
    }

    /// The secret bytes.
    pub(super) fn expose(&self) -> &[u8; KEY_LEN] {
        &self.key.0
    }
}
