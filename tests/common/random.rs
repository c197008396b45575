//! A small generator whose whole state is its seed: what a test drew, it draws again from the same seed.

/// Random numbers, the same ones for the same seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From the seed in `CARO_TEST_SEED`, else from a fresh one, which is printed.
    pub fn from_environment() -> Self {
        let seed = asked_seed().unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        println!("CARO_TEST_SEED={seed}");
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// An index into something of this length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("it is below a length")
    }
}

/// The seed that `CARO_TEST_SEED` asks for.
pub fn asked_seed() -> Option<u64> {
    let seed = std::env::var("CARO_TEST_SEED").ok()?;
    Some(seed.parse().expect("CARO_TEST_SEED is a number"))
}
