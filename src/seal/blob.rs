//! The sealed blob: the only form in which the user's data leaves this program.
//!
//! ```text
//! blob   = version (1 B, = 1) ‖ key id (8 B) ‖ nonce (24 B) ‖ ciphertext ‖ tag (16 B)
//!          └────────────────── header ──────────────────┘
//! plaintext of the cipher = length of frame (4 B) ‖ frame ‖ zeros up to the padded length
//! frame  = zstd(data)                                     (padded length: see `padding`)
//! associated data = field("caro-sync/sealed-blob") ‖ field(header) ‖ field(purpose)
//!                   ‖ field(container id) ‖ field(device id) ‖ schema version (4 B)
//! field(x) = length of x (4 B) ‖ x
//! ```
//!
//! The cipher is XChaCha20-Poly1305; integers are unsigned and little-endian. The associated data
//! is not stored: whoever opens a blob says what it must be ([`Context`]), and a blob that is
//! something else doesn't open. Each field carries its length, so no two contexts have the same
//! encoding. Nonces are random: 192 bits never repeat by chance.
//!
//! `tests/vectors/sealed-blobs.json` freezes the format, checked by another implementation.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{
    SealError,
    cipher::{KEY_LEN, NONCE_LEN, TAG_LEN, compress, decompress, decrypt, encrypt},
    keyring::{KEY_ID_LEN, KeyId},
    padding::padded_len,
};

/// The most data that one blob holds, in bytes. Larger data is refused when sealing; a blob that
/// claims more is refused when opening.
pub const MAX_PLAINTEXT: usize = 16 << 20;

const DOMAIN: &[u8] = b"caro-sync/sealed-blob";
const VERSION: u8 = 1;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;
/// No honest blob is longer: incompressible data grows by less than 1 % in zstd, then by less
/// than 1/16 in padding.
const MAX_BLOB: usize = MAX_PLAINTEXT + MAX_PLAINTEXT / 8;

/// What a blob is for. Part of the associated data: a blob of one purpose opens for no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Records of the command history.
    History,
    /// The description of a history segment.
    Index,
    /// The value of one preference.
    Preference,
    /// The record of one device.
    Device,
    /// What was deleted.
    Deletion,
    /// Counters of one device and day.
    Usage,
    /// A wrapped data key.
    Keyring,
    /// What belongs to the account as a whole, such as the marker of a closed one.
    Account,
    /// What stays on this device.
    Local,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::History,
        Self::Index,
        Self::Preference,
        Self::Device,
        Self::Deletion,
        Self::Usage,
        Self::Keyring,
        Self::Account,
        Self::Local,
    ];

    /// The name in the associated data. Frozen: a changed name makes old blobs unreadable.
    pub fn label(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Index => "index",
            Self::Preference => "preference",
            Self::Device => "device",
            Self::Deletion => "deletion",
            Self::Usage => "usage",
            Self::Keyring => "keyring",
            Self::Account => "account",
            Self::Local => "local",
        }
    }
}

/// Where a blob belongs. The same on sealing and opening, or it doesn't open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context<'a> {
    /// What it is for.
    pub purpose: Purpose,
    /// The id of the CoValue that holds it and, where one CoValue holds several that must not be
    /// exchanged for each other, the entry's key, joined by the caller.
    pub container: &'a str,
    /// The id of the device that sealed it.
    pub device: &'a str,
    /// The version of the schema of what is inside.
    pub schema_version: u32,
}

/// A blob whose outer form is sound; nothing more is known until it is opened.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedBlob {
    bytes: Vec<u8>,
    key_id: KeyId,
    nonce: [u8; NONCE_LEN],
}

impl EncryptedBlob {
    /// Seals `data` with `key`, which others know as `key_id`.
    pub(super) fn seal(
        key_id: KeyId,
        key: &[u8; KEY_LEN],
        context: &Context<'_>,
        data: &[u8],
    ) -> Result<Self, SealError> {
        if data.len() > MAX_PLAINTEXT {
            return Err(SealError::TooLarge { limit: MAX_PLAINTEXT });
        }
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let frame = compress(data)?;
        Self::seal_frame(key_id, key, nonce, context, &frame)
    }

    /// The part of sealing that has one result only. The nonce must never be used twice with one
    /// key: outside tests there is one caller, above.
    fn seal_frame(
        key_id: KeyId,
        key: &[u8; KEY_LEN],
        nonce: [u8; NONCE_LEN],
        context: &Context<'_>,
        frame: &[u8],
    ) -> Result<Self, SealError> {
        let too_large = SealError::TooLarge { limit: MAX_PLAINTEXT };
        let Ok(frame_len) = u32::try_from(frame.len()) else {
            return Err(too_large);
        };
        let Some(padded) = padded_len(4 + frame.len()) else {
            return Err(too_large);
        };
        let mut inner = Zeroizing::new(Vec::with_capacity(padded));
        inner.extend_from_slice(&frame_len.to_le_bytes());
        inner.extend_from_slice(frame);
        inner.resize(padded, 0);

        let mut bytes = Vec::with_capacity(HEADER_LEN + padded + TAG_LEN);
        bytes.push(VERSION);
        bytes.extend_from_slice(key_id.as_bytes());
        bytes.extend_from_slice(&nonce);
        let sealed = encrypt(key, &nonce, &associated_data(&bytes, context), &inner)?;
        bytes.extend_from_slice(&sealed);
        Ok(Self { bytes, key_id, nonce })
    }

    /// Opens it with `key` as what `context` says it is. At most `limit` bytes come out.
    pub(super) fn open(
        &self,
        key: &[u8; KEY_LEN],
        context: &Context<'_>,
        limit: usize,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, ciphertext) = self.bytes.split_at_checked(HEADER_LEN).ok_or(SealError::Unreadable)?;
        let inner = decrypt(key, &self.nonce, &associated_data(header, context), ciphertext)?;
        let (frame_len, rest) = inner.split_first_chunk::<4>().ok_or(SealError::Unreadable)?;
        let frame_len = usize::try_from(u32::from_le_bytes(*frame_len)).map_err(|_| SealError::Unreadable)?;
        let (frame, padding) = rest.split_at_checked(frame_len).ok_or(SealError::Unreadable)?;
        // One plaintext has one padded form: no room for hidden bytes or telling lengths.
        if padded_len(4 + frame_len) != Some(inner.len()) || padding.iter().any(|&byte| byte != 0) {
            return Err(SealError::Unreadable);
        }
        decompress(frame, limit)
    }

    /// Takes over a blob from outside. Checks its version and size only.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SealError> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&version) if version > VERSION => {
                return Err(SealError::FutureVersion { version });
            }
            _ => return Err(SealError::Unreadable),
        }
        if bytes.len() > MAX_BLOB {
            return Err(SealError::TooLarge { limit: MAX_PLAINTEXT });
        }
        let (key_id, rest) = bytes[1..].split_first_chunk::<KEY_ID_LEN>().ok_or(SealError::Unreadable)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Unreadable)?;
        if rest.len() < TAG_LEN {
            return Err(SealError::Unreadable);
        }
        let (key_id, nonce) = (KeyId::from_bytes(*key_id), *nonce);
        Ok(Self { bytes, key_id, nonce })
    }

    /// The blob.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The blob.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Which key it says it was sealed with; not to be trusted before it is opened.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The blob as base64url without padding, for a JSON string.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.bytes)
    }

    /// Reads [`EncryptedBlob::to_text`].
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        if text.len() / 4 * 3 > MAX_BLOB {
            return Err(SealError::TooLarge { limit: MAX_PLAINTEXT });
        }
        URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Unreadable).and_then(Self::from_bytes)
    }
}

impl fmt::Debug for EncryptedBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptedBlob(key {}, {} bytes)", self.key_id, self.bytes.len())
    }
}

fn associated_data(header: &[u8], context: &Context<'_>) -> Vec<u8> {
    let fields =
        [DOMAIN, header, context.purpose.label().as_bytes(), context.container.as_bytes(), context.device.as_bytes()];
    let mut out = Vec::with_capacity(fields.iter().map(|field| 4 + field.len()).sum::<usize>() + 4);
    for field in fields {
        // Labels and ids are short: no length comes near the 4 GiB at which this would wrap.
        out.extend_from_slice(&(field.len() as u32).to_le_bytes());
        out.extend_from_slice(field);
    }
    out.extend_from_slice(&context.schema_version.to_le_bytes());
    out
}

#[cfg(test)]
impl EncryptedBlob {
    /// Seals a given frame with a given nonce, for frozen vectors and forged blobs.
    pub(super) fn seal_frame_with_nonce(
        key_id: KeyId,
        key: &[u8; KEY_LEN],
        nonce: [u8; NONCE_LEN],
        context: &Context<'_>,
        frame: &[u8],
    ) -> Self {
        Self::seal_frame(key_id, key, nonce, context, frame).unwrap()
    }

    /// Seals any inner plaintext, well-formed or not.
    pub(super) fn seal_inner(key_id: KeyId, key: &[u8; KEY_LEN], context: &Context<'_>, inner: &[u8]) -> Self {
        let nonce = [7; NONCE_LEN];
        let header = [&[VERSION][..], key_id.as_bytes(), &nonce].concat();
        let sealed = encrypt(key, &nonce, &associated_data(&header, context), inner).unwrap();
        Self::from_bytes([header, sealed].concat()).unwrap()
    }
}
