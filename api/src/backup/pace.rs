//! How fast a backup goes.

use std::time::{Duration, Instant};

/// Lets no more bytes through in a second than it was told to; without a rate all at once.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bytes_per_s: Option<u64>,
    begun: Instant,
    spent: u64,
}

impl Pace {
    /// So many bytes a second.
    pub fn new(bytes_per_s: Option<u64>) -> Pace {
        Pace { bytes_per_s: bytes_per_s.filter(|rate| *rate > 0), begun: Instant::now(), spent: 0 }
    }

    /// Waits until so many bytes more may go.
    pub async fn spend(&mut self, bytes: u64) {
        let Some(rate) = self.bytes_per_s else { return };
        self.spent += bytes;
        let due = Duration::from_secs_f64(self.spent as f64 / rate as f64);
        let elapsed = self.begun.elapsed();
        match due.checked_sub(elapsed) {
            Some(early) => tokio::time::sleep(early).await,
            // What was not used does not gather: that would be a burst.
            None => (self.begun, self.spent) = (Instant::now(), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rate_is_kept_and_a_pause_is_not_made_up_for() {
        let begun = Instant::now();
        let mut pace = Pace::new(Some(1_000_000));
        for _ in 0..10 {
            pace.spend(10_000).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(95), "{:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
        pace.spend(1).await;
        let begun = Instant::now();
        pace.spend(50_000).await;
        assert!(begun.elapsed() >= Duration::from_millis(45), "{:?}", begun.elapsed());
        let mut unlimited = Pace::new(None);
        let begun = Instant::now();
        unlimited.spend(u64::MAX).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
