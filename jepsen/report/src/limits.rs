//! Every bound of this crate.

/// The picture has at most so many steps in time.
pub const BINS_MAX: usize = 240;
/// A step is at least so long.
pub const BIN_MS_MIN: u64 = 100;
/// The picture has a lane for each of so many kinds of faults; the rest share one.
pub const LANES_MAX: usize = 12;
/// The text shows so many examples of each violated property.
pub const EXAMPLES_SHOWN: usize = 3;
/// The text lists so many faults that did not happen; the JSON has all.
pub const SKIPPED_SHOWN: usize = 20;
