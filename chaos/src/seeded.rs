//! Random choices that follow from a seed, on every machine and in every version.

/// SplitMix64: eight lines that will never change, so that a seed in an old report still means the same plan.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    pub fn new(seed: u64) -> Seeded {
        Seeded(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is above 0. (The bias of a remainder is far below what a test would notice.)
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "nothing is below 0");
        self.next() % bound
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "{low}..={high} is empty");
        low + self.below(high - low + 1)
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// So many of them, in ascending order.
    pub fn some_of(&mut self, choices: &[usize], count: usize) -> Vec<usize> {
        let mut left = choices.to_vec();
        let mut taken: Vec<usize> = (0..count.min(left.len()))
            .map(|_| left.swap_remove(self.below(left.len() as u64) as usize))
            .collect();
        taken.sort_unstable();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        let mut seeded = Seeded::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| seeded.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn some_of_them_are_distinct_and_ascend() {
        let mut seeded = Seeded::new(1);
        for _ in 0..100 {
            let some = seeded.some_of(&[1, 2, 3, 4, 5], 3);
            assert!(some.len() == 3 && some.windows(2).all(|pair| pair[0] < pair[1]), "{some:?}");
        }
    }
}
