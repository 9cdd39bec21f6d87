//! Gaps between acknowledgements.

use serde::{Deserialize, Serialize};

/// The longest gaps of one round, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gaps {
    /// Sends: over all clients.
    pub send_server_ms: f64,
    /// Sends: over the clients of the node that went.
    pub send_client_ms: f64,
    /// Receives: over all clients.
    pub receive_server_ms: f64,
    /// Receives: over the clients of the node that went.
    pub receive_client_ms: f64,
}

/// The rounds of one kind, summed up, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The median.
    pub p50_ms: f64,
    /// The 99th percentile: with fewer than a hundred rounds, the longest.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Summary {
    /// Of one value a round.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |part: f64| {
            // The smallest value that so much of all does not exceed.
            let rank = (part * values.len() as f64).ceil() as usize;
            values.get(rank.max(1) - 1).copied()
        };
        Some(Summary { p50_ms: at(0.5)?, p99_ms: at(0.99)?, max_ms: *values.last()? })
    }
}

/// The longest time without an event between `from_ns` and `to_ns`, in milliseconds; a gap that has not ended by then
/// counts up to then. Events ascend.
pub fn longest_gap_ms(events_ns: impl IntoIterator<Item = u64>, from_ns: u64, to_ns: u64) -> f64 {
    let (mut last, mut longest) = (from_ns, 0);
    for event in events_ns {
        if event > to_ns {
            break;
        }
        if event <= from_ns {
            continue;
        }
        longest = longest.max(event - last);
        last = event;
    }
    longest = longest.max(to_ns.saturating_sub(last));
    longest as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_gap_begins_with_the_fault_and_one_that_does_not_end_counts() {
        let events = [1, 5, 6, 30, 31, 200].map(|ms| ms * MS);
        assert_eq!(longest_gap_ms(events, 4 * MS, 40 * MS), 24.0);
        assert_eq!(longest_gap_ms(events, 4 * MS, 100 * MS), 69.0, "the gap at the end counts");
        assert_eq!(longest_gap_ms([], 0, 10 * MS), 10.0);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let summary = Summary::of((1..=30).map(f64::from)).unwrap();
        assert_eq!(summary, Summary { p50_ms: 15.0, p99_ms: 30.0, max_ms: 30.0 });
        assert_eq!(Summary::of([]), None);
    }
}
