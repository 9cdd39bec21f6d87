//! A bucket of tokens that fills again with time.

use std::time::Instant;

/// How many tokens were taken, and when it was last looked. A new one is full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    // In thousandths of a token.
    missing: u64,
    looked: Option<Instant>,
}

impl Bucket {
    /// Takes tokens from a bucket of this size that gets so many in a second, if there are as many.
    pub(super) fn take(&mut self, tokens: u32, size: u32, per_second: u32) -> bool {
        self.take_at(Instant::now(), tokens, size, per_second)
    }

    /// The same, at a time that is known already.
    pub(super) fn take_at(&mut self, now: Instant, tokens: u32, size: u32, per_second: u32) -> bool {
        let passed = self.looked.map_or(0, |looked| now.saturating_duration_since(looked).as_millis() as u64);
        // Less than a millisecond is not lost: it counts with the next look.
        if passed > 0 || self.looked.is_none() {
            self.looked = Some(now);
        }
        self.missing = self.missing.saturating_sub(passed.saturating_mul(u64::from(per_second)));
        let missing = self.missing + u64::from(tokens) * 1_000;
        if missing > u64::from(size) * 1_000 {
            return false;
        }
        self.missing = missing;
        true
    }

    /// Puts tokens back, at most as many as are missing.
    pub(super) fn put(&mut self, tokens: u32) {
        self.missing = self.missing.saturating_sub(u64::from(tokens) * 1_000);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_gives_what_it_holds_and_then_what_comes_in() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        let mut take = |ms: u64| bucket.take_at(start + Duration::from_millis(ms), 1, 3, 10);
        assert_eq!([0, 0, 0, 0].map(&mut take), [true, true, true, false]);
        assert_eq!([99, 100, 101].map(&mut take), [false, true, false]);
        assert_eq!([10_000; 4].map(&mut take), [true, true, true, false], "never more than it holds");
    }

    #[test]
    fn what_is_put_back_can_be_taken_again() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        assert!(bucket.take_at(now, 3, 3, 0) && !bucket.take_at(now, 1, 3, 0));
        bucket.put(2);
        assert!(bucket.take_at(now, 2, 3, 0) && !bucket.take_at(now, 1, 3, 0));
        bucket.put(100);
        assert!(bucket.take_at(now, 3, 3, 0) && !bucket.take_at(now, 1, 3, 0));
    }
}
