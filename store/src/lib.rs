//! Storage of one group: the CommitLog and the tables derived from it.
//!
//! Synchronous. Knows no Raft, no gRPC, no async and no clock.

pub mod ballot;
pub mod coding;
pub mod commit_log;
pub mod disk;
pub mod limits;
pub mod planted;
pub mod position;
pub mod record;
pub mod snapshot;
pub mod tables;
