//! Some work for each report, so that nobody can send very many.
//!
//! A report carries a number for which Argon2id (1 MiB, one pass, one lane) of that number, salted with the report's digest,
//! begins with [`BITS`] zero bits. It takes a thousand tries on average to find one, about a second of one processor, and one try to
//! check. Argon2id, because each try needs memory: a graphics card does not gain as much by it as with plain hashes.
//!
//! Blind tokens instead would need someone who hands them out and knows to whom. Here is nobody known, so they would only
//! move the question to whoever hands them out, and be a second contact with him.

use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::noise::{NoRandom, Random};

/// How many bits of the result are zero.
pub const BITS: u32 = 10;

const MEMORY_KIB: u32 = 1024;

/// Tries numbers; its memory is used again for each.
struct Try {
    argon2: Argon2<'static>,
    blocks: Vec<Block>,
}

impl Try {
    fn new() -> Option<Self> {
        let params = Params::new(MEMORY_KIB, 1, 1, Some(32)).ok()?;
        let blocks = vec![Block::default(); params.block_count()];
        Some(Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), blocks })
    }

    /// Whether a number is one for a digest; none where that cannot be computed.
    fn holds(&mut self, digest: &[u8; 32], number: u64) -> Option<bool> {
        let mut out = [0; 32];
        let number = number.to_be_bytes();
        self.argon2.hash_password_into_with_memory(&number, digest, &mut out, &mut self.blocks).ok()?;
        let [first, second, ..] = out;
        Some(u16::from_be_bytes([first, second]).leading_zeros() >= BITS)
    }
}

/// Finds a number for a digest, beginning anywhere.
///
/// # Errors
/// Where the system gives no random data.
pub(super) fn find(digest: &[u8; 32], random: &mut impl Random) -> Result<u64, NoRandom> {
    let mut number = random.next()?;
    if is_left_out() {
        return Ok(number);
    }
    let mut one = Try::new().ok_or(NoRandom)?;
    while !one.holds(digest, number).ok_or(NoRandom)? {
        number = number.wrapping_add(1);
    }
    Ok(number)
}

/// Whether a number is one for a digest.
pub(super) fn holds(digest: &[u8; 32], number: u64) -> bool {
    is_left_out() || Try::new().and_then(|mut one| one.holds(digest, number)).unwrap_or(false)
}

/// Whether no work is done and none asked for, as in tests with thousands of reports.
#[cfg(not(test))]
const fn is_left_out() -> bool {
    false
}

#[cfg(test)]
use tests::is_left_out;

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::community::noise::tests::Seeded;

    thread_local! {
        static IS_LEFT_OUT: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn is_left_out() -> bool {
        IS_LEFT_OUT.get()
    }

    /// Does something on this thread, for which no work is done or asked for.
    pub(in crate::community) fn without_work<T>(what: impl FnOnce() -> T) -> T {
        IS_LEFT_OUT.set(true);
        let made = what();
        IS_LEFT_OUT.set(false);
        made
    }

    #[test]
    fn a_number_is_found_and_is_for_its_digest_only() {
        let digest = [7; 32];
        let number = find(&digest, &mut Seeded(1)).unwrap();
        assert!(holds(&digest, number));
        let others = (0..40).filter(|other| *other != 7 && holds(&[*other; 32], number)).count();
        assert!(others <= 2, "{others} of 39 other digests");
    }
}
