//! Argon2id: makes each guess at a phrase or a passphrase cost memory and time.
//!
//! Used in two places: phrase → master key with fixed parameters (`keys`), and passphrase →
//! file key with parameters written in the file (`keystore::file`). Those come from outside,
//! so [`Cost`] can only be built inside bounds: a hostile file can't ask for a terabyte.
//!
//! Source: RFC 9106; algorithm Argon2id, version 0x13, no secret, no associated data. The lanes are
//! computed one after the other: this runs once when a device is set up, and a pool of threads for
//! it would save some 50 ms. The working memory is allocated here so that it can be wiped.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

/// How much work one guess costs. Always within the bounds of [`Cost::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// RFC 9106's second recommended set: 64 MiB, 3 passes, 4 lanes.
pub(crate) const RECOMMENDED: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

/// The most memory that parameters read from a file may ask for, in KiB (1 GiB).
pub(crate) const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;

impl Cost {
    /// `None` when a value is outside what this program is willing to do.
    pub(crate) fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let sane = (1..=MAX_LANES).contains(&lanes)
            && (1..=MAX_PASSES).contains(&passes)
            && (8 * lanes..=MAX_MEMORY_KIB).contains(&memory_kib);
        sane.then_some(Self { memory_kib, passes, lanes })
    }

    /// Memory in KiB, passes, lanes: the order in which they are written to a file.
    pub(crate) fn parts(self) -> [u32; 3] {
        [self.memory_kib, self.passes, self.lanes]
    }

    /// The memory that one run takes, in MiB, for messages.
    pub(crate) fn memory_mib(self) -> u32 {
        self.memory_kib / 1024
    }
}

/// Why no key came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StretchError {
    /// The working memory can't be had.
    NoMemory,
    /// The inputs are outside what the algorithm takes (over 4 GiB, or a salt under 8 bytes).
    BadInput,
}

/// Writes Argon2id(`input`, `salt`) to `out`.
pub(crate) fn stretch(input: &[u8], salt: &[u8], cost: Cost, out: &mut [u8; 32]) -> Result<(), StretchError> {
    let [memory, passes, lanes] = cost.parts();
    let params = Params::new(memory, passes, lanes, Some(out.len())).map_err(|_| StretchError::BadInput)?;
    let mut blocks: Vec<Block> = Vec::new();
    blocks.try_reserve_exact(params.block_count()).map_err(|_| StretchError::NoMemory)?;
    blocks.resize(params.block_count(), Block::default());
    let done = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        input,
        salt,
        out,
        &mut blocks,
    );
    blocks.iter_mut().for_each(Zeroize::zeroize);
    done.map_err(|_| StretchError::BadInput)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_bounded() {
        assert_eq!(Cost::new(64 * 1024, 3, 4), Some(RECOMMENDED));
        assert_eq!(Cost::new(u32::MAX, 3, 4), None);
        assert_eq!(Cost::new(MAX_MEMORY_KIB + 1, 3, 4), None);
        assert_eq!(Cost::new(64 * 1024, u32::MAX, 4), None);
        assert_eq!(Cost::new(64 * 1024, 0, 4), None);
        assert_eq!(Cost::new(64 * 1024, 3, 0), None);
        assert_eq!(Cost::new(64 * 1024, 3, 17), None);
        assert_eq!(Cost::new(31, 3, 4), None);
    }

    #[test]
    fn short_salt_is_refused() {
        let mut out = [0; 32];
        let tiny = Cost::new(64, 1, 1).unwrap();
        assert_eq!(stretch(b"x", b"short", tiny, &mut out), Err(StretchError::BadInput));
        assert_eq!(stretch(b"x", b"long enough", tiny, &mut out), Ok(()));
        assert_ne!(out, [0; 32]);
    }
}
