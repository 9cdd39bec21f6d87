//! How fast snapshots leave a node: who catches up must not take the network from who sends and receives.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shared by everything that a node sends of snapshots, of all groups and to all peers.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_s: u64,
    /// When all that may go by now has gone. Held for a moment, never over an await.
    free_from: Mutex<Instant>,
}

impl Pace {
    /// So many bytes a second; 0: as fast as it goes.
    pub(crate) fn new(bytes_per_s: u64) -> Pace {
        Pace { bytes_per_s, free_from: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes more may go.
    pub(crate) async fn take(&self, bytes: u64) {
        if self.bytes_per_s > 0 {
            tokio::time::sleep_until(self.reserve(bytes, Instant::now())).await;
        }
    }

    /// From when on they may go. Time in which nothing went is not saved up.
    fn reserve(&self, bytes: u64, now: Instant) -> Instant {
        let mut free_from = self.free_from.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = now.max(*free_from);
        *free_from = begin + Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64);
        begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_its_bytes() {
        let pace = Pace::new(1000);
        let now = Instant::now() + Duration::from_secs(1);
        let begins: Vec<_> = [500, 250, 1000, 1].map(|bytes| pace.reserve(bytes, now) - now).into();
        assert_eq!(begins, [0, 500, 750, 1750].map(Duration::from_millis));
        // A pause is no credit.
        let later = now + Duration::from_secs(60);
        assert_eq!(
            [pace.reserve(1000, later), pace.reserve(1, later)],
            [later, later + Duration::from_secs(1)]
        );
    }
}
