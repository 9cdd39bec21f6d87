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

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): spreads FNV's weak upper bits.
fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::hash64;

    #[test]
    fn the_hash_is_part_of_the_format() {
        assert_eq!(hash64(b""), 0xf52a15e9a9b5e89b);
        assert_ne!(hash64(b"tag-a"), hash64(b"tag-b"));
    }
}
