//! The limits of the public protocol: each a check, a code and a sentence.

pub mod message;
pub mod name;
pub mod reserved;
