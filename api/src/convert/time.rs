//! Durations and timestamps of the wire.

use std::time::Duration;

/// A duration, unless it is negative or malformed.
pub fn duration(wire: &prost_types::Duration) -> Option<Duration> {
    let nanos = u32::try_from(wire.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(wire.seconds).ok()?, nanos))
}

/// A duration for the wire.
pub fn wire_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos() as i32,
    }
}

/// Milliseconds since 1970, 0 for what lies before or makes no sense.
pub fn unix_ms(wire: &prost_types::Timestamp) -> u64 {
    let seconds = u64::try_from(wire.seconds).unwrap_or(0);
    let nanos = u64::try_from(wire.nanos).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000)
}

/// A timestamp for the wire.
pub fn wire_timestamp(unix_ms: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(unix_ms / 1_000).unwrap_or(i64::MAX),
        nanos: (unix_ms % 1_000) as i32 * 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_negative_is_not_a_duration() {
        assert_eq!(duration(&prost_types::Duration { seconds: -1, nanos: 0 }), None);
        assert_eq!(duration(&prost_types::Duration { seconds: 0, nanos: -1 }), None);
        let wire = wire_duration(Duration::from_millis(1_500));
        assert_eq!(duration(&wire), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn timestamps_keep_their_milliseconds() {
        assert_eq!(unix_ms(&wire_timestamp(1_700_000_000_123)), 1_700_000_000_123);
        assert_eq!(unix_ms(&prost_types::Timestamp { seconds: -5, nanos: 0 }), 0);
    }
}
