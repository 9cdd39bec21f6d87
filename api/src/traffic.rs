//! How many messages go through this node's edge.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use raft::measure::Distribution;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A sample of the history is of so long.
const HISTORY_INTERVAL: Duration = Duration::from_secs(10);
/// The history holds so many: an hour.
const HISTORY_SAMPLES: usize = 360;

/// How much there was in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Messages taken from producers.
    pub messages_in: f64,
    /// Bytes of their bodies.
    pub bytes_in: f64,
    /// Messages delivered to consumers.
    pub messages_out: f64,
    /// Bytes of their records.
    pub bytes_out: f64,
    /// Messages that were sent and not taken.
    pub failed: f64,
}

/// Rates over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When it ended, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What there was.
    pub per_second: Rates,
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals([u64; 5]);

impl Totals {
    fn per_second_since(self, before: Totals, passed: Duration) -> Rates {
        let mut rates = [0.0; 5];
        for (rate, (now, before)) in rates.iter_mut().zip(self.0.into_iter().zip(before.0)) {
            *rate = (now - before) as f64 / passed.as_secs_f64();
        }
        let [messages_in, bytes_in, messages_out, bytes_out, failed] = rates;
        Rates { messages_in, bytes_in, messages_out, bytes_out, failed }
    }
}

/// Counters, and the rates between samples.
#[derive(Debug)]
pub struct Traffic {
    taken: AtomicU64,
    taken_bytes: AtomicU64,
    delivered: AtomicU64,
    delivered_bytes: AtomicU64,
    failed: AtomicU64,
    // A mutex: it is locked once a sample, and by who asks.
    sampled: Mutex<Sampled>,
}

#[derive(Debug)]
struct Sampled {
    at: Instant,
    totals: Totals,
    now: Sample,
    recorded_at: Instant,
    recorded: Totals,
    history: VecDeque<Sample>,
    syncs_before: Distribution,
    syncs: Distribution,
}

impl Traffic {
    /// Nothing yet.
    pub fn new(now: Instant) -> Traffic {
        let zero = || AtomicU64::new(0);
        let sampled = Sampled {
            at: now,
            totals: Totals::default(),
            now: Sample::default(),
            recorded_at: now,
            recorded: Totals::default(),
            history: VecDeque::new(),
            syncs_before: Distribution::default(),
            syncs: Distribution::default(),
        };
        Traffic {
            taken: zero(),
            taken_bytes: zero(),
            delivered: zero(),
            delivered_bytes: zero(),
            failed: zero(),
            sampled: Mutex::new(sampled),
        }
    }

    /// Messages were taken from producers, with so many bytes of bodies.
    pub fn took(&self, messages: usize, bytes: usize) {
        self.taken.fetch_add(messages as u64, Ordering::Relaxed);
        self.taken_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Messages were delivered to consumers, with so many bytes of records.
    pub fn delivered(&self, messages: usize, bytes: usize) {
        self.delivered.fetch_add(messages as u64, Ordering::Relaxed);
        self.delivered_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Messages that producers sent were not taken.
    pub fn failed(&self, messages: usize) {
        self.failed.fetch_add(messages as u64, Ordering::Relaxed);
    }

    fn totals(&self) -> Totals {
        let counters = [&self.taken, &self.taken_bytes, &self.delivered, &self.delivered_bytes, &self.failed];
        Totals(counters.map(|counter| counter.load(Ordering::Relaxed)))
    }

    /// Ends an interval. `unix_ms` is what the clock shows; `syncs` are the times of all syncs of the logs so far.
    pub fn sample(&self, now: Instant, unix_ms: u64, syncs: impl FnOnce() -> Distribution) {
        let totals = self.totals();
        let mut sampled = self.sampled.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(sampled.at);
        if passed.is_zero() {
            return;
        }
        let per_second = totals.per_second_since(sampled.totals, passed);
        (sampled.at, sampled.totals, sampled.now) = (now, totals, Sample { unix_ms, per_second });
        let passed = now.saturating_duration_since(sampled.recorded_at);
        if passed < HISTORY_INTERVAL {
            return;
        }
        let per_second = totals.per_second_since(sampled.recorded, passed);
        if sampled.history.len() == HISTORY_SAMPLES {
            sampled.history.pop_front();
        }
        sampled.history.push_back(Sample { unix_ms, per_second });
        (sampled.recorded_at, sampled.recorded) = (now, totals);
        let syncs = syncs();
        sampled.syncs = syncs.since(&sampled.syncs_before);
        sampled.syncs_before = syncs;
    }

    /// The rates of the last interval.
    pub fn now(&self) -> Sample {
        self.sampled.lock().unwrap_or_else(PoisonError::into_inner).now
    }

    /// What was recorded after a time, a sample for each ten seconds, an hour back at most.
    pub fn history(&self, since_unix_ms: u64) -> Vec<Sample> {
        let sampled = self.sampled.lock().unwrap_or_else(PoisonError::into_inner);
        sampled.history.iter().filter(|sample| sample.unix_ms > since_unix_ms).copied().collect()
    }

    /// How long syncs took in the last ten seconds of the history, in microseconds: half of them no longer than this, and 99 %
    /// of them no longer than that. 0 if there were none.
    pub fn sync_us(&self) -> (u64, u64) {
        let sampled = self.sampled.lock().unwrap_or_else(PoisonError::into_inner);
        (sampled.syncs.quantile(0.5), sampled.syncs.quantile(0.99))
    }
}

#[cfg(test)]
mod tests {
    use raft::measure::Histogram;

    use super::*;

    #[tokio::test]
    async fn rates_are_those_of_the_last_interval_and_an_hour_is_kept() {
        let start = Instant::now();
        let traffic = Traffic::new(start);
        let syncs = Histogram::new(&[100, 200, 400]);
        let sample = |second: u64| {
            traffic.sample(start + Duration::from_secs(second), second * 1_000, || syncs.read());
        };
        traffic.took(30, 3_000);
        traffic.delivered(10, 500);
        traffic.failed(1);
        [150, 150, 150, 300].into_iter().for_each(|took_us| syncs.observe(took_us));
        sample(10);
        let rates =
            Rates { messages_in: 3.0, bytes_in: 300.0, messages_out: 1.0, bytes_out: 50.0, failed: 0.1 };
        assert_eq!(traffic.now(), Sample { unix_ms: 10_000, per_second: rates });
        assert_eq!(traffic.history(0), [traffic.now()]);
        assert_eq!(traffic.sync_us(), (200, 400));

        traffic.took(4, 0);
        sample(12);
        assert_eq!(traffic.now().per_second.messages_in, 2.0);
        assert_eq!(traffic.history(0).len(), 1, "it is a sample for each ten seconds");
        sample(20);
        assert_eq!(traffic.now().per_second, Rates::default());
        assert_eq!(
            traffic.history(10_000),
            [Sample { unix_ms: 20_000, per_second: Rates { messages_in: 0.4, ..Rates::default() } }]
        );
        assert_eq!(traffic.sync_us(), (0, 0), "there were no syncs since");
        (3..400).for_each(|tens| sample(10 * tens));
        let history = traffic.history(0);
        assert_eq!((history.len(), history[0].unix_ms), (360, 400_000));
    }
}
