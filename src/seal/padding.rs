//! Padmé: pads lengths so that they fall into few buckets, at little cost.
//!
//! Source: Nikitin, Barman, Lueks, Underwood, Hubaux, Ford, "Reducing Metadata Leakage from
//! Encrypted Files and Communication with PURBs" (PETS 2019), section 4. A length of at most
//! 2^e keeps only as many significant bits as e has bits, rounded up: so a length tells
//! O(log log n) bits.
//!
//! Small lengths pass Padmé nearly unchanged, and small is what preferences and single commands
//! are; so everything is first brought up to [`FLOOR`]. From there on a length grows by less than
//! 1/16, above 64 KiB by less than 1/32.

/// No padded length is smaller, in bytes.
pub const FLOOR: usize = 256;

/// The bucket for `length`: at least `length` and at least [`FLOOR`]. `None` if it doesn't fit
/// the machine's sizes.
pub fn padded_len(length: usize) -> Option<usize> {
    let length = length.max(FLOOR);
    let exponent = length.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1usize << (exponent - kept)) - 1;
    Some(length.checked_add(mask)? & !mask)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_buckets() {
        for (length, bucket) in [
            (0, 256),
            (1, 256),
            (256, 256),
            (257, 272),
            (272, 272),
            (1000, 1024),
            (1025, 1088),
            (65_537, 67_584),
            (1_000_000, 1_015_808),
        ] {
            assert_eq!(padded_len(length), Some(bucket), "{length}");
        }
        assert_eq!(padded_len(usize::MAX), None);
    }

    /// Counted over all lengths, not sampled.
    #[test]
    fn few_buckets() {
        let mut buckets: Vec<_> = (0..=1 << 20).map(|length| padded_len(length).unwrap()).collect();
        buckets.dedup();
        assert!(buckets.is_sorted());
        assert_eq!(buckets.len(), 257);
    }

    proptest! {
        #[test]
        fn covers_the_length_within_the_overhead(length in FLOOR..1 << 40) {
            let padded = padded_len(length).unwrap();
            prop_assert!(padded >= length);
            let most = if length < 1 << 16 { length / 16 } else { length / 32 };
            prop_assert!(padded - length <= most, "{length} → {padded}");
        }

        #[test]
        fn a_bucket_is_its_own_bucket(length in 0usize..1 << 40) {
            let padded = padded_len(length).unwrap();
            prop_assert_eq!(padded_len(padded), Some(padded));
        }

        #[test]
        fn never_shrinks(a in 0usize..1 << 40, more in 0usize..1 << 40) {
            prop_assert!(padded_len(a) <= padded_len(a + more));
        }
    }
}
