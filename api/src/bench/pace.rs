//! When calls are meant to start. At a fixed rate a call that starts late, because the broker holds
//! up the ones before it, is measured from when it was meant to start: a stall is not left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Load;
use super::meter::Meter;

/// Finer than the runtime's timers, which go by milliseconds.
const TICK_MIN: Duration = Duration::from_micros(50);
const TICK_MAX: Duration = Duration::from_millis(5);

/// Hands out starts.
#[derive(Clone, Debug)]
pub enum Pace {
    /// As fast as answers come.
    Unlimited,
    /// At a rate.
    Fixed {
        /// One permit a start that is due.
        due: Arc<Semaphore>,
        /// Starts that were taken.
        taken: Arc<AtomicU64>,
        /// Between two starts.
        interval_ns: f64,
    },
}

impl Pace {
    /// Begins with the meter.
    pub fn begin(load: &Load, meter: &Arc<Meter>) -> Pace {
        if load.rate == 0 {
            return Pace::Unlimited;
        }
        let interval_ns = 1e9 * load.batch as f64 / load.rate as f64;
        let due = Arc::new(Semaphore::new(0));
        let (permits, meter) = (due.clone(), meter.clone());
        std::thread::spawn(move || release(&permits, &meter, interval_ns));
        Pace::Fixed { due, taken: Arc::default(), interval_ns }
    }

    /// Waits for the next start; when it was meant to be, in nanoseconds since the run began.
    /// `None` when the time is up.
    pub async fn next(&self, meter: &Meter) -> Option<u64> {
        match self {
            Pace::Unlimited => (!meter.is_over()).then(|| meter.now_ns()),
            Pace::Fixed { due, taken, interval_ns } => {
                due.acquire().await.ok()?.forget();
                let number = taken.fetch_add(1, Ordering::Relaxed);
                (!meter.is_over()).then_some((number as f64 * interval_ns) as u64)
            }
        }
    }
}

/// Releases starts as they become due, until the time is up.
fn release(due: &Semaphore, meter: &Meter, interval_ns: f64) {
    let mut released = 0_u64;
    while !meter.is_over() {
        let now_ns = meter.now_ns() as f64;
        let owed = (now_ns / interval_ns) as u64 + 1;
        let more = usize::try_from(owed.saturating_sub(released)).unwrap_or(0);
        due.add_permits(more.min(Semaphore::MAX_PERMITS - due.available_permits()));
        released = owed.max(released);
        let next_ns = released as f64 * interval_ns - now_ns;
        std::thread::sleep(Duration::from_nanos(next_ns.max(0.0) as u64).clamp(TICK_MIN, TICK_MAX));
    }
    due.close();
}

#[cfg(test)]
mod tests {
    use super::super::template::tests::load;
    use super::*;

    #[tokio::test]
    async fn starts_are_meant_to_be_evenly_spaced_however_late_they_are_taken() {
        let mut options = load(100, 2, 0);
        (options.rate, options.seconds) = (1000, 1);
        let meter = Arc::new(Meter::begin(&options));
        let pace = Pace::begin(&options, &meter);
        // A worker that is held up takes its starts late, with the times at which they were due.
        assert_eq!(pace.next(&meter).await, Some(0));
        while meter.now_ns() < 20_000_000 {
            tokio::task::yield_now().await;
        }
        for call in 1..8 {
            assert_eq!(pace.next(&meter).await, Some(call * 2_000_000));
        }
        let mut taken = 8;
        while pace.next(&meter).await.is_some() {
            taken += 1;
        }
        assert!((400..=501).contains(&taken), "{taken} starts of 2 messages in a second of 1000 messages");
    }
}
