//! Counting without getting in the way: what the log, the groups and the client edge count into, and how it is read.
//!
//! Writers add with relaxed atomics: no lock, no allocation, one or a few cache lines. Whoever reads gets what was
//! counted a moment ago, not a picture of one moment.

pub mod histogram;
pub mod tally;

pub use histogram::{Distribution, Histogram};
pub use tally::{Counted, Tally};
