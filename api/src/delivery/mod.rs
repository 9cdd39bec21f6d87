//! How messages reach consumers: what they want, how long they wait, and from which broker group.

pub mod filter;
pub mod groups;
pub mod long_poll;
