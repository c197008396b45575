//! A key store in one file, for machines without a system keyring.
//!
//! ```text
//! "CAROKEYS" ‖ version (1 B, = 1) ‖ kind (1 B: 0 plain, 1 sealed)
//!   plain:  credentials
//!   sealed: Argon2id memory in KiB ‖ passes ‖ lanes (4 B each, little-endian) ‖ salt (16 B)
//!             ‖ nonce (24 B) ‖ XChaCha20-Poly1305(credentials)
//! ‖ checksum (8 B: the beginning of SHA-256 over all before it)
//! ```
//!
//! The associated data of the seal is everything before the nonce. The checksum is over public
//! bytes: with it, a damaged file and a wrong passphrase are told apart without helping anyone
//! guess. Argon2's parameters are bounded when read.
//!
//! Invariants: the file has mode 0600 from its first moment. It is replaced whole: written beside
//! the old one under a random name, synced, renamed over it, and the directory synced; so after a
//! crash there is either the old or the new one. It is read only up to its greatest sane size.

use std::{
    fmt, fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{Credentials, KeyStoreError, Protection, credentials};
use crate::identity::stretch::{Cost, RECOMMENDED, StretchError, stretch};
use crate::private_file;

const MAGIC: &[u8; 8] = b"CAROKEYS";
const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
const CHECKSUM_LEN: usize = 8;
/// Argon2's three parameters and the salt.
const RECIPE_LEN: usize = 3 * 4 + SALT_LEN;
const MAX_FILE_LEN: usize = MAGIC.len() + 2 + RECIPE_LEN + NONCE_LEN + credentials::MAX_LEN + TAG_LEN + CHECKSUM_LEN;

secret_key! {
    /// What a passphrase is stretched to.
    FileKey
}

/// A passphrase that seals a key file. In NFKD form, so that it doesn't matter how a keyboard
/// composes accents; otherwise as typed.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// `None` for an empty one: it would seal nothing. Line ends are the caller's to strip.
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let mut normal = Zeroizing::new(String::with_capacity(4 * text.len()));
        normal.extend(text.nfkd());
        Some(Self(normal))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// The key file of one home.
#[derive(Debug)]
pub struct FileKeyStore {
    path: PathBuf,
    passphrase: Option<Passphrase>,
    cost: Cost,
}

impl FileKeyStore {
    /// `path` is the file; its directory is made when first stored. With a passphrase what is
    /// stored is sealed, without one it is plain, and only a plain file can be read.
    pub fn new(path: impl Into<PathBuf>, passphrase: Option<Passphrase>) -> Self {
        Self { path: path.into(), passphrase, cost: RECOMMENDED }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is there.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Whether the file is there and can't be read without a passphrase: time to ask for one.
    pub fn needs_passphrase(&self) -> Result<bool, KeyStoreError> {
        Ok(matches!(self.read()?, Some(Content::Sealed(_))))
    }

    /// How the file is protected or, as long as it isn't there, will be.
    pub fn protection(&self) -> Result<Protection, KeyStoreError> {
        Ok(match self.read()? {
            Some(Content::Plain(_)) => Protection::Plain,
            Some(Content::Sealed(_)) => Protection::Sealed,
            None if self.passphrase.is_some() => Protection::Sealed,
            None => Protection::Plain,
        })
    }

    /// Whether other users of the machine may read or write the file; worth a warning from
    /// `doctor`. Always false where files have no Unix mode.
    pub fn open_to_others(&self) -> Result<bool, KeyStoreError> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(open_to_others(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.error("read", error)),
        }
    }

    /// Puts `credentials` in the file, in place of what was there.
    pub fn store(&self, credentials: &Credentials) -> Result<(), KeyStoreError> {
        let plain = credentials.to_bytes();
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE_LEN));
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        match &self.passphrase {
            None => {
                bytes.push(PLAIN);
                bytes.extend_from_slice(&plain);
            }
            Some(passphrase) => {
                bytes.push(SEALED);
                for part in self.cost.parts() {
                    bytes.extend_from_slice(&part.to_le_bytes());
                }
                let salt: [u8; SALT_LEN] = random()?;
                bytes.extend_from_slice(&salt);
                let nonce: [u8; NONCE_LEN] = random()?;
                let key = file_key(passphrase, &salt, self.cost)?;
                let sealed = cipher(&key)
                    .encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: &bytes })
                    .map_err(|_| KeyStoreError::Damaged)?;
                bytes.extend_from_slice(&nonce);
                bytes.extend_from_slice(&sealed);
            }
        }
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        private_file::replace(&self.path, &bytes).map_err(|error| self.error("written", error))
    }

    /// What the file holds; `None` if there is no file.
    pub fn load(&self) -> Result<Option<Credentials>, KeyStoreError> {
        let Some(content) = self.read()? else {
            return Ok(None);
        };
        match content {
            Content::Plain(bytes) => Credentials::from_bytes(&bytes).map(Some),
            Content::Sealed(sealed) => {
                let Some(passphrase) = &self.passphrase else {
                    return Err(KeyStoreError::PassphraseNeeded { path: self.path.clone() });
                };
                let key = file_key(passphrase, &sealed.salt, sealed.cost)?;
                let plain = cipher(&key)
                    .decrypt(&XNonce::from(sealed.nonce), Payload { msg: &sealed.ciphertext, aad: &sealed.header })
                    .map(Zeroizing::new)
                    .map_err(|_| KeyStoreError::WrongPassphrase { path: self.path.clone() })?;
                Credentials::from_bytes(&plain).map(Some)
            }
        }
    }

    /// Removes the file. Returns whether it was there.
    pub fn delete(&self) -> Result<bool, KeyStoreError> {
        match fs::remove_file(&self.path) {
            Ok(()) => {
                private_file::sync_folder(private_file::folder_of(&self.path))
                    .map_err(|error| self.error("removed", error))?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.error("removed", error)),
        }
    }

    fn read(&self) -> Result<Option<Content>, KeyStoreError> {
        let file = match fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error("read", error)),
        };
        if file.metadata().is_ok_and(|metadata| open_to_others(&metadata)) {
            tracing::warn!(path = %self.path.display(), "other users may read the key file");
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE_LEN + 1));
        file.take(MAX_FILE_LEN as u64 + 1).read_to_end(&mut bytes).map_err(|error| self.error("read", error))?;
        Content::parse(&bytes).map(Some)
    }

    fn error(&self, action: &'static str, source: io::Error) -> KeyStoreError {
        KeyStoreError::File { path: self.path.clone(), action, source }
    }
}

/// A file that was read and has a sound outer form.
pub(super) enum Content {
    Plain(Zeroizing<Vec<u8>>),
    Sealed(Sealed),
}

pub(super) struct Sealed {
    /// All before the nonce: the associated data.
    header: Vec<u8>,
    cost: Cost,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
    ciphertext: Vec<u8>,
}

impl Content {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, KeyStoreError> {
        let after_magic = bytes.strip_prefix(MAGIC).ok_or(KeyStoreError::Damaged)?;
        match after_magic.first() {
            Some(&VERSION) => {}
            Some(&newer) if newer > VERSION => return Err(KeyStoreError::FutureVersion),
            _ => return Err(KeyStoreError::Damaged),
        }
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(KeyStoreError::Damaged)?;
        if bytes.len() > MAX_FILE_LEN || checksum(body) != *sum {
            return Err(KeyStoreError::Damaged);
        }
        let start = MAGIC.len() + 1;
        match body.get(start) {
            Some(&PLAIN) => Ok(Self::Plain(Zeroizing::new(body[start + 1..].to_vec()))),
            Some(&SEALED) => Sealed::parse(body, start + 1).map(Self::Sealed).ok_or(KeyStoreError::Damaged),
            _ => Err(KeyStoreError::Damaged),
        }
    }
}

impl Sealed {
    fn parse(body: &[u8], start: usize) -> Option<Self> {
        let rest = body.get(start..)?;
        let (memory, rest) = rest.split_first_chunk::<4>()?;
        let (passes, rest) = rest.split_first_chunk::<4>()?;
        let (lanes, rest) = rest.split_first_chunk::<4>()?;
        let (salt, rest) = rest.split_first_chunk::<SALT_LEN>()?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>()?;
        Some(Self {
            header: body[..start + RECIPE_LEN].to_vec(),
            cost: Cost::new(u32::from_le_bytes(*memory), u32::from_le_bytes(*passes), u32::from_le_bytes(*lanes))?,
            salt: *salt,
            nonce: *nonce,
            ciphertext: ciphertext.to_vec(),
        })
    }
}

fn file_key(passphrase: &Passphrase, salt: &[u8; SALT_LEN], cost: Cost) -> Result<FileKey, KeyStoreError> {
    FileKey::try_init(|out| stretch(passphrase.0.as_bytes(), salt, cost, out)).map_err(|error| match error {
        StretchError::NoMemory => KeyStoreError::NoMemory { mib: cost.memory_mib() },
        StretchError::BadInput => KeyStoreError::Damaged,
    })
}

fn cipher(key: &FileKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

fn random<const N: usize>() -> Result<[u8; N], KeyStoreError> {
    let mut out = [0; N];
    getrandom::fill(&mut out).map_err(|_| KeyStoreError::NoResource { what: "random data" })?;
    Ok(out)
}

pub(super) fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut out = [0; CHECKSUM_LEN];
    out.copy_from_slice(&Sha256::digest(bytes)[..CHECKSUM_LEN]);
    out
}

#[cfg(unix)]
fn open_to_others(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o077 != 0
}

#[cfg(not(unix))]
fn open_to_others(_: &fs::Metadata) -> bool {
    false
}

#[cfg(all(test, unix))]
#[path = "file_tests.rs"]
mod tests;
