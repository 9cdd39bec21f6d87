//! Counts what succeeded within the measured time, how long it took, and the longest silence.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::Load;
use super::report::{Latency, Report};

/// Longer latencies count as this.
const LATENCY_US_MAX: u64 = 120_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// Workers share so many histograms, so that they seldom wait for each other.
const SHARDS: usize = 8;

/// Shared by all workers of a run.
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    from_ns: u64,
    until_ns: u64,
    enough: u64,
    all: AtomicU64,
    messages: AtomicU64,
    errors: AtomicU64,
    last_success_ns: AtomicU64,
    longest_gap_ns: AtomicU64,
    shards: Vec<Mutex<Histogram<u64>>>,
    last_error: Mutex<Option<String>>,
    size: usize,
}

impl Meter {
    /// Begins now.
    pub fn begin(load: &Load) -> Meter {
        let histogram = || {
            let made = Histogram::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS);
            Mutex::new(made.expect("the bounds are constants"))
        };
        let from_ns = Duration::from_secs(load.warm_up).as_nanos() as u64;
        Meter {
            began: Instant::now(),
            from_ns,
            until_ns: load.duration().as_nanos() as u64,
            enough: load.messages.unwrap_or(u64::MAX),
            all: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            last_success_ns: AtomicU64::new(from_ns),
            longest_gap_ns: AtomicU64::new(0),
            shards: (0..SHARDS).map(|_| histogram()).collect(),
            last_error: Mutex::new(None),
            size: load.size,
        }
    }

    /// When the run began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Nanoseconds since the run began.
    pub fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// Whether the time is up, or enough succeeded.
    pub fn is_over(&self) -> bool {
        self.all.load(Ordering::Relaxed) >= self.enough || self.now_ns() >= self.until_ns
    }

    /// `messages` succeeded just now; they were meant to start at `intended_ns`.
    pub fn success(&self, worker: usize, messages: u64, intended_ns: u64) {
        self.success_at(self.now_ns(), worker, messages, intended_ns);
    }

    fn success_at(&self, now_ns: u64, worker: usize, messages: u64, intended_ns: u64) {
        self.all.fetch_add(messages, Ordering::Relaxed);
        if now_ns < self.from_ns || now_ns >= self.until_ns {
            return;
        }
        self.messages.fetch_add(messages, Ordering::Relaxed);
        let before_ns = self.last_success_ns.fetch_max(now_ns, Ordering::Relaxed);
        self.longest_gap_ns.fetch_max(now_ns.saturating_sub(before_ns), Ordering::Relaxed);
        self.latency(worker, now_ns.saturating_sub(intended_ns), messages);
    }

    fn latency(&self, worker: usize, latency_ns: u64, messages: u64) {
        let mut shard = self.shards[worker % SHARDS].lock().expect("nobody panics while recording");
        let latency_us = (latency_ns / 1000).clamp(1, LATENCY_US_MAX);
        shard.saturating_record_n(latency_us, messages);
    }

    /// `messages` failed for good.
    pub fn failure(&self, messages: u64, reason: impl FnOnce() -> String) {
        if self.now_ns() >= self.from_ns {
            self.errors.fetch_add(messages, Ordering::Relaxed);
        }
        *self.last_error.lock().expect("nobody panics while recording") = Some(reason());
    }

    /// Messages and errors until now.
    pub fn counts(&self) -> (u64, u64) {
        (self.messages.load(Ordering::Relaxed), self.errors.load(Ordering::Relaxed))
    }

    /// How long nothing has succeeded, if anything ever did.
    pub fn silence(&self) -> Option<Duration> {
        let last_ns = self.last_success_ns.load(Ordering::Relaxed);
        let silent = Duration::from_nanos(self.now_ns().saturating_sub(last_ns));
        (self.messages.load(Ordering::Relaxed) > 0).then_some(silent)
    }

    /// The result. `drained`: the run ended before its time because there was nothing left.
    pub fn report(&self, drained: bool) -> Report {
        self.report_at(self.now_ns(), drained)
    }

    fn report_at(&self, now_ns: u64, drained: bool) -> Report {
        let last_ns = self.last_success_ns.load(Ordering::Relaxed);
        let until_ns = if drained { last_ns } else { self.until_ns.min(now_ns) };
        let measured_ns = until_ns.saturating_sub(self.from_ns);
        let mut gap_ns = self.longest_gap_ns.load(Ordering::Relaxed);
        // A broker that never comes back is the longest silence of all.
        gap_ns = gap_ns.max(until_ns.saturating_sub(last_ns));
        let mut all = self.shards[0].lock().expect("nobody panics while recording").clone();
        for shard in &self.shards[1..] {
            let shard = shard.lock().expect("nobody panics while recording");
            all.add(&*shard).expect("all have the same bounds");
        }
        let (messages, errors) = self.counts();
        let seconds = measured_ns as f64 / 1e9;
        let rate = if seconds > 0.0 { messages as f64 / seconds } else { 0.0 };
        let at = |quantile: f64| all.value_at_quantile(quantile) as f64 / 1000.0;
        Report {
            messages,
            seconds,
            messages_per_second: rate,
            mib_per_second: rate * self.size as f64 / f64::from(1 << 20),
            errors,
            latency_ms: Latency {
                p50: at(0.5),
                p99: at(0.99),
                p999: at(0.999),
                max: all.max() as f64 / 1000.0,
            },
            longest_gap_ms: gap_ns as f64 / 1e6,
            last_error: self.last_error.lock().expect("nobody panics while recording").clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::template::tests::load;
    use super::*;

    #[test]
    fn gaps_and_latencies_are_measured_within_the_window_only() {
        const MS: u64 = 1_000_000;
        let mut options = load(1024, 1, 0);
        (options.warm_up, options.seconds) = (1, 10);
        let meter = Meter::begin(&options);
        meter.success_at(500 * MS, 0, 1, 0);
        meter.success_at(1_500 * MS, 0, 1, 1_490 * MS);
        meter.success_at(4_500 * MS, 1, 2, 1_500 * MS);
        meter.success_at(11_500 * MS, 0, 1, 0);
        let report = meter.report_at(11_500 * MS, false);
        assert_eq!(report.messages, 3);
        assert!((report.seconds - 10.0).abs() < 1e-6, "{}", report.seconds);
        let gap = report.longest_gap_ms;
        assert!((gap - 6500.0).abs() < 1.0, "the silence at the end counts too: {gap}");
        assert!((report.latency_ms.max - 3000.0).abs() < 5.0, "{:?}", report.latency_ms);
        let drained = meter.report_at(11_500 * MS, true);
        assert!((drained.seconds - 3.5).abs() < 1e-6, "{}", drained.seconds);
        assert!((drained.longest_gap_ms - 3000.0).abs() < 1.0, "{}", drained.longest_gap_ms);
    }

    #[test]
    fn failures_are_counted_with_their_last_reason() {
        let meter = Meter::begin(&load(1024, 1, 0));
        meter.failure(3, || "first".into());
        meter.failure(1, || "second".into());
        let report = meter.report(false);
        assert_eq!((report.errors, report.last_error.as_deref()), (4, Some("second")));
    }
}
