//! Histories of a message broker, and the seventeen properties that they must have.
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

pub mod history;

mod acknowledgement;
mod conservation;
mod delay;
mod durability;
mod evidence;
mod fifo;
mod idempotence;
mod limits;
mod linearizable_append;
mod liveness;
mod log_prefix;
mod membership;
mod no_phantom;
mod offset_agreement;
mod producer_order;
mod property;
mod receive_linearizability;
mod redelivery;
mod state_digest;
mod transactions;
mod verdict;

#[cfg(test)]
mod story;

pub use evidence::{Evidence, Resolution, Resolved};
pub use property::{Property, check_all};
pub use verdict::{Example, Losses, Verdict};
