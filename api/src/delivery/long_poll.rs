//! How long a receive may wait, and when it must be answered.

use std::time::Duration;

use crate::convert::status::Fault;
use crate::limits::{DEADLINE_MARGIN_MIN, RECEIVE_GRACE};

/// The bounds of a long poll.
#[derive(Clone, Copy, Debug)]
pub struct PollBounds {
    /// A shorter wish is lengthened to this.
    pub min: Duration,
    /// A longer wish is cut to this.
    pub max: Duration,
}

/// A receive's time, counted from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polling {
    /// Wait so long for a message.
    pub wait: Duration,
    /// Answer within this time in any case.
    pub deadline: Duration,
}

/// Works out the wait from the client's wish and from the time left until its own deadline. Clients
/// differ: most say both and leave 3 s between; Rust's deadline is its wish without a margin; Go's
/// simple consumer says only the deadline.
///
/// # Errors
/// [`Fault::IllegalPollingTime`] when the deadline leaves less than the shortest poll.
pub fn polling(wish: Option<Duration>, left: Option<Duration>, bounds: PollBounds) -> Result<Polling, Fault> {
    let budget = left.map(|left| left.saturating_sub(margin(left)));
    let wait = wish.or(budget.map(|budget| budget.saturating_sub(RECEIVE_GRACE / 2))).unwrap_or(bounds.max);
    let wait = wait.clamp(bounds.min, bounds.max);
    let (Some(left), Some(budget)) = (left, budget) else {
        return Ok(Polling { wait, deadline: wait + RECEIVE_GRACE });
    };
    // The margin is ours, so it does not count against a client that asks for the shortest poll.
    if left < bounds.min {
        return Err(Fault::IllegalPollingTime(format!(
            "the request's deadline leaves {} ms; a long poll takes at least {} ms",
            left.as_millis(),
            bounds.min.as_millis()
        )));
    }
    let wait = wait.min(budget);
    Ok(Polling { wait, deadline: budget.min(wait + RECEIVE_GRACE) })
}

/// What must be left for the way back: a tenth of the time, between 100 ms and half a second, and
/// never more than a quarter of what there is.
fn margin(left: Duration) -> Duration {
    (left / 10).clamp(DEADLINE_MARGIN_MIN, Duration::from_millis(500)).min(left / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: PollBounds = PollBounds { min: Duration::from_secs(5), max: Duration::from_secs(20) };

    fn of(wish_s: Option<u64>, left_s: Option<u64>) -> Result<(u128, u128), Fault> {
        polling(wish_s.map(Duration::from_secs), left_s.map(Duration::from_secs), BOUNDS)
            .map(|polling| (polling.wait.as_millis(), polling.deadline.as_millis()))
    }

    #[test]
    fn the_wish_counts_within_its_bounds() {
        assert_eq!(of(Some(10), None), Ok((10_000, 13_000)));
        assert_eq!(of(Some(1), None), Ok((5_000, 8_000)));
        assert_eq!(of(Some(90), None), Ok((20_000, 23_000)));
        assert_eq!(of(None, None), Ok((20_000, 23_000)));
    }

    #[test]
    fn the_answer_comes_before_the_deadline() {
        assert_eq!(of(Some(20), Some(23)), Ok((20_000, 22_500)));
        assert_eq!(of(Some(20), Some(20)), Ok((19_500, 19_500)));
        assert_eq!(of(Some(40), Some(40)), Ok((20_000, 23_000)));
        assert_eq!(of(Some(5), Some(5)), Ok((4_500, 4_500)));
        assert_eq!(of(None, Some(10)), Ok((8_000, 9_500)));
        assert_eq!(of(None, Some(6)), Ok((5_000, 5_500)));
    }

    #[test]
    fn a_deadline_that_is_too_short_is_told() {
        assert!(matches!(of(Some(20), Some(3)), Err(Fault::IllegalPollingTime(_))));
        assert!(matches!(of(None, Some(1)), Err(Fault::IllegalPollingTime(_))));
    }
}
