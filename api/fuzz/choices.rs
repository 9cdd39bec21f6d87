//! Choices that the bytes of an input make, one byte each. Once they are used up the first of all is chosen.

pub struct Choices<'d>(pub &'d [u8]);

impl Choices<'_> {
    /// A number below another one, which is at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*byte) % end
    }

    /// One of these.
    pub fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Yes or no.
    pub fn flip(&mut self) -> bool {
        self.below(2) == 1
    }
}
