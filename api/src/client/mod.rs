//! A small client of the public protocol, as the command line and the bench need it. It does what
//! the official ones do: the same headers, ids and retries.

pub mod access;
pub mod cluster_view;
pub mod consumer;
pub mod credentials;
pub mod message_id;
pub mod producer;
pub mod puller;
pub mod session;
pub mod tls;

/// The largest answer that is read: a full batch of the largest messages.
pub const ANSWER_BYTES_MAX: usize = 256 << 20;
