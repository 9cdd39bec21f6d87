//! Histories of a message broker, and the sixteen properties that they must have.
//!
//! A test (or an operator's check) records what its clients did in a [`history`]: every call with
//! when it began, when it ended, and how. When the run is over it reads what the broker kept. Then
//! [`check_all`] says of each [`Property`] whether it [`Verdict::Held`], was [`Verdict::Violated`],
//! or could not be checked. Nothing here knows a particular broker, a network or a clock.
//!
//! ```
//! use checkers::history::{Header, History};
//!
//! # fn demo(file: &[u8]) -> Result<(), checkers::history::ReadError> {
//! let history = History::read(file)?;
//! for (property, verdict) in checkers::check_all(&history) {
//!     println!("{property}: {verdict:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A time-out is an unknown outcome, never a failure; [`Evidence`] resolves it from the final reads.
//! Calls that overlap may have happened in either order. Every checker takes n log n.

mod durability;
#[allow(dead_code, unused_imports)]
mod evidence;
pub mod history;
mod limits;
mod property;
mod verdict;

#[cfg(test)]
#[allow(dead_code)]
mod story;

pub use evidence::Evidence;
pub use property::{Property, check_all};
pub use verdict::{Example, Losses, Verdict};
