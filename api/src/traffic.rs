//! How many messages go through this node's edge.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Counters, and the rates of the last interval between two samples.
#[derive(Debug)]
pub struct Traffic {
    taken: AtomicU64,
    delivered: AtomicU64,
    // A mutex: it is locked once a sample, and by who asks.
    last: Mutex<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    taken: u64,
    delivered: u64,
    per_second: (f64, f64),
}

impl Traffic {
    /// Nothing yet.
    pub fn new(now: Instant) -> Traffic {
        let last = Sample { at: now, taken: 0, delivered: 0, per_second: (0.0, 0.0) };
        Traffic { taken: AtomicU64::new(0), delivered: AtomicU64::new(0), last: Mutex::new(last) }
    }

    /// Messages were taken from producers.
    pub fn took(&self, messages: usize) {
        self.taken.fetch_add(messages as u64, Ordering::Relaxed);
    }

    /// Messages were delivered to consumers.
    pub fn delivered(&self, messages: usize) {
        self.delivered.fetch_add(messages as u64, Ordering::Relaxed);
    }

    /// Ends an interval.
    pub fn sample(&self, now: Instant) {
        let (taken, delivered) = (self.taken.load(Ordering::Relaxed), self.delivered.load(Ordering::Relaxed));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(last.at).as_secs_f64();
        if passed > 0.0 {
            let per_second =
                ((taken - last.taken) as f64 / passed, (delivered - last.delivered) as f64 / passed);
            *last = Sample { at: now, taken, delivered, per_second };
        }
    }

    /// Messages taken and delivered in a second, over the last interval.
    pub fn per_second(&self) -> (f64, f64) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).per_second
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn rates_are_those_of_the_last_interval() {
        let start = Instant::now();
        let traffic = Traffic::new(start);
        traffic.took(30);
        traffic.delivered(10);
        traffic.sample(start + Duration::from_secs(10));
        assert_eq!(traffic.per_second(), (3.0, 1.0));
        traffic.sample(start + Duration::from_secs(20));
        assert_eq!(traffic.per_second(), (0.0, 0.0));
    }
}
