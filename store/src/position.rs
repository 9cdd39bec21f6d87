//! Positions in the log.

use std::fmt;
use std::ops::Add;

/// The sum of the lengths of all earlier frames of a group's log: the same on every replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition(pub u64);

impl LogPosition {
    /// The distance from `earlier` to this position, in bytes.
    ///
    /// # Panics
    /// If `earlier` lies behind this position.
    pub fn bytes_since(self, earlier: LogPosition) -> u64 {
        self.0.checked_sub(earlier.0).unwrap_or_else(|| panic!("{earlier} lies behind {self}"))
    }
}

impl Add<u64> for LogPosition {
    type Output = LogPosition;

    fn add(self, bytes: u64) -> LogPosition {
        LogPosition(self.0 + bytes)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}", self.0)
    }
}
