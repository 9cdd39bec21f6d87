//! What a run measured.

use serde::Serialize;

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Messages that succeeded within the measured time.
    pub messages: u64,
    /// The measured time.
    pub seconds: f64,
    /// Messages a second.
    pub messages_per_second: f64,
    /// Mebibytes of bodies a second.
    pub mib_per_second: f64,
    /// Messages that failed for good.
    pub errors: u64,
    /// From the intended start of a call to its end.
    pub latency_ms: Latency,
    /// The longest time without a success.
    pub longest_gap_ms: f64,
    /// The last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Half are faster.
    pub p50: f64,
    /// 99 % are faster.
    pub p99: f64,
    /// 99.9 % are faster.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let latency = self.latency_ms;
        let mut text = format!(
            "{} messages in {:.1} s: {:.0} messages/s, {:.1} MiB/s, {} errors
latency ms: p50 {:.2}, p99 {:.2}, p99.9 {:.2}, max {:.2}
longest gap between successes: {:.1} ms",
            self.messages,
            self.seconds,
            self.messages_per_second,
            self.mib_per_second,
            self.errors,
            latency.p50,
            latency.p99,
            latency.p999,
            latency.max,
            self.longest_gap_ms
        );
        if let Some(error) = &self.last_error {
            text.push_str(&format!("\nlast error: {error}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_documented_keys() {
        let latency_ms = Latency { p50: 1.0, p99: 2.0, p999: 3.0, max: 4.0 };
        let report = Report {
            messages: 1,
            seconds: 1.0,
            messages_per_second: 1.0,
            mib_per_second: 1.0,
            errors: 0,
            latency_ms,
            longest_gap_ms: 5.0,
            last_error: None,
        };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"messages":1,"seconds":1.0,"messages_per_second":1.0,"mib_per_second":1.0,"errors":0,"latency_ms":{"p50":1.0,"p99":2.0,"p999":3.0,"max":4.0},"longest_gap_ms":5.0}"#
        );
    }
}
