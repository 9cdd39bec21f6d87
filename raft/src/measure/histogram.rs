//! How often a value fell between two bounds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bounds of times that a disk or a request takes, in microseconds: 100 µs to 10 s.
pub const MICROSECONDS: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];
/// Bounds of counts: 1 to 4096.
pub const COUNTS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096];
/// Bounds of sizes, in bytes: 1 KiB to 16 MiB.
pub const BYTES: &[u64] =
    &[1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22, 1 << 24];

/// Counts values by their size. Cheap to write to from many threads.
#[derive(Debug)]
pub struct Histogram {
    /// Ascending; a value counts where it is not greater than the bound.
    bounds: &'static [u64],
    /// One for each bound, and one for what is greater.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a [`Histogram`] has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// The bounds, ascending.
    pub bounds: &'static [u64],
    /// How many values fell up to each bound and above the one before, and at the end those above all. Not summed up.
    pub counts: Vec<u64>,
    /// The values, added up.
    pub sum: u64,
}

impl Distribution {
    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Both together. One of them may be empty, else they have the same bounds.
    pub fn with(mut self, other: &Distribution) -> Distribution {
        if self.counts.is_empty() {
            return other.clone();
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum += other.sum;
        self
    }

    /// What was counted after an earlier reading of the same histogram.
    pub fn since(&self, earlier: &Distribution) -> Distribution {
        let mut later = self.clone();
        later
            .counts
            .iter_mut()
            .zip(&earlier.counts)
            .for_each(|(count, before)| *count = count.saturating_sub(*before));
        later.sum = later.sum.saturating_sub(earlier.sum);
        later
    }

    /// The bound that this share (0.0 to 1.0) of the values does not exceed; 0 if there are none. What is above all bounds
    /// is told as the last one.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted.max(1)
        });
        let bound = |at: usize| self.bounds.get(at).or(self.bounds.last()).copied();
        at.and_then(bound).unwrap_or(0)
    }
}

impl Histogram {
    /// Nothing yet, between these bounds.
    pub fn new(bounds: &'static [u64]) -> Histogram {
        assert!(bounds.is_sorted(), "bounds ascend: {bounds:?}");
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a time, in microseconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// What it has counted.
    pub fn read(&self) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Distribution { bounds: self.bounds, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// Counts the time from its making to its end, however that comes about.
#[derive(Debug)]
pub struct Timed<'a> {
    histogram: &'a Histogram,
    begun: Instant,
}

impl<'a> Timed<'a> {
    /// The time begins.
    pub fn begin(histogram: &'a Histogram) -> Timed<'a> {
        Timed { histogram, begun: Instant::now() }
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        self.histogram.observe_time(self.begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_up_to_its_bound_and_beyond_the_last_one() {
        let histogram = Histogram::new(&[10, 20]);
        [0, 10, 11, 20, 21, 1_000].into_iter().for_each(|value| histogram.observe(value));
        let read = histogram.read();
        assert_eq!((read.counts.as_slice(), read.sum), ([2, 2, 2].as_slice(), 1_062));
        assert_eq!(read.count(), 6);
    }

    #[test]
    fn the_bounds_ascend() {
        [MICROSECONDS, COUNTS, BYTES].into_iter().for_each(|bounds| drop(Histogram::new(bounds)));
    }
}
