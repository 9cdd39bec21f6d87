//! The hashes that stand in tables and commands. They are part of the format: never change one.

/// A 64-bit hash (FNV-1a with a final mix), never 0: 0 says "none" in the formats.
pub fn hash64(bytes: &[u8]) -> u64 {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        state ^= u64::from(*byte);
        state = state.wrapping_mul(0x0000_0100_0000_01b3);
    }
    match mix(state) {
        0 => 1,
        hash => hash,
    }
}

/// A 128-bit hash (FNV-1a, both halves mixed), never 0. For message ids that are not 128 bits
/// themselves.
pub fn hash128(bytes: &[u8]) -> u128 {
    let mut state: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in bytes {
        state ^= u128::from(*byte);
        state = state.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    let (high, low) = ((state >> 64) as u64, state as u64);
    // Each half also depends on the other: FNV leaves the halves of short inputs alike.
    let hash = u128::from(mix(high ^ low.rotate_left(32))) << 64 | u128::from(mix(low));
    hash.max(1)
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): spreads FNV's weak upper bits.
pub(crate) fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::{hash64, hash128};

    #[test]
    fn the_hash_is_part_of_the_format() {
        assert_eq!(hash64(b""), 0xf52a15e9a9b5e89b);
        assert_ne!(hash64(b"tag-a"), hash64(b"tag-b"));
        assert_eq!(hash128(b"id-1"), 0x8c92_7046_0faf_32d5_2207_4d08_f51c_fd98);
        assert_ne!(hash128(b"id-1"), hash128(b"id-2"));
    }
}
