//! Where a log stands.

use crate::limits::{
    SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_FLOOR, SEGMENT_BYTES_MAX, TAIL_CACHE_BYTES_DEFAULT,
};
use crate::position::LogPosition;

/// Which entry: Raft's log id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogMark {
    /// Its term.
    pub term: u64,
    /// The leader that proposed it.
    pub leader: u64,
    /// Its index.
    pub index: u64,
}

/// The one of the higher index.
pub(crate) fn later(a: Option<LogMark>, b: Option<LogMark>) -> Option<LogMark> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.index > a.index { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// How a log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The size of a segment file, in bytes.
    pub segment_bytes: u64,
    /// How much of the log's end stays in memory, in bytes. What is not yet written stays in any case.
    pub tail_cache_bytes: usize,
    /// Whether a thread makes the next segment and writes index files ahead of the writer. Without it the
    /// writer thread does both when it must, and the disk sees the same calls in every run.
    pub prepare_ahead: bool,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            tail_cache_bytes: TAIL_CACHE_BYTES_DEFAULT,
            prepare_ahead: true,
        }
    }
}

impl LogOptions {
    pub(crate) fn validate(&self) -> Result<(), String> {
        if !(SEGMENT_BYTES_FLOOR..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return Err(format!(
                "segments of {} bytes; from {SEGMENT_BYTES_FLOOR} to {SEGMENT_BYTES_MAX} are possible",
                self.segment_bytes
            ));
        }
        Ok(())
    }
}

/// Where a log stands, at one moment.
///
/// ```text
///  oldest ≤ first = purged + 1        durable ≤ last        committed ≤ last
///  oldest position ≤ read floor (if consumers are behind)   durable position ≤ next position
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPointers {
    /// The last entry that Raft gave up.
    pub purged: Option<LogMark>,
    /// The first index that Raft may ask for.
    pub first_index: u64,
    /// The last entry: held, appended and perhaps not yet durable; or the one that the log continues behind.
    pub last: Option<LogMark>,
    /// The last index that is durable; none if nothing ever was.
    pub durable_index: Option<u64>,
    /// The last entry that was said to be committed.
    pub committed: Option<LogMark>,
    /// The lowest position on disk: it can be below the Raft floor, for consumers.
    pub oldest_position: LogPosition,
    /// What consumers may still read starts here.
    pub read_floor: LogPosition,
    /// Where the next frame goes.
    pub next_position: LogPosition,
}

/// A segment of the log, as retention sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSpan {
    /// Where its first frame starts.
    pub base: LogPosition,
    /// The index of its first frame.
    pub base_index: u64,
    /// The entry before it, whether it is there or not; none if there never was one.
    pub previous: Option<LogMark>,
    /// Where its frames end; none while it is open.
    pub end: Option<LogPosition>,
    /// The last entry of the log up to its end; none while it is open, or if there never was one.
    pub last_index: Option<u64>,
}

impl LogPointers {
    /// The index of the next frame.
    pub fn next_index(&self) -> u64 {
        self.last.map_or(0, |last| last.index + 1)
    }

    /// Checks the inequalities.
    ///
    /// # Panics
    /// If one does not hold.
    pub(crate) fn validate(self) -> LogPointers {
        let first = self.purged.map_or(0, |purged| purged.index + 1);
        assert!(self.first_index == first, "first is not behind purged: {self:?}");
        assert!(self.first_index <= self.next_index(), "purged beyond the end: {self:?}");
        assert!(self.durable_index.is_none_or(|durable| durable < self.next_index()), "{self:?}");
        assert!(self.committed.is_none_or(|mark| mark.index < self.next_index()), "{self:?}");
        assert!(self.oldest_position <= self.next_position, "{self:?}");
        self
    }
}
