//! The clock behind the log's time. It enters the system only as the stamp of a leader's frames.
//!
//! Messages fall due and leases end by the log's time, so a leader whose wall clock jumps must not
//! take the log along. This clock runs with the machine's monotonic time. It is led to the wall
//! clock gently while the two differ by no more than [`SKEW_MAX_MS`]; a wall clock that is farther
//! off has jumped, and is not followed until the process starts again. The nodes tell each other
//! their clocks: one that differs from the middle of all by more than the same bound (it started with
//! a wrong wall clock) takes the middle for its own. So:
//!
//! - A jump back of the wall clock delays nothing: monotonic time goes on.
//! - A jump forward by more than the bound releases nothing early; one within it moves the log's time
//!   by [`SLEW_MS`] a second at most.
//! - A node that starts with a wrong wall clock stamps nothing by it, not even if it leads at once: the
//!   first frame waits until the peers' clocks are known, [`SETTLED_WAIT_MAX`] at most. Until then it takes the
//!   middle of all if it is off by more than [`SKEW_AT_START_MAX_MS`].
//! - A single node, or a pair, can only tell a jump while it runs, not a wrong clock at its start.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use crate::seams;

/// Clocks that differ by more are not followed, but corrected.
pub const SKEW_MAX_MS: u64 = 1_000;
/// The same before the first stamp after a start. A process that starts knows nothing but its wall clock: were that taken
/// for as long as it is not off by a second, a cluster that was killed as a whole could cut leases by nearly that.
pub const SKEW_AT_START_MAX_MS: u64 = 100;
/// So much the clock is moved at most, each time that it is led.
pub const SLEW_MS: u64 = 5;
/// How often the clock is led.
pub(crate) const LEAD_EVERY: Duration = Duration::from_secs(1);
/// Two clocks are read within this, or not compared.
const READING_MAX: Duration = Duration::from_millis(1);
/// Clocks of peers that are needed to tell who is wrong.
pub(crate) const PEERS_MIN: usize = 2;
/// So long the first frame after the start waits for them: some may be down.
const SETTLED_WAIT_MAX: Duration = Duration::from_millis(1_500);

/// What became of the clock when it was led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Led {
    /// It agrees, or was moved a little.
    Agrees,
    /// The wall clock is so far ahead (or behind, if negative), in milliseconds, and is not followed.
    WallJumped(i64),
    /// It could not be read well enough; it is what it was.
    Unread,
    /// It was off by so much from the middle of all nodes' clocks, in milliseconds, and was set.
    Corrected(i64),
}

/// Monotonic time with an anchor: `now = anchor + elapsed`.
#[derive(Debug)]
struct LogClock {
    anchor_ms: u64,
    since: Instant,
}

impl LogClock {
    fn at(wall_ms: u64, now: Instant) -> LogClock {
        LogClock { anchor_ms: wall_ms, since: now }
    }

    fn now_ms(&self, now: Instant) -> u64 {
        self.anchor_ms + now.saturating_duration_since(self.since).as_millis() as u64
    }

    fn shift(&mut self, by_ms: i64) {
        self.anchor_ms = self.anchor_ms.saturating_add_signed(by_ms);
    }

    /// `ahead_ms`: how far the clocks of peers are ahead of this one. `bound_ms`: it may be off by so much from the middle.
    fn lead(&mut self, now: Instant, wall_ms: u64, ahead_ms: &[i64], bound_ms: u64) -> Led {
        if ahead_ms.len() >= PEERS_MIN {
            let mut all: Vec<i64> = ahead_ms.iter().copied().chain([0]).collect();
            all.sort_unstable();
            // Of an even number the lower one: rather late than early.
            let middle = all[(all.len() - 1) / 2];
            if middle.unsigned_abs() > bound_ms {
                self.shift(middle);
                return Led::Corrected(middle);
            }
        }
        let off = wall_ms as i64 - self.now_ms(now) as i64;
        if off.unsigned_abs() > SKEW_MAX_MS {
            return Led::WallJumped(off);
        }
        self.shift(off.clamp(-(SLEW_MS as i64), SLEW_MS as i64));
        Led::Agrees
    }
}

/// The clock of a process, and whether it may be stamped by.
#[derive(Debug)]
pub(crate) struct ProcessClock {
    // Held for a moment only.
    clock: Mutex<LogClock>,
    /// Whether the clock was led by enough peers since the process started, or there are not so many.
    settled: watch::Sender<bool>,
}

impl ProcessClock {
    /// A clock that shows what the wall clock shows.
    pub(crate) fn start() -> ProcessClock {
        ProcessClock::of(seams::wall_ms(), seams::monotonic())
    }

    /// A clock that shows `wall_ms` at the moment `now`.
    pub(crate) fn of(wall_ms: u64, now: Instant) -> ProcessClock {
        ProcessClock { clock: Mutex::new(LogClock::at(wall_ms, now)), settled: watch::Sender::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, LogClock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970, for stamps and for what is compared with them.
pub fn now_ms() -> u64 {
    seams::process_clock().lock().now_ms(seams::monotonic())
}

/// Leads the clock; `ahead_ms` says how far the clocks of peers are ahead of it.
pub(crate) fn lead(ahead_ms: &[i64]) -> Led {
    let now = seams::monotonic();
    let wall_ms = seams::wall_ms();
    // Held up between the two readings, the thread would take the pause for a difference.
    if seams::monotonic().saturating_duration_since(now) > READING_MAX {
        return Led::Unread;
    }
    let bound_ms = if is_settled() { SKEW_MAX_MS } else { SKEW_AT_START_MAX_MS };
    seams::process_clock().lock().lead(now, wall_ms, ahead_ms, bound_ms)
}

/// From now on the clock may be stamped by.
pub(crate) fn settle() {
    let settled = &seams::process_clock().settled;
    settled.send_if_modified(|settled| !std::mem::replace(settled, true));
}

pub(crate) fn is_settled() -> bool {
    *seams::process_clock().settled.borrow()
}

/// Waits until the clock may be stamped by.
pub(crate) async fn settled() {
    let mut settled = seams::process_clock().settled.subscribe();
    // In time or not: with most peers down nobody can tell.
    let _ = timeout(SETTLED_WAIT_MAX, settled.wait_for(|settled| *settled)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: u64 = 1_700_000_000_000;

    /// A clock that has run for so many seconds, and the moment.
    fn after(seconds: u64) -> (LogClock, Instant) {
        let start = Instant::now();
        (LogClock::at(START_MS, start), start + Duration::from_secs(seconds))
    }

    #[test]
    fn a_wall_clock_that_jumps_is_not_followed() {
        for jump_ms in [3_600_000i64, -3_600_000, 1_001, -1_001] {
            let (mut clock, now) = after(10);
            let wall_ms = (START_MS + 10_000).saturating_add_signed(jump_ms);
            assert_eq!(clock.lead(now, wall_ms, &[], SKEW_MAX_MS), Led::WallJumped(jump_ms));
            assert_eq!(clock.now_ms(now), START_MS + 10_000, "a jump of {jump_ms} ms was followed");
        }
    }

    #[test]
    fn a_small_difference_is_made_up_for_slowly() {
        for (off_ms, moved_ms) in [(1_000i64, 5i64), (3, 3), (0, 0), (-2, -2), (-900, -5)] {
            let (mut clock, now) = after(10);
            let wall_ms = (START_MS + 10_000).saturating_add_signed(off_ms);
            assert_eq!(clock.lead(now, wall_ms, &[], SKEW_MAX_MS), Led::Agrees);
            assert_eq!(clock.now_ms(now) as i64 - (START_MS + 10_000) as i64, moved_ms, "off by {off_ms} ms");
        }
    }

    #[test]
    fn a_clock_that_the_others_contradict_is_set_right() {
        let (mut clock, now) = after(10);
        assert_eq!(
            clock.lead(now, START_MS + 10_000, &[-60_000, -60_010], SKEW_MAX_MS),
            Led::Corrected(-60_000)
        );
        assert_eq!(clock.now_ms(now), START_MS - 50_000);
        // Its own wall clock is the one that is wrong, and stays without influence.
        assert_eq!(clock.lead(now, START_MS + 10_000, &[0, -10], SKEW_MAX_MS), Led::WallJumped(60_000));
        assert_eq!(clock.now_ms(now), START_MS - 50_000);
    }

    #[test]
    fn one_wrong_peer_moves_nobody_and_a_pair_cannot_tell() {
        for ahead_ms in [vec![3_600_000, 2], vec![-3_600_000, 2], vec![3_600_000]] {
            let (mut clock, now) = after(10);
            assert_eq!(
                clock.lead(now, START_MS + 10_000, &ahead_ms, SKEW_MAX_MS),
                Led::Agrees,
                "{ahead_ms:?}"
            );
        }
    }

    #[test]
    fn before_its_first_stamp_a_clock_is_held_to_the_middle_more_strictly() {
        let wall_ms = START_MS + 10_000;
        for (ahead_ms, led) in [
            ([-640, -650], Led::Corrected(-640)),
            ([640, 650], Led::Corrected(640)),
            ([-90, -95], Led::Agrees),
            // One peer that is off moves nobody.
            ([640, 0], Led::Agrees),
        ] {
            let (mut clock, now) = after(10);
            assert_eq!(clock.lead(now, wall_ms, &ahead_ms, SKEW_AT_START_MAX_MS), led, "{ahead_ms:?}");
            let (mut clock, now) = after(10);
            assert_eq!(clock.lead(now, wall_ms, &ahead_ms, SKEW_MAX_MS), Led::Agrees, "{ahead_ms:?}");
        }
    }
}
