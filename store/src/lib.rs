//! Storage of one group: the CommitLog and the tables derived from it.
//!
//! Synchronous. Knows no Raft, no gRPC, no async and no clock.

pub mod coding;
pub mod position;
pub mod record;
pub mod tables;
