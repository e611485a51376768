//! The chained checksum of the journal.
//!
//! # Design
//! The low 32 bits of XXH3-64 over the bytes, seeded with the checksum before: each vouches for all bytes back to the header
//! of its group, and a record that stands where another should is wrong though it is sound in itself.
//!
//! # Why XXH3, and not a CRC
//! Records are short, and reading a log is mostly this. In nanoseconds on one machine (AMD EPYC with vector carry-less
//! multiplication):
//!
//! | bytes | crc32fast | crc32c | XXH3-64 | XXH64 |
//! | --- | --- | --- | --- | --- |
//! | 40 | 18.6 | 9.0 | 5.7 | 14.0 |
//! | 100 | 28.7 | 13.9 | 8.2 | 17.2 |
//! | 127 | 61.7 | 18.7 | 8.1 | 26.0 |
//! | 300 | 40.2 | 34.3 | 26.9 | 27.9 |
//! | 65,536 | 1,140 | 2,466 | 1,441 | 3,127 |
//!
//! A CRC is sure to find one burst of up to 32 bits; this finds any change but one in 2³². What a journal meets are whole
//! sectors that are old, zero or of another place, of which a CRC, too, misses one in 2³². twox-hash is a dependency already,
//! is all Rust and needs no instruction that a processor may lack.
//!
//! # Invariants
//! 1. The values never change: they are on disks.

use twox_hash::XxHash3_64;

/// The checksum of some bytes that follow what has the checksum `chain`.
///
/// Not a running sum: of two pieces one after another it is another one than of both together.
#[inline]
pub(crate) fn extend(chain: u32, bytes: &[u8]) -> u32 {
    let [a, b, c, d, ..] = XxHash3_64::oneshot_with_seed(chain.into(), bytes).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The low half of the reference implementation's value for no bytes, and one of each class of lengths.
    #[test]
    fn the_values_are_fixed_for_ever() {
        assert_eq!(extend(0, b""), 0x38d3_94c2);
        let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let sums = [1, 16, 40, 128, 240, 241, 1_000].map(|length| extend(7, &bytes[..length]));
        let known = [
            4_284_334_309,
            3_974_287_345,
            2_297_997_580,
            3_614_668_803,
            3_557_146_756,
            1_795_400_470,
            3_344_158_347,
        ];
        assert_eq!(sums, known);
    }

    #[test]
    fn a_checksum_depends_on_what_came_before() {
        assert_ne!(extend(1, b"record"), extend(2, b"record"));
        assert_ne!(extend(1, b"record"), extend(1, b"recorD"));
        assert_ne!(extend(0, &[0; 4]), extend(0, &[0; 5]));
    }
}
